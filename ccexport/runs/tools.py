"""What the steps of a run work with. The worker builds it; tests build it with their own clock and sleep."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ccexport.clock import Now, utc_now
from ccexport.constantcontact.client import Client
from ccexport.constantcontact.model import Activity
from ccexport.errors import CcexportError, RetryableError
from ccexport.segments.source import Source
from ccexport.segments.steadiness import Pause
from ccexport.store.batches import BatchStore
from ccexport.store.budget import BudgetStore
from ccexport.store.connections import ConnectionStore
from ccexport.store.database.tables import Run
from ccexport.store.ledgers import LedgerStore
from ccexport.store.moves import Held
from ccexport.store.removals import RemovalStore
from ccexport.store.runs import RunStore
from ccexport.store.vault.keys import Keys
from ccexport.store.vault.run_files import RunFiles

MAX_IN_FLIGHT = 20  # of our batches in an account's queue of 1,000 activities
ACTIVITY_DEADLINE = timedelta(hours=24)  # no processing time is documented: hours, not minutes
# an unanswered POST is held to be lost when looks have not shown its file for so many first waits
LOOKUP_GRACE_POLLS = 12
TURN_SECONDS = 0.2  # between two looks at a stop while waiting for the turn to prepare


class ConnectionRemoved(CcexportError):
    """The run's connection was removed: nothing more is sent, and the run ends."""


class StopAsked(CcexportError):
    """The process is to end: the step in hand is done, the run is let go."""


@dataclass(frozen=True)
class Tools:
    """Everything a run needs besides itself."""

    runs: RunStore
    batches: BatchStore
    connections: ConnectionStore
    budget: BudgetStore
    ledgers: LedgerStore
    removals: RemovalStore
    run_files: RunFiles
    keys: Keys
    open_source: Callable[[Pause], Source]  # the pause between two looks at what is read may raise
    client_for: Callable[
        [int, Callable[[], None]], Client
    ]  # connection id, guard before each request
    activities: ActivityBoard
    throttled_for: Callable[[], timedelta]  # how long every answer of the API has been a 429
    max_profiles: int
    poll_seconds: float
    sleep: Callable[[float], bool]  # True: the process was asked to end meanwhile
    now: Now = utc_now
    preparing: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(1))
    reached: Callable[[str], None] = lambda point: None  # crash tests stop the process here

    @property
    def lookup_grace_seconds(self) -> float:
        return LOOKUP_GRACE_POLLS * self.poll_seconds

    def pause(self, seconds: float) -> None:
        """Sleep. Raises `StopAsked`."""
        if self.sleep(seconds):
            raise StopAsked

    @contextmanager
    def turn_to_prepare(self) -> Iterator[None]:
        """One run of a process prepares at a time: each takes memory and every processor. Raises `StopAsked`."""
        while not self.preparing.acquire(timeout=TURN_SECONDS):
            self.pause(0)
        try:
            yield
        finally:
            self.preparing.release()

    def guarded_client(self, held: Held, connection_id: int) -> Client:
        """A client that sends nothing more once the run's lease is lost, or its connection removed."""
        return self.client_for(connection_id, lambda: self._check(held))

    def _check(self, held: Held) -> None:
        self.check_connected(held)

    def check_connected(self, held: Held) -> Run:
        """The run as it is now. Raises `LeaseLost`, `ConnectionRemoved`."""
        run = self.runs.check_lease(held)
        if run.connection_id is None:
            raise ConnectionRemoved(f"run {held.run_id}")
        return run


class ActivityBoard:
    """The latest look at each account's activities, shared by all runs of this process.

    One `GET /activities` follows all batches of all runs of a connection, so a look that is young enough is shared;
    so is one that failed while others waited for it, so that each of them does not wait for the same silence in turn.
    """

    def __init__(self, now: Now = utc_now, elapsed: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._elapsed = elapsed
        self._unseen: dict[tuple[str, int], float] = {}
        self._lock = threading.Lock()
        self._locks: dict[int, threading.Lock] = {}
        self._looks: dict[int, tuple[datetime, Sequence[Activity]]] = {}
        self._failures: dict[int, tuple[int, RetryableError]] = {}
        self._took: dict[int, float] = {}  # seconds, of what ended last
        self.asked = 0  # looks asked for so far

    def has_look_since(self, connection_id: int, at: datetime) -> bool:
        """Whether there is a look that was begun later: to use it costs no request."""
        seen_at, _ = self._looks.get(connection_id, (None, []))
        return seen_at is not None and seen_at > at

    def ended(self, connection_id: int, took_seconds: float) -> None:
        """Learn how long a file of the account took."""
        self._took[connection_id] = took_seconds

    def took_seconds(self, connection_id: int) -> float | None:
        """How long the file of the account took that ended last; None while none has."""
        return self._took.get(connection_id)

    def unseen_seconds(self, file_name: str, attempt: int) -> float:
        """Called where a look did not show a file: for how long looks of this process have not; 0 the first time.

        Counted by a clock that nobody sets, and from a look: what another process saw, or how old a try is by the
        clock on the wall, proves nothing.
        """
        now = self._elapsed()
        return now - self._unseen.setdefault((file_name, attempt), now)

    def look(
        self, connection_id: int, client: Client, *, not_before: datetime, wanted: set[str]
    ) -> Sequence[Activity]:
        """Activities as they were at or after `not_before`; pages are read until all `wanted` file names are seen."""
        with self._lock:
            lock = self._locks.setdefault(connection_id, threading.Lock())
            self.asked = asked = self.asked + 1
        with lock:
            failed_after, failure = self._failures.get(connection_id, (-1, None))
            if failure is not None and asked <= failed_after:
                again = type(failure)(str(failure), retry_after_seconds=failure.retry_after_seconds)
                raise again
            seen_at, activities = self._looks.get(connection_id, (None, []))
            names = {activity.file_name for activity in activities}
            if seen_at is not None and seen_at >= not_before and wanted <= names:
                return activities
            started = self._now()
            try:
                activities = client.activities(until=lambda page: wanted <= _names(page))
            except RetryableError as error:
                self._failures[connection_id] = (self.asked, error)
                raise
            self._looks[connection_id] = (started, activities)
            return activities


def _names(activities: Sequence[Activity]) -> set[str]:
    return {activity.file_name for activity in activities}
