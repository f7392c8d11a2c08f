"""Batches: the files of a run, from intent to outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, func
from sqlmodel import Session, col, delete, select, update

from ccexport.clock import Now, utc_now
from ccexport.states import BATCH_MOVES, BatchState, RunState
from ccexport.store.engine import reading, writing
from ccexport.store.runs import Held, LeaseLost
from ccexport.store.tables import Batch, Run, RunEvent

_SENT = (BatchState.SUBMITTED, BatchState.COMPLETED, BatchState.FAILED)


@dataclass(frozen=True)
class PreparedCounts:
    """What preparation found; `read = rejected + prepared`."""

    read: int
    prepared: int
    truncated: int
    rejections: Mapping[str, int]


class BatchStore:
    """Questions and changes about the batches of runs."""

    def __init__(self, engine: Engine, now: Now = utc_now) -> None:
        self._engine = engine
        self._now = now

    def of_run(self, run_id: int) -> list[Batch]:
        """By number."""
        with reading(self._engine) as session:
            return list(
                session.exec(
                    select(Batch).where(Batch.run_id == run_id).order_by(col(Batch.number))
                )
            )

    def store_prepared(self, held: Held, counts: PreparedCounts, batches: Sequence[Batch]) -> None:
        """The outcome of preparing, in one transaction: counts, batches, and the run in `uploading`."""
        with writing(self._engine) as session:
            run = _locked(session, held)
            if run.state is not RunState.PREPARING:
                raise LeaseLost(f"run {held.run_id}")
            session.exec(delete(Batch).where(col(Batch.run_id) == held.run_id))
            session.add_all(batches)
            run.read_count, run.prepared_count = counts.read, counts.prepared
            run.rejected_count = counts.read - counts.prepared
            run.truncated_count, run.rejections = counts.truncated, dict(counts.rejections)
            run.state = RunState.UPLOADING
            session.add(run)
            files = "1 file" if len(batches) == 1 else f"{len(batches):,} files"
            detail = f"{counts.prepared:,} contacts in {files}"
            session.add(self._event(held, RunState.UPLOADING.value, detail, None))

    def move(self, held: Held, batch: Batch, to: BatchState, **values: Any) -> Batch:
        """One legal move of a batch by the run's worker; the run's totals follow in the same transaction.

        Raises `LeaseLost` when the run or the batch is not as the caller knows it.
        """
        if to not in BATCH_MOVES[batch.state]:
            raise ValueError(f"a batch does not move from {batch.state} to {to}")
        detail = str(values.pop("detail", ""))
        with writing(self._engine) as session:
            run = _locked(session, held)
            changed = session.exec(
                update(Batch)
                .where(col(Batch.id) == batch.id, col(Batch.state) == batch.state)
                .values(state=to, **values)
            )
            if not changed.rowcount:
                raise LeaseLost(f"run {held.run_id}")
            session.add(self._event(held, f"batch {to.value}", detail, batch.number))
            _total(session, run)
            moved = session.get_one(Batch, batch.id, populate_existing=True)
        return moved

    def cancel_pending(self, held: Held) -> None:
        """None of the batches that were not begun will be sent."""
        with writing(self._engine) as session:
            _locked(session, held)
            session.exec(
                update(Batch)
                .where(col(Batch.run_id) == held.run_id, col(Batch.state) == BatchState.PENDING)
                .values(state=BatchState.CANCELED, finished_at=self._now())
            )

    def _event(self, held: Held, what: str, detail: str, number: int | None) -> RunEvent:
        return RunEvent(
            run_id=held.run_id,
            at=self._now(),
            who=held.worker,
            batch_number=number,
            what=what,
            detail=detail,
        )


def _locked(session: Session, held: Held) -> Run:
    run = session.get(Run, held.run_id, with_for_update=True)
    if run is None or run.lease_owner != held.worker or run.finished_at is not None:
        raise LeaseLost(f"run {held.run_id}")
    return run


def _total(session: Session, run: Run) -> None:
    """The run's totals are the sums over its batches, never counted up: a step done twice changes nothing."""
    submitted, unsubscribed, failed = session.exec(
        select(
            func.coalesce(func.sum(Batch.rows), 0),
            func.coalesce(func.sum(col(Batch.unsubscribed_count)), 0),
            func.coalesce(func.sum(Batch.failed_rows), 0),
        ).where(Batch.run_id == run.id, col(Batch.state).in_(_SENT))
    ).one()
    run.submitted_count, run.failed_count = submitted, failed
    run.unsubscribed_count = unsubscribed or 0
    session.add(run)
