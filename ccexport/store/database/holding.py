"""Which process of this machine holds SQLite's write lock, as far as the system tells.

A process that is stopped in the middle of a change keeps the lock until it goes on or ends; nobody can take it away.
The lock's file is not opened here: to close it would let go of every lock that our own process has on it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

_LOCKS = Path("/proc/locks")
_WRITE_LOCK = (
    "120"  # byte of the file `…-shm` that a writer locks (SQLite's file format, WAL-index)
)
_STOPPED = ("T", "t")


@dataclass(frozen=True)
class Holder:
    """Another process that is writing just now."""

    pid: int
    is_stopped: bool


def holder_of_write_lock(engine: Engine) -> Holder | None:
    """None where nobody else holds it, where it cannot be known, and on other databases."""
    if engine.dialect.name != "sqlite":
        return None
    file = Path(f"{engine.url.database}-shm").absolute()
    try:
        inode = file.stat().st_ino
        locks = [line.split() for line in _LOCKS.read_text().splitlines()]
    except OSError:
        return None
    for fields in locks:  # "7: POSIX ADVISORY WRITE PID DEVICE:INODE FIRST LAST"
        if len(fields) != 8 or fields[3] != "WRITE" or fields[6] != _WRITE_LOCK:
            continue
        pid = int(fields[4])
        if fields[5].endswith(f":{inode}") and pid != os.getpid() and _has_open(pid, file):
            return Holder(pid, _is_stopped(pid))
    return None


def say_stopped(holder: Holder) -> str:
    """What to do about a writer that was stopped."""
    return (
        f"process {holder.pid} was stopped while it wrote. `kill -CONT {holder.pid}` lets it go on, "
        f"`kill -9 {holder.pid}` ends it; nothing is lost, and runs go on by themselves."
    )


def _has_open(pid: int, file: Path) -> bool:
    """Inodes are the same on different disks: the process has to have this very file."""
    try:
        return any(
            os.readlink(link) == str(file.resolve()) for link in Path(f"/proc/{pid}/fd").iterdir()
        )
    except OSError:
        return False


def _is_stopped(pid: int) -> bool:
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    except OSError:
        return False
    return after_name.split()[0] in _STOPPED
