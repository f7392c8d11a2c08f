"""One run, from queued to its end: read this first.

    queued → preparing → uploading → confirming → succeeded | completed_with_errors | failed | canceled | skipped
                  any of them ⇄ waiting

Every step commits its intent before it acts and its outcome after, so `execute_run` can be called again after a crash
at any line. A batch found in `sending` may or may not have arrived: it is looked up by its unique file name first.
"""

from __future__ import annotations

import logging
import random
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta

from ccexport.constantcontact.client import Client
from ccexport.errors import (
    AccessDenied,
    ApplicationRefused,
    NeedsAdministrator,
    NotConnected,
    QueueFull,
    QuotaExceeded,
    RateLimited,
    RetryableError,
    SetupError,
    StoreError,
)
from ccexport.redaction import with_their_words
from ccexport.runs.clearance import missing_consent, missing_export_user
from ccexport.runs.following import PollTimer, follow_batches
from ccexport.runs.halving import sending_order
from ccexport.runs.outcomes import RunTotals, judge_run, repeated_failure
from ccexport.runs.preparing import prepare_run
from ccexport.runs.restoring import restore_run_files
from ccexport.runs.sending import FilesAhead, send_batch
from ccexport.runs.tools import MAX_IN_FLIGHT, ConnectionRemoved, StopAsked, Tools
from ccexport.states import BatchState, RunState, WaitingFor
from ccexport.store.budget import next_reset
from ccexport.store.database.tables import Batch, Run
from ccexport.store.moves import Held, LeaseLost
from ccexport.store.runs import Wait

log = logging.getLogger(__name__)

FIRST_WAIT_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 15 * 60.0
QUEUE_WAIT_SECONDS = 120.0
QUOTA_JITTER_SECONDS = 120.0
ONE_DAY = timedelta(days=1)
NEW_DAY_SETTLES = timedelta(
    minutes=15
)  # clocks differ, and so may the moment when a day's count begins anew
THROTTLED_MEANS_QUOTA = timedelta(minutes=5)
NOT_SENT = (BatchState.PENDING, BatchState.CANCELED)
SENT_AND_OPEN = (BatchState.SENDING, BatchState.SUBMITTED)
LONGEST_PAUSE_SECONDS = 2.0  # between two looks at a cancel request


def execute_run(held: Held, tools: Tools) -> None:
    """Take one run as far as it can go now. Safe to call again after a crash at any line.

    Raises `StoreError` where the store takes nothing: whoever called lets the run go once it does again.
    """
    began_at = tools.now()
    try:
        with _removal_recognized(held, tools):
            _go(held, tools)
    except ConnectionRemoved:
        tools.runs.end_without_connection(held)
        log.info("run %d: its connection was removed", held.run_id)
    except StopAsked:
        tools.runs.release(held)
        log.info("run %d: let go", held.run_id)
    except LeaseLost:
        log.warning("run %d: another worker has it, or it ended", held.run_id)
    except StoreError as error:  # raised once more where not even the waiting can be written
        _wait_or_cancel(held, _why(error, held, tools), tools)
    except NeedsAdministrator as error:
        _wait_or_cancel(held, Wait(WaitingFor.APPROVAL, None, str(error)), tools)
        _wake_if_cleared(held, tools)
    except RetryableError as error:
        _wait_or_cancel(held, _why(error, held, tools), tools)
    except NotConnected as error:
        _wait_or_cancel(held, _why(error, held, tools), tools)
        _wake_if_signed_in(held, began_at, tools)
    except (AccessDenied, ApplicationRefused) as error:
        _stop_or_wait_for_a_person(held, error, tools)
        _wake_if_signed_in(held, began_at, tools)
    except SetupError as error:
        _fail(held, error, tools)
    except Exception:  # a bug of ours: the run ends and says so, the worker lives on
        number = uuid.uuid4().hex[:8]
        log.exception("run %d: error %s", held.run_id, number)
        tools.runs.finish(held, RunState.FAILED, error=_our_fault(number))


def _go(held: Held, tools: Tools) -> None:
    run = tools.check_connected(held)
    if run.state is RunState.WAITING:
        run = tools.runs.resume(held)
    if run.state is RunState.QUEUED and not run.cancel_requested_by:
        run = tools.runs.move(held, RunState.PREPARING, started_at=tools.now())
        tools.reached("preparing")
    if run.state is RunState.PREPARING and not run.cancel_requested_by:
        with _timed(held, RunState.PREPARING, tools):
            prepare_run(held, run, tools)
    _upload_and_confirm(held, tools)
    _finish(held, tools)


def _upload_and_confirm(held: Held, tools: Tools) -> None:
    """Send what is pending, follow what is sent; both at once."""
    run = tools.runs.check_lease(held)
    if run.state not in (RunState.UPLOADING, RunState.CONFIRMING):
        return
    has_files = restore_run_files(held, run, tools)
    timer = PollTimer(tools.poll_seconds, tools.now())
    if any(batch.state in SENT_AND_OPEN for batch in tools.batches.of_run(held.run_id)):
        timer.taken_over()
    with (
        closing(tools.guarded_client(held, run.connection_id or 0)) as client,
        FilesAhead(run, tools) as files,
    ):
        while batches := _open_batches(held, tools):
            with _timed(held, run.state, tools):
                if has_files:
                    _one_step(held, run, batches, files, client, timer, tools)
                elif any(batch.state is BatchState.SENDING for batch in batches):
                    sent = [batch for batch in batches if batch.state is not BatchState.PENDING]
                    _one_step(held, run, sent, files, client, timer, tools)
                else:
                    has_files = restore_run_files(held, run, tools)
            run = _stage(held, timer, tools)


def _open_batches(held: Held, tools: Tools) -> list[Batch]:
    run = tools.check_connected(held)
    batches = tools.batches.of_run(held.run_id)
    if (words := repeated_failure(batches)) and run.stop_reason is None:
        tools.runs.stop(held, words)
        run = tools.check_connected(held)
    if run.cancel_requested_by or run.stop_reason:
        _give_up_pending(held, run, tools)
        batches = tools.batches.of_run(held.run_id)
    return [batch for batch in batches if not batch.state.is_final]


def _give_up_pending(held: Held, run: Run, tools: Tools) -> None:
    if run.stop_reason and not run.cancel_requested_by:
        tools.batches.fail_pieces(held, run.stop_reason)
    tools.batches.cancel_pending(held)


def _one_step(
    held: Held,
    run: Run,
    batches: list[Batch],
    files: FilesAhead,
    client: Client,
    timer: PollTimer,
    tools: Tools,
) -> None:
    """Send one batch, or look at the activities when that is due or nothing can be sent."""
    tools.pause(0)
    pending = [batch for batch in batches if batch.state is BatchState.PENDING]
    pending.sort(key=sending_order)
    in_flight = len(batches) - len(pending)
    may_send = in_flight < MAX_IN_FLIGHT and _may_send(run, pending, in_flight, tools)
    if may_send and (not in_flight or timer.seconds_left(tools.now()) > 0):
        content = files.content(pending[0], pending[1] if len(pending) > 1 else None)
        send_batch(held, run, pending[0], content, client, tools)
        return
    _expect_by_others(run, batches, timer, tools)
    left = timer.seconds_left(tools.now())
    if left and not _another_has_looked(run, timer, tools):
        tools.pause(min(left, LONGEST_PAUSE_SECONDS))
        return
    ended_after_seconds = follow_batches(held, run, batches, client, tools)
    timer.looked(tools.now(), ended_after_seconds)
    if ended_after_seconds is None:
        return
    tools.activities.ended(run.connection_id or 0, ended_after_seconds)
    if run.waits:
        tools.runs.made_progress(held)


def _may_send(run: Run, pending: list[Batch], in_flight: int, tools: Tools) -> bool:
    """Whether the next file may go. Without an export user none does; the run waits once nothing is under way."""
    if not pending:
        return False
    words = missing_export_user(tools.connections.view(run.connection_id or 0))
    if words and not in_flight:
        raise NeedsAdministrator(words)
    return not words


def _expect_by_others(run: Run, batches: list[Batch], timer: PollTimer, tools: Tools) -> None:
    """What files of other runs of the account took says when the files of this one can be expected to have ended."""
    took = tools.activities.took_seconds(run.connection_id or 0)
    if took is None or run.state is not RunState.CONFIRMING:
        return
    for batch in batches:
        if batch.state is BatchState.SUBMITTED and batch.sending_at:
            timer.expect(batch.sending_at + timedelta(seconds=took))


def _another_has_looked(run: Run, timer: PollTimer, tools: Tools) -> bool:
    """Whether another run of the account has just looked at all activities, while this one only waits for its own."""
    young = tools.now() - timedelta(seconds=tools.poll_seconds / 2)
    return run.state is RunState.CONFIRMING and tools.activities.has_look_since(
        run.connection_id or 0, max(timer.looked_at, young)
    )


def _stage(held: Held, timer: PollTimer, tools: Tools) -> Run:
    """`confirming` once nothing is left to send, `uploading` again when a lost file has to be."""
    run = tools.runs.check_lease(held)
    states = {batch.state for batch in tools.batches.of_run(held.run_id)}
    stage = RunState.UPLOADING if BatchState.PENDING in states else RunState.CONFIRMING
    if run.state is stage:
        return run
    if stage is RunState.CONFIRMING:
        timer.all_sent(tools.now())
    return tools.runs.move(held, stage)


def _finish(held: Held, tools: Tools) -> None:
    run = tools.check_connected(held)
    if run.cancel_requested_by or run.stop_reason:
        _give_up_pending(held, run, tools)
    batches = tools.batches.of_run(held.run_id)
    totals = RunTotals(
        read=run.read_count,
        prepared=run.prepared_count,
        submitted=run.submitted_count,
        unsubscribed=run.unsubscribed_count,
        failed=run.failed_count,
        batches=len(batches),
        failed_batches=sum(batch.state is BatchState.FAILED for batch in batches),
        not_sent=sum(batch.rows for batch in batches if batch.state is BatchState.CANCELED),
        stop_reason=run.stop_reason or "",
    )
    tools.reached("before the end")
    state, message = judge_run(totals, canceled=bool(run.cancel_requested_by))
    tools.runs.finish(held, state, error=message)
    log.info("run %d: %s", held.run_id, state)


def _stop_or_wait_for_a_person(
    held: Held, error: AccessDenied | ApplicationRefused, tools: Tools
) -> None:
    """A person has to mend the sign-in. A run that sent something waits for that, lest it never adds up."""
    if any(batch.state not in NOT_SENT for batch in tools.batches.of_run(held.run_id)):
        _wait_or_cancel(held, _why(error, held, tools), tools)
    else:
        _fail(held, error, tools)


def _fail(held: Held, error: SetupError, tools: Tools) -> None:
    tools.runs.finish(held, RunState.FAILED, error=with_their_words(str(error), error.detail))
    log.error("run %d failed: %s", held.run_id, error)


def _why(error: Exception, held: Held, tools: Tools) -> Wait:
    """Which waiting an error means, and until when. Waits without progress grow; none counts as a failure."""
    now, run = tools.now(), tools.runs.get(held.run_id)
    if isinstance(error, NotConnected | AccessDenied | ApplicationRefused):
        tools.connections.set_needs_sign_in(run.connection_id or 0, needed=True)
        detail = "" if isinstance(error, NotConnected) else error.detail
        return Wait(WaitingFor.SIGN_IN, None, with_their_words(str(error), detail))
    if isinstance(error, RateLimited) and tools.throttled_for() >= THROTTLED_MEANS_QUOTA:
        error = QuotaExceeded(
            "Constant Contact has refused every request for minutes as one too many, so the day's requests are held "
            "to be used up. It goes on after 00:00 UTC."
        )
    if isinstance(error, QuotaExceeded):
        return Wait(WaitingFor.QUOTA, _quota_until(now, tools), str(error))
    if isinstance(error, QueueFull):
        until = _next_try(error, now, run.waits, QUEUE_WAIT_SECONDS)
        return Wait(WaitingFor.QUEUE, until, str(error))
    first = min(FIRST_WAIT_SECONDS, tools.poll_seconds)
    return Wait(WaitingFor.SERVICE, _next_try(error, now, run.waits, first), str(error))


def _quota_until(now: datetime, tools: Tools) -> datetime:
    """A while after 00:00 UTC. Just after it the refusal may be about the day before: then soon, and no day is lost."""
    jitter = timedelta(seconds=random.uniform(1, QUOTA_JITTER_SECONDS))  # noqa: S311  # spreads load, hides nothing
    today = tools.budget.today()
    if today.used < today.limit and now + ONE_DAY - next_reset(now) < NEW_DAY_SETTLES:
        return now + NEW_DAY_SETTLES / 3 + jitter
    tools.budget.mark_exhausted()
    return next_reset(now) + jitter


def _next_try(error: Exception, now: datetime, waits: int, first_seconds: float) -> datetime:
    asked = error.retry_after_seconds if isinstance(error, RetryableError) else None
    seconds = max(min(first_seconds * 2 ** min(waits, 16), LONGEST_WAIT_SECONDS), asked or 0.0)
    return now + timedelta(seconds=seconds)


def _wait_or_cancel(held: Held, wait: Wait, tools: Tools) -> None:
    run = tools.runs.check_lease(held)
    if run.cancel_requested_by:
        tools.batches.cancel_pending(held)
        tools.runs.finish(held, RunState.CANCELED, error=f"Canceled while waiting: {wait.detail}")
        return
    tools.runs.wait(held, wait)
    log.info("run %d waits for %s: %s", held.run_id, wait.reason, wait.detail)


def _wake_if_cleared(held: Held, tools: Tools) -> None:
    """Whoever stepped in before the waiting was written found no run to wake."""
    run = tools.runs.get(held.run_id)
    if run.connection_id is None:
        return
    view = tools.connections.view(run.connection_id)
    if not (missing_export_user(view) or missing_consent(view)):
        tools.runs.wake(held.run_id)


def _wake_if_signed_in(held: Held, began_at: datetime, tools: Tools) -> None:
    """Whoever signed in between the refusal and the waiting found no run to wake. It may be wrong, once."""
    run = tools.runs.get(held.run_id)
    if run.waiting_for is not WaitingFor.SIGN_IN or run.connection_id is None:
        return
    agreed_at = tools.connections.view(run.connection_id).agreed_at
    if agreed_at is not None and agreed_at > began_at:
        tools.connections.set_needs_sign_in(run.connection_id, needed=False)
        tools.runs.wake(held.run_id)


def _our_fault(number: str) -> str:
    return (
        f"ccexport made an error of its own (number {number}). The worker's log has the details; "
        "what was sent is kept. Run the export again."
    )


@contextmanager
def _removal_recognized(held: Held, tools: Tools) -> Iterator[None]:
    """Whatever a step fails with once its connection is gone, that is why. Raises `ConnectionRemoved` then."""
    try:
        yield
    except (ConnectionRemoved, StopAsked, LeaseLost, StoreError):
        raise
    except Exception as error:
        if tools.runs.get(held.run_id).connection_id is None:
            raise ConnectionRemoved(f"run {held.run_id}") from error
        raise


@contextmanager
def _timed(held: Held, stage: RunState, tools: Tools) -> Iterator[None]:
    """Add the seconds of a successful step to the run's timings."""
    started = time.monotonic()
    yield
    tools.runs.add_seconds(held, stage, time.monotonic() - started)
