"""Refreshes: when the source's segments are read again, what each reading found, and who begins it.

A refresh that a person asked for is a row as well: with the trigger `manual` and `due_at` set it waits for a worker,
who clears `due_at` with the statement that begins it. So each due or asked-for refresh is begun by one worker alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, func, insert
from sqlmodel import Session, col, select, update
from sqlmodel.sql.expression import SelectOfScalar

from ccexport.clock import Now, utc_now
from ccexport.states import Trigger
from ccexport.store.database.engine import reading, writing
from ccexport.store.database.tables import Refresh, RefreshSchedule, SegmentSize
from ccexport.store.watch import tell_refresh_failed

NOT_QUEUED = "Not queued: "  # begins what a refresh says that left exports out
_ONLY = 1  # the id of the one schedule
_BEGUN = (col(Refresh.trigger) != Trigger.MANUAL) | col(Refresh.due_at).is_(None)


@dataclass(frozen=True)
class RefreshView:
    """A refresh with how many segments it found and how many members they have in sum."""

    refresh: Refresh
    segments: int
    members: int

    @property
    def state(self) -> str:
        """`asked`, `running`, `failed` (nothing was queued) or `done`."""
        if self.refresh.finished_at is not None:
            return "failed" if self.refresh.error and not self.segments else "done"
        waits = self.refresh.trigger is Trigger.MANUAL and self.refresh.due_at is not None
        return "asked" if waits else "running"


@dataclass(frozen=True)
class SizeAt:
    """How many members a segment had, and when it was counted."""

    at: datetime
    members: int


class RefreshStore:
    """Questions and changes about refreshes."""

    def __init__(self, engine: Engine, now: Now = utc_now) -> None:
        self._engine = engine
        self._now = now

    # --- the schedule ----------------------------------------------------------------------------

    def schedule(self) -> RefreshSchedule | None:
        """The system's schedule; None when it was never set. Without `next_at` it is off."""
        with reading(self._engine) as session:
            return session.get(RefreshSchedule, _ONLY)

    def set_schedule(
        self, weekdays: list[int], times: list[str], zone: str, next_at: datetime, *, by: str
    ) -> RefreshSchedule:
        """Replace it."""
        with writing(self._engine) as session:
            row = session.get(RefreshSchedule, _ONLY, with_for_update=True)
            if row is None:
                row = RefreshSchedule(
                    id=_ONLY, weekdays=[], times=[], zone="", changed_by="", changed_at=self._now()
                )
            row.weekdays, row.times, row.zone, row.next_at = weekdays, times, zone, next_at
            row.changed_by, row.changed_at = by, self._now()
            session.add(row)
        return row

    def turn_off(self, *, by: str) -> None:
        """Days, times and zone stay, to be turned on again."""
        with writing(self._engine) as session:
            session.exec(
                update(RefreshSchedule).values(next_at=None, changed_by=by, changed_at=self._now())
            )

    # --- begin and end ---------------------------------------------------------------------------

    def begin_due(self, due_at: datetime, then: datetime | None, *, by: str) -> Refresh | None:
        """Begin the refresh due at `due_at` and move the schedule on; None when somebody else did."""
        with writing(self._engine) as session:
            moved = session.exec(
                update(RefreshSchedule)
                .where(col(RefreshSchedule.id) == _ONLY, col(RefreshSchedule.next_at) == due_at)
                .values(next_at=then)
            )
            if not moved.rowcount:
                return None
            return self._add(session, Trigger.SCHEDULE, by, due_at)

    def ask(self, *, by: str) -> Refresh:
        """Let a worker refresh; asked twice before one began, it is one."""
        with writing(self._engine) as session:
            waiting = session.exec(_asked().with_for_update()).first()
            return waiting or self._add(session, Trigger.MANUAL, by, self._now())

    def begin_asked(self) -> Refresh | None:
        """Begin the refresh that a person asked for; None when there is none, or somebody else did."""
        with writing(self._engine) as session:
            waiting = session.exec(_asked()).first()
            if waiting is None:
                return None
            begun = session.exec(
                update(Refresh)
                .where(col(Refresh.id) == waiting.id, col(Refresh.due_at).is_not(None))
                .values(due_at=None, started_at=self._now())
            )
            if not begun.rowcount:
                return None
        return self.get(waiting.id)

    def begin(self, trigger: Trigger, *, by: str, due_at: datetime | None = None) -> Refresh:
        """Begin one at once; `due_at` is for other triggers than `manual`, where it would mean asked for."""
        due_at = None if trigger is Trigger.MANUAL else due_at
        with writing(self._engine) as session:
            return self._add(session, trigger, by, due_at)

    def begin_again(self, older_than: timedelta, error: str) -> tuple[Refresh, datetime] | None:
        """End the oldest that was begun that long ago without an end, with `error`, and begin it anew.

        Gives the new one and when the old one began. None when there is none, or somebody else did.
        """
        with writing(self._engine) as session:
            old = session.exec(
                select(Refresh)
                .where(
                    col(Refresh.finished_at).is_(None),
                    col(Refresh.started_at) < self._now() - older_than,
                    _BEGUN,
                )
                .order_by(col(Refresh.id))
            ).first()
            if old is None or not self._end(session, old.id, 0, error):
                return None
            new = self._add(session, old.trigger, old.requested_by, old.due_at)
            return new, old.started_at

    def finish(
        self,
        refresh_id: int,
        *,
        sizes: Mapping[str, int],
        runs_queued: int,
        error: str | None,
        failed: bool = False,
    ) -> bool:
        """Its end and what it found, in one; False when it had been given up as interrupted.

        One that `failed` is told, unless the one before did as well.
        """
        with writing(self._engine) as session:
            if not self._end(session, refresh_id, runs_queued, error):
                return False
            if failed and not self._failed_before(session, refresh_id):
                tell_refresh_failed(session, refresh_id, self._now())
            if sizes:
                session.execute(
                    insert(SegmentSize),
                    [
                        {"refresh_id": refresh_id, "segment": segment, "members": members}
                        for segment, members in _storable(sizes).items()
                    ],
                )
        return True

    @staticmethod
    def _failed_before(session: Session, refresh_id: int) -> bool:
        before = session.exec(
            select(Refresh)
            .where(col(Refresh.finished_at).is_not(None), col(Refresh.id) < refresh_id)
            .order_by(col(Refresh.id).desc())
            .limit(1)
        ).first()
        return bool(before and before.error and not before.error.startswith(NOT_QUEUED))

    # --- questions -------------------------------------------------------------------------------

    def get(self, refresh_id: int) -> Refresh:
        with reading(self._engine) as session:
            return session.exec(select(Refresh).where(Refresh.id == refresh_id)).one()

    def has_unfinished(self) -> bool:
        """Whether any is asked for or running: asked often, so it only reads."""
        with reading(self._engine) as session:
            unfinished = select(Refresh.id).where(col(Refresh.finished_at).is_(None)).limit(1)
            return session.exec(unfinished).first() is not None

    def latest(self, limit: int = 20) -> list[RefreshView]:
        """The newest first."""
        with reading(self._engine) as session:
            found = session.exec(select(Refresh).order_by(col(Refresh.id).desc()).limit(limit))
            refreshes = list(found)
            totals = session.exec(
                select(SegmentSize.refresh_id, func.count(), func.sum(SegmentSize.members))
                .where(col(SegmentSize.refresh_id).in_([each.id for each in refreshes]))
                .group_by(col(SegmentSize.refresh_id))
            )
            sums = {refresh_id: (int(n), int(members)) for refresh_id, n, members in totals}
        return [RefreshView(each, *sums.get(each.id, (0, 0))) for each in refreshes]

    def sizes(self, segment: str, limit: int = 30) -> list[SizeAt]:
        """How large a segment was at the last refreshes, the oldest first."""
        with reading(self._engine) as session:
            rows = session.exec(
                select(Refresh.started_at, SegmentSize.members)
                .join(Refresh, col(Refresh.id) == col(SegmentSize.refresh_id))
                .where(SegmentSize.segment == segment)
                .order_by(col(Refresh.id).desc())
                .limit(limit)
            )
            return [SizeAt(at, members) for at, members in reversed(rows.all())]

    def all_sizes(self, refreshes: int = 12) -> dict[str, list[SizeAt]]:
        """The same of every segment that the last so many refreshes found, by the segment's name."""
        counted = (
            select(Refresh.id)
            .where(col(Refresh.id).in_(select(SegmentSize.refresh_id)))
            .order_by(col(Refresh.id).desc())
            .limit(refreshes)
        )
        sizes: dict[str, list[SizeAt]] = defaultdict(list)
        with reading(self._engine) as session:
            rows = session.exec(
                select(SegmentSize.segment, Refresh.started_at, SegmentSize.members)
                .join(Refresh, col(Refresh.id) == col(SegmentSize.refresh_id))
                .where(col(Refresh.id).in_(counted))
                .order_by(col(SegmentSize.segment), col(Refresh.id))
            )
            for segment, at, members in rows:
                sizes[segment].append(SizeAt(at, members))
        return dict(sizes)

    # --- helpers ---------------------------------------------------------------------------------

    def _add(self, session: Session, trigger: Trigger, by: str, due_at: datetime | None) -> Refresh:
        refresh = Refresh(trigger=trigger, requested_by=by, due_at=due_at, started_at=self._now())
        session.add(refresh)
        session.flush()
        return refresh

    def _end(self, session: Session, refresh_id: int, runs_queued: int, error: str | None) -> bool:
        ended = session.exec(
            update(Refresh)
            .where(col(Refresh.id) == refresh_id, col(Refresh.finished_at).is_(None))
            .values(finished_at=self._now(), runs_queued=runs_queued, error=error)
        )
        return bool(ended.rowcount)


def _asked() -> SelectOfScalar[Refresh]:
    """The refresh that waits for a worker."""
    return (
        select(Refresh)
        .where(
            col(Refresh.trigger) == Trigger.MANUAL,
            col(Refresh.due_at).is_not(None),
            col(Refresh.finished_at).is_(None),
        )
        .order_by(col(Refresh.id))
    )


def _storable(sizes: Mapping[str, int]) -> dict[str, int]:
    """PostgreSQL keeps no NUL; no export can be of a segment that has one in its name."""
    return {name.replace("\0", "\ufffd"): members for name, members in sizes.items()}
