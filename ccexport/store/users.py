"""People who sign in: their roles, and the sessions of their browsers."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, delete, func, or_, select, update

from ccexport.clock import Now, utc_now
from ccexport.errors import Conflict, NotFound
from ccexport.store.approvals import withdraw_of
from ccexport.store.database.engine import reading, writing
from ccexport.store.database.people_tables import User, UserSession
from ccexport.store.database.tables import Connection
from ccexport.store.moves import wake_runs_over

ADMINISTRATOR, VIEWER = "administrator", "viewer"
SEEN_EVERY = timedelta(minutes=1)  # how often a session's last use is written
SESSIONS_KEPT = timedelta(
    days=90
)  # longer than a browser keeps its cookie: an ended one stays ended
LAST_ADMINISTRATOR = (
    "This is the last administrator. Make somebody else an administrator first; "
    "otherwise nobody could manage people and connections any more."
)


class AlreadyStarted(Exception):
    """The session is there: nothing was changed."""


def role_of(user: User | None) -> str | None:
    """The role that counts; None: no access."""
    if user is None or user.removed_at is not None:
        return None
    return user.claimed_role or user.given_role


class UserStore:
    """Questions and changes about people."""

    def __init__(self, engine: Engine, now: Now = utc_now) -> None:
        self._engine = engine
        self._now = now

    def find(self, email: str) -> User | None:
        with reading(self._engine) as session:
            return session.get(User, email)

    def get(self, email: str) -> User:
        """Raises `NotFound`, also for one who was removed."""
        user = self.find(email)
        if user is None or user.removed_at is not None:
            raise NotFound(f"{email} is not among the people. Add the address first.")
        return user

    def all(self) -> list[User]:
        """Everybody who was not removed, by address."""
        with reading(self._engine) as session:
            query = select(User).where(col(User.removed_at).is_(None)).order_by(col(User.email))
            return list(session.exec(query))

    def add(self, email: str, role: str, *, by: str) -> User:
        """Somebody new, or removed before. Raises `Conflict` for one who is there."""
        with writing(self._engine) as session:
            user = session.get(User, email, with_for_update=True)
            if user is not None and user.removed_at is None:
                raise Conflict(f"{email} is among the people already. Change the role instead.")
            if user is None:
                user = User(email=email, name="", added_by=by, created_at=self._now())
            user.given_role, user.removed_at, user.added_by = role, None, by
            session.add(user)
            _settle_approvals(session, user, self._now())
        return user

    def set_role(self, email: str, role: str) -> User:
        """Raises `NotFound`; `Conflict` where nobody would be left as an administrator."""
        with writing(self._engine) as session:
            user = self._locked(session, email)
            if role != ADMINISTRATOR:
                _check_not_the_last(session, user)
            user.given_role = role
            session.add(user)
            _settle_approvals(session, user, self._now())
        return user

    def remove(self, email: str) -> User:
        """No access from now on; their sessions end. Raises `NotFound`, `Conflict` for the last administrator."""
        with writing(self._engine) as session:
            user = self._locked(session, email)
            _check_not_the_last(session, user)
            user.removed_at = self._now()
            session.add(user)
            _settle_approvals(session, user, self._now())
            session.exec(
                update(UserSession)
                .where(col(UserSession.email) == email, col(UserSession.ended_at).is_(None))
                .values(ended_at=self._now())
            )
        return user

    # --- sessions --------------------------------------------------------------------------------

    def session(self, session_id: str) -> UserSession | None:
        with reading(self._engine) as session:
            return session.get(UserSession, session_id)

    def start_session(self, session_id: str, seen: User, *, first_role: str | None) -> User:
        """Somebody has signed in; `seen` is what the provider says of them. Only a new one is given `first_role`.

        Raises `AlreadyStarted` where another tab of the same sign-in was faster.
        """
        now = self._now()
        try:
            with writing(self._engine) as session:
                if session.get(UserSession, session_id) is not None:
                    raise AlreadyStarted
                row = session.get(User, seen.email, with_for_update=True)
                if row is None:
                    row = seen
                    row.given_role = first_role
                row.name, row.claimed_role, row.seen_at = seen.name, seen.claimed_role, now
                session.add(row)
                _settle_approvals(session, row, now)
                old = col(UserSession.seen_at) < now - SESSIONS_KEPT
                session.exec(delete(UserSession).where(old))
                session.add(
                    UserSession(id=session_id, email=row.email, started_at=now, seen_at=now)
                )
        except IntegrityError:
            raise AlreadyStarted from None
        return row

    def touch(self, found: UserSession) -> None:
        """The session is used; written once a minute at most."""
        now = self._now()
        if now - found.seen_at < SEEN_EVERY:
            return
        with writing(self._engine) as session:
            session.exec(
                update(UserSession)
                .where(col(UserSession.id) == found.id, col(UserSession.ended_at).is_(None))
                .values(seen_at=now)
            )
            session.exec(update(User).where(col(User.email) == found.email).values(seen_at=now))

    def end_session(self, session_id: str) -> datetime:
        """The session is not accepted any more, even with its cookie."""
        now = self._now()
        with writing(self._engine) as session:
            session.exec(
                update(UserSession)
                .where(col(UserSession.id) == session_id, col(UserSession.ended_at).is_(None))
                .values(ended_at=now)
            )
        return now

    def _locked(self, session: Session, email: str) -> User:
        user = session.get(User, email, with_for_update=True)
        if user is None or user.removed_at is not None:
            raise NotFound(f"{email} is not among the people. Somebody may have removed them.")
        return user


def _settle_approvals(session: Session, user: User, now: datetime) -> None:
    """Who is an administrator again may be the export user of connections whose exports waited.

    What somebody approved who sees no more than a viewer now, or nothing, is not approved any more.
    """
    if role_of(user) in (None, VIEWER):
        withdraw_of(session, user.email, now)
    if role_of(user) == ADMINISTRATOR:
        wake_runs_over(session, func.lower(col(Connection.export_user)) == user.email, now)


def _check_not_the_last(session: Session, user: User) -> None:
    """Administrators are locked, all of them, so that two cannot remove each other at once."""
    if role_of(user) != ADMINISTRATOR:
        return
    administrators = session.exec(
        select(User)
        .where(
            col(User.removed_at).is_(None),
            or_(col(User.given_role) == ADMINISTRATOR, col(User.claimed_role) == ADMINISTRATOR),
        )
        .order_by(col(User.email))
        .with_for_update()
    ).all()
    if all(
        other.email == user.email for other in administrators if role_of(other) == ADMINISTRATOR
    ):
        raise Conflict(LAST_ADMINISTRATOR)
