"""What is told although no run moves: nobody works, an export is overdue, a sign-in ends soon. Each once.

Looked at every minute, by workers and by a dashboard that has none. Whether something was told already is asked again
under a lock, since several look.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Engine, text
from sqlmodel import Session, col, delete, func, select

from ccexport.clock import Now, iso, utc_now
from ccexport.schedules import LATE_AFTER
from ccexport.states import RunState, Told
from ccexport.store.database.engine import reading, writing
from ccexport.store.database.tables import Connection, Export, Run, Token, Worker
from ccexport.store.database.telling_tables import Delivery, Notice, Pause, Telling
from ccexport.store.outbox import post
from ccexport.store.workers import ALIVE_FOR

SIGN_IN_IDLE = timedelta(days=150)  # of the 180 that a sign-in lives unused
_OVERDUE, _WORKER, _REFRESH = "overdue", "worker", "refresh"


class Watch:
    """Looks, and tells what has come to be."""

    def __init__(self, engine: Engine, now: Now = utc_now) -> None:
        self._engine = engine
        self._now = now

    def look(self) -> None:
        """Tell what is so now and was not told since it came to be so. Nothing is overdue in a pause."""
        now = self._now()
        with reading(self._engine) as session:  # mostly there is nothing: that takes no lock
            idle, late = _idle(session, now), _late(session, now)
            is_missing = _is_missing(session, now)
        if not (idle or late or is_missing):
            return
        with writing(self._engine) as session:
            _alone(session)
            for connection, since in _idle(session, now):
                subject = f"connection {connection.id}"
                self._tell(
                    session, Told.SIGN_IN_EXPIRES, subject, since, connection=connection.name
                )
            for export in _late(session, now):
                self._tell_overdue(session, export)
            if _is_missing(session, now):
                seen_at = session.exec(select(func.max(Worker.heartbeat_at))).one()
                self._tell(session, Told.WORKER_MISSING, _WORKER, seen_at)

    def delete_older_than(self, span: timedelta) -> int:
        """Delete what was told before then, but for the last of each export: the next one goes by it."""
        newest = select(func.max(Telling.id)).group_by(col(Telling.export_id), col(Telling.subject))
        pending = (
            select(Delivery.telling_id).where(col(Delivery.next_at).is_not(None)),
            select(Notice.telling_id).where(col(Notice.next_at).is_not(None)),
        )
        with writing(self._engine) as session:
            deleted = session.exec(
                delete(Telling).where(
                    col(Telling.at) < self._now() - span,
                    col(Telling.id).not_in(newest),
                    *(col(Telling.id).not_in(each) for each in pending),
                )
            )
            return int(deleted.rowcount)

    def _tell_overdue(self, session: Session, export: Export) -> None:
        this = (col(Telling.export_id) == export.id) & (col(Telling.subject) == _OVERDUE)
        if not _is_told(session, this, export.next_run_at):
            data = {"export": export.name, "due_at": iso(export.next_run_at)}
            post(session, self._telling(Told.OVERDUE, _OVERDUE, data, export_id=export.id))

    def _tell(
        self, session: Session, what: Told, subject: str, since: datetime | None, **data: Any
    ) -> None:
        if not _is_told(session, col(Telling.subject) == subject, since):
            post(session, self._telling(what, subject, data | {"since": iso(since)}))

    def _telling(
        self, what: Told, subject: str, data: dict[str, Any], export_id: int | None = None
    ) -> Telling:
        return telling(what, subject, data, self._now(), export_id=export_id)


def tell_refresh_failed(session: Session, refresh_id: int, now: datetime) -> None:
    """Within the transaction of a refresh's end."""
    post(session, telling(Told.REFRESH_FAILED, _REFRESH, {"refresh": refresh_id}, now))


def telling(
    what: Told, subject: str, data: dict[str, Any], now: datetime, export_id: int | None = None
) -> Telling:
    """Something to tell, not stored yet."""
    return Telling(
        message_id=f"msg_{secrets.token_hex(16)}",
        at=now,
        what=what,
        reason="",
        subject=subject,
        export_id=export_id,
        body={"type": what.value, "timestamp": iso(now), "data": data},
    )


def _alone(session: Session) -> None:
    """SQLite has one writer; on PostgreSQL others who look wait for the end of this transaction."""
    if session.connection().dialect.name == "postgresql":
        session.connection().execute(text("SELECT pg_advisory_xact_lock(7340110)"))


def _is_told(session: Session, which: ColumnElement[bool], since: datetime | None) -> bool:
    last = session.exec(select(func.max(Telling.at)).where(which)).one()
    return last is not None and (since is None or last >= since)


def _idle(session: Session, now: datetime) -> list[tuple[Connection, datetime]]:
    """Connections whose sign-in nobody used for long, and since when."""
    found = session.exec(
        select(Connection, Token.issued_at)
        .join(Token, col(Token.connection_id) == col(Connection.id))
        .where(col(Token.issued_at) <= now - SIGN_IN_IDLE, col(Connection.needs_sign_in).is_(False))
    )
    return list(found.all())


def _late(session: Session, now: datetime) -> list[Export]:
    """Exports whose own time passed and whose run did not begin."""
    if session.exec(select(Pause)).first() is not None:
        return []
    found = session.exec(
        select(Export)
        .where(col(Export.next_run_at) <= now - LATE_AFTER, col(Export.connection_id).is_not(None))
        .order_by(col(Export.id))
    )
    return list(found.all())


def _is_missing(session: Session, now: datetime) -> bool:
    """Whether something is to be done for minutes, and no worker has shown a sign of life."""
    alive = col(Worker.stopped_at).is_(None) & (col(Worker.heartbeat_at) > now - ALIVE_FOR)
    if session.exec(select(Worker.id).where(alive).limit(1)).first() is not None:
        return False
    waits = (col(Run.state) == RunState.QUEUED) & (col(Run.queued_at) <= now - LATE_AFTER)
    waiting = session.exec(select(Run.id).where(waits).limit(1)).first() is not None
    return waiting or bool(_late(session, now))
