"""What the files of a run placed on its list, by what Constant Contact confirmed of each."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from sqlmodel import Session, select

from ccexport.states import BatchState
from ccexport.store.database.tables import Batch, FailedRow, Run
from ccexport.store.ledger_rows import Sent, joined_rows, nobody_sent


def outcome_of_files(session: Session, run: Run, rows: Sent, staying: Sent) -> tuple[Sent, Sent]:
    """(what Constant Contact confirmed, what may or may not have arrived) of the run's files.

    Of a file of which it named every row that failed, the others arrived. Where it counted more than it named, and
    where it did not end a file as completed, nobody knows which rows did. A file that it refused placed nobody.
    """
    confirmed: list[Sent] = []
    unsure: list[Sent] = []
    batches = session.exec(select(Batch).where(Batch.run_id == run.id)).all()
    named = _named_rows(session, run)
    for batch in batches:
        sent = _rows_of(batch, rows, staying)
        failed = named.get(batch.id, [])
        if batch.state in (BatchState.PENDING, BatchState.CANCELED) or not len(sent):
            continue
        if batch.state is BatchState.COMPLETED and len(failed) >= batch.failed_rows:
            confirmed.append(sent.take(_all_but(len(sent), failed)))
        elif batch.state is BatchState.COMPLETED and batch.failed_rows < batch.rows:
            unsure.append(sent.take(_all_but(len(sent), failed)))
        elif (
            batch.state is not BatchState.COMPLETED and batch.sending_at and not _is_refused(batch)
        ):
            unsure.append(sent)
    return joined_rows(confirmed), joined_rows(unsure)


def _is_refused(batch: Batch) -> bool:
    return batch.state is BatchState.FAILED and batch.activity_id is None


def _rows_of(batch: Batch, rows: Sent, staying: Sent) -> Sent:
    if batch.first_row < 0:
        if staying.batch is None:
            return nobody_sent()
        return staying.take(staying.batch == batch.number)
    return rows.take(slice(batch.first_row, batch.first_row + batch.rows))


def _named_rows(session: Session, run: Run) -> dict[int, list[int]]:
    query = select(FailedRow.batch_id, FailedRow.row).where(
        FailedRow.batch_id == Batch.id, Batch.run_id == run.id
    )
    found: dict[int, list[int]] = {}
    for batch_id, row in session.exec(query):
        found.setdefault(batch_id, []).append(row)
    return found


def _all_but(count: int, rows: Collection[int]) -> np.ndarray | slice:
    if not rows:
        return slice(None)
    stays = np.ones(count, dtype=bool)
    stays[list(rows)] = False
    return stays
