"""`python -m tests.crash.killed_worker POINT COUNT`: a worker that is killed the COUNTth time it reaches a point."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys

from ccexport.assembly import Parts
from ccexport.settings import load_settings
from ccexport.worker import Worker


def main(point: str, count: int) -> None:
    seen = 0

    def reached(name: str) -> None:
        nonlocal seen
        if name == point:
            seen += 1
            if seen == count:
                os.kill(os.getpid(), signal.SIGKILL)

    worker = Worker(Parts(load_settings()))
    worker.tools = dataclasses.replace(worker.tools, reached=reached)
    worker.work(until_idle=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
