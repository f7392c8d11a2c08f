"""The lists of a connection's account as they were when somebody last asked Constant Contact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine
from sqlmodel import col, delete

from ccexport.clock import Now, utc_now
from ccexport.store.database.engine import reading, writing
from ccexport.store.database.tables import ListCache


@dataclass(frozen=True)
class KnownList:
    """A list of the account; `members` is None where the account did not say."""

    list_id: str
    name: str
    members: int | None = None


class ListCacheStore:
    """Keeps the lists of each connection."""

    def __init__(self, engine: Engine, now: Now = utc_now) -> None:
        self._engine = engine
        self._now = now

    def read(self, connection_id: int) -> tuple[datetime, list[KnownList]] | None:
        """Since when, and which, in the order they were kept; None where nobody has asked yet."""
        with reading(self._engine) as session:
            row = session.get(ListCache, connection_id)
        return None if row is None else (row.as_of, [KnownList(**each) for each in row.lists])

    def write(self, connection_id: int, lists: Sequence[KnownList]) -> datetime:
        """Replace what is kept; gives the time it is kept as of."""
        as_of = self._now()
        kept = [
            {"list_id": each.list_id, "name": each.name, "members": each.members} for each in lists
        ]
        with writing(self._engine) as session:
            session.exec(delete(ListCache).where(col(ListCache.connection_id) == connection_id))
            session.add(ListCache(connection_id=connection_id, as_of=as_of, lists=kept))
        return as_of
