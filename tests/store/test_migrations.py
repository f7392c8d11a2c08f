"""The database is brought to this code's tables, or refused with one line."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text
from sqlmodel import SQLModel

from ccexport.errors import StoreError
from ccexport.store.database import migrate as migrate_module
from ccexport.store.database import tables
from ccexport.store.database.engine import open_engine, reading, writing
from ccexport.store.database.migrate import migrate


def test_migrated_tables_are_the_tables_of_the_code(engine: Engine) -> None:
    assert tables.Run.metadata is SQLModel.metadata
    with reading(engine) as session:
        context = MigrationContext.configure(session.connection(), opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []


def test_a_database_newer_than_the_code_is_refused_in_one_line(engine: Engine) -> None:
    with writing(engine) as session:
        session.connection().execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match=r"made by a newer ccexport.*9999") as caught:
        migrate(engine)
    assert "\n" not in str(caught.value)


def test_a_failed_migration_leaves_the_old_database_as_it_was(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_engine(empty_database_url)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("in the middle")

    monkeypatch.setattr("alembic.op.create_index", fail)
    with pytest.raises(RuntimeError, match="in the middle"):
        migrate(engine)
    monkeypatch.undo()
    assert inspect(engine).get_table_names() == []
    migrate(engine)
    assert "run" in inspect(engine).get_table_names()
    engine.dispose()


def test_processes_that_start_together_migrate_once(empty_database_url: str) -> None:
    engines = [open_engine(empty_database_url) for _ in range(4)]
    failures: list[BaseException] = []

    def start(engine: Engine) -> None:
        try:
            migrate(engine)
        except BaseException as error:  # noqa: BLE001  # whatever it is, the test shows it
            failures.append(error)

    threads = [threading.Thread(target=start, args=(engine,)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for engine in engines:
        engine.dispose()


def test_a_file_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"this is no database, whatever its name says" * 50)
    engine = open_engine(f"sqlite:///{path}")
    with pytest.raises(StoreError, match="is damaged"):
        migrate(engine)
    engine.dispose()


def test_a_store_that_cannot_be_reached_is_one_line_without_its_password() -> None:
    engine = open_engine("postgresql+psycopg://ana:hunter2@127.0.0.1:1/none")
    with pytest.raises(StoreError, match="cannot be reached") as caught:
        migrate(engine)
    assert "hunter2" not in str(caught.value)


def test_the_sqlite_file_and_its_folder_are_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "store.db"
    engine = open_engine(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_the_newest_revision_is_known_without_alembic() -> None:
    folder = Path(migrate_module.__file__).parent / "migrations"
    scripts = ScriptDirectory(str(folder))
    assert migrate_module._head() == scripts.get_current_head()
