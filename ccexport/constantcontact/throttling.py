"""How long Constant Contact has answered nothing but "too many requests".

Such answers mean the second's limit, and a pause mends them; when they do not end for minutes, whatever their text
says, it is taken for the day's limit (V3 guide, rate limits: refused requests do not help).
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from ccexport.clock import Now, utc_now


class Throttling:
    """Hears the status of every answer to a process. Thread-safe."""

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
