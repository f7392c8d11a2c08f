"""The one writer of a run's state, what a lease allows, and the events of a run.

Every function works within the transaction of its caller. A lease allows two things:

- to *begin* something (a move of the run, the intent to send a file) while it has not lapsed;
- to *record an outcome* also after it lapsed, as long as nobody else has taken the run: what happened is a fact, and
  the worker that takes over later must find it (`lapsed_too`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, delete, func, select, update

from ccexport.errors import CcexportError
from ccexport.states import BATCH_MOVES, RUN_MOVES, BatchState, EventKind, RunState, WaitingFor
from ccexport.store.database.ledger_tables import LedgerKey, Removal
from ccexport.store.database.tables import Batch, Connection, Run, RunAddresses, RunEvent

if TYPE_CHECKING:
    from ccexport.store.ledgers import LedgerStore

# Renewed every 15 s; when it lapses, another worker takes the run over.
LEASE = timedelta(seconds=60)
_UNDER_WAY = (BatchState.SENDING, BatchState.SUBMITTED)


class LeaseLost(CcexportError):
    """Another worker has the run, or it ended: its holder touches nothing more."""


@dataclass(frozen=True)
class Held:
    """A run as its worker knows it: every change is made on behalf of `worker` and refused once it lost the lease."""

    run_id: int
    worker: str


def held_run(session: Session, held: Held, now: datetime, *, lapsed_too: bool = False) -> Run:
    """The run, locked until the transaction ends. Raises `LeaseLost`."""
    run = session.get(Run, held.run_id, with_for_update=True)
    return check_held(run, held, now, lapsed_too=lapsed_too)


def check_held(run: Run | None, held: Held, now: datetime, *, lapsed_too: bool = False) -> Run:
    """The run, if its worker may still touch it. Raises `LeaseLost`."""
    if run is None or run.lease_owner != held.worker or run.finished_at is not None:
        raise LeaseLost(f"run {held.run_id}")
    if not lapsed_too and run.lease_until is not None and run.lease_until < now:
        raise LeaseLost(f"run {held.run_id}")
    return run


def lock_lists(session: Session) -> None:
    """Until the transaction ends, no other run writes down whom it sends, or begins to take people off a list."""
    session.exec(select(LedgerKey.id).with_for_update()).first()


def queue_run(session: Session, run: Run) -> None:
    """Store a new run, in `queued`, with the first line of its history."""
    session.add(run)
    session.flush()
    add_event(session, run.id, run.queued_at, run.requested_by, EventKind.QUEUED, run.trigger.value)


def skip_run(session: Session, run: Run, why: str) -> None:
    """Store a run that did not take place: it has ended as it begins, and says why."""
    run.state, run.finished_at, run.error = RunState.SKIPPED, run.queued_at, why
    session.add(run)
    session.flush()
    add_event(session, run.id, run.queued_at, run.requested_by, RunState.SKIPPED, why)


def move_run(
    session: Session,
    run: Run,
    to: RunState,
    *,
    who: str,
    now: datetime,
    detail: str = "",
    **values: Any,
) -> None:
    """One legal move of a run that is locked; `values` change with it, and an event tells of it.

    Raises `LeaseLost` where the run is not in the state that the caller saw.
    """
    # its tables take time to load, and who only reads needs none of them
    from ccexport.store.outbox import write_outbox, write_pings

    if to not in RUN_MOVES[run.state]:
        raise ValueError(f"a run does not move from {run.state} to {to}")
    changed = session.exec(
        update(Run)
        .where(col(Run.id) == run.id, col(Run.state) == run.state)
        .values(state=to, **values)
    )
    if not changed.rowcount:
        raise LeaseLost(f"run {run.id}")
    if to.is_final:
        session.exec(delete(RunAddresses).where(col(RunAddresses.run_id) == run.id))
        session.exec(update(Removal).where(col(Removal.run_id) == run.id).values(sealed=None))
    add_event(session, run.id, now, who, to.value, detail)
    write_outbox(session, run, to, values.get("waiting_for"), now)
    write_pings(session, run, to, now, is_start="started_at" in values)


def move_batch(session: Session, batch: Batch | Removal, values: Mapping[str, Any]) -> None:
    """One legal move of a file or a removal, to `values["state"]`. Raises `LeaseLost` as `move_run` does."""
    kind, to = type(batch), values["state"]
    if to not in BATCH_MOVES[batch.state]:
        raise ValueError(f"a {kind.__name__.lower()} does not move from {batch.state} to {to}")
    changed = session.exec(
        update(kind)
        .where(col(kind.id) == batch.id, col(kind.state) == batch.state)
        .values(**values)
    )
    if not changed.rowcount:
        raise LeaseLost(f"run {batch.run_id}")


def end_run(
    session: Session,
    run: Run,
    to: RunState,
    *,
    who: str,
    now: datetime,
    error: str | None,
    ledgers: LedgerStore | None,
) -> None:
    """The last move of a run: nobody holds it any more, it waits for nothing, and its ledger knows what it placed."""
    if ledgers is not None:
        ledgers.settle_run(session, run, now)
    values = {
        "error": error,
        "finished_at": now,
        "waiting_for": None,
        "waiting_until": None,
        "waiting_detail": None,
        "lease_owner": None,
        "lease_until": None,
    }
    move_run(session, run, to, who=who, now=now, detail=error or "", **values)


def add_event(
    session: Session,
    run_id: int,
    at: datetime,
    who: str,
    what: str,
    detail: str = "",
    batch_number: int | None = None,
) -> None:
    """One line of a run's history; `what` is an `EventKind` or the state that a run moved to."""
    session.add(
        RunEvent(
            run_id=run_id, at=at, who=who, what=str(what), detail=detail, batch_number=batch_number
        )
    )


def request_cancel(session: Session, run: Run, by: str, now: datetime, detail: str = "") -> None:
    """Ask for the end of a live run; its worker acts on it between two steps."""
    run.cancel_requested_by = run.cancel_requested_by or by
    session.add(run)
    add_event(session, run.id, now, by, EventKind.CANCEL_REQUESTED, detail)


# --- runs of a connection that is removed --------------------------------------------------------


def stop_runs_of(
    session: Session,
    connection: Connection,
    by: str,
    now: datetime,
    ledgers: LedgerStore | None = None,
) -> None:
    """End the live runs of a connection, or have their workers end them after the step in hand.

    Nothing more is sent either way: the tokens are gone with the same commit.
    """
    runs = session.exec(
        select(Run)
        .where(Run.connection_id == connection.id, col(Run.finished_at).is_(None))
        .order_by(col(Run.id))
        .with_for_update()
    ).all()
    for run in runs:
        run.connection_id = None
        request_cancel(session, run, by, now, f'the connection "{connection.name}" was removed')
        if run.lease_owner is None or run.lease_until is None or run.lease_until < now:
            end_without_connection(session, run, by, now, ledgers)


def end_without_connection(
    session: Session, run: Run, who: str, now: datetime, ledgers: LedgerStore | None = None
) -> None:
    """The end of a run whose connection is gone: what was not begun is canceled, what is under way stays as it is."""
    session.exec(
        update(Batch)
        .where(col(Batch.run_id) == run.id, col(Batch.state) == BatchState.PENDING)
        .values(state=BatchState.CANCELED, finished_at=now)
    )
    session.exec(
        update(Removal)
        .where(col(Removal.run_id) == run.id, col(Removal.state) == BatchState.PENDING)
        .values(state=BatchState.CANCELED, finished_at=now)
    )
    under_way = session.exec(
        select(func.count())
        .select_from(Batch)
        .where(Batch.run_id == run.id, col(Batch.state).in_(_UNDER_WAY))
    ).one()
    words = _say_removed(run, under_way)
    end_run(session, run, RunState.CANCELED, who=who, now=now, error=words, ledgers=ledgers)


def _say_removed(run: Run, under_way: int) -> str:
    removed = f'The connection "{run.connection_name}" was removed, so the run was stopped: nothing more is sent.'
    if not under_way:
        return removed
    files = "1 file that was" if under_way == 1 else f"{under_way:,} files that were"
    return (
        f"{removed} What becomes of {files} under way is not known here; Constant Contact shows it."
    )


# --- runs that wait ------------------------------------------------------------------------------


def wake_runs(session: Session, which: ColumnElement[bool], now: datetime) -> int:
    """Let waiting runs look again at once; one that still lacks something waits on. Gives how many."""
    result = session.exec(
        update(Run).where(which, col(Run.state) == RunState.WAITING).values(waiting_until=now)
    )
    return int(result.rowcount)


def wake_runs_over(session: Session, which: ColumnElement[bool], now: datetime) -> None:
    """Let runs that wait for an administrator, over the connections `which`, go on with the same commit."""
    over = col(Run.connection_id).in_(select(Connection.id).where(which))
    wake_runs(session, over & (col(Run.waiting_for) == WaitingFor.APPROVAL), now)
