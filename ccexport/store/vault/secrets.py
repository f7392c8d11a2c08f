"""What the store holds encrypted, all of it at once: which key each was made with, and renewing it under the newest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from sqlalchemy import Engine, inspect, text
from sqlmodel import Session, SQLModel, select

from ccexport.store.database.engine import reading, writing
from ccexport.store.database.ledger_tables import LedgerKey, LedgerPart, Removal
from ccexport.store.database.tables import Export, OAuthSignIn, RunAddresses, Token
from ccexport.store.database.telling_tables import Notification, Webhook
from ccexport.store.vault.keys import Keys

# every column that `Keys.encrypt` or `Keys.seal` fills
ENCRYPTED: tuple[tuple[type[SQLModel], str], ...] = (
    (Token, "pair"),
    (OAuthSignIn, "verifier"),
    (RunAddresses, "rows"),
    (RunAddresses, "staying"),
    (Webhook, "secret"),
    (Webhook, "old_secret"),
    (Notification, "url"),
    (Export, "ping"),
    (RunAddresses, "observed"),
    (RunAddresses, "leaving"),
    (Removal, "sealed"),
    (LedgerKey, "sealed"),
    (LedgerPart, "sealed"),
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
    for row, name, secret in _secrets(session):
        key = keys.key_of(secret)
        if key is None or key.name != newest.name:
            setattr(row, name, keys.renewed(secret))
            session.add(row)
            session.flush()
            renewed += 1
    return renewed


def _lock(session: Session) -> None:
    """SQLite's write lock is held from the first statement on; PostgreSQL is told."""
    if session.connection().dialect.name == "postgresql":
        session.connection().execute(
            text(
                "LOCK TABLE token, oauth_sign_in, run_addresses, webhook, notification, export, "
                "ledger_key, ledger_part "
                "IN EXCLUSIVE MODE"
            )
        )
    else:
        session.connection().execute(text("SELECT 1"))


def _secrets(session: Session) -> Iterator[tuple[SQLModel, str, bytes]]:
    """Row by row: all ledgers at once would take more memory than a machine may have."""
    for table, name in ENCRYPTED:
        keys = inspect(table).primary_key
        for identity in session.exec(select(*keys)).all():
            row = session.get(table, tuple(identity) if len(keys) > 1 else identity)
            if row is None:
                continue
            if secret := getattr(row, name):  # nothing is kept as nothing
                yield row, name, secret
            session.expunge(row)
