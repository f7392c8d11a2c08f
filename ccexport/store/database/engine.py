"""The engine: one place for what differs between SQLite and PostgreSQL, and for transactions.

`reading` and `writing` are the only ways into the database. `writing` takes SQLite's write lock at once (BEGIN
IMMEDIATE), so a transaction never fails half-way for want of it. Database errors leave this room as `StoreError`.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, OperationalError
from sqlmodel import Session

from ccexport.errors import StoreError
from ccexport.redaction import mask_password
from ccexport.store.database.audited import take_along
from ccexport.store.database.holding import Holder, holder_of_write_lock, say_stopped

BUSY_TIMEOUT_SECONDS = 30
STANDSTILL_SECONDS = (
    60  # as long as a lease: then the server ends a change whose process stands still
)
WAL_TRIES = 100
_LEAST_MASKED = 4  # characters: a shorter password would be found in words
_WRITE = "ccexport_write"
_STANDSTILL = "idle_in_transaction_session_timeout"


def open_engine(url: str) -> Engine:
    """An engine for `url`; makes SQLite's folder (mode 0700). Raises `StoreError`."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError("CCEXPORT_DATABASE_URL is not a database URL.") from None
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(parsed)
    engine = create_engine(
        parsed,
        pool_pre_ping=True,
        pool_size=5,
        max_overflow=20,
        # a pooler such as PgBouncer gives each transaction another of its connections, and what one has prepared
        # another does not know
        connect_args={"prepare_threshold": None},
    )
    if engine.dialect.name == "postgresql":
        event.listen(engine, "connect", _set_up_postgresql)
    return engine


def shown_address(engine: Engine) -> str:
    """Where the store is, without its password."""
    return mask_password(engine.url.render_as_string(hide_password=True))


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """A session for one look at the store."""
    with _errors_translated(engine), Session(engine, expire_on_commit=False) as session:
        yield session


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """A session whose changes are committed, durably, when the block ends without an exception."""
    with (
        _errors_translated(engine),
        engine.execution_options(**{_WRITE: True}).connect() as connection,
        Session(connection, expire_on_commit=False) as session,
    ):
        yield session
        take_along(session)
        session.commit()


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A connection that sees the store as it was at its first look, however long it reads; nobody waits for it."""
    with _errors_translated(engine), engine.connect() as connection:
        if (
            connection.dialect.name == "postgresql"
        ):  # SQLite's WAL gives every transaction a snapshot
            connection = connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            connection.execute(text(f"SET LOCAL {_STANDSTILL} = 0"))  # it locks no row
        yield connection


def _set_up_postgresql(connection: DBAPIConnection, _record: object) -> None:
    """A process that stands still does not keep its locks for ever, unless the server has a limit of its own."""
    cursor = connection.cursor()
    cursor.execute(
        "SELECT set_config(name, %s, false) FROM pg_settings WHERE name = %s AND setting = '0'",
        (f"{STANDSTILL_SECONDS}s", _STANDSTILL),
    )
    cursor.close()
    connection.commit()


def _open_sqlite(url: URL) -> Engine:
    path = Path(url.database or "")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError as error:
        raise StoreError(
            f"The store {path} cannot be made: {error.strerror}. Set CCEXPORT_DATA_DIR to a folder that can be written."
        ) from error
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_SECONDS})
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin_sqlite`
    _use_wal(connection)
    for pragma in (
        "synchronous=FULL",  # a commit is on disk when it returns: token pairs and intents depend on it
        "foreign_keys=ON",
        f"busy_timeout={BUSY_TIMEOUT_SECONDS * 1000}",
        "secure_delete=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch a new file to WAL; while another process does the same SQLite refuses at once, without its time-out."""
    for attempt in range(WAL_TRIES):
        try:
            if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or attempt + 1 == WAL_TRIES:
                raise
            time.sleep(0.05)


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITE)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _errors_translated(engine: Engine) -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise  # the callers know what their constraint means
    except DBAPIError as error:
        raise StoreError(_say(error, engine)) from error


def _without_password(text: str, url: URL) -> str:
    """What a driver quotes of an address, without the password in either spelling."""
    password = str(url.password or "")
    for spelling in (password, quote(password, safe="")):
        if len(spelling) >= _LEAST_MASKED:
            text = text.replace(spelling, "***")
    return text


def _say_locked(where: str, holder: Holder | None) -> str:
    if holder is None:
        return f"The store {where} stayed locked for {BUSY_TIMEOUT_SECONDS} s. Look for a process that holds it."
    if not holder.is_stopped:
        return (
            f"The store {where} stayed locked for {BUSY_TIMEOUT_SECONDS} s by process {holder.pid}. "
            "Wait for it, or end it: what it has not finished is undone."
        )
    return f"The store {where} is locked: {say_stopped(holder)}"


def _say(error: DBAPIError, engine: Engine) -> str:
    cause = str(error.orig).splitlines()[0] if error.orig and str(error.orig) else "no reason given"
    cause, where = _without_password(cause, engine.url), shown_address(engine)
    if "not a database" in cause or "malformed" in cause:
        return f"The store {where} is damaged ({cause}). Restore it from a backup, or move it away to begin anew."
    if "disk is full" in cause or "disk I/O" in cause or "No space left" in cause:
        return f"The disk of the store {where} is full. Make room; runs then go on by themselves."
    if "locked" in cause:
        return _say_locked(where, holder_of_write_lock(engine))
    if "idle-in-transaction" in cause:
        return (
            f"The store {where} gave up waiting for this process, which had stood still in the middle of a change. "
            "Nothing was changed; it goes on by itself."
        )
    if isinstance(error, OperationalError):
        return f"The store {where} cannot be reached ({cause}). Check CCEXPORT_DATABASE_URL and the database server."
    return f"The store {where} answered an error ({cause}). Run `python -m ccexport doctor`."
