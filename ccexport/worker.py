"""`python -m ccexport worker`: claims runs and performs them, several at once, until it is told to stop.

`schedule` only ticks. Each tick is wrapped: one that fails is logged, and the worker carries on. SIGTERM finishes the
step in hand; SIGKILL costs that step at most, since another worker takes the run over when its lease lapses.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from datetime import timedelta

import schedule

from ccexport import __version__
from ccexport.errors import CcexportError, StoreError
from ccexport.installation import Installation
from ccexport.processes import host_name, is_dead, new_worker_name
from ccexport.redaction import about
from ccexport.runs.pipeline import execute_run
from ccexport.runs.tools import Tools
from ccexport.states import RunState, WaitingFor
from ccexport.store.database.tables import Run
from ccexport.store.moves import Held

log = logging.getLogger(__name__)

MAX_RUNS_AT_ONCE = 24
MAX_RUNS_OF_A_CONNECTION = MAX_RUNS_AT_ONCE // 2
TRIAL_SECONDS = 90.0  # longer than a request can go unanswered
CLAIM_EVERY_SECONDS = 1
DUE_EVERY_SECONDS = 5
BEAT_EVERY_SECONDS = 15
LOOK_EVERY_SECONDS = 60
CLEAN_EVERY_MINUTES = 60
TICK_SECONDS = 0.2
LAST_TICKS_SECONDS = 0.05  # of a worker that ends when nothing is left: somebody waits for that
TELL_EVERY_SECONDS = 1
TELL_FOR_SECONDS = 10.0  # then what is left is for the next pass
# what the end waits for: an address that does not answer keeps nobody who waits for a run. What is left, or under way,
# the next worker delivers under the same id
LAST_TELLING_SECONDS = 10.0


class _Shares:
    """How many of a worker's places a connection may take, so that one that does not answer leaves the others theirs.

    Half of them; one that had trouble is tried by one run at a time until that run ends well, or works for longer
    than any time-out.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: dict[int, tuple[int, float]] = {}  # run → its connection, since when
        self._troubled: dict[int, float] = {}  # connection → since when

    def taken(self, run_id: int, connection_id: int | None) -> None:
        with self._lock:
            self._taken[run_id] = (connection_id or 0, time.monotonic())

    def ended(self, run_id: int, *, trouble: bool) -> None:
        with self._lock:
            connection_id, _ = self._taken.pop(run_id, (0, 0.0))
            if trouble:
                self._troubled[connection_id] = time.monotonic()
            else:
                self._troubled.pop(connection_id, None)

    def used_up(self, alive: Collection[int]) -> list[int]:
        """The connections that get no further run now; `alive`: the runs whose threads live."""
        now = time.monotonic()
        with self._lock:
            self._taken = {run: taken for run, taken in self._taken.items() if run in alive}
            counts = Counter(connection for connection, _ in self._taken.values())
            full = {each for each, count in counts.items() if count >= MAX_RUNS_OF_A_CONNECTION}
            tried = {
                connection
                for connection, since in self._taken.values()
                if since > self._troubled.get(connection, math.inf) and now - since < TRIAL_SECONDS
            }
        return sorted(full | tried)


class Worker:
    """One worker process. `stop` may be set from a signal handler; with `only_run` it takes no other run."""

    def __init__(
        self,
        installation: Installation,
        stop: threading.Event | None = None,
        *,
        only_run: int | None = None,
    ) -> None:
        self.id = new_worker_name()
        self.stop = stop or threading.Event()
        self._installation = installation
        self._only_run = only_run
        self.tools: Tools = installation.tools(self.stop)
        self._threads: dict[int, threading.Thread] = {}
        self._shares = _Shares()
        self._to_let_go: set[int] = set()  # runs that the store was not there for
        self._said: dict[str, str] = {}  # the trouble of each tick that goes on: told once
        self._refreshing: threading.Thread | None = None
        self._told = threading.Event()  # nothing more happens here that is to be told

    def work(self, *, until_idle: bool = False) -> None:
        """Tick until stopped; with `until_idle`, until nothing is left that goes on by itself today."""
        self._installation.workers.started(
            self.id, host=host_name(), pid=os.getpid(), version=__version__
        )
        log.info("worker %s started", self.id)
        ticks = self._schedule()
        tick_seconds = LAST_TICKS_SECONDS if until_idle else TICK_SECONDS
        telling = [
            threading.Thread(target=self._tell, args=(deliver,), name=name, daemon=True)
            for name, deliver in (
                ("webhooks", self._deliver),
                ("notifications", self._notify),
                ("pings", self._ping),
            )
        ]
        for thread in telling:
            thread.start()
        try:
            self._guarded(self._free_runs_of_the_dead)
            self._guarded(self._clean)
            self._guarded(self._due)
            self._guarded(self._claim)
            while not self.stop.is_set() and not (until_idle and self._is_idle()):
                ticks = self._run_pending(ticks)
                self.stop.wait(tick_seconds)
        finally:
            self._end()
            self._told.set()
            give_up_at = time.monotonic() + LAST_TELLING_SECONDS
            for thread in telling:
                thread.join(max(0.0, give_up_at - time.monotonic()))

    def _schedule(self) -> schedule.Scheduler:
        ticks = schedule.Scheduler()
        for every, unit, tick in (
            (CLAIM_EVERY_SECONDS, "seconds", self._claim),
            (DUE_EVERY_SECONDS, "seconds", self._due),
            (BEAT_EVERY_SECONDS, "seconds", self.beat),
            (BEAT_EVERY_SECONDS, "seconds", self._free_runs_of_the_dead),
            (LOOK_EVERY_SECONDS, "seconds", self._installation.watch.look),
            (CLEAN_EVERY_MINUTES, "minutes", self._clean),
        ):
            getattr(ticks.every(every), unit).do(self._guarded, tick)
        return ticks

    def _run_pending(self, ticks: schedule.Scheduler) -> schedule.Scheduler:
        """Run what is due. The library goes by the machine's clock in its own zone: where that is set back, as at the
        end of summer time, the ticks would stand still until it has caught up. Then they begin anew.
        """
        if (ticks.idle_seconds or 0) > CLAIM_EVERY_SECONDS:  # the most frequent one is due sooner
            log.warning("the machine's clock was set back; the worker goes on")
            ticks = self._schedule()
        ticks.run_pending()
        return ticks

    def _guarded(self, tick: Callable[[], object]) -> None:
        name = getattr(tick, "__name__", "tick")
        try:
            tick()
            self._said.pop(name, None)
        except CcexportError as error:
            level = logging.DEBUG if str(error) in self._said.values() else logging.ERROR
            log.log(level, "%s", error)
            self._said[name] = str(error)
        except Exception:  # a tick that fails must not end the worker
            log.exception("a tick of the worker failed")

    def _due(self) -> None:
        """Queue exports whose time has come; refresh the segments, beside the ticks, when that is due."""
        if self._only_run is not None:
            return
        due = self._installation.due
        due.queue_due_exports()
        if self._is_refreshing() or self.stop.is_set():
            return
        begun = due.begin_due()
        if begun is not None:
            self._refreshing = threading.Thread(
                target=self._guarded, args=(lambda: due.perform(begun),), name="refresh"
            )
            self._refreshing.start()

    def _tell(self, deliver: Callable[[], None]) -> None:
        """Deliver what is in the outbox beside everything else; at the end once more, as long as that waits."""
        while not self._told.wait(TELL_EVERY_SECONDS):
            self._guarded(deliver)
        self._guarded(deliver)

    def _deliver(self) -> None:
        self._installation.teller.deliver_due(time.monotonic() + TELL_FOR_SECONDS)

    def _notify(self) -> None:
        self._installation.notifier.deliver_due(time.monotonic() + TELL_FOR_SECONDS)

    def _ping(self) -> None:
        self._installation.pinger.deliver_due(time.monotonic() + TELL_FOR_SECONDS, time.monotonic)

    def _is_refreshing(self) -> bool:
        return self._refreshing is not None and self._refreshing.is_alive()

    def _claim(self) -> None:
        for run_id in list(self._to_let_go):
            self._installation.runs.release(Held(run_id, self.id))
            self._to_let_go.discard(run_id)
        self._threads = {n: t for n, t in self._threads.items() if t.is_alive()}
        while len(self._threads) < MAX_RUNS_AT_ONCE and not self.stop.is_set():
            not_of = self._shares.used_up(self._threads)
            run = self._installation.runs.claim(
                self.id, run_id=self._only_run, not_of=not_of, busy_with=list(self._threads)
            )
            if run is None:
                return
            self._shares.taken(run.id, run.connection_id)
            thread = threading.Thread(target=self._perform, args=(run,), name=f"run {run.id}")
            self._threads[run.id] = thread
            thread.start()

    def _perform(self, run: Run) -> None:
        with about(run=run.id, export=run.export_id):
            self._execute(run)

    def _execute(self, run: Run) -> None:
        log.info("run %d: taken (%s)", run.id, run.state)
        try:
            execute_run(Held(run.id, self.id), self.tools)
            after = self._installation.runs.get(run.id)
            self._shares.ended(run.id, trouble=after.waiting_for is WaitingFor.SERVICE)
        except CcexportError as error:  # the store takes nothing, not even that the run waits
            log.error("run %d: %s", run.id, error)
            self._to_let_go.add(run.id)
            self._shares.ended(run.id, trouble=False)

    def beat(self) -> None:
        """Say that this worker lives, and keep the runs it works on."""
        self._installation.workers.beat(self.id)
        active = [run_id for run_id, thread in self._threads.items() if thread.is_alive()]
        self._installation.runs.renew_leases(self.id, active)

    def _free_runs_of_the_dead(self) -> None:
        """Let go of runs whose worker was killed on this machine, rather than wait for their lease to lapse."""
        for run in self._installation.runs.unfinished():
            if run.lease_owner is not None and is_dead(run.lease_owner):
                log.warning("run %d: its worker is gone", run.id)
                self._installation.runs.release(Held(run.id, run.lease_owner))

    def _clean(self) -> None:
        """Delete run files, what was told, and rows of the audit, older than their settings, and ledgers of lists left
        long ago."""
        runs = self._installation.runs
        kept_for = timedelta(days=self._installation.settings.retention_days)
        self._installation.watch.delete_older_than(kept_for)
        for run_id in runs.with_old_files(kept_for):
            self._installation.run_files.delete(run_id)
            runs.mark_files_deleted(run_id)
        self._installation.ledgers.drop_old()
        self._installation.audit.delete_older_than(
            timedelta(days=self._installation.settings.audit_days)
        )

    def _is_idle(self) -> bool:
        if self._is_refreshing():
            return False
        if any(thread.is_alive() for thread in self._threads.values()):
            return False
        try:
            return all(self._waits_for_others(run) for run in self._installation.runs.unfinished())
        except StoreError:  # the ticks have said so
            return False

    def _waits_for_others(self, run: Run) -> bool:
        """Whether a run waits for a person, or for tomorrow's budget."""
        if run.state is not RunState.WAITING or run.cancel_requested_by:
            return False
        if run.waiting_for is WaitingFor.QUOTA:
            return run.waiting_until is None or run.waiting_until > self._installation.now()
        return run.waiting_until is None

    def _end(self) -> None:
        self.stop.set()
        for thread in self._threads.values():
            thread.join()
        if self._refreshing is not None:
            self._refreshing.join()
        try:
            self._installation.workers.stopped(self.id)
        except StoreError as error:
            log.error("%s", error)
        log.info("worker %s stopped", self.id)
