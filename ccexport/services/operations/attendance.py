"""Whether anybody does the work, and what is overdue: healthy pages say nothing of a worker that is not there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ccexport.installation import Installation
from ccexport.schedules import LATE_AFTER
from ccexport.words import counted, moment


@dataclass(frozen=True)
class Attendance:
    """Who works, and what should have begun by now."""

    alive: int
    last_seen_at: datetime | None  # the newest sign of any worker; None: there never was one
    overdue_exports: tuple[str, ...]  # names, the one that has been due for longest first
    overdue_since: datetime | None  # of exports and refresh together
    is_refresh_overdue: bool

    @property
    def is_overdue(self) -> bool:
        return self.overdue_since is not None

    @property
    def in_words(self) -> str:
        """`no worker since 2026-01-05 14:03 UTC; 1 export overdue`; "" where all is as it should be."""
        who = "" if self.alive else self._nobody()
        return "; ".join(filter(None, [who, self._what_is_overdue()]))

    def _nobody(self) -> str:
        if self.last_seen_at is None:
            return "no worker has run yet"
        return f"no worker since {moment(self.last_seen_at)}"

    def _what_is_overdue(self) -> str:
        exports = len(self.overdue_exports)
        parts = [counted(exports, "export")] if exports else []
        parts += ["the refresh"] if self.is_refresh_overdue else []
        return f"{' and '.join(parts)} overdue" if parts else ""


def attendance(installation: Installation) -> Attendance:
    """As of now, by the store's rows alone."""
    if installation.pauses.get() is not None:  # nothing is to begin
        seen_at = installation.workers.last_seen_at()
        return Attendance(len(installation.workers.alive()), seen_at, (), None, False)
    since = installation.now() - LATE_AFTER
    due = sorted(
        (view.export.next_run_at, view.export.name)
        for view in installation.exports.due()
        if view.export.next_run_at is not None and view.export.next_run_at <= since
    )
    schedule = installation.refreshes.schedule()
    refresh_at = schedule.next_at if schedule else None
    late = [at for at, _ in due]
    if refresh_at is not None and refresh_at <= since:
        late.append(refresh_at)
    return Attendance(
        alive=len(installation.workers.alive()),
        last_seen_at=installation.workers.last_seen_at(),
        overdue_exports=tuple(name for _, name in due),
        overdue_since=min(late, default=None),
        is_refresh_overdue=refresh_at in late,
    )
