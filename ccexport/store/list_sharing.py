"""Several exports to one list: what one takes off it, another may have placed there, or be about to.

Runs that share a list agree on an order by one row that each locks for a moment (`moves.lock_lists`): where it writes
down whom it will send, and where it begins to take people off. So of two runs with opposite moves either the one that
removes sees whom the other sends, and leaves them, or the one that sends sees a removal under way, and waits for it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from ccexport.states import BatchState
from ccexport.store.database.ledger_tables import Ledger, Removal
from ccexport.store.database.tables import Run, RunAddresses
from ccexport.store.leaving_rows import read_removal
from ccexport.store.ledger_rows import People, Standing, nobody, read_sent

UNDER_WAY = (BatchState.SENDING, BatchState.SUBMITTED)


def placed_by_others(
    session: Session, run: Run, who: np.ndarray, open_ledger: Callable[[Session, Ledger], People]
) -> np.ndarray:
    """For each hash whether the ledger of another export has them on the run's list, or may have."""
    query = select(Ledger).where(
        Ledger.account_id == run.account_id,
        Ledger.list_id == run.list_id,
        col(Ledger.export_id) != run.export_id,
    )
    found = np.zeros(len(who), dtype=bool)
    for ledger in session.exec(query).all():
        standing = open_ledger(session, ledger).standing_of(who)
        found |= np.isin(standing, (Standing.PLACED, Standing.UNSURE))
    return found


def sent_by_others(
    session: Session, run: Run, who: np.ndarray, unseal: Callable[[bytes], bytes]
) -> np.ndarray:
    """For each hash whether another run to the same list, which has not ended, sends them."""
    query = (
        select(RunAddresses)
        .join(Run, col(Run.id) == col(RunAddresses.run_id))
        .where(_live_to(run.account_id, run.list_id), col(Run.id) != run.id)
    )
    found = np.zeros(len(who), dtype=bool)
    for kept in session.exec(query).all():
        for sealed in filter(None, (kept.rows, kept.staying)):
            found |= np.isin(who, read_sent(unseal(sealed)).who)
    return found


def taken_off(
    session: Session, run: Run, unseal: Callable[[bytes], bytes]
) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of (those whom a run took off the list, those of whom it is not known), by what was confirmed.

    Where fewer were counted than were named, or a job did not end as it should, nobody knows who is off the list.
    """
    gone, unsure = [nobody()], [nobody()]
    for removal in session.exec(select(Removal).where(Removal.run_id == run.id)).all():
        who = read_removal(unseal(removal.sealed)).who if removal.sealed else nobody()
        if removal.state is BatchState.COMPLETED and removal.removed >= removal.people:
            gone.append(who)
        elif removal.state in (*UNDER_WAY, BatchState.COMPLETED) or removal.activity_id:
            unsure.append(who)
    return np.concatenate(gone), np.concatenate(unsure)


def begun_by_live_run(
    session: Session, ledger: Ledger, unseal: Callable[[bytes], bytes]
) -> np.ndarray:
    """Hashes of those whom the export of a ledger takes off the list just now, and has not written down yet."""
    query = (
        select(Run)
        .where(Run.export_id == ledger.export_id, col(Run.finished_at).is_(None))
        .where(Run.account_id == ledger.account_id, Run.list_id == ledger.list_id)
    )
    found = [taken_off(session, run, unseal) for run in session.exec(query).all()]
    return np.sort(np.concatenate([nobody(), *(who for pair in found for who in pair)]))


def is_removing(
    session: Session, account_id: str, list_id: str, *, besides: int | None = None
) -> bool:
    """Whether a run has asked to take people off the list, and that has not ended; one run is not looked at."""
    query = (
        select(Removal.id)
        .join(Run, col(Run.id) == col(Removal.run_id))
        .where(_live_to(account_id, list_id), col(Removal.state).in_(UNDER_WAY))
        .where(col(Run.id) != (besides or 0))
    )
    return session.exec(query.limit(1)).first() is not None


def _live_to(account_id: str, list_id: str) -> ColumnElement[bool]:
    return (
        (col(Run.account_id) == account_id)
        & (col(Run.list_id) == list_id)
        & col(Run.finished_at).is_(None)
    )
