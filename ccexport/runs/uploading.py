"""Sends what is pending and follows what was sent, both at once, until nothing of a run is open."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta

from ccexport.constantcontact.client import Client
from ccexport.errors import NeedsAdministrator
from ccexport.runs.clearance import missing_export_user
from ccexport.runs.following import follow_batches
from ccexport.runs.halving import sending_order
from ccexport.runs.outcomes import repeated_failure
from ccexport.runs.poll_timer import PollTimer
from ccexport.runs.restoring import restore_run_files
from ccexport.runs.sending import FilesAhead, send_batch
from ccexport.runs.tools import MAX_IN_FLIGHT, Tools
from ccexport.states import BatchState, RunState
from ccexport.store.database.tables import Batch, Run
from ccexport.store.moves import Held

SENT_AND_OPEN = (BatchState.SENDING, BatchState.SUBMITTED)
LONGEST_PAUSE_SECONDS = 2.0  # between two looks at a cancel request


def upload_and_confirm(held: Held, tools: Tools) -> None:
    """Take a run that is prepared through `uploading` and `confirming`. Raises what stops it."""
    run = tools.runs.check_lease(held)
    if run.state not in (RunState.UPLOADING, RunState.CONFIRMING):
        return
    is_done = all(batch.state.is_final for batch in tools.batches.of_run(held.run_id))
    has_files = is_done or restore_run_files(held, run, tools)
    with (
        closing(tools.guarded_client(held, run.connection_id or 0)) as client,
        FilesAhead(run, tools) as files,
    ):
        Uploading(held, run, client, files, tools).work(has_files)


def give_up_pending(held: Held, run: Run, tools: Tools) -> None:
    """Nothing more of the run is sent: halves that were refused before fail, what was not begun is canceled."""
    if run.stop_reason and not run.cancel_requested_by:
        tools.batches.fail_pieces(held, run.stop_reason)
    tools.batches.cancel_pending(held)


@contextmanager
def timed(held: Held, stage: RunState, tools: Tools) -> Iterator[None]:
    """Add the seconds of a successful step to the run's timings."""
    started = time.monotonic()
    yield
    tools.runs.add_seconds(held, stage, time.monotonic() - started)


class Uploading:
    """The loop of a run that has files to send or to follow."""

    def __init__(
        self, held: Held, run: Run, client: Client, files: FilesAhead, tools: Tools
    ) -> None:
        self._held = held
        self._run = run
        self._client = client
        self._files = files
        self._tools = tools
        self._timer = PollTimer(tools.poll_seconds, tools.now())
        self._took_seconds: float | None = None  # a file that ended, from its answer to its end
        if any(batch.state in SENT_AND_OPEN for batch in tools.batches.of_run(held.run_id)):
            self._timer.taken_over()

    def work(self, has_files: bool) -> None:
        """Step by step, until no batch is open. Without run files nothing is sent; what was sent is followed."""
        while batches := self._open_batches():
            with timed(self._held, self._run.state, self._tools):
                if has_files:
                    self._step(batches)
                elif any(batch.state is BatchState.SENDING for batch in batches):
                    self._step([each for each in batches if each.state is not BatchState.PENDING])
                else:
                    has_files = restore_run_files(self._held, self._run, self._tools)
            self._run = self._stage()

    def _open_batches(self) -> list[Batch]:
        held, tools = self._held, self._tools
        run = tools.check_connected(held)
        batches = tools.batches.of_run(held.run_id)
        if (words := repeated_failure(batches)) and run.stop_reason is None:
            tools.runs.stop(held, words)
            run = tools.check_connected(held)
        if run.cancel_requested_by or run.stop_reason:
            give_up_pending(held, run, tools)
            batches = tools.batches.of_run(held.run_id)
        return [batch for batch in batches if not batch.state.is_final]

    def _step(self, batches: list[Batch]) -> None:
        """Send one batch, or look at the activities when that is due or nothing can be sent."""
        self._tools.pause(0)
        pending = [batch for batch in batches if batch.state is BatchState.PENDING]
        pending.sort(key=sending_order)
        in_flight = len(batches) - len(pending)
        may_send = in_flight < MAX_IN_FLIGHT and self._may_send(pending, in_flight)
        if may_send and (not in_flight or self._timer.seconds_left(self._tools.now()) > 0):
            self._send(pending)
        else:
            self._follow(batches)

    def _may_send(self, pending: list[Batch], in_flight: int) -> bool:
        """Whether the next file may go. Without an export user none does; the run waits once nothing is under way.

        Nor does one while another run takes people off the list: it might put one back, or take off one just sent.
        """
        if not pending or self._tools.removals.is_under_way_elsewhere(self._run):
            return False
        view = self._tools.connections.view(self._run.connection_id or 0)
        words = missing_export_user(view)
        if words and not in_flight:
            raise NeedsAdministrator(words)
        return not words

    def _send(self, pending: list[Batch]) -> None:
        content = self._files.content(pending[0], pending[1] if len(pending) > 1 else None)
        send_batch(self._held, self._run, pending[0], content, self._client, self._tools)

    def _follow(self, batches: list[Batch]) -> None:
        """Look at the activities where that is due, else pause until it nearly is."""
        run, timer, tools = self._run, self._timer, self._tools
        self._expect(batches)
        left = timer.seconds_left(tools.now())
        if left and not self._another_has_looked():
            tools.pause(min(left, LONGEST_PAUSE_SECONDS))
            return
        since = timer.news_since(tools.now())
        settled = follow_batches(self._held, run, batches, self._client, tools, since)
        timer.looked(tools.now(), None if settled is None else settled.longest)
        if settled is None:
            return
        if settled.shortest is not None:
            self._took_seconds = settled.shortest
        tools.activities.ended(run.connection_id or 0, settled.longest)
        if run.waits:
            tools.runs.made_progress(self._held)

    def _expect(self, batches: list[Batch]) -> None:
        """Once all is sent: when the last file should have ended, by what others took, of this run or of another."""
        submitted = [batch for batch in batches if batch.state is BatchState.SUBMITTED]
        if self._run.state is not RunState.CONFIRMING or not submitted:
            return
        if self._took_seconds is not None:
            latest = max(batch.submitted_at or self._tools.now() for batch in submitted)
            self._timer.expect_last(latest, self._took_seconds)
        took = self._tools.activities.took_seconds(self._run.connection_id or 0)
        for batch in submitted:
            if took is not None and batch.sending_at:
                self._timer.expect(batch.sending_at + timedelta(seconds=took))

    def _another_has_looked(self) -> bool:
        """Whether another run of the account has just looked at all activities, while this one waits for its own."""
        tools = self._tools
        young = tools.now() - timedelta(seconds=tools.poll_seconds / 2)
        return self._run.state is RunState.CONFIRMING and tools.activities.has_look_since(
            self._run.connection_id or 0, max(self._timer.looked_at, young)
        )

    def _stage(self) -> Run:
        """`confirming` once nothing is left to send, `uploading` again when a lost file has to be."""
        run = self._tools.runs.check_lease(self._held)
        states = {batch.state for batch in self._tools.batches.of_run(self._held.run_id)}
        stage = RunState.UPLOADING if BatchState.PENDING in states else RunState.CONFIRMING
        if run.state is stage:
            return run
        if stage is RunState.CONFIRMING:
            self._timer.all_sent(self._tools.now())
        return self._tools.runs.move(self._held, stage)
