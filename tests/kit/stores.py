"""Migrated stores to copy: to migrate takes longer than most tests, and only a few are about it."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from functools import cache
from pathlib import Path

from sqlalchemy import create_engine, make_url, text

from ccexport.store.database.engine import open_engine
from ccexport.store.database.migrate import migrate
from tests.kit.memory import in_memory

_made: dict[str, list[str]] = {}  # server → the databases made there by this process


def ready_sqlite(path: Path) -> str:
    """The URL of a SQLite store at `path` with all tables and no rows; its folder is made."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copy(_sqlite_template(), path)
    path.chmod(0o600)
    return f"sqlite:///{path}"


def ready_postgres(server_url: str) -> str:
    """The URL of a new database with all tables and no rows."""
    return _create(server_url, template=_postgres_template(server_url))


def empty_postgres(server_url: str) -> str:
    """The URL of a new database without tables."""
    return _create(server_url)


def drop_database(server_url: str, url: str) -> None:
    """Leave nothing of a database that was made here: a thousand take 10 GB, of memory where that is their place.

    On a disk it would take longer than to make it; there they go with the server, or at the end.
    """
    if in_memory() is None:
        return
    name = make_url(url).database or ""
    _made[server_url].remove(name)
    _administer(server_url, f"DROP DATABASE {name} WITH (FORCE)")


def drop_databases(server_url: str) -> None:
    """Leave a server that was there before the tests as it was."""
    for name in _made.pop(server_url, []):
        _administer(server_url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def drop_files() -> None:
    """Leave nothing of the stores that were made to copy."""
    if _sqlite_template.cache_info().currsize:
        shutil.rmtree(_sqlite_template().parent)
        _sqlite_template.cache_clear()


@cache
def _sqlite_template() -> Path:
    path = Path(tempfile.mkdtemp(prefix="ccexport-store-")) / "ccexport.db"
    _migrate(f"sqlite:///{path}")
    return path


@cache
def _postgres_template(server_url: str) -> str:
    url = _create(server_url)
    _migrate(url)
    return url.rpartition("/")[2].partition("?")[0]


def _migrate(url: str) -> None:
    engine = open_engine(url)
    migrate(engine)
    engine.dispose()  # also: a template that somebody is connected to cannot be copied


def _create(server_url: str, template: str = "") -> str:
    name = f"ccexport_test_{uuid.uuid4().hex}"
    _made.setdefault(server_url, []).append(name)
    # copied as files: by way of its log, which is the server's choice, it takes twice as long
    _administer(
        server_url, f"CREATE DATABASE {name} TEMPLATE {template or 'template0'} STRATEGY file_copy"
    )
    admin = create_engine(server_url)
    return admin.url.set(database=name).render_as_string(hide_password=False)


def _administer(server_url: str, statement: str) -> None:
    admin = create_engine(server_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(statement))
    admin.dispose()
