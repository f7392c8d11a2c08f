"""What monitoring asks about all runs at once: sums by export, what waits, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, case, func
from sqlmodel import Session, col, select

from ccexport.states import RunState, WaitingFor
from ccexport.store.database.engine import reading
from ccexport.store.database.tables import Export, Run


@dataclass(frozen=True)
class RunsIn:
    """How many runs of an export are in a state."""

    export: str
    state: RunState
    runs: int


@dataclass(frozen=True)
class Moved:
    """People of the runs of an export that have ended: these sums only grow."""

    export: str
    sent: int
    rejected: int
    suppressed: int
    removed: int


@dataclass(frozen=True)
class Figures:
    """All of it, as of one moment. Exports that have been removed are in none of it."""

    runs: tuple[RunsIn, ...]
    moved: tuple[Moved, ...]  # of every export, by name
    last_good: dict[str, datetime]  # export → when a run of it last succeeded
    waiting: dict[WaitingFor, int]
    oldest_queued_at: datetime | None


def read_figures(engine: Engine) -> Figures:
    """Five questions in one transaction; the database adds up."""
    with reading(engine) as session:
        return Figures(
            _runs(session),
            _moved(session),
            _last_good(session),
            _waiting(session),
            _oldest(session),
        )


def _runs(session: Session) -> tuple[RunsIn, ...]:
    rows = session.exec(
        select(Export.name, Run.state, func.count())
        .join(Run, col(Run.export_id) == col(Export.id))
        .group_by(col(Export.name), col(Run.state))
        .order_by(col(Export.name), col(Run.state))
    )
    return tuple(RunsIn(name, RunState(state), runs) for name, state, runs in rows)


def _moved(session: Session) -> tuple[Moved, ...]:
    columns = (Run.submitted_count, Run.rejected_count, Run.suppressed_count, Run.removed_count)
    has_ended = col(Run.finished_at).is_not(None)
    sums = [func.sum(case((has_ended, col(column)), else_=0)) for column in columns]
    rows = session.exec(
        select(Export.name, *sums)
        .join(Run, col(Run.export_id) == col(Export.id), isouter=True)
        .group_by(col(Export.name))
        .order_by(col(Export.name))
    )
    return tuple(Moved(row[0], *(int(each or 0) for each in row[1:])) for row in rows)


def _last_good(session: Session) -> dict[str, datetime]:
    rows = session.exec(
        select(Export.name, func.max(Run.finished_at))
        .join(Run, col(Run.export_id) == col(Export.id))
        .where(Run.state == RunState.SUCCEEDED)
        .group_by(col(Export.name))
    )
    return {name: at for name, at in rows if at is not None}


def _waiting(session: Session) -> dict[WaitingFor, int]:
    rows = session.exec(
        select(Run.waiting_for, func.count())
        .where(Run.state == RunState.WAITING)
        .group_by(col(Run.waiting_for))
    )
    found = dict(rows.all())
    return {reason: found.get(reason, 0) for reason in WaitingFor}


def _oldest(session: Session) -> datetime | None:
    return session.exec(select(func.min(Run.queued_at)).where(Run.state == RunState.QUEUED)).one()
