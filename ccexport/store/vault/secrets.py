"""What the store holds encrypted, all of it at once: which key each was made with, and renewing it under the newest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from sqlalchemy import Engine, text
from sqlmodel import Session, SQLModel, col, select

from ccexport.store.database.engine import reading, writing
from ccexport.store.database.tables import OAuthSignIn, RunAddresses, Token, Webhook
from ccexport.store.vault.keys import Keys

# every column that `Keys.encrypt` fills
ENCRYPTED: tuple[tuple[type[SQLModel], str], ...] = (
    (Token, "pair"),
    (OAuthSignIn, "verifier"),
    (RunAddresses, "rows"),
    (RunAddresses, "staying"),
    (Webhook, "secret"),
    (Webhook, "old_secret"),
)


class SecretStore:
    """Questions and changes about everything that is encrypted in the store."""

    def __init__(self, engine: Engine, keys: Keys) -> None:
        self._engine = engine
        self._keys = keys

    def by_key(self) -> Counter[str | None]:
        """How many were made with each key, by its name; None: with a key that is not here."""
        with reading(self._engine) as session:
            keys = [self._keys.key_of(secret) for _row, _name, secret in _secrets(session)]
        return Counter(key.name if key else None for key in keys)

    def renew(self, before: Callable[[], None] = lambda: None) -> int:
        """Encrypt under the newest key whatever is not; how many that were.

        Nobody stores a sign-in meanwhile; `before` is called under that lock. Raises `StoreError` for a secret that
        none of the keys made; then nothing was changed.
        """
        with writing(self._engine) as session:
            _lock(session)
            before()
            return renew_secrets(session, self._keys)


def renew_secrets(session: Session, keys: Keys) -> int:
    """As `SecretStore.renew`, inside the caller's transaction."""
    newest, renewed = keys.newest, 0
    for row, name, secret in list(_secrets(session)):
        key = keys.key_of(secret)
        if key is None or key.name != newest.name:
            setattr(row, name, keys.encrypt(keys.decrypt(secret)))
            session.add(row)
            renewed += 1
    session.flush()
    return renewed


def _lock(session: Session) -> None:
    """SQLite's write lock is held from the first statement on; PostgreSQL is told."""
    if session.connection().dialect.name == "postgresql":
        session.connection().execute(
            text("LOCK TABLE token, oauth_sign_in, run_addresses, webhook IN EXCLUSIVE MODE")
        )
    else:
        session.connection().execute(text("SELECT 1"))


def _secrets(session: Session) -> Iterator[tuple[SQLModel, str, bytes]]:
    for table, name in ENCRYPTED:
        for row in session.exec(select(table).where(col(getattr(table, name)).is_not(None))):
            if secret := getattr(row, name):  # nothing is kept as nothing
                yield row, name, secret
