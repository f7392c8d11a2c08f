"""What the guard asks of people: a run that waits with its numbers, and the answer.

Each function works within the transaction of its caller. An approval is of one question: a run that asks another by
now has not been approved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlmodel import Session, col, select

from ccexport.errors import Conflict, NotFound
from ccexport.states import EventKind, RunState, WaitingFor
from ccexport.store.batches import PreparedCounts, count_prepared
from ccexport.store.database.tables import Run
from ccexport.store.moves import LeaseLost, add_event, end_run, move_run

if TYPE_CHECKING:
    from ccexport.store.ledgers import LedgerStore


@dataclass(frozen=True)
class Question:
    """What a run would change: people sent and removed, of those whom the ledger has as placed.

    `guard`: the share, in percent, above which somebody is asked; `source`: a digest of what was prepared.
    """

    sent: int
    removed: int
    placed: int
    guard: int
    source: str

    @classmethod
    def of(cls, run: Run) -> Question | None:
        """What the run asked last."""
        return None if run.question is None else cls(**run.question)

    def covers(self, later: Question) -> bool:
        """Whether who said yes to this has said it to the other as well: the same source, and no more people."""
        is_no_more = later.sent <= self.sent and later.removed <= self.removed
        return later.source == self.source and is_no_more


def ask(
    session: Session, run: Run, question: Question, counts: PreparedCounts, who: str, now: datetime
) -> None:
    """Let a run that was prepared wait for an answer, with its counts; its worker lets it go."""
    if run.state is not RunState.PREPARING:
        raise LeaseLost(f"run {run.id}")
    count_prepared(run, counts)
    session.add(run)
    session.flush()
    words = say_question(question)
    move_run(
        session,
        run,
        RunState.WAITING,
        who=who,
        now=now,
        detail=words,
        resume_state=RunState.PREPARING,
        waiting_for=WaitingFor.APPROVAL,
        waiting_until=None,
        waiting_detail=words,
        question=asdict(question),
        approved_by=None,
        lease_owner=None,
        lease_until=None,
    )


def approve(
    session: Session, run_id: int, by: str, now: datetime, seen: Mapping[str, Any] | None
) -> Run:
    """Let a held run go on, this once. Raises `NotFound`, `Conflict`; `seen`: the question that was answered."""
    run = _held_run(session, run_id, seen)
    run.approved_by, run.waiting_until = by, now
    session.add(run)
    add_event(session, run.id, now, by, EventKind.APPROVED, _numbers(run))
    return run


def decline(
    session: Session,
    run_id: int,
    by: str,
    now: datetime,
    seen: Mapping[str, Any] | None,
    ledgers: LedgerStore | None,
) -> Run:
    """End a held run; nothing of it was sent. Raises `NotFound`, `Conflict`."""
    run = _held_run(session, run_id, seen)
    run.cancel_requested_by = run.cancel_requested_by or by
    session.add(run)
    add_event(session, run.id, now, by, EventKind.DECLINED, _numbers(run))
    session.flush()
    words = f"{by} declined it: {_numbers(run)}. Nothing was sent."
    end_run(session, run, RunState.CANCELED, who=by, now=now, error=words, ledgers=ledgers)
    return run


def withdraw_of(session: Session, email: str, now: datetime) -> None:
    """Who may approve nothing any more: what they approved, and no worker has taken up yet, asks again."""
    waits = (Run.state == RunState.WAITING, Run.waiting_for == WaitingFor.APPROVAL)
    query = select(Run).where(*waits, Run.approved_by == email, col(Run.lease_owner).is_(None))
    for run in session.exec(query.order_by(col(Run.id)).with_for_update()).all():
        run.approved_by, run.waiting_until = None, None
        session.add(run)
        words = f"{email} may not give it any more"
        add_event(session, run.id, now, email, EventKind.WITHDRAWN, words)


def _held_run(session: Session, run_id: int, seen: Mapping[str, Any] | None) -> Run:
    run = session.get(Run, run_id, with_for_update=True)
    if run is None:
        raise NotFound(f"There is no run {run_id}. `runs list` shows those there are.")
    if run.state.is_final:
        raise Conflict(f"Run {run_id} has ended already ({run.state}): there is nothing to answer.")
    if run.approved_by is not None:
        raise Conflict(f"{run.approved_by} has approved run {run_id} already.")
    if not run.is_held or run.lease_owner is not None:
        raise Conflict(
            f"Run {run_id} asks nothing now; it is {run.state}. `runs show {run_id}` says more."
        )
    if seen is not None and seen != run.question:
        raise Conflict(f"Run {run_id} asks with other numbers by now. Look at them, then answer.")
    return run


def _numbers(run: Run) -> str:
    question = Question.of(run)
    return "" if question is None else say_numbers(question)


def say_numbers(question: Question) -> str:
    """`5,000 people sent, 200 taken off the list, of 20,000 placed there before`."""
    removed = f", {question.removed:,} taken off the list" if question.removed else ""
    return f"{question.sent:,} people sent{removed}, of {question.placed:,} placed there before"


def say_question(question: Question) -> str:
    """What somebody is asked, in one sentence."""
    asked = [
        f"send {question.sent:,} new or changed people" if question.sent else "",
        f"take {question.removed:,} people off the list" if question.removed else "",
    ]
    return (
        f"This run would {' and '.join(filter(None, asked))}, beside {question.placed:,} whom this export has on the "
        f"list; it asks first where more than {question.guard} % would change. Nothing was sent yet: approve or "
        "decline it."
    )
