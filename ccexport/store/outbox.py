"""What is told of a run's change of state: written in the transaction of the change.

One message a change of state of an export: what was said last of it, for the same reason, is not said again. A good
end is told each time, to those who ask for good ends.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from ccexport.clock import iso
from ccexport.states import RunState, Told, WaitingFor
from ccexport.store.database.tables import Export, Run
from ccexport.store.database.telling_tables import (
    Delivery,
    Notice,
    Notification,
    Ping,
    Telling,
    Webhook,
)

_GOOD = (Told.SUCCEEDED, Told.RECOVERED)
_ENDS = {
    RunState.FAILED: Told.FAILED,
    RunState.COMPLETED_WITH_ERRORS: Told.COMPLETED_WITH_ERRORS,
    RunState.SUCCEEDED: Told.SUCCEEDED,
}
_FOR_PEOPLE = (WaitingFor.SIGN_IN, WaitingFor.APPROVAL)


def write_outbox(
    session: Session, run: Run, to: RunState, waiting_for: WaitingFor | None, now: datetime
) -> None:
    """Note what has changed, and for whom; nothing where it was told before."""
    what = Told.NEEDS_PERSON if waiting_for in _FOR_PEOPLE else _ENDS.get(to)
    if what is None or run.export_id is None:
        return
    reason = str(waiting_for) if waiting_for and what is Told.NEEDS_PERSON else ""
    last = session.exec(
        select(Telling)
        .where(Telling.export_id == run.export_id, Telling.subject == "")
        .order_by(col(Telling.id).desc())
        .limit(1)
    ).first()
    if what is Told.SUCCEEDED and last is not None and last.what not in _GOOD:
        what = Told.RECOVERED
    elif last is not None and what not in _GOOD and (last.what, last.reason) == (what, reason):
        return
    telling = Telling(
        message_id=f"msg_{secrets.token_hex(16)}",
        at=now,
        what=what,
        reason=reason,
        export_id=run.export_id,
        body=_body(run, to, what, reason, now),
    )
    post(session, telling)


def write_pings(session: Session, run: Run, to: RunState, now: datetime, *, is_start: bool) -> None:
    """What the export's ping address hears of it, where it has one: the begin, a good end, any other end."""
    if run.export_id is None or not (is_start or to.is_final):
        return
    has_one = select(Export.id).where(Export.id == run.export_id, col(Export.ping).is_not(None))
    if session.exec(has_one).first() is not None:
        suffix = "/start" if is_start else "" if to is RunState.SUCCEEDED else "/fail"
        session.add(Ping(export_id=run.export_id, suffix=suffix, at=now))


def post(session: Session, telling: Telling) -> None:
    """Store what is told, with a row for everybody who asked for it."""
    session.add(telling)
    session.flush()
    for hook in session.exec(select(Webhook).where(col(Webhook.is_on).is_(True))):
        if _asked_for(telling.what, hook.events):
            row = Delivery(telling_id=telling.id, webhook_id=hook.id, next_at=telling.at)
            session.add(row)
    for channel in session.exec(select(Notification)):
        if _asked_for(telling.what, channel.events):
            notice = Notice(telling_id=telling.id, notification_id=channel.id, next_at=telling.at)
            session.add(notice)


def _asked_for(what: Told, events: list[str]) -> bool:
    return what in events or (what is Told.RECOVERED and Told.SUCCEEDED in events)


def _body(run: Run, to: RunState, what: Told, reason: str, now: datetime) -> dict[str, Any]:
    """Numbers and our own names alone: the sentence of an error may hold words of the service."""
    data: dict[str, Any] = {
        "run": run.id,
        "export": run.export_name,
        "connection": run.connection_name,
        "state": to.value,
    }
    if reason:
        data["waiting_for"] = reason
    data["counts"] = {
        "submitted": run.submitted_count,
        "accepted": run.accepted_count,
        "unsubscribed": run.unsubscribed_count,
        "failed": run.failed_count,
    }
    return {"type": what.value, "timestamp": iso(now), "data": data}
