"""Whether files stay as they are while they are read, and whether their writer has come to the end of them.

It knows sizes, times and the last bytes of a file; what the file holds otherwise is not its business.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ccexport.clock import Now, utc_now
from ccexport.errors import SourceError

Pause = Callable[[float], None]

# A last line without its end may be one of which the rest is still to come, unless the file has been still so long.
STILL_FOR = timedelta(minutes=1)
_PAUSE_SECONDS = 2.0


@dataclass(frozen=True)
class _Stamp:
    """What is another as soon as a file is written to, or another file takes its name."""

    number: int
    bytes: int
    changed_at_ns: int


class Watch:
    """Files as they were when their reading began."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._before: Mapping[Path, _Stamp | None] = {path: _stamp(path) for path in paths}

    def check(self) -> None:
        """Raise `SourceError` where a file is not the one any more whose reading began."""
        for path, before in self._before.items():
            if _stamp(path) != before:
                raise SourceError(
                    f"{path.name} changed while it was read. Nothing was sent. Try again once it is written to its "
                    "end; write files under another name and rename them when they are whole."
                )


def refuse_unfinished(path: Path, now: Now = utc_now, pause: Pause = time.sleep) -> None:
    """Raise `SourceError` where the last line of a text file seems to be still under way. Looks twice."""
    if _is_unfinished(path, now):
        pause(_PAUSE_SECONDS)
        if _is_unfinished(path, now):
            raise SourceError(
                f"{path.name} was written less than a minute ago, and its last line has no end: it may not be whole. "
                "Try again in a minute, or end the last line."
            )


def _is_unfinished(path: Path, now: Now) -> bool:
    changed_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return abs(now() - changed_at) < STILL_FOR and not _ends_its_line(path)


def _ends_its_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - 2, 0))
        return file.read().rstrip(b"\0")[-1:] in (b"\n", b"\r", b"")


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return _Stamp(found.st_ino, found.st_size, found.st_mtime_ns)
