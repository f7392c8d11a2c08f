"""Times that a test sets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ccexport.clock import utc_now

MONDAY = datetime(2026, 1, 5, 10, tzinfo=UTC)


class Clock:
    """A `Now` that stands still until it is moved."""

    def __init__(self, at: datetime = MONDAY) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def move(self, **by: float) -> None:
        self.at += timedelta(**by)


class Seconds:
    """A count of seconds, from nowhere, that is moved by hand."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class MovedClock:
    """The time, a little ahead of the machine's by every wait so far."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)

    def __call__(self) -> datetime:
        return utc_now() + self._ahead

    def seconds(self) -> float:
        return self().timestamp()

    def move(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)
