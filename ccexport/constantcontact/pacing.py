"""When a request may start, and how long Constant Contact has answered nothing but "too many requests".

Slots are handed out by the store, to all processes together: 4 a second and 10,000 a day (V3 guide, rate limits).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from ccexport.clock import Now, utc_now
from ccexport.errors import ServiceTrouble

LATE_SECONDS = 0.05  # less than that is within the margin of the slots
SLOT_TRIES = 5  # a store so slow that every slot is missed must not stop requests for ever


class Slots(Protocol):
    """Hands out the moments at which requests may start."""

    def reserve_slot(self) -> float: ...
    def missed_slot(self) -> None: ...
    def start_now(self) -> None: ...


class Pacer:
    """Holds requests back until their slots. Thread-safe where the slots are."""

    def __init__(self, slots: Slots, sleep: Callable[[float], None]) -> None:
        self._slots = slots
        self._sleep = sleep

    def wait(
        self,
        *,
        before: Callable[[], None] = lambda: None,
        after: Callable[[], None] = lambda: None,
        give_up_at: float | None = None,
    ) -> None:
        """Return when a request may start; `before` and `after` each wait may refuse it.

        A request that comes too late for its slot, as after a renewal, takes another one, so that the next requests
        keep to theirs. A slot that no request used costs nothing of the day's budget.
        Raises `ServiceTrouble` where the slot is later than `give_up_at` (`time.monotonic`).
        """
        for _ in range(SLOT_TRIES):
            before()
            seconds = self._slots.reserve_slot()
            slot = (
                time.monotonic() + seconds
            )  # read after it: a process that is held up in between comes late, not early
            if give_up_at is not None and slot > give_up_at:
                self._slots.missed_slot()
                raise ServiceTrouble("Constant Contact takes too long to answer.")
            self._sleep(max(0.0, slot - time.monotonic()))
            after()
            if time.monotonic() - slot <= LATE_SECONDS:
                return
            self._slots.missed_slot()
        self._slots.start_now()


class Throttling:
    """Hears the status of every answer to a process. Thread-safe.

    An answer 429 means the second's limit, and a pause mends it. When 429s do not end for minutes, whatever their text
    says, they are taken for the day's limit (V3 guide: refused requests do not help).
    """

    def __init__(self, now: Now = utc_now) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._since: datetime | None = None

    def heard(self, status: int) -> None:
        """An answer came."""
        with self._lock:
            if status != 429:
                self._since = None
            elif self._since is None:
                self._since = self._now()

    def lasts(self) -> timedelta:
        """How long every answer has been 429; zero where the last one was not."""
        with self._lock:
            return self._now() - self._since if self._since else timedelta(0)
