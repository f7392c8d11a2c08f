"""Webhooks and the deliveries that wait for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine
from sqlmodel import Session, col, select, update

from ccexport.clock import Now, utc_now
from ccexport.store.database.engine import reading, writing
from ccexport.store.database.telling_tables import Delivery, Telling, Webhook

if TYPE_CHECKING:
    from ccexport.store.vault.keys import Keys

# longer than an attempt takes: a worker that was killed leaves it to another
CLAIM = timedelta(seconds=60)
BOTH_VALID = timedelta(days=1)  # the secrets before and after a rotation


@dataclass(frozen=True)
class Due:
    """A delivery that was taken, to be attempted now."""

    telling_id: int
    webhook_id: int
    attempt: int  # from 1
    first_at: datetime
    url: str
    secrets: tuple[bytes, ...]  # each signs; the newest first
    message_id: str
    body: dict[str, Any]


@dataclass(frozen=True)
class Attempted:
    """One delivery, as people see it."""

    message_id: str
    what: str
    at: datetime
    attempts: int
    next_at: datetime | None
    delivered_at: datetime | None
    answer: str


class WebhookStore:
    """Who is told, and what is still to be told."""

    def __init__(self, engine: Engine, keys: Keys, now: Now = utc_now) -> None:
        self._engine = engine
        self._keys = keys
        self._now = now

    def all(self) -> list[Webhook]:
        with reading(self._engine) as session:
            return list(session.exec(select(Webhook).order_by(col(Webhook.url))))

    def find(self, url: str) -> Webhook | None:
        with reading(self._engine) as session:
            return session.exec(select(Webhook).where(Webhook.url == url)).first()

    def secrets_of(self, hook: Webhook) -> tuple[bytes, ...]:
        """The newest first; for a while after a rotation the one before it too."""
        sealed = [hook.secret]
        if hook.old_secret is not None and hook.old_until and self._now() < hook.old_until:
            sealed.append(hook.old_secret)
        return tuple(map(self._keys.decrypt, sealed))

    def add(self, url: str, secret: bytes, events: list[str], by: str) -> Webhook:
        hook = Webhook(
            url=url,
            secret=self._keys.encrypt(secret),
            events=events,
            created_by=by,
            created_at=self._now(),
        )
        with writing(self._engine) as session:
            session.add(hook)
        return hook

    def rotate(self, webhook_id: int, secret: bytes) -> None:
        """Sign with a new secret, and for a day with the one before it too."""
        with writing(self._engine) as session:
            hook = session.get_one(Webhook, webhook_id)
            hook.old_secret, hook.old_until = hook.secret, self._now() + BOTH_VALID
            hook.secret = self._keys.encrypt(secret)
            session.add(hook)

    def send_again(self, webhook_id: int, message_id: str) -> bool:
        """Make a delivery due now, with its id; False where there is no such message."""
        with writing(self._engine) as session:
            row = session.exec(
                select(Delivery).where(
                    Delivery.webhook_id == webhook_id,
                    col(Delivery.telling_id) == col(Telling.id),
                    Telling.message_id == message_id,
                )
            ).first()
            if row is None:
                return False
            row.attempts, row.next_at, row.delivered_at = 0, self._now(), None
            session.add(row)
        return True

    def remove(self, webhook_id: int) -> None:
        with writing(self._engine) as session:
            if (hook := session.get(Webhook, webhook_id)) is not None:
                session.delete(hook)

    def deliveries(self, webhook_id: int, limit: int = 100) -> list[Attempted]:
        """The newest first."""
        with reading(self._engine) as session:
            rows = session.exec(
                select(Delivery, Telling)
                .where(
                    Delivery.webhook_id == webhook_id, col(Telling.id) == col(Delivery.telling_id)
                )
                .order_by(col(Telling.id).desc())
                .limit(limit)
            )
            return [
                Attempted(
                    telling.message_id,
                    telling.what.value,
                    telling.at,
                    row.attempts,
                    row.next_at,
                    row.delivered_at,
                    row.answer,
                )
                for row, telling in rows
            ]

    def claim(self, not_to: set[int]) -> Due | None:
        """Take the delivery that has been due for longest; committed before anything is sent."""
        now = self._now()
        oldest = (
            select(Delivery)
            .where(col(Delivery.next_at) <= now, col(Delivery.webhook_id).not_in(not_to))
            .order_by(col(Delivery.next_at), col(Delivery.telling_id))
            .limit(1)
        )
        with reading(self._engine) as session:  # mostly there is none: that takes no lock
            if session.exec(oldest).first() is None:
                return None
        with writing(self._engine) as session:
            row = session.exec(oldest.with_for_update(skip_locked=True)).first()
            if row is None:
                return None
            row.attempts += 1
            row.next_at = now + CLAIM
            session.add(row)
            return self._due(session, row)

    def _due(self, session: Session, row: Delivery) -> Due:
        telling = session.get_one(Telling, row.telling_id)
        hook = session.get_one(Webhook, row.webhook_id)
        return Due(
            telling_id=telling.id,
            webhook_id=hook.id,
            attempt=row.attempts,
            first_at=telling.at,
            url=hook.url,
            secrets=self.secrets_of(hook),
            message_id=telling.message_id,
            body=telling.body,
        )

    def record(self, due: Due, answer: str, *, ok: bool, next_at: datetime | None) -> None:
        """What became of an attempt; `next_at` None: no further one."""
        with writing(self._engine) as session:
            row = session.get(Delivery, (due.telling_id, due.webhook_id))
            if row is None:  # the webhook was removed meanwhile
                return
            row.answer, row.next_at = answer, next_at
            row.delivered_at = self._now() if ok else None
            session.add(row)

    def turn_on(self, webhook_id: int) -> None:
        """It answers again: it is told what happens from now on."""
        with writing(self._engine) as session:
            session.exec(update(Webhook).where(col(Webhook.id) == webhook_id).values(is_on=True))

    def turn_off(self, webhook_id: int) -> None:
        """It is gone: nothing more is tried."""
        with writing(self._engine) as session:
            session.exec(update(Webhook).where(col(Webhook.id) == webhook_id).values(is_on=False))
            session.exec(
                update(Delivery).where(col(Delivery.webhook_id) == webhook_id).values(next_at=None)
            )
