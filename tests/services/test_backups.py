"""Backups: what was there comes back on either database, nothing is sent twice after it, and trouble is one line."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, text

from ccexport.clock import utc_now
from ccexport.errors import Conflict, SetupError, StoreError
from ccexport.installation import Installation
from ccexport.sandbox.server import RunningSandbox, running_sandbox
from ccexport.services.operations.backups import Backups
from ccexport.store.database.engine import open_engine, writing
from ccexport.store.database.migrate import upgrade
from ccexport.store.vault import dump as dump_module
from ccexport.store.vault import sealed
from ccexport.store.vault.backups import BackupStore
from ccexport.store.vault.dump import dump_lines, tables_of
from ccexport.store.vault.keys import KEY_FILE
from ccexport.worker import Worker
from tests.crash.conftest import two_files_of_people
from tests.kit.house import ANA, House, behaviour, check_sums, write_source
from tests.kit.stores import drop_database, ready_postgres

pytestmark = pytest.mark.one_store
PASSPHRASE = "correct horse battery"


@pytest.fixture(autouse=True)
def _quick_passphrases(monkeypatch: pytest.MonkeyPatch) -> None:
    """A guess costs little here."""
    monkeypatch.setattr(sealed, "_SCRYPT_N", 1 << 10)


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox(behaviour()) as running:
        yield running


@pytest.fixture
def house(tmp_path: Path, database_url: str, sandbox: RunningSandbox) -> Iterator[House]:
    """A connection and an export whose runs have two files."""
    house = House(tmp_path / "old", sandbox, database_url=database_url)
    write_source(house.source, two_files_of_people())
    house.connect()
    house.add_export()
    yield house
    house.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def new_house(request: pytest.FixtureRequest, tmp_path: Path, house: House) -> Iterator[House]:
    """Another machine with the same source and an empty store, of each kind."""
    url = None
    if request.param == "postgresql":
        url = ready_postgres(request.getfixturevalue("postgres_url"))
    new = House(tmp_path / "new", house.sandbox, database_url=url)
    new.source.parent.mkdir(exist_ok=True)
    new.source.symlink_to(house.source)
    yield new
    new.close()
    if url:
        drop_database(request.getfixturevalue("postgres_url"), url)


def contents(
    engine: Engine, *, without: tuple[str, ...] = ("worker", "backup", "audit_event")
) -> dict[str, Any]:
    """Every row of every table."""
    with engine.connect() as connection:
        tables = tables_of(connection).sorted_tables
        return {
            table.name: [
                {name: str(_plain(value)) for name, value in row._mapping.items()}
                for row in connection.execute(select(table).order_by(*table.primary_key))
            ]
            for table in tables
            if table.name not in without
        }


def _plain(value: Any) -> Any:
    value = bytes(value) if isinstance(value, memoryview) else value
    return value.replace(tzinfo=None) if hasattr(value, "tzinfo") else value


def at_point(house: House, point: str, act: Callable[[], object]) -> None:
    """Work until nothing is left; once, when a run reaches the point, act beside it."""
    worker, acted = Worker(house.installation), threading.Event()

    def reached(name: str) -> None:
        if name == point and not acted.is_set():
            acted.set()
            act()

    worker.tools = dataclasses.replace(worker.tools, reached=reached)
    worker.work(until_idle=True)
    assert acted.is_set()


def imported_files(house: House) -> list[str]:
    return [each["file_name"] for each in house.requests("contactsCSVImport")]


@pytest.mark.each_store
def test_everything_comes_back_on_another_machine_and_either_database(
    house: House, new_house: House, tmp_path: Path
) -> None:
    house.run()
    before, path = contents(house.installation.engine), tmp_path / "store.backup"
    made = Backups(house.installation).make(path, PASSPHRASE, by=ANA)
    assert path.stat().st_mode & 0o777 == 0o600
    assert made.bytes == path.stat().st_size
    assert [each.name for each in tmp_path.iterdir() if each.name.endswith(".tmp")] == []
    restored = Backups(new_house.installation).restore(path, PASSPHRASE, replace=False, by=ANA)
    assert (restored.rows, restored.canceled_runs) == (made.rows, [])
    said = [event.action for event in new_house.installation.audit.all_since(None)]
    assert said[-2:] == ["backup.make", "backup.restore"]
    after = contents(new_house.installation.engine)
    # that no run file is here is the one thing that is new
    assert _without_files(after) == _without_files(before)
    old_key, new_key = (each.settings.data_dir / KEY_FILE for each in (house, new_house))
    assert new_key.read_text() == old_key.read_text()
    document = new_house.run()
    assert (document["id"], document["state"]) == (2, "succeeded")


def _without_files(found: dict[str, Any]) -> dict[str, Any]:
    runs = [{**row, "files_deleted_at": ""} for row in found["run"]]
    return {**found, "run": runs}


def test_no_address_token_or_key_is_in_the_file(house: House, tmp_path: Path) -> None:
    house.run()
    path = tmp_path / "store.backup"
    Backups(house.installation).make(path, PASSPHRASE, by=ANA)
    content = path.read_bytes()
    key = (house.settings.data_dir / KEY_FILE).read_text().strip()
    for word in (b"example.com", b"Newsletter", b"connection", b"ccexport-run", key.encode()):
        assert word not in content


@pytest.mark.each_store
def test_a_run_goes_on_after_a_restore_and_no_file_is_imported_twice(
    house: House, new_house: House, tmp_path: Path
) -> None:
    """The backup is taken before the first file is sent; the run then ends, and the store is lost."""
    path = tmp_path / "store.backup"
    run_id = house.queue()
    at_point(
        house, "batches stored", lambda: Backups(house.installation).make(path, PASSPHRASE, by=ANA)
    )
    assert house.document(run_id)["state"] == "succeeded"
    assert len(imported_files(house)) == 2
    assert (
        Backups(new_house.installation)
        .restore(path, PASSPHRASE, replace=False, by=ANA)
        .canceled_runs
        == []
    )
    assert new_house.document(run_id)["state"] == "uploading"
    new_house.work()
    document = new_house.document(run_id)
    check_sums(document)
    assert document["state"] == "succeeded"
    assert document["counts"]["accepted"] == 20
    assert len(imported_files(house)) == 2, "a file was imported twice"
    assert len(new_house.members()) == 20


def test_a_file_that_was_never_sent_is_sent_after_a_restore(house: House, tmp_path: Path) -> None:
    path = tmp_path / "store.backup"
    run_id = house.queue()

    def back_up_and_stop() -> None:
        Backups(house.installation).make(path, PASSPHRASE, by=ANA)
        raise StoreError("the machine is lost")

    worker = Worker(house.installation)
    worker.tools = dataclasses.replace(
        worker.tools,
        reached=lambda point: back_up_and_stop() if point == "intent committed" else None,
    )
    held = house.installation.runs.claim(worker.id)
    assert held is not None
    worker._perform(held)
    assert imported_files(house) == []
    Backups(house.installation).restore(path, PASSPHRASE, replace=True, by=ANA)
    house.work()
    assert house.document(run_id)["state"] == "succeeded"
    assert len(imported_files(house)) == len(set(imported_files(house))) == 2


def test_a_run_without_files_is_canceled_since_it_may_have_gone_on(
    house: House, tmp_path: Path
) -> None:
    path = tmp_path / "store.backup"
    run_id = house.queue()
    Backups(house.installation).make(path, PASSPHRASE, by=ANA)
    house.work()
    restored = Backups(house.installation).restore(path, PASSPHRASE, replace=True, by=ANA)
    assert restored.canceled_runs == [run_id]
    house.work()
    assert house.document(run_id)["state"] == "canceled"
    assert len(imported_files(house)) == 2
    events = {event.what: event.detail for event in house.installation.runs.events(run_id)}
    assert "cannot be known" in events["restored"]


def test_files_that_constant_contact_may_have_forgotten_are_not_sent_again(
    house: House, tmp_path: Path
) -> None:
    path = tmp_path / "store.backup"
    run_id = house.queue()
    at_point(
        house, "batches stored", lambda: Backups(house.installation).make(path, PASSPHRASE, by=ANA)
    )
    later = Installation(house.settings, lambda: utc_now() + timedelta(days=10))
    restored = Backups(later).restore(path, PASSPHRASE, replace=True, by=ANA)
    later.close()
    assert restored.canceled_runs == [run_id]
    house.work()
    assert house.document(run_id)["state"] == "canceled"
    assert len(imported_files(house)) == 2


def test_a_sign_in_that_was_renewed_after_the_backup_is_asked_for_again(
    house: House, tmp_path: Path
) -> None:
    path = tmp_path / "store.backup"
    Backups(house.installation).make(path, PASSPHRASE, by=ANA)
    token = house.installation.tokens.access_token(1)
    house.installation.tokens.renewed(1, token)
    house.tell("/_sandbox/revoke")
    Backups(house.installation).restore(path, PASSPHRASE, replace=True, by=ANA)
    run_id = house.queue()
    house.work()
    document = house.document(run_id)
    assert (document["state"], document["waiting_for"]) == ("waiting", "sign_in")
    house.connect()
    house.work()
    assert house.document(run_id)["state"] == "succeeded"


@pytest.mark.each_store
def test_a_backup_holds_one_moment_though_others_write(house: House, tmp_path: Path) -> None:
    """Each transaction adds one to two tables; whatever the moment, both have grown by the same."""
    engine, stop, path = house.installation.engine, threading.Event(), tmp_path / "store.backup"
    other = open_engine(house.settings.database_url)

    def write() -> None:
        number = 0
        while not stop.is_set() and number < 5_000:
            number += 1
            with writing(other) as session:
                connection = session.connection()
                connection.execute(text(_AGREED), {"name": f"n{number}"})
                connection.execute(text(_APPLICATION), {"name": f"n{number}"})

    writer = threading.Thread(target=write)
    counts: list[list[int]] = []
    writer.start()
    try:
        for _ in range(10):
            lines = list(dump_lines(engine, {}))
            counts.append(
                [sum(b'"n' in line and mark in line for line in lines) for mark in _MARKS]
            )
        Backups(house.installation).make(path, PASSPHRASE, by=ANA)
    finally:
        stop.set()
        writer.join()
        other.dispose()
    assert counts[-1][0] > counts[0][0], "nobody wrote meanwhile"
    assert all(agreed == used for agreed, used in counts), counts


_AGREED = (
    "INSERT INTO consent (connection_name, agreed_by, agreed_at, text_version) "
    "VALUES (:name, 'agreed-mark', '2026-01-01 00:00:00', '1')"
)
_APPLICATION = (
    "INSERT INTO api_usage (application, next_slot, day, used, exhausted) "
    "VALUES (:name, 0.5, '2031-01-01', 7, false)"
)
_MARKS = (b"agreed-mark", b"2031-01-01")


@pytest.mark.each_store
def test_an_older_backup_is_brought_to_todays_tables(
    tmp_path: Path, database_url: str, sandbox: RunningSandbox
) -> None:
    """Tables as the first version made them, with one export; dumped by today's code."""
    old = open_engine(database_url)
    with writing(old) as session:
        upgrade(session.connection(), "0001")
        session.connection().execute(text(_OLD_EXPORT))
    house = House(tmp_path / "new", sandbox)
    path = tmp_path / "store.backup"
    backups = Backups(house.installation)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "ccexport.services.operations.backups.dump_lines",
            lambda _engine, about: dump_lines(old, about),
        )
        backups.make(path, PASSPHRASE, by=ANA)
    old.dispose()
    assert backups.restore(path, PASSPHRASE, replace=False, by=ANA).rows == 1
    assert house.installation.exports.by_name("Newsletter").export.list_id == "L"
    assert house.installation.workers.alive() == []
    house.close()


_OLD_EXPORT = (
    "INSERT INTO export (name, name_key, list_id, list_name, mode, schedule, revision, created_by, created_at, "
    "updated_at) VALUES ('Newsletter', 'newsletter', 'L', 'List', 'full', 'off', 1, 'ana', "
    "'2026-01-01 00:00:00', '2026-01-01 00:00:00')"
)


def test_a_store_that_holds_something_is_not_overwritten_unasked(
    house: House, tmp_path: Path
) -> None:
    path = tmp_path / "store.backup"
    Backups(house.installation).make(path, PASSPHRASE, by=ANA)
    house.run()
    before = contents(house.installation.engine)
    with pytest.raises(Conflict, match="--replace"):
        Backups(house.installation).restore(path, PASSPHRASE, replace=False, by=ANA)
    assert contents(house.installation.engine) == before
    house.installation.workers.started("elsewhere", host="elsewhere", pid=1, version="1")
    with pytest.raises(Conflict, match=r"Workers are alive \(elsewhere\)"):
        Backups(house.installation).restore(path, PASSPHRASE, replace=True, by=ANA)
    assert contents(house.installation.engine) == before
    house.installation.workers.stopped("elsewhere")
    Backups(house.installation).restore(path, PASSPHRASE, replace=True, by=ANA)
    assert house.installation.runs.latest(limit=9) == []


def test_a_damaged_file_or_a_wrong_passphrase_changes_nothing(house: House, tmp_path: Path) -> None:
    path, broken = tmp_path / "store.backup", tmp_path / "broken.backup"
    Backups(house.installation).make(path, PASSPHRASE, by=ANA)
    before, content = contents(house.installation.engine), path.read_bytes()
    with pytest.raises(StoreError, match="does not open with this passphrase"):
        Backups(house.installation).restore(path, PASSPHRASE + "!", replace=True, by=ANA)
    flipped = bytearray(content)
    flipped[-1] ^= 1
    for damaged in (bytes(flipped), content[:-5], content[:40], content + b"more", b"nothing", b""):
        broken.write_bytes(damaged)
        with pytest.raises(StoreError) as caught:
            Backups(house.installation).restore(broken, PASSPHRASE, replace=True, by=ANA)
        assert "\n" not in str(caught.value)
        assert "broken.backup" in str(caught.value)
    with pytest.raises(SetupError, match="cannot be read"):
        Backups(house.installation).restore(tmp_path / "none", PASSPHRASE, replace=True, by=ANA)
    assert contents(house.installation.engine) == before


@pytest.mark.each_store
def test_what_fails_half_way_leaves_the_store_and_its_run_files(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.run()
    path = tmp_path / "store.backup"
    Backups(house.installation).make(path, PASSPHRASE, by=ANA)
    before, files = contents(house.installation.engine), list(house.installation.run_files.all())

    def fail(*_: object) -> None:
        raise StoreError("in the middle")

    monkeypatch.setattr(dump_module, "count_on", fail)
    with pytest.raises(StoreError, match="in the middle"):
        Backups(house.installation).restore(path, PASSPHRASE, replace=True, by=ANA)
    assert contents(house.installation.engine) == before
    assert list(house.installation.run_files.all()) == files


def test_a_file_that_is_no_backup_is_not_replaced_and_the_failure_is_recorded(
    house: House, tmp_path: Path
) -> None:
    path = tmp_path / "important.db"
    path.write_bytes(b"something else")
    with pytest.raises(SetupError, match="is not a backup"):
        Backups(house.installation).make(path, PASSPHRASE, by=ANA)
    with pytest.raises(SetupError, match="cannot be written: No such file"):
        Backups(house.installation).make(tmp_path / "nowhere" / "store.backup", PASSPHRASE, by=ANA)
    assert path.read_bytes() == b"something else"
    Backups(house.installation).make(tmp_path / "store.backup", PASSPHRASE, by=ANA)
    Backups(house.installation).make(tmp_path / "store.backup", PASSPHRASE, by=ANA)
    attempts = BackupStore(house.installation.engine).latest()
    assert [bool(each.error) for each in attempts] == [False, False, True, True]
    assert all(each.finished_at for each in attempts)
    assert str(tmp_path) not in attempts[0].file
