"""Ports of this machine."""

from __future__ import annotations

import itertools
import os
import random
import socket

# Below what systems hand out by themselves: Linux from 32768, macOS and Windows from 49152. A port of theirs that was
# free a moment ago may be the near end of anybody's connection by the time that a process has started to listen on it.
FIRST, PER_WORKER, WORKERS = 18_000, 900, 16


def free_port() -> int:
    """One that nothing listens on, that no test was given lately, and that the system gives nobody."""
    for port in itertools.islice(_ports, PER_WORKER):
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
    raise AssertionError(f"{PER_WORKER} ports are taken")


def _ports_of_this_worker() -> itertools.cycle[int]:
    """pytest-xdist's gw3 has a part of its own; two pytest side by side start at different places in it."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    first, skipped = FIRST + worker * PER_WORKER, random.randrange(PER_WORKER)  # not a secret
    return itertools.cycle(first + (skipped + number) % PER_WORKER for number in range(PER_WORKER))


_ports = _ports_of_this_worker()
