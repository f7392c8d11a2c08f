"""Whether files stay as they are while they are read, and whether their writer has come to the end of them.

Both pass by themselves: a person who asks is told, a run waits and reads again.
It knows sizes, times and the last bytes of a file; what the file holds otherwise is not its business.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ccexport.clock import Now, utc_now
from ccexport.errors import SourceUnavailable

Pause = Callable[[float], None]

# A last line without its end may be one of which the rest is still to come, unless the file has been still so long.
STILL_FOR = timedelta(minutes=1)
_PAUSE_SECONDS = 2.0
# Before a run reads its files, nobody has written to them for so long; so many looks are taken at who goes on.
_STILL_SECONDS = 1.0
_LOOKS = 5


@dataclass(frozen=True)
class _Stamp:
    """What is another as soon as a file is written to, or another file takes its name."""

    path: Path
    number: int
    bytes: int
    changed_at_ns: int


class Watch:
    """Files as they were when their reading began. `list_files` finds them anew, so that one more is seen too."""

    def __init__(self, list_files: Callable[[], Sequence[Path]]) -> None:
        self._list_files = list_files
        self._before = stamps_of(list_files())

    def check(self) -> None:
        """Raise `SourceUnavailable` where a file is not the one any more whose reading began."""
        changed = set(stamps_of(self._list_files())) ^ set(self._before)
        if changed:
            name = min(stamp.path for stamp in changed).name
            raise SourceUnavailable(
                f"{name} changed while it was read. Nothing was sent. Try again once it is written to its "
                "end (a run waits and reads again); write files under another name and rename them when they are whole."
            )

    def wait_until_still(self, pause: Pause) -> None:
        """Return once nobody wrote to the files for a moment. Raises `SourceUnavailable` if somebody goes on."""
        for _ in range(_LOOKS):
            self.check()
            youngest = min((_age(path) for path in self._list_files()), default=_STILL_SECONDS)
            if not 0 <= youngest < _STILL_SECONDS:
                return
            pause(_STILL_SECONDS - youngest)
        self.check()


def refuse_unfinished(path: Path, now: Now = utc_now, pause: Pause = time.sleep) -> None:
    """Raise `SourceUnavailable` where the last line of a text file seems to be still under way. Looks twice."""
    if _is_unfinished(path, now):
        pause(_PAUSE_SECONDS)
        if _is_unfinished(path, now):
            raise SourceUnavailable(
                f"{path.name} was written less than a minute ago, and its last line has no end: it may not be whole. "
                "Try again in a minute (a run does so by itself), or end the last line.",
                retry_after_seconds=STILL_FOR.total_seconds(),
            )


def _is_unfinished(path: Path, now: Now) -> bool:
    changed_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return abs(now() - changed_at) < STILL_FOR and not _ends_its_line(path)


def _ends_its_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - 2, 0))
        return file.read().rstrip(b"\0")[-1:] in (b"\n", b"\r", b"")


def stamps_of(paths: Iterable[Path]) -> tuple[_Stamp, ...]:
    """What changes when one of the files does; nothing of one that is not there."""
    found = []
    for path in paths:
        try:
            stat = path.stat()
        except OSError:
            continue
        found.append(_Stamp(path, stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return tuple(found)


def _age(path: Path) -> float:
    return time.time() - path.stat().st_mtime
