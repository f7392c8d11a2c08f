"""A database of the first version, with a run in the middle of its work: upgraded, and the run goes on to its end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, inspect, select

from ccexport.sandbox.server import RunningSandbox, running_sandbox
from ccexport.states import BatchState, RunState
from ccexport.store.database.engine import open_engine, writing
from ccexport.store.database.migrate import migrate, revision_of, upgrade
from ccexport.store.vault.dump import count_on, tables_of
from tests.crash.conftest import two_files_of_people
from tests.kit.house import House, behaviour, check_sums, write_source

FIRST = "0001"
Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox(behaviour()) as running:
        yield running


@pytest.fixture
def old_engine(empty_database_url: str) -> Iterator[Engine]:
    """A database with the tables of the first version."""
    engine = open_engine(empty_database_url)
    with writing(engine) as session:
        upgrade(session.connection(), FIRST)
    yield engine
    engine.dispose()


def rows_of(connection: Connection) -> Rows:
    """Every row of every table, columns by name."""
    return {
        table.name: [
            {
                name: bytes(value) if isinstance(value, memoryview) else value
                for name, value in row.items()
            }
            for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()
        ]
        for table in tables_of(connection).sorted_tables
    }


def put_in_the_middle(connection: Connection, rows: Rows) -> None:
    """What the first version would hold of them, the run with one file done and one not yet sent."""
    for table in tables_of(connection).sorted_tables:
        if table.name in ("alembic_version", "worker"):
            continue
        for row in rows[table.name]:
            known = {name: value for name, value in row.items() if name in table.columns}
            if table.name == "run":
                known |= {"state": RunState.UPLOADING.value, "finished_at": None}
            if table.name == "batch" and row["number"] == max(r["number"] for r in rows["batch"]):
                fresh = {name: None for name in known if table.columns[name].nullable}
                known |= fresh | {
                    "state": BatchState.PENDING.value,
                    "attempts": 0,
                    "failed_rows": 0,
                }
                known["file_name"] = "ccexport-run1-0002-not-sent.csv"
            connection.execute(table.insert(), known)
    count_on(connection, tables_of(connection).tables.values())


def test_a_live_run_of_the_first_version_goes_on_after_the_upgrade(
    tmp_path: Path, old_engine: Engine, empty_database_url: str, sandbox: RunningSandbox
) -> None:
    """A run of today makes the rows; the older tables get what they know of it."""
    first = House(tmp_path, sandbox)
    write_source(first.source, two_files_of_people())
    first.connect()
    first.add_export()
    first.run()
    with first.installation.engine.connect() as connection:
        made = rows_of(connection)
    first.installation.run_files.delete(1)
    first.close()
    with writing(old_engine) as session:
        put_in_the_middle(session.connection(), made)
    with old_engine.connect() as connection:
        before = rows_of(connection)
    assert len(before["batch"]) == 2

    migrate(old_engine)
    with old_engine.connect() as connection:
        after = rows_of(connection)
    assert {name: len(rows) for name, rows in before.items()} == {
        name: len(after[name]) for name in before
    }
    house = House(tmp_path, sandbox, database_url=empty_database_url)
    house.work()
    document = house.document(1)
    check_sums(document)
    assert (document["state"], document["counts"]["accepted"]) == ("succeeded", 20)
    sent = [each["file_name"] for each in house.requests("contactsCSVImport")]
    assert len(sent) == 3
    assert sent[-1] == "ccexport-run1-0002-not-sent.csv"
    assert house.run()["state"] == "succeeded"
    house.close()


def test_a_migration_that_fails_half_way_leaves_the_old_database_as_it_was(
    old_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every step after the first version is made; the last one of all then fails."""
    with old_engine.connect() as connection:
        before = (rows_of(connection), revision_of(connection))
        tables = {name: inspect(connection).get_columns(name) for name in before[0]}
    made = []

    def stamp(*arguments: Any, **options: Any) -> None:
        with_changes = {table.name for table in tables_of(arguments[0].connection).sorted_tables}
        made.append(with_changes)
        if len(made) > 1:
            raise RuntimeError("in the middle")

    monkeypatch.setattr(
        "alembic.runtime.migration.HeadMaintainer.update_to_step", stamp_first(stamp)
    )
    with pytest.raises(RuntimeError, match="in the middle"):
        migrate(old_engine)
    monkeypatch.undo()
    assert made[-1] > set(before[0]), "nothing had been made before it failed"
    with old_engine.connect() as connection:
        assert (rows_of(connection), revision_of(connection)) == before
        for name, columns in tables.items():
            found = inspect(connection).get_columns(name)
            assert [c["name"] for c in found] == [c["name"] for c in columns]
    migrate(old_engine)


def stamp_first(look: Any) -> Any:
    """Alembic's own step, and a look at what there is by then."""
    from alembic.runtime.migration import HeadMaintainer

    original = HeadMaintainer.update_to_step

    def update(self: Any, step: Any) -> None:
        original(self, step)
        self.connection = self.context.connection
        look(self)

    return update
