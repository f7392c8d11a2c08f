"""The audit: rows are added with the change they tell of (`audited.py`), read here, and deleted when they are old."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, func
from sqlmodel import col, delete, select

from ccexport.clock import Now, utc_now
from ccexport.store.database.engine import reading, writing
from ccexport.store.database.people_tables import AuditEvent

PAGE = 1_000  # rows read at once where all are wanted


@dataclass(frozen=True)
class AuditFilter:
    """Which rows are wanted; None: whatever it is."""

    who: str | None = None
    action: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    search: str = ""  # in the target's name


class AuditStore:
    """Questions about the audit. There is no way to change a row."""

    def __init__(self, engine: Engine, now: Now = utc_now) -> None:
        self._engine = engine
        self._now = now

    def add(self, event: AuditEvent) -> None:
        """A row that goes with no change of the store: a refusal, or something done elsewhere."""
        with writing(self._engine) as session:
            session.add(event)

    def page(self, wanted: AuditFilter, *, offset: int = 0, limit: int = 100) -> list[AuditEvent]:
        """The newest first."""
        query = select(AuditEvent).where(*_conditions(wanted)).order_by(col(AuditEvent.id).desc())
        with reading(self._engine) as session:
            return list(session.exec(query.offset(offset).limit(limit)))

    def count(self, wanted: AuditFilter) -> int:
        with reading(self._engine) as session:
            query = select(func.count()).select_from(AuditEvent).where(*_conditions(wanted))
            return int(session.exec(query).one())

    def people(self) -> list[str]:
        """Everybody who is in it, by name."""
        with reading(self._engine) as session:
            return list(
                session.exec(select(AuditEvent.who).distinct().order_by(col(AuditEvent.who)))
            )

    def all_since(self, since: datetime | None) -> Iterator[AuditEvent]:
        """Every row, the oldest first; read in pieces, so that a long audit needs no memory."""
        last = 0
        while True:
            query = select(AuditEvent).where(col(AuditEvent.id) > last)
            if since is not None:
                query = query.where(col(AuditEvent.at) >= since)
            with reading(self._engine) as session:
                rows = list(session.exec(query.order_by(col(AuditEvent.id)).limit(PAGE)))
            if not rows:
                return
            yield from rows
            last = rows[-1].id

    def delete_older_than(self, kept: timedelta) -> int:
        """What retention asks for; gives how many went. The database itself keeps what is younger than 30 days."""
        with writing(self._engine) as session:
            result = session.exec(delete(AuditEvent).where(col(AuditEvent.at) < self._now() - kept))
            return int(result.rowcount)


def _conditions(wanted: AuditFilter) -> list[Any]:
    found: list[Any] = []
    if wanted.who is not None:
        found.append(col(AuditEvent.who) == wanted.who)
    if wanted.action is not None:
        found.append(col(AuditEvent.action) == wanted.action)
    if wanted.outcome is not None:
        found.append(col(AuditEvent.outcome) == wanted.outcome)
    if wanted.since is not None:
        found.append(col(AuditEvent.at) >= wanted.since)
    if wanted.search:
        found.append(col(AuditEvent.target_name).icontains(wanted.search, autoescape=True))
    return found
