"""Brings the database to this code's tables, under a lock, when a process starts."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

from ccexport.errors import StoreError
from ccexport.store.database.engine import reading, shown_address, writing

if TYPE_CHECKING:
    from alembic.config import Config

logging.getLogger("alembic").setLevel(logging.WARNING)  # it reports each look at the revision

_ADVISORY_LOCK = 0x6363_6578  # any number, the same in all our processes
_FOLDER = Path(__file__).parent / "migrations"


def migrate(engine: Engine) -> None:
    """Apply what is missing, all or nothing. Raises `StoreError` when the database is newer than the code."""
    with reading(engine) as session:
        if revision_of(session.connection()) == _head():
            return  # as nearly always: Alembic, slow to load, is not needed
    _apply(engine)


def _head() -> str:
    """The newest revision of this code; files of migrations begin with their revision."""
    return max(path.name.partition("_")[0] for path in (_FOLDER / "versions").glob("[0-9]*.py"))


def _apply(engine: Engine) -> None:
    with writing(engine) as session:
        connection = session.connection()
        lock_migrations(connection)
        _refuse_newer(connection, engine)
        upgrade(connection)


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Apply what is missing up to a revision, inside the caller's transaction."""
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def lock_migrations(connection: Connection) -> None:
    """Nobody else changes the tables until the caller's transaction ends; SQLite's write lock says the same."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))


def known_revisions() -> set[str]:
    """Every revision that this code can upgrade from."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(_config())
    return {script.revision for script in scripts.walk_revisions()}


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    return config


def revision_of(connection: Connection) -> str | None:
    """What the database's tables are; None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _refuse_newer(connection: Connection, engine: Engine) -> None:
    revision = revision_of(connection)
    if revision is not None and revision not in known_revisions():
        where = shown_address(engine)
        raise StoreError(
            f'The store {where} was made by a newer ccexport (its revision "{revision}" is unknown here). '
            "Install that version or a newer one; nothing was changed."
        )
