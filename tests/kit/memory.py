"""Where tests keep files: a store waits for its disk at each commit, and its files are made anew for each test."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

IN_MEMORY = Path("/dev/shm")  # noqa: S108  # for folders of their own
NEEDED_BYTES = 4 * 1024**3  # small files: the largest of a run take 1 GB


@cache
def in_memory() -> Path | None:
    """A folder whose files lie in memory; None where the machine has none, or it is small."""
    if IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free >= NEEDED_BYTES:
        return IN_MEMORY
    return None
