"""A process that is stopped in the middle of a change: who waits for it is told, or is freed by the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from ccexport.errors import StoreError
from ccexport.store.database import engine as engine_module
from ccexport.store.database.engine import open_engine, reading, snapshot, writing
from ccexport.store.database.holding import Holder, holder_of_write_lock
from tests.kit.standstill import stopped_writer
from tests.kit.stores import ready_postgres


def add_one(engine: Engine) -> int:
    with writing(engine) as session:
        session.connection().execute(text("UPDATE counter SET n = n + 1"))
        return int(session.connection().execute(text("SELECT n FROM counter")).scalar_one())


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path / 'store.db'}")
    yield engine
    engine.dispose()


@pytest.fixture
def postgresql(postgres_url: str) -> Iterator[Engine]:
    engine = open_engine(ready_postgres(postgres_url))
    yield engine
    engine.dispose()


def test_those_who_wait_for_a_stopped_process_are_told_which_one_it_is_and_what_to_do(
    sqlite: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stopped_writer(sqlite) as stopped:
        monkeypatch.setattr(engine_module, "BUSY_TIMEOUT_SECONDS", 1)
        impatient = open_engine(sqlite.url.render_as_string())
        with pytest.raises(StoreError, match=f"process {stopped.pid} was stopped") as refused:
            add_one(impatient)
        assert f"`kill -9 {stopped.pid}`" in str(refused.value)
        assert len(str(refused.value).splitlines()) == 1
        assert holder_of_write_lock(sqlite) == Holder(stopped.pid, is_stopped=True)
        assert stopped.goes_on() == "committed"
        assert add_one(sqlite) == 101
        assert holder_of_write_lock(sqlite) is None
        impatient.dispose()


def test_a_stopped_process_that_is_killed_leaves_nothing_of_its_change(sqlite: Engine) -> None:
    with stopped_writer(sqlite):
        pass  # killed at the end
    assert add_one(sqlite) == 1


def test_who_holds_the_lock_himself_is_not_told_of_himself(sqlite: Engine) -> None:
    with writing(sqlite):
        assert holder_of_write_lock(sqlite) is None


def test_postgresql_ends_the_change_of_a_process_that_stands_still(postgresql: Engine) -> None:
    with stopped_writer(postgresql) as stopped:
        assert add_one(postgresql) == 1, "the row is free without the process going on"
        assert "stood still in the middle of a change. Nothing was changed" in stopped.goes_on()
    assert add_one(postgresql) == 2


def test_a_limit_that_the_server_has_is_left_and_a_snapshot_may_take_its_time(
    postgresql: Engine,
) -> None:
    asked = text(f"SHOW {engine_module._STANDSTILL}")
    with reading(postgresql) as session:
        assert session.connection().execute(asked).scalar_one() == "1min"
        name = session.connection().execute(text("SELECT current_database()")).scalar_one()
    with snapshot(postgresql) as connection:
        assert connection.execute(asked).scalar_one() == "0"
    with reading(postgresql) as session:
        assert session.connection().execute(asked).scalar_one() == "1min"
    with writing(postgresql) as session:
        set_here = f"ALTER DATABASE {name} SET {engine_module._STANDSTILL} = '7s'"
        session.connection().execute(text(set_here))
    postgresql.dispose()
    with reading(postgresql) as session:
        assert session.connection().execute(asked).scalar_one() == "7s"
