"""Every slot that a store hands out, in order: noted by the database itself, whichever process asks."""

from __future__ import annotations

from sqlalchemy import Engine, text

from ccexport.store.database.engine import reading, writing

_TABLE = "CREATE TABLE slot_seen (next_slot DOUBLE PRECISION NOT NULL)"
_NOTE = "INSERT INTO slot_seen (next_slot) VALUES (NEW.next_slot);"
_WHEN = "WHEN (NEW.next_slot <> OLD.next_slot)"
_SQLITE = (
    f"CREATE TRIGGER note_slot AFTER UPDATE ON api_usage FOR EACH ROW {_WHEN} BEGIN {_NOTE} END",
)
_POSTGRESQL = (
    f"CREATE FUNCTION note_slot() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {_NOTE} RETURN NEW; END'",
    "CREATE TRIGGER note_slot AFTER UPDATE ON api_usage "
    f"FOR EACH ROW {_WHEN} EXECUTE FUNCTION note_slot()",
)


def note_slots(engine: Engine) -> None:
    """From now on."""
    triggers = _SQLITE if engine.dialect.name == "sqlite" else _POSTGRESQL
    with writing(engine) as session:
        for statement in (_TABLE, *triggers):
            session.connection().execute(text(statement))


def noted_slots(engine: Engine, spacing_seconds: float) -> list[float]:
    """When each request was allowed to start, in seconds since 1970."""
    with reading(engine) as session:
        rows = session.connection().execute(text("SELECT next_slot FROM slot_seen"))
        return sorted(row.next_slot - spacing_seconds for row in rows)
