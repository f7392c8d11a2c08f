"""Runs that waited for an administrator go on: written with the change that they waited for, so neither is lost."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select, update

from ccexport.states import RunState, WaitingFor
from ccexport.store.database.tables import Connection, Run


def wake_runs_over(session: Session, which: ColumnElement[bool], now: datetime) -> None:
    """Let runs over the connections `which` look again. One that still lacks something waits on."""
    session.exec(
        update(Run)
        .where(
            col(Run.connection_id).in_(select(Connection.id).where(which)),
            col(Run.state) == RunState.WAITING,
            col(Run.waiting_for) == WaitingFor.APPROVAL,
        )
        .values(waiting_until=now)
    )
