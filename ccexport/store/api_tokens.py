"""Tokens of the API, by the hash of each, and the runs that their keys started."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, delete, select

from ccexport.clock import Now, utc_now
from ccexport.errors import Conflict
from ccexport.store.database.api_tables import ApiStart, ApiToken, ApiTokenExport
from ccexport.store.database.engine import reading, writing
from ccexport.store.database.tables import Export

KEPT = timedelta(days=1)  # how long a key gives the same run again
USED_EVERY = timedelta(minutes=1)  # the last use is kept to the minute, so that few calls write


@dataclass(frozen=True)
class TokenView:
    """A token and the exports it may reach, by name; `all_exports`: every one, later ones too."""

    token: ApiToken
    export_ids: frozenset[int]
    export_names: tuple[str, ...]


@dataclass(frozen=True)
class StartOnce:
    """What makes a start that is asked for again the same run: whose key, and what it was for."""

    token_id: int
    key: str
    asked: str


@dataclass(frozen=True)
class Started:
    """The run that a key started, and what was asked for."""

    run_id: int
    asked: str


class ApiTokenStore:
    """Who may call the API."""

    def __init__(self, engine: Engine, now: Now = utc_now) -> None:
        self._engine = engine
        self._now = now

    def all(self) -> list[TokenView]:
        """By name."""
        with reading(self._engine) as session:
            tokens = session.exec(select(ApiToken).order_by(col(ApiToken.name_key))).all()
            return [_view(session, token) for token in tokens]

    def find(self, name: str) -> TokenView | None:
        return self._one(ApiToken.name_key == name.strip().casefold())

    def by_digest(self, digest: str) -> TokenView | None:
        return self._one(ApiToken.digest == digest)

    def add(self, token: ApiToken, export_ids: Collection[int]) -> None:
        """Raises `Conflict` where the name was taken, or an export removed, meanwhile."""
        try:
            with writing(self._engine) as session:
                session.add(token)
                session.flush()
                for export_id in export_ids:
                    session.add(ApiTokenExport(token_id=token.id, export_id=export_id))
        except IntegrityError:
            raise Conflict("Somebody was faster. Look at the tokens again.") from None

    def used(self, token: ApiToken) -> None:
        """It was used now; a row that said so within the last minute stays as it is."""
        now = self._now()
        if token.last_used_at is not None and now - token.last_used_at < USED_EVERY:
            return
        with writing(self._engine) as session:
            row = session.get(ApiToken, token.id)
            if row is not None:
                row.last_used_at = now
                session.add(row)

    def remove(self, token_id: int) -> None:
        """With its keys and its scope; what it started stays."""
        with writing(self._engine) as session:
            session.exec(delete(ApiToken).where(col(ApiToken.id) == token_id))

    def started(self, once: StartOnce) -> Started | None:
        """What this key started within the last day."""
        with reading(self._engine) as session:
            row = session.get(ApiStart, (once.token_id, once.key))
            if row is None or row.at <= self._now() - KEPT:
                return None
            return Started(row.run_id, row.asked)

    def _one(self, condition: bool) -> TokenView | None:
        with reading(self._engine) as session:
            token = session.exec(select(ApiToken).where(condition)).first()
            return _view(session, token) if token is not None else None


def start_once(session: Session, once: StartOnce, run_id: int, now: datetime) -> None:
    """Keep which run the key started, in the transaction that queues it. Keys older than a day go."""
    session.exec(delete(ApiStart).where(col(ApiStart.at) <= now - KEPT))
    session.add(
        ApiStart(token_id=once.token_id, key=once.key, at=now, run_id=run_id, asked=once.asked)
    )


def _view(session: Session, token: ApiToken) -> TokenView:
    rows = session.exec(
        select(Export.id, Export.name)
        .where(col(Export.id) == ApiTokenExport.export_id, ApiTokenExport.token_id == token.id)
        .order_by(col(Export.name_key))
    ).all()
    return TokenView(
        token, frozenset(export_id for export_id, _ in rows), tuple(name for _, name in rows)
    )
