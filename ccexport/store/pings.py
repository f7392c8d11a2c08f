"""The calls that exports' ping addresses are still to get. Taken out before they are made: there is one try."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Engine
from sqlmodel import col, select

from ccexport.store.database.engine import reading, writing
from ccexport.store.database.tables import Export
from ccexport.store.database.telling_tables import Ping

if TYPE_CHECKING:
    from ccexport.store.vault.keys import Keys

MAX_TAKEN = 100


@dataclass(frozen=True)
class Pings:
    """What the address of one export is to hear, in order."""

    url: str
    suffixes: tuple[str, ...]


class PingStore:
    """What is to be called, and no longer is once it was taken."""

    def __init__(self, engine: Engine, keys: Keys) -> None:
        self._engine = engine
        self._keys = keys

    def take(self) -> list[Pings]:
        """The oldest ones, by export."""
        oldest = select(Ping).order_by(col(Ping.id)).limit(MAX_TAKEN)
        with reading(self._engine) as session:  # mostly there is none: that takes no lock
            if session.exec(oldest).first() is None:
                return []
        suffixes: dict[int, list[str]] = defaultdict(list)
        with writing(self._engine) as session:
            for row in session.exec(oldest.with_for_update(skip_locked=True)).all():
                suffixes[row.export_id].append(row.suffix)
                session.delete(row)
            which = col(Export.id).in_(suffixes) & col(Export.ping).is_not(None)
            sealed = dict(session.exec(select(Export.id, Export.ping).where(which)).all())
        return [
            Pings(self._keys.decrypt(sealed[each] or b"").decode(), tuple(heard))
            for each, heard in suffixes.items()
            if each in sealed  # else it was taken away meanwhile
        ]
