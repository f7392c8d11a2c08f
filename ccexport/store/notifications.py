"""Channels to people, and the messages that wait for them: what happened for one reason goes out as one message.

A telling waits a moment while other runs are at work, since they may end for the same reason; as soon as none is, it
goes. What went out together once keeps together: a repeat is the same message with the same id.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Engine, and_, or_
from sqlalchemy import select as select_columns
from sqlmodel import Session, col, func, select, update

from ccexport.clock import Now, utc_now
from ccexport.states import RunState, Told, WaitingFor
from ccexport.store.database.engine import reading, writing
from ccexport.store.database.tables import Run
from ccexport.store.database.telling_tables import Notice, Notification, Telling

if TYPE_CHECKING:
    from ccexport.store.vault.keys import Keys

CLAIM = timedelta(seconds=120)  # longer than an attempt takes: then another worker makes it
SETTLE = timedelta(seconds=60)  # without another of the kind: then no more are expected
LONGEST = timedelta(minutes=5)  # that the first of a kind waits for others
MAX_TOGETHER = 500  # tellings in one message
_BUSY = (RunState.QUEUED, RunState.PREPARING, RunState.UPLOADING, RunState.CONFIRMING)
_SOON = (WaitingFor.SERVICE, WaitingFor.QUEUE)


@dataclass(frozen=True)
class Letter:
    """What goes to one channel as one message, taken, to be attempted now."""

    notification_id: int
    message_id: str
    attempt: int  # from 1
    url: str
    what: Told
    reason: str
    bodies: tuple[dict[str, Any], ...]  # of the tellings, the oldest first


class NotificationStore:
    """Which people are told, and what is still to be told."""

    def __init__(self, engine: Engine, keys: Keys, now: Now = utc_now) -> None:
        self._engine = engine
        self._keys = keys
        self._now = now

    def all(self) -> list[Notification]:
        with reading(self._engine) as session:
            return list(session.exec(select(Notification).order_by(col(Notification.name_key))))

    def find(self, name: str) -> Notification | None:
        key = name.strip().casefold()
        with reading(self._engine) as session:
            return session.exec(select(Notification).where(Notification.name_key == key)).first()

    def url_of(self, channel: Notification) -> str:
        return self._keys.decrypt(channel.url).decode()

    def add(self, name: str, url: str, shown: str, events: list[str], by: str) -> None:
        with writing(self._engine) as session:
            session.add(
                Notification(
                    name=name,
                    name_key=name.casefold(),
                    url=self._keys.encrypt(url.encode()),
                    shown=shown,
                    events=events,
                    created_by=by,
                    created_at=self._now(),
                )
            )

    def change_events(self, notification_id: int, events: list[str]) -> None:
        with writing(self._engine) as session:
            which = col(Notification.id) == notification_id
            session.exec(update(Notification).where(which).values(events=events))

    def remove(self, notification_id: int) -> None:
        with writing(self._engine) as session:
            if (channel := session.get(Notification, notification_id)) is not None:
                session.delete(channel)

    def waiting(self) -> dict[int, int]:
        """How many tellings each channel is still to get, by its id."""
        counted = (
            select(Notice.notification_id, func.count())
            .where(col(Notice.next_at).is_not(None))
            .group_by(col(Notice.notification_id))
        )
        with reading(self._engine) as session:
            return dict(session.exec(counted).all())

    # --- delivering ------------------------------------------------------------------------------

    def claim(self, not_to: Collection[int]) -> Letter | None:
        """Take the message that is due; committed before anything is sent."""
        now = self._now()
        with reading(self._engine) as session:  # mostly there is none: that takes no lock
            if self._next(session, not_to, now) is None:
                return None
        with writing(self._engine) as session:
            which = self._next(session, not_to, now)
            return None if which is None else self._take(session, which, now)

    def record(self, letter: Letter, error: str, next_at: datetime | None) -> None:
        """What became of an attempt; an empty `error`: it was taken. `next_at` None: no further one."""
        now = self._now()
        with writing(self._engine) as session:
            session.exec(
                update(Notice)
                .where(
                    col(Notice.notification_id) == letter.notification_id,
                    col(Notice.together) == letter.message_id,
                )
                .values(next_at=next_at, delivered_at=None if error else now)
            )
            self._note(session, letter.notification_id, error, now)

    def tested(self, notification_id: int, error: str) -> None:
        """How a test went."""
        with writing(self._engine) as session:
            self._note(session, notification_id, error, self._now())

    @staticmethod
    def _note(session: Session, notification_id: int, error: str, now: datetime) -> None:
        which = col(Notification.id) == notification_id
        session.exec(update(Notification).where(which).values(last_at=now, last_error=error))

    def _next(
        self, session: Session, not_to: Collection[int], now: datetime
    ) -> ColumnElement[bool] | None:
        """Which notices make the next message: one that was tried before, else what has been gathered."""
        due = (col(Notice.next_at) <= now) & col(Notice.notification_id).not_in(not_to)
        again = session.exec(
            select(Notice)
            .where(due, col(Notice.together).is_not(None))
            .order_by(col(Notice.next_at), col(Notice.telling_id))
            .limit(1)
        ).first()
        if again is not None:
            return and_(
                col(Notice.notification_id) == again.notification_id,
                col(Notice.together) == again.together,
            )
        return self._gathered(session, due & col(Notice.together).is_(None), now)

    def _gathered(
        self, session: Session, due: ColumnElement[bool], now: datetime
    ) -> ColumnElement[bool] | None:
        found = session.connection().execute(
            select_columns(
                col(Notice.notification_id),
                col(Telling.what),
                col(Telling.reason),
                func.min(Telling.at),
                func.max(Telling.at),
            )
            .where(due, col(Telling.id) == col(Notice.telling_id))
            .group_by(col(Notice.notification_id), col(Telling.what), col(Telling.reason))
            .order_by(func.min(Telling.id))
        )
        kinds = found.all()
        is_quiet = bool(kinds) and not _is_busy(session)
        for notification_id, what, reason, first_at, last_at in kinds:
            if is_quiet or now - last_at >= SETTLE or now - first_at >= LONGEST:
                of_the_kind = select(Telling.id).where(
                    Telling.what == what, Telling.reason == reason
                )
                return and_(
                    due,
                    col(Notice.notification_id) == notification_id,
                    col(Notice.telling_id).in_(of_the_kind),
                )
        return None

    def _take(self, session: Session, which: ColumnElement[bool], now: datetime) -> Letter | None:
        locked = (
            select(Notice)
            .where(which, col(Notice.next_at) <= now)
            .order_by(col(Notice.telling_id))
            .limit(MAX_TOGETHER)
            .with_for_update(skip_locked=True)
        )
        rows = session.exec(locked).all()
        if not rows:  # another worker has them
            return None
        tellings = _tellings(session, rows)
        message_id = rows[0].together or tellings[0].message_id
        attempt = rows[0].attempts + 1
        for row in rows:
            row.attempts, row.together, row.next_at = attempt, message_id, now + CLAIM
            session.add(row)
        channel = session.get_one(Notification, rows[0].notification_id)
        return Letter(
            notification_id=channel.id,
            message_id=message_id,
            attempt=attempt,
            url=self.url_of(channel),
            what=tellings[0].what,
            reason=tellings[0].reason,
            bodies=tuple(each.body for each in tellings),
        )


def _tellings(session: Session, rows: Sequence[Notice]) -> Sequence[Telling]:
    ids = [row.telling_id for row in rows]
    return session.exec(
        select(Telling).where(col(Telling.id).in_(ids)).order_by(col(Telling.id))
    ).all()


def _is_busy(session: Session) -> bool:
    """Whether a run is at work, or will be by itself within minutes."""
    at_work = or_(col(Run.state).in_(_BUSY), col(Run.waiting_for).in_(_SOON))
    which = col(Run.finished_at).is_(None) & at_work
    return session.exec(select(Run.id).where(which).limit(1)).first() is not None
