"""How many requests are let through: per second over any window, per UTC day."""

from collections import deque
from collections.abc import Callable

_DAY_SECONDS = 86_400


class SlidingSecond:
    """Counts arrivals of the last second; those refused count as well."""

    def __init__(self) -> None:
        self._arrivals: deque[float] = deque()

    def admits(self, now: float, at_most: int) -> bool:
        while self._arrivals and self._arrivals[0] <= now - 1.0:
            self._arrivals.popleft()
        self._arrivals.append(now)
        return len(self._arrivals) <= at_most


class Limits:
    """The limits of one application key."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._api = SlidingSecond()
        self._token = SlidingSecond()
        self._day = -1
        self.used_today = 0

    def admits_second(self, per_second: int) -> bool:
        return self._api.admits(self._clock(), per_second)

    def admits_token(self) -> bool:
        """The token endpoint has a limit of its own: one request a second."""
        return self._token.admits(self._clock(), 1)

    def admits_day(self, per_day: int) -> bool:
        """Count one request of today (UTC); refused ones count as well."""
        day = int(self._clock() // _DAY_SECONDS)
        if day != self._day:
            self._day, self.used_today = day, 0
        self.used_today += 1
        return self.used_today <= per_day
