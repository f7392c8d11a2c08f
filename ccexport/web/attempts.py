"""How often an address of the network may fail, at the sign-in or with a token. In memory, and bounded."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

MAX_FAILURES, WITHIN_SECONDS = 20, 300.0
MAX_ADDRESSES = 10_000  # the one that failed longest ago is forgotten


class FailedAttempts:
    """Counts failures by address. Several threads may use it; `clock` gives seconds that only grow."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        most: int = MAX_FAILURES,
        within_seconds: float = WITHIN_SECONDS,
    ) -> None:
        self._clock = clock
        self._most, self._within_seconds = most, within_seconds
        self._lock = threading.Lock()
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def seconds_to_wait(self, address: str) -> float:
        """0 for an address that may try."""
        with self._lock:
            failures = self._failures.get(_network_of(address))
            if failures is None or len(failures) < self._most:
                return 0.0
            return max(0.0, failures[0] + self._within_seconds - self._clock())

    def failed(self, address: str) -> None:
        """One more failure of the address."""
        key = _network_of(address)
        with self._lock:
            failures = self._failures.setdefault(key, deque(maxlen=self._most))
            failures.append(self._clock())
            self._failures.move_to_end(key)
            if len(self._failures) > MAX_ADDRESSES:
                self._failures.popitem(last=False)


def _network_of(address: str) -> str:
    """One IPv4 address, or the network of an IPv6 one: its owner has all of the 2⁶⁴ in it."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is None:
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(getattr(found, "ipv4_mapped", None) or found)
