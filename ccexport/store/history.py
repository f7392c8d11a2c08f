"""Questions about many runs at once: filters, pages, sums by day. The database does the work, not Python."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Engine, case, func
from sqlmodel import Session, col, select

from ccexport.clock import Now, utc_now
from ccexport.states import RunState, Trigger, WaitingFor
from ccexport.store.database.engine import reading
from ccexport.store.database.tables import Export, Run


@dataclass(frozen=True)
class RunFilter:
    """Which runs of the history are meant; what is left empty does not matter."""

    export: str | None = None  # its name, as it was at the time of the run
    states: tuple[RunState, ...] = ()
    trigger: Trigger | None = None
    since: datetime | None = None  # queued at or after


@dataclass(frozen=True)
class DaySums:
    """What the runs queued on one UTC day amount to, in profiles; `sent` went to Constant Contact."""

    day: date
    runs: int
    sent: int
    accepted: int
    left_out: int
    unsubscribed: int
    failed: int


@dataclass(frozen=True)
class RunTime:
    """How long a run took from its start to its end, waiting included, and how much of that was work."""

    run_id: int
    export_name: str
    queued_at: datetime
    state: RunState
    seconds: float
    work_seconds: float


@dataclass(frozen=True)
class DueExport:
    """An export with a time of its own."""

    export_id: int
    name: str
    next_run_at: datetime


class HistoryStore:
    """Reads only."""

    def __init__(self, engine: Engine, now: Now = utc_now) -> None:
        self._engine = engine
        self._now = now

    # --- the list of runs ------------------------------------------------------------------------

    def page(self, wanted: RunFilter, *, offset: int = 0, limit: int = 50) -> list[Run]:
        """The newest first."""
        query = select(Run).where(*_conditions(wanted)).order_by(col(Run.id).desc())
        with reading(self._engine) as session:
            return list(session.exec(query.offset(offset).limit(limit)))

    def count(self, wanted: RunFilter) -> int:
        with reading(self._engine) as session:
            return session.exec(
                select(func.count()).select_from(Run).where(*_conditions(wanted))
            ).one()

    def export_names(self) -> list[str]:
        """Every name an export had at the time of a run."""
        with reading(self._engine) as session:
            names = session.exec(select(Run.export_name).distinct())
            return sorted(names, key=str.casefold)

    def daily(self, wanted: RunFilter) -> list[DaySums]:
        """Sums by UTC day, the oldest first; days without runs are left out."""
        with reading(self._engine) as session:
            day = _utc_day(session)
            rows = session.exec(
                select(  # type: ignore[call-overload]  # SQLModel types at most four columns
                    day,
                    func.count(),
                    _sum(Run.submitted_count),
                    _sum(Run.rejected_count),
                    _sum(Run.unsubscribed_count),
                    _sum(Run.failed_count),
                )
                .where(*_conditions(wanted))
                .group_by(day)
                .order_by(day)
            ).all()
        return [_day_sums(row) for row in rows]

    def times(self, wanted: RunFilter, *, limit: int = 300) -> list[RunTime]:
        """Of the newest runs that began and ended, the oldest first."""
        query = (
            select(  # type: ignore[call-overload]  # SQLModel types at most four columns
                Run.id,
                Run.export_name,
                Run.queued_at,
                Run.state,
                Run.started_at,
                Run.finished_at,
                Run.seconds,
            )
            .where(*_conditions(wanted), col(Run.started_at).is_not(None))
            .where(col(Run.finished_at).is_not(None))
            .order_by(col(Run.id).desc())
            .limit(limit)
        )
        with reading(self._engine) as session:
            rows = session.exec(query).all()
        return [
            RunTime(
                run_id, name, queued, state, (ended - began).total_seconds(), sum(work.values())
            )
            for run_id, name, queued, state, began, ended, work in reversed(rows)
        ]

    # --- what Home asks --------------------------------------------------------------------------

    def waiting_for_a_person(self) -> list[Run]:
        """Runs that go on only after somebody acted, the oldest first."""
        with reading(self._engine) as session:
            return list(
                session.exec(
                    select(Run)
                    .where(
                        col(Run.finished_at).is_(None),
                        Run.state == RunState.WAITING,
                        col(Run.waiting_for).in_((WaitingFor.SIGN_IN, WaitingFor.APPROVAL)),
                    )
                    .order_by(col(Run.id))
                )
            )

    def failing(self, since: timedelta, *, limit: int = 5) -> tuple[list[Run], int]:
        """The last run of each export that still exists, where it did not end well; and how many there are.

        One live or canceled meanwhile does not hide the one before that ended badly.
        """
        newest = (
            select(func.max(Run.id))
            .where(
                col(Run.export_id).is_not(None),
                col(Run.finished_at).is_not(None),
                Run.state != RunState.CANCELED,
            )
            .group_by(col(Run.export_id))
        )
        bad = (
            col(Run.id).in_(newest),
            col(Run.state).in_((RunState.FAILED, RunState.COMPLETED_WITH_ERRORS)),
            col(Run.queued_at) >= self._now() - since,
        )
        first_failed = case((col(Run.state) == RunState.FAILED, 0), else_=1)
        with reading(self._engine) as session:
            total = session.exec(select(func.count()).select_from(Run).where(*bad)).one()
            runs = session.exec(
                select(Run).where(*bad).order_by(first_failed, col(Run.id).desc()).limit(limit)
            )
            return list(runs), total

    def previous(self, run: Run) -> Run | None:
        """The run of the same export before this one that sent something to its end."""
        ended = (RunState.SUCCEEDED, RunState.COMPLETED_WITH_ERRORS)
        with reading(self._engine) as session:
            return session.exec(
                select(Run)
                .where(Run.export_id == run.export_id, Run.id < run.id)
                .where(col(Run.state).in_(ended))
                .order_by(col(Run.id).desc())
                .limit(1)
            ).first()

    def next_due(self, *, limit: int = 5) -> list[DueExport]:
        """Exports with a time of their own and a connection, the nearest first."""
        with reading(self._engine) as session:
            rows = session.exec(
                select(Export.id, Export.name, Export.next_run_at)
                .where(col(Export.next_run_at).is_not(None), _is_connected())
                .order_by(col(Export.next_run_at))
                .limit(limit)
            ).all()
        return [DueExport(export_id, name, at) for export_id, name, at in rows if at]

    def export_counts(self) -> dict[str, int]:
        """How many exports there are: `all`, `detached`, `refresh` (run with each refresh)."""
        with reading(self._engine) as session:
            total, connected, with_refresh = session.exec(
                select(
                    func.count(),
                    func.count(col(Export.connection_id)),
                    func.count(case((_is_connected() & (col(Export.schedule) == "refresh"), 1))),
                ).select_from(Export)
            ).one()
        return {"all": total, "detached": total - connected, "refresh": with_refresh}

    def has_live(self) -> bool:
        """Whether any run has not ended."""
        with reading(self._engine) as session:
            query = select(Run.id).where(col(Run.finished_at).is_(None)).limit(1)
            return session.exec(query).first() is not None

    def has_runs(self) -> bool:
        with reading(self._engine) as session:
            return session.exec(select(Run.id).limit(1)).first() is not None


def _conditions(wanted: RunFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.export is not None:
        conditions.append(col(Run.export_name) == wanted.export)
    if wanted.states:
        conditions.append(col(Run.state).in_(wanted.states))
    if wanted.trigger is not None:
        conditions.append(col(Run.trigger) == wanted.trigger)
    if wanted.since is not None:
        conditions.append(col(Run.queued_at) >= wanted.since)
    return conditions


def _is_connected() -> ColumnElement[bool]:
    return col(Export.connection_id).is_not(None)


def _sum(column: Any) -> Any:
    return func.coalesce(func.sum(column), 0)


def _utc_day(session: Session) -> Any:
    """The UTC day a run was queued on; PostgreSQL would otherwise use the zone of its session."""
    queued_at = col(Run.queued_at)
    if session.get_bind().dialect.name == "postgresql":
        return func.date(func.timezone("UTC", queued_at))
    return func.date(queued_at)


def _day_sums(row: Any) -> DaySums:
    day, runs, sent, left_out, unsubscribed, failed = row
    if isinstance(day, str):
        day = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).date()
    sums = [int(each) for each in (runs, sent, left_out, unsubscribed, failed)]
    return DaySums(
        day=day,
        runs=sums[0],
        sent=sums[1],
        accepted=max(0, sums[1] - sums[3] - sums[4]),
        left_out=sums[2],
        unsubscribed=sums[3],
        failed=sums[4],
    )
