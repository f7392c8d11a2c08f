"""Brings the database to this code's tables, under a lock, when a process starts."""

from __future__ import annotations

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from ccexport.errors import StoreError
from ccexport.store.engine import reading, writing

logging.getLogger("alembic").setLevel(logging.WARNING)  # it reports each look at the revision

_ADVISORY_LOCK = 0x6363_6578  # any number, the same in all our processes


def migrate(engine: Engine) -> None:
    """Apply what is missing, all or nothing. Raises `StoreError` when the database is newer than the code."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    scripts = ScriptDirectory.from_config(config)
    with reading(engine) as session:
        if _revision(session.connection()) == scripts.get_current_head():
            return
    with writing(engine) as session:
        connection = session.connection()
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
        _refuse_newer(connection, scripts, engine)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_newer(connection: Connection, scripts: ScriptDirectory, engine: Engine) -> None:
    revision = _revision(connection)
    known = {script.revision for script in scripts.walk_revisions()}
    if revision is not None and revision not in known:
        where = engine.url.render_as_string(hide_password=True)
        raise StoreError(
            f'The store {where} was made by a newer ccexport (its revision "{revision}" is unknown here). '
            "Install that version or a newer one; nothing was changed."
        )
