"""A row of the audit waits here for the change that it tells of, and is written in the same transaction.

`writing` (engine.py) takes it along just before it commits: there is no change without its row, and no row for a
change that failed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from sqlmodel import Session

from ccexport.store.database.people_tables import AuditEvent


@dataclass
class Pending:
    """A row for the next transaction of this thread, and whether it has been taken."""

    event: AuditEvent
    is_taken: bool = False


_PENDING: ContextVar[Pending | None] = ContextVar("audit_pending", default=None)


@contextmanager
def with_next_change(event: AuditEvent) -> Iterator[Pending]:
    """The first transaction within the block takes the row along."""
    pending = Pending(event)
    before = _PENDING.set(pending)
    try:
        yield pending
    finally:
        _PENDING.reset(before)


def take_along(session: Session) -> None:
    """Add the row that waits, once. A transaction that is rolled back after this changes nothing: see `writing`."""
    pending = _PENDING.get()
    if pending is not None and not pending.is_taken:
        session.add(pending.event)
        pending.is_taken = True
