"""Connections, with the consent given for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, delete, func, select

from ccexport.clock import Now, utc_now
from ccexport.errors import Conflict, NotFound
from ccexport.store.database.engine import reading, writing
from ccexport.store.database.people_tables import User
from ccexport.store.database.tables import Connection, Consent, Export, Token
from ccexport.store.moves import stop_runs_of, wake_runs_over
from ccexport.store.users import ADMINISTRATOR, role_of

if TYPE_CHECKING:
    from ccexport.store.ledgers import LedgerStore

_GONE = "This connection has been removed."


@dataclass(frozen=True)
class ConnectionView:
    """A connection with what the list of connections says of it."""

    connection: Connection
    agreed_by: str | None
    agreed_at: datetime | None
    exports: int
    text_version: str | None = None  # of the text that was agreed to
    has_export_user: bool = True  # whether its export user is an administrator still
    renewed_at: datetime | None = None  # since when its present refresh token lives

    def unused_days(self, now: datetime) -> int:
        """Days since its sign-in was last renewed, which every use after a day does."""
        return 0 if self.renewed_at is None else max(0, (now - self.renewed_at).days)


class ConnectionStore:
    """Questions and changes about connections. `get_ledgers`: as for runs, whose end one's removal can be."""

    def __init__(
        self,
        engine: Engine,
        now: Now = utc_now,
        get_ledgers: Callable[[], LedgerStore | None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._now = now
        self._get_ledgers = get_ledgers

    def by_name(self, name: str) -> Connection:
        """Raises `NotFound`."""
        connection = self.find(name)
        if connection is None:
            raise NotFound(
                f'There is no connection "{name}". `connections list` shows all; `connections add` makes one.'
            )
        return connection

    def find(self, name: str) -> Connection | None:
        with reading(self._engine) as session:
            return session.exec(
                select(Connection).where(Connection.name_key == name.strip().casefold())
            ).first()

    def get(self, connection_id: int) -> Connection:
        """Raises `NotFound`."""
        with reading(self._engine) as session:
            connection = session.get(Connection, connection_id)
        if connection is None:
            raise NotFound(_GONE)
        return connection

    def views(self) -> list[ConnectionView]:
        """All connections by name, each with its latest consent and how many exports use it."""
        with reading(self._engine) as session:
            rows = session.exec(select(Connection).order_by(col(Connection.name_key))).all()
            return _views(session, rows)

    def view(self, connection_id: int) -> ConnectionView:
        """One of them. Raises `NotFound`."""
        with reading(self._engine) as session:
            row = session.get(Connection, connection_id)
            if row is None:
                raise NotFound(_GONE)
            return _views(session, [row])[0]

    def add(self, connection: Connection, *, agreed_by: str, text_version: str) -> Connection:
        """Store a connection with its consent. Raises `Conflict` when the name is taken."""
        try:
            with writing(self._engine) as session:
                session.add(connection)
                session.flush()
                session.add(self._consent(connection, agreed_by, text_version))
        except IntegrityError:
            raise Conflict(
                f'There is a connection "{connection.name}" already. Choose another name.'
            ) from None
        return connection

    def agree_again(self, connection: Connection, *, agreed_by: str, text_version: str) -> None:
        """Record a further consent, and that the sign-in is accepted again."""
        with writing(self._engine) as session:
            self._agree(session, connection.id, agreed_by, text_version)
            _set_needs_sign_in(session, connection.id, needed=False)

    def agree(self, connection_id: int, *, agreed_by: str, text_version: str) -> None:
        """Record a further consent; runs that waited for it go on. Raises `NotFound`."""
        with writing(self._engine) as session:
            self._agree(session, connection_id, agreed_by, text_version)

    def set_export_user(self, connection_id: int, name: str) -> None:
        """By whose right runs read the source from now on; those that waited go on. Raises `NotFound`."""
        with writing(self._engine) as session:
            row = _locked(session, connection_id)
            row.export_user = name
            session.add(row)
            wake_runs_over(session, col(Connection.id) == connection_id, self._now())

    def set_needs_sign_in(self, connection_id: int, *, needed: bool) -> None:
        with writing(self._engine) as session:
            _set_needs_sign_in(session, connection_id, needed=needed)

    def share(self, connection_id: int, *, contributors: bool) -> None:
        """Whether contributors may use it."""
        with writing(self._engine) as session:
            row = session.get(Connection, connection_id)
            if row is not None:
                row.contributors = contributors
                session.add(row)

    def rename(self, connection_id: int, name: str) -> None:
        """Give it another name. Raises `Conflict` when that is taken, `NotFound` when the connection is gone."""
        try:
            with writing(self._engine) as session:
                row = session.get(Connection, connection_id)
                if row is None:
                    raise NotFound(_GONE)
                row.name, row.name_key = name, name.casefold()
                session.add(row)
        except IntegrityError:
            raise Conflict(
                f'There is a connection "{name}" already. Choose another name.'
            ) from None

    def export_names(self) -> dict[int, list[str]]:
        """The exports over each connection, by the connection's id; names in order."""
        found: dict[int, list[str]] = {}
        with reading(self._engine) as session:
            rows = session.exec(
                select(Export.connection_id, Export.name)
                .where(col(Export.connection_id).is_not(None))
                .order_by(col(Export.name_key))
            ).all()
        for connection_id, name in rows:
            if connection_id is not None:
                found.setdefault(connection_id, []).append(name)
        return found

    def remove(self, connection_id: int, *, by: str, exports_too: bool = False) -> None:
        """Remove it with its tokens; runs stay, without it, and so do its exports unless `exports_too`.

        Live runs are stopped. Raises `NotFound`.
        """
        ledgers = self._get_ledgers()
        with writing(self._engine) as session:
            row = _locked(session, connection_id)
            stop_runs_of(session, row, by, self._now(), ledgers)
            if exports_too:
                session.exec(delete(Export).where(col(Export.connection_id) == connection_id))
            session.exec(delete(Connection).where(col(Connection.id) == connection_id))

    def _agree(
        self, session: Session, connection_id: int, agreed_by: str, text_version: str
    ) -> None:
        row = _locked(session, connection_id)
        session.add(self._consent(row, agreed_by, text_version))
        wake_runs_over(session, col(Connection.id) == connection_id, self._now())

    def _consent(self, connection: Connection, agreed_by: str, text_version: str) -> Consent:
        return Consent(
            connection_id=connection.id,
            connection_name=connection.name,
            agreed_by=agreed_by,
            agreed_at=self._now(),
            text_version=text_version,
        )


def _views(session: Session, rows: Sequence[Connection]) -> list[ConnectionView]:
    ids = [row.id for row in rows]
    counts = dict(
        session.exec(
            select(Export.connection_id, func.count())
            .where(col(Export.connection_id).in_(ids))
            .group_by(col(Export.connection_id))
        ).all()
    )
    consents = {
        consent.connection_id: consent
        for consent in session.exec(
            select(Consent).where(col(Consent.connection_id).in_(ids)).order_by(col(Consent.id))
        )
    }
    renewed = dict(
        session.exec(
            select(Token.connection_id, Token.issued_at).where(col(Token.connection_id).in_(ids))
        ).all()
    )
    names = {row.export_user.casefold() for row in rows}
    people = {
        user.email: user for user in session.exec(select(User).where(col(User.email).in_(names)))
    }
    return [
        ConnectionView(
            connection=row,
            agreed_by=consent.agreed_by if consent else None,
            agreed_at=consent.agreed_at if consent else None,
            exports=counts.get(row.id, 0),
            text_version=consent.text_version if consent else None,
            has_export_user=_may_lend_his_right(people.get(row.export_user.casefold())),
            renewed_at=renewed.get(row.id),
        )
        for row, consent in ((row, consents.get(row.id)) for row in rows)
    ]


def _may_lend_his_right(user: User | None) -> bool:
    """Who is not among the people has the machine, and keeps what it allows."""
    return user is None or role_of(user) == ADMINISTRATOR


def _locked(session: Session, connection_id: int) -> Connection:
    row = session.get(Connection, connection_id, with_for_update=True)
    if row is None:
        raise NotFound(_GONE)
    return row


def _set_needs_sign_in(session: Session, connection_id: int | None, *, needed: bool) -> None:
    row = session.get(Connection, connection_id)
    if row is not None and row.needs_sign_in != needed:
        row.needs_sign_in = needed
        session.add(row)
