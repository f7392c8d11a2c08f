"""A disk that can be full: a tmpfs of a few MB.

Where nothing may be mounted, a limit on the size of the worker's files, which refuses writes all the same.
"""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.crash.killed_worker import WorkerProcess

_UNLIMITED = resource.RLIM_INFINITY


class SmallDisk:
    """A folder on a disk of its own; `fill` and `make_room` as often as liked."""

    def __init__(self, folder: Path, *, is_mounted: bool) -> None:
        self.folder = folder
        self._is_mounted = is_mounted

    def fill(self, worker: WorkerProcess) -> None:
        """Not a byte more goes on it."""
        if not self._is_mounted:
            resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (0, _UNLIMITED))
            return
        with suppress(OSError), (self.folder / "filler").open("ab", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))

    def make_room(self, worker: WorkerProcess) -> None:
        (self.folder / "filler").unlink(missing_ok=True)
        if not self._is_mounted:
            resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (_UNLIMITED, _UNLIMITED))


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk]:
    folder.mkdir(parents=True)
    command = ("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "none", str(folder))
    mounted = False
    with suppress(OSError):  # no such program here
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield SmallDisk(folder, is_mounted=mounted)
    finally:
        if mounted:
            subprocess.run(("umount", "--lazy", str(folder)), check=True)
