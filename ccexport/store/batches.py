"""Batches: the files of a run, from intent to outcome."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Engine, case, func, insert
from sqlmodel import Session, col, delete, select, update

from ccexport.clock import Now, utc_now
from ccexport.states import BatchState, EventKind, RunState
from ccexport.store.database.engine import reading, writing
from ccexport.store.database.tables import Batch, FailedRow, Run, RunAddresses
from ccexport.store.moves import (
    Held,
    LeaseLost,
    add_event,
    held_run,
    lock_lists,
    move_batch,
    move_run,
)
from ccexport.words import counted

_SENT = (BatchState.SUBMITTED, BatchState.COMPLETED, BatchState.FAILED)


@dataclass(frozen=True)
class PreparedCounts:
    """What preparation found; `read = rejected + prepared`, `prepared = new + changed + unchanged + suppressed`."""

    read: int
    prepared: int
    truncated: int
    rejections: Mapping[str, int]
    changed: int = 0
    unchanged: int = 0
    suppressed: int = 0
    to_remove: int = 0  # of those who are in none of the segments any more

    @property
    def new(self) -> int:
        return self.prepared - self.changed - self.unchanged - self.suppressed


@dataclass(frozen=True)
class Sealed:
    """What is kept of a live run, encrypted: what its rows hold, what a look at the list said, who leaves it."""

    rows: bytes = b""
    observed: bytes | None = None
    leaving: bytes | None = None


@dataclass(frozen=True)
class Piece:
    """One half of a refused file: a file of its own, with a name of its own."""

    first_row: int
    rows: int
    bytes: int
    digest: str
    file_name: str


@dataclass(frozen=True)
class Ended:
    """How an activity ended: the batch's state, how many rows failed, and which of them by name.

    `named`: row of the file, counted from 0 → what was said of it. `values`: further columns of the batch.
    """

    state: BatchState
    failed_rows: int
    errors: Sequence[str]
    named: Mapping[int, str] = field(default_factory=dict)
    detail: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


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

    def store_prepared(
        self,
        held: Held,
        counts: PreparedCounts,
        batches: Sequence[Batch],
        sealed: Sealed = Sealed(),  # nothing in it changes
    ) -> None:
        """The outcome of preparing, in one transaction: counts, batches, and the run in `uploading`."""
        with writing(self._engine) as session:
            run = held_run(session, held, self._now(), lapsed_too=True)
            if run.state is not RunState.PREPARING:
                raise LeaseLost(f"run {held.run_id}")
            lock_lists(session)
            session.exec(delete(Batch).where(col(Batch.run_id) == held.run_id))
            session.add_all(batches)
            session.merge(_kept(held, sealed, b""))
            count_prepared(run, counts)
            session.add(run)
            session.flush()
            detail = _say_prepared(counts, len(batches))
            now = self._now()
            move_run(session, run, RunState.UPLOADING, who=held.worker, now=now, detail=detail)

    def store_prepared_again(
        self,
        held: Held,
        counts: PreparedCounts,
        batches: Sequence[Batch],
        sealed: Sealed,
        *,
        staying: bytes,
        changed_before: int,
        given_up: Collection[int],
    ) -> None:
        """The outcome of preparing the rest of a run anew: new batches instead of those that are given up.

        `staying`: encrypted hashes of all rows of the batches that stay; these lose their rows. Of their people
        `changed_before` had been known, the others were new.
        """
        with writing(self._engine) as session:
            run = held_run(session, held, self._now(), lapsed_too=True)
            found = session.exec(select(Batch).where(Batch.run_id == held.run_id)).all()
            pending = {batch.id for batch in found if batch.state is BatchState.PENDING}
            if pending != set(given_up):
                raise LeaseLost(f"run {held.run_id}")
            lock_lists(session)
            stay = [batch for batch in found if batch.id not in pending]
            for batch in stay:
                batch.first_row = -batch.rows
                session.add(batch)
            session.exec(delete(Batch).where(col(Batch.id).in_(pending)))
            session.add_all(batches)
            session.merge(_kept(held, sealed, staying))
            count_prepared(run, counts, sum(batch.rows for batch in stay), changed_before)
            session.add(run)
            detail = (
                f"its files were gone and the source has changed since: {counted(len(stay), 'file')} stay as sent, "
                f"{counts.prepared:,} contacts in {counted(len(batches), 'file')} are prepared anew"
            )
            self._add_event(session, held, EventKind.PREPARED_AGAIN, detail)

    def addresses(self, run_id: int) -> RunAddresses:
        """What is kept of the addresses of a live run, encrypted."""
        with reading(self._engine) as session:
            return session.get(RunAddresses, run_id) or RunAddresses(
                run_id=run_id, rows=b"", staying=b""
            )

    def move(self, held: Held, batch: Batch, to: BatchState, **values: Any) -> Batch:
        """One legal move of a batch by the run's worker; the run's totals follow in the same transaction.

        Raises `LeaseLost` when the run or the batch is not as the caller knows it.
        """
        detail = str(values.pop("detail", ""))
        with writing(self._engine) as session:
            begins = to is BatchState.SENDING
            run = held_run(session, held, self._now(), lapsed_too=not begins)
            move_batch(session, batch, {"state": to, **values})
            self._add_event(session, held, EventKind.of_batch(to), detail, batch.number)
            if to is BatchState.SUBMITTED:
                run.refused_in_row = 0
            _total(session, run)
            moved = session.get_one(Batch, batch.id, populate_existing=True)
        return moved

    def end(self, held: Held, batch: Batch, ended: Ended) -> None:
        """The end of an activity and the rows it names as failed, in one transaction."""
        values = {**ended.values, "finished_at": self._now(), "failed_rows": ended.failed_rows}
        with writing(self._engine) as session:
            run = held_run(session, held, self._now(), lapsed_too=True)
            move_batch(
                session, batch, {"state": ended.state, "errors": list(ended.errors), **values}
            )
            if ended.named:
                rows = [
                    {"batch_id": batch.id, "row": row, "words": words}
                    for row, words in ended.named.items()
                ]
                session.execute(insert(FailedRow), rows)
            kind = EventKind.of_batch(ended.state)
            self._add_event(session, held, kind, ended.detail, batch.number)
            _total(session, run)

    def refused(
        self, held: Held, batch: Batch, words: str, halves: tuple[Piece, Piece] | None
    ) -> Run:
        """A file that was refused: it becomes its halves, to be sent, or fails where there are none.

        The batch shrinks to the first half, a new one with the next free number takes the other.
        """
        with writing(self._engine) as session:
            run = held_run(session, held, self._now(), lapsed_too=True)
            run.refused_in_row += 1 if batch.halvings else 0
            if halves is None:
                move_batch(session, batch, _failed_as_refused(batch, words, self._now()))
                if batch.rows == 1:
                    session.add(FailedRow(batch_id=batch.id, row=0, words=words))
                self._add_event(session, held, EventKind.BATCH_FAILED, words, batch.number)
            else:
                run.halvings += 1
                self._halve(session, held, batch, words, halves)
            _total(session, run)
        return run

    def _halve(
        self, session: Session, held: Held, batch: Batch, words: str, halves: tuple[Piece, Piece]
    ) -> None:
        depth = batch.halvings + 1
        first, second = ({**asdict(half), "halvings": depth} for half in halves)
        pending = {"state": BatchState.PENDING, "attempts": 0, "sending_at": None}
        move_batch(session, batch, {**first, **pending})
        last = session.exec(select(func.max(Batch.number)).where(Batch.run_id == held.run_id)).one()
        number = (last or 0) + 1
        session.add(Batch(run_id=held.run_id, number=number, state=BatchState.PENDING, **second))
        detail = (
            f"{halves[0].rows:,} of its rows stay, {halves[1].rows:,} go in file {number}: {words}"
        )
        self._add_event(session, held, EventKind.BATCH_HALVED, detail, batch.number)

    def failed_rows(self, run_id: int, number: int | None = None) -> list[tuple[Batch, FailedRow]]:
        """The rows that Constant Contact named as failed, of a run or of one of its batches, in order."""
        query = (
            select(Batch, FailedRow)
            .where(col(FailedRow.batch_id) == col(Batch.id), Batch.run_id == run_id)
            .order_by(col(Batch.number), col(FailedRow.row))
        )
        if number is not None:
            query = query.where(Batch.number == number)
        with reading(self._engine) as session:
            return [(batch, row) for batch, row in session.exec(query)]

    def cancel_pending(self, held: Held) -> None:
        """None of the batches that were not begun will be sent."""
        with writing(self._engine) as session:
            held_run(session, held, self._now(), lapsed_too=True)
            session.exec(
                update(Batch)
                .where(col(Batch.run_id) == held.run_id, col(Batch.state) == BatchState.PENDING)
                .values(state=BatchState.CANCELED, finished_at=self._now())
            )

    def fail_pieces(self, held: Held, words: str) -> None:
        """Halves that were not sent again fail: their rows were refused already, with the file they were in."""
        with writing(self._engine) as session:
            run = held_run(session, held, self._now(), lapsed_too=True)
            session.exec(
                update(Batch)
                .where(col(Batch.run_id) == held.run_id, col(Batch.state) == BatchState.PENDING)
                .where(col(Batch.halvings) > 0)
                .values(
                    state=BatchState.FAILED,
                    failed_rows=col(Batch.rows),
                    errors=[words],
                    finished_at=self._now(),
                )
            )
            _total(session, run)

    def _add_event(
        self,
        session: Session,
        held: Held,
        what: EventKind,
        detail: str,
        number: int | None = None,
    ) -> None:
        add_event(session, held.run_id, self._now(), held.worker, what, detail, number)


def _failed_as_refused(batch: Batch, words: str, now: datetime) -> dict[str, Any]:
    return {
        "state": BatchState.FAILED,
        "errors": [words],
        "failed_rows": batch.rows,
        "finished_at": now,
    }


def _kept(held: Held, sealed: Sealed, staying: bytes) -> RunAddresses:
    return RunAddresses(
        run_id=held.run_id,
        rows=sealed.rows,
        staying=staying,
        observed=sealed.observed,
        leaving=sealed.leaving,
    )


def _say_prepared(counts: PreparedCounts, files: int) -> str:
    goes = counts.new + counts.changed
    stays = "" if goes == counts.prepared else f", of {counts.prepared:,} that were prepared"
    leaves = f"; {counts.to_remove:,} are to be taken off the list" if counts.to_remove else ""
    return f"{goes:,} contacts in {counted(files, 'file')}{stays}{leaves}"


def count_prepared(
    run: Run, counts: PreparedCounts, sent_before: int = 0, changed_before: int = 0
) -> None:
    """Write what preparation found; of what earlier files of the run sent, so many were known before."""
    run.read_count = counts.read + sent_before
    run.prepared_count = counts.prepared + sent_before
    run.new_count = counts.new + sent_before - changed_before
    run.changed_count = counts.changed + changed_before
    run.unchanged_count, run.suppressed_count = counts.unchanged, counts.suppressed
    run.rejected_count = counts.read - counts.prepared
    run.to_remove_count = counts.to_remove
    run.truncated_count, run.rejections = counts.truncated, dict(counts.rejections)


def _unsubscribed() -> ColumnElement[int]:
    """Of a batch, how many count as opted out: none where all failed, and no more than were sent."""
    counted = func.coalesce(col(Batch.unsubscribed_count), 0)
    return case(
        (col(Batch.state) != BatchState.COMPLETED, 0),
        (
            counted > col(Batch.rows) - col(Batch.failed_rows),
            col(Batch.rows) - col(Batch.failed_rows),
        ),
        else_=counted,
    )


def _total(session: Session, run: Run) -> None:
    """The run's totals are the sums over its batches, never counted up: a step done twice changes nothing."""
    submitted, unsubscribed, failed = session.exec(
        select(
            func.coalesce(func.sum(Batch.rows), 0),
            func.coalesce(func.sum(_unsubscribed()), 0),
            func.coalesce(func.sum(Batch.failed_rows), 0),
        ).where(Batch.run_id == run.id, col(Batch.state).in_(_SENT))
    ).one()
    run.submitted_count, run.failed_count = submitted, failed
    run.unsubscribed_count = unsubscribed or 0
    session.add(run)
