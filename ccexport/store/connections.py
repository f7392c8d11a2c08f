"""Connections, with the consent given for each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, delete, func, select

from ccexport.clock import Now, utc_now
from ccexport.errors import Conflict, NotFound
from ccexport.store.engine import reading, writing
from ccexport.store.tables import Connection, Consent, Export, Run, Token


@dataclass(frozen=True)
class ConnectionView:
    """A connection with what the list of connections says of it."""

    connection: Connection
    agreed_by: str | None
    agreed_at: datetime | None
    exports: int
    renewed_at: datetime | None = None  # since when its present refresh token lives

    def unused_days(self, now: datetime) -> int:
        """Days since its sign-in was last renewed, which every use after a day does."""
        return 0 if self.renewed_at is None else max(0, (now - self.renewed_at).days)


class ConnectionStore:
    """Questions and changes about connections."""

    def __init__(self, engine: Engine, now: Now = utc_now) -> None:
        self._engine = engine
        self._now = now

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
            raise NotFound("This connection has been removed.")
        return connection

    def views(self) -> list[ConnectionView]:
        """All connections by name, each with its latest consent and how many exports use it."""
        with reading(self._engine) as session:
            counts = dict(
                session.exec(
                    select(Export.connection_id, func.count()).group_by(col(Export.connection_id))
                ).all()
            )
            consents = {
                consent.connection_id: consent
                for consent in session.exec(select(Consent).order_by(col(Consent.id)))
            }
            renewed = dict(session.exec(select(Token.connection_id, Token.issued_at)).all())
            rows = session.exec(select(Connection).order_by(col(Connection.name_key))).all()
        return [
            _view(row, consents.get(row.id), counts.get(row.id, 0), renewed.get(row.id))
            for row in rows
        ]

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
            session.add(self._consent(connection, agreed_by, text_version))
            _set_needs_sign_in(session, connection.id, needed=False)

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
                    raise NotFound("This connection has been removed.")
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

    def remove(self, connection_id: int, *, exports_too: bool = False) -> None:
        """Remove it with its tokens; runs stay, without it, and so do its exports unless `exports_too`.

        Raises `Conflict` while a run is live.
        """
        with writing(self._engine) as session:
            live = session.exec(
                select(Run.id).where(
                    Run.connection_id == connection_id, col(Run.finished_at).is_(None)
                )
            ).first()
            if live is not None:
                raise Conflict(
                    f"Run {live} still uses this connection. Cancel it (`runs cancel {live}`) or wait for its end."
                )
            if exports_too:
                session.exec(delete(Export).where(col(Export.connection_id) == connection_id))
            session.exec(delete(Connection).where(col(Connection.id) == connection_id))

    def _consent(self, connection: Connection, agreed_by: str, text_version: str) -> Consent:
        return Consent(
            connection_id=connection.id,
            connection_name=connection.name,
            agreed_by=agreed_by,
            agreed_at=self._now(),
            text_version=text_version,
        )


def _view(
    row: Connection, consent: Consent | None, exports: int, renewed_at: datetime | None
) -> ConnectionView:
    if consent is None:
        return ConnectionView(row, None, None, exports, renewed_at)
    return ConnectionView(row, consent.agreed_by, consent.agreed_at, exports, renewed_at)


def _set_needs_sign_in(session: Session, connection_id: int | None, *, needed: bool) -> None:
    row = session.get(Connection, connection_id)
    if row is not None and row.needs_sign_in != needed:
        row.needs_sign_in = needed
        session.add(row)
