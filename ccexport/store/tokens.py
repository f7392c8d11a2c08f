"""Token pairs, encrypted, and the lease that lets one process at a time renew a pair."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, update

from ccexport.clock import Now, utc_now
from ccexport.errors import NotFound
from ccexport.store.database.engine import reading, writing
from ccexport.store.database.tables import Token
from ccexport.store.vault.keys import Keys

RENEWAL_LEASE = timedelta(seconds=90)  # longer than the token endpoint's two time-outs together


@dataclass(frozen=True)
class StoredPair:
    """A decrypted pair as bytes of the caller's own form; `version` grows with each new one."""

    content: bytes
    version: int
    expires_at: datetime
    issued_at: datetime

    def __repr__(self) -> str:
        return f"StoredPair(version={self.version}, expires_at={self.expires_at})"


class TokenStore:
    """Reads and replaces the pair of a connection."""

    def __init__(self, engine: Engine, keys: Keys, now: Now = utc_now) -> None:
        self._engine = engine
        self._keys = keys
        self._now = now

    def read(self, connection_id: int) -> StoredPair | None:
        with reading(self._engine) as session:
            row = session.get(Token, connection_id)
        if row is None:
            return None
        return StoredPair(self._keys.decrypt(row.pair), row.version, row.expires_at, row.issued_at)

    def write(self, connection_id: int, content: bytes, expires_at: datetime) -> None:
        """Replace the pair and end any lease; when this returns, the new pair is on disk.

        Raises `NotFound` where the connection was removed meanwhile: then no pair is kept.
        """
        try:
            self._write(connection_id, content, expires_at)
        except IntegrityError:
            raise NotFound("This connection has been removed.") from None

    def _write(self, connection_id: int, content: bytes, expires_at: datetime) -> None:
        with writing(self._engine) as session:
            row = session.get(Token, connection_id, with_for_update=True)
            secret = self._keys.encrypt(content)  # under the lock: a key is not dropped meanwhile
            version = row.version + 1 if row else 1
            row = row or Token(
                connection_id=connection_id,
                pair=secret,
                version=version,
                expires_at=expires_at,
                issued_at=self._now(),
            )
            row.pair, row.version, row.expires_at = secret, version, expires_at
            row.issued_at, row.renewed_by, row.renewed_until = self._now(), None, None
            session.add(row)

    def take_lease(self, connection_id: int, owner: str, version: int) -> bool:
        """Become the one who renews, if the pair is still `version` and nobody else does."""
        now = self._now()
        with writing(self._engine) as session:
            taken = session.exec(
                update(Token)
                .where(
                    col(Token.connection_id) == connection_id,
                    col(Token.version) == version,
                    col(Token.renewed_by).is_(None)
                    | (col(Token.renewed_until) < now)
                    | (
                        col(Token.renewed_until) > now + 2 * RENEWAL_LEASE
                    ),  # the clock was set back
                )
                .values(renewed_by=owner, renewed_until=now + RENEWAL_LEASE)
            )
            return bool(taken.rowcount)

    def lease_holder(self, connection_id: int) -> str | None:
        """Who renews just now, or did when it died."""
        with reading(self._engine) as session:
            row = session.get(Token, connection_id)
        return row.renewed_by if row else None

    def give_lease_back(self, connection_id: int, owner: str) -> None:
        with writing(self._engine) as session:
            session.exec(
                update(Token)
                .where(col(Token.connection_id) == connection_id, col(Token.renewed_by) == owner)
                .values(renewed_by=None, renewed_until=None)
            )
