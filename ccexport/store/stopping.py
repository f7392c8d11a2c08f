"""What becomes of the live runs of a connection that is removed, within the transaction of the removal.

A run that a worker holds is asked to end: its worker does so after the step in hand, whose outcome it still records.
One that nobody holds ends here. Nothing more is sent either way: the tokens are gone with the same commit.
"""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session, col, func, select, update

from ccexport.states import RUN_MOVES, BatchState, RunState
from ccexport.store.database.tables import Batch, Connection, Run, RunEvent

_UNDER_WAY = (BatchState.SENDING, BatchState.SUBMITTED)


def stop_runs_of(session: Session, connection: Connection, by: str, now: datetime) -> None:
    """End the live runs of a connection, or have their workers end them."""
    runs = session.exec(
        select(Run)
        .where(Run.connection_id == connection.id, col(Run.finished_at).is_(None))
        .order_by(col(Run.id))
        .with_for_update()
    ).all()
    for run in runs:
        run.connection_id = None
        run.cancel_requested_by = run.cancel_requested_by or by
        detail = f'the connection "{connection.name}" was removed'
        session.add(run)
        session.add(RunEvent(run_id=run.id, at=now, who=by, what="cancel requested", detail=detail))
        if run.lease_owner is None or run.lease_until is None or run.lease_until < now:
            end_without_connection(session, run, by, now)


def end_without_connection(session: Session, run: Run, who: str, now: datetime) -> None:
    """The end of a run whose connection is gone: what was not begun is canceled, what is under way stays as it is."""
    if RunState.CANCELED not in RUN_MOVES[run.state]:
        raise ValueError(f"a run does not move from {run.state} to {RunState.CANCELED}")
    session.exec(
        update(Batch)
        .where(col(Batch.run_id) == run.id, col(Batch.state) == BatchState.PENDING)
        .values(state=BatchState.CANCELED, finished_at=now)
    )
    under_way = session.exec(
        select(func.count())
        .select_from(Batch)
        .where(Batch.run_id == run.id, col(Batch.state).in_(_UNDER_WAY))
    ).one()
    run.state, run.error, run.finished_at = RunState.CANCELED, _say(run, under_way), now
    run.waiting_for = run.waiting_until = run.lease_owner = run.lease_until = None
    session.add(run)
    session.add(
        RunEvent(run_id=run.id, at=now, who=who, what=run.state.value, detail=run.error or "")
    )


def _say(run: Run, under_way: int) -> str:
    removed = f'The connection "{run.connection_name}" was removed, so the run was stopped: nothing more is sent.'
    if not under_way:
        return removed
    files = "1 file that was" if under_way == 1 else f"{under_way:,} files that were"
    return (
        f"{removed} What becomes of {files} under way is not known here; Constant Contact shows it."
    )
