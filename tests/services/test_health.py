"""What `doctor` and System find from outside: each trouble by itself, and none where all is well."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ccexport.clock import utc_now
from ccexport.errors import SetupError
from ccexport.installation import Installation
from ccexport.sandbox.server import RunningSandbox, running_sandbox
from ccexport.services.operations.backups import Backups
from ccexport.services.operations.health import Finding, examine
from ccexport.states import RunState
from ccexport.store.database import engine as engine_module
from ccexport.store.moves import Held
from ccexport.store.runs import Wait
from ccexport.store.vault import sealed
from ccexport.store.vault.backups import BackupStore
from tests.kit.house import ANA, House, behaviour, people, write_source
from tests.kit.standstill import stopped_writer


@pytest.fixture(scope="module")
def stand_in() -> Iterator[RunningSandbox]:
    with running_sandbox(behaviour()) as running, pytest.MonkeyPatch.context() as patch:
        patch.setattr(running.state.limits, "admits_token", lambda: True)
        yield running


@pytest.fixture
def house(tmp_path: Path, stand_in: RunningSandbox) -> Iterator[House]:
    house = House(tmp_path, stand_in)
    write_source(house.source, people(3))
    house.connect()
    house.add_export()
    yield house
    house.close()


def bad(house: House, *, after: timedelta = timedelta()) -> dict[str, str]:
    """What is not well, as somebody sees it who looks a while later."""
    installation = Installation(house.settings, lambda: utc_now() + after)
    try:
        findings = list(examine(installation))
    finally:
        installation.close()
    assert all(isinstance(each, Finding) and "\n" not in each.text for each in findings)
    return {each.subject: each.text for each in findings if not each.ok and each.subject != "clock"}


def works(house: House, worker: str) -> None:
    house.installation.workers.started(worker, host="h", pid=1, version="1")


def test_all_is_well_after_a_run(house: House) -> None:
    house.run()
    assert bad(house) == {}


def test_runs_and_no_worker(house: House) -> None:
    house.queue()
    assert "python -m ccexport worker" in bad(house)["workers"]
    works(house, "elsewhere")
    assert bad(house) == {}
    assert set(bad(house, after=timedelta(minutes=2))) == {"workers"}


def test_a_worker_that_was_killed_on_this_machine_is_none(house: House) -> None:
    house.queue()
    from ccexport.processes import new_worker_name

    host, machine, _, random = new_worker_name().split("/")
    works(house, f"{host}/{machine}/4194304/{random}")  # above the highest process number
    assert set(bad(house)) == {"workers"}


@pytest.mark.parametrize("wait_seconds", [None, 60])
def test_a_run_that_waits_for_a_person_is_not_stuck_and_one_whose_time_has_come_is(
    house: House, wait_seconds: int | None
) -> None:
    run_id = house.queue()
    held = hold(house, run_id)
    until = utc_now() + timedelta(seconds=wait_seconds) if wait_seconds else None
    house.installation.runs.move(held, RunState.PREPARING)
    house.installation.runs.wait(held, Wait("service" if until else "sign_in", until, ""))
    works(house, "elsewhere")
    assert "runs" not in bad(house)
    later = bad(house, after=timedelta(days=1))
    assert ("runs" in later) is (until is not None)
    if until:
        assert "no worker has taken it since" in later["runs"]


def test_a_run_whose_worker_fell_silent(house: House) -> None:
    run_id = house.queue()
    hold(house, run_id)
    assert "runs" not in bad(house, after=timedelta(minutes=3))
    found = bad(house, after=timedelta(minutes=10))["runs"]
    assert f"run {run_id}" in found
    assert "its worker fell silent" in found


def test_a_run_that_is_held_while_nothing_happens(house: House) -> None:
    run_id = house.queue()
    hold(house, run_id)
    house.installation.runs._now = lambda: utc_now() + timedelta(hours=7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ccexport.services.operations.health.NOBODY_TAKES_IT", timedelta(days=1))
        assert "nothing has happened since" in bad(house, after=timedelta(hours=7))["runs"]


def hold(house: House, run_id: int) -> Held:
    assert house.installation.runs.claim("elsewhere", run_id=run_id) is not None
    return Held(run_id, "elsewhere")


def test_a_disk_that_is_nearly_full(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")  # as shutil's own
    monkeypatch.setattr(
        "ccexport.services.operations.health.shutil.disk_usage",
        lambda _path: usage(10**12, 10**12, 9 * 10**8),
    )
    assert "only 0.9 GB are free" in bad(house)["disk"]


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_off(house: House, hours: int) -> None:
    installation = Installation(house.settings, lambda: utc_now() + timedelta(hours=hours))
    [found] = [each for each in examine(installation) if each.subject == "clock"]
    installation.close()
    assert not found.ok
    assert "s away from Constant Contact's. Set this machine's clock" in found.text
    assert 3500 < int(found.text.split()[0]) < 3700


def test_files_that_others_may_read(house: House) -> None:
    house.run()
    path = next(house.settings.data_dir.rglob("contacts.parquet"))
    path.chmod(0o640)
    assert f"{path} is open to other users" in bad(house)["files"]
    path.chmod(0o600)
    house.settings.data_dir.chmod(0o755)
    assert "chmod -R go=" in bad(house)["files"]


def test_everything_that_a_run_leaves_is_for_its_owner_alone(house: House) -> None:
    house.run()
    folder = house.settings.data_dir
    for path in (folder, *folder.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_backups_that_fail_end_never_or_are_no_longer_made(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealed, "_SCRYPT_N", 1 << 10)
    backups, path = Backups(house.installation), tmp_path / "store.backup"
    assert bad(house) == {}
    backups.make(path, "correct horse battery", by=ANA)
    assert "backups" not in bad(house)
    assert "the last good one is of" in bad(house, after=timedelta(days=9))["backups"]
    with pytest.raises(SetupError):
        backups.make(tmp_path / "nowhere" / "b", "correct horse battery", by=ANA)
    found = bad(house)["backups"]
    assert "failed" in found
    assert "the last good one is of" in found
    backups.make(path, "correct horse battery", by=ANA)
    assert "backups" not in bad(house)
    BackupStore(house.installation.engine).started("killed")
    assert "backups" not in bad(house)
    assert "never ended" in bad(house, after=timedelta(hours=2))["backups"]


def test_a_process_that_was_stopped_while_it_wrote_is_named(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stopped_writer(house.installation.engine) as stopped:
        monkeypatch.setattr(engine_module, "BUSY_TIMEOUT_SECONDS", 1)
        found = bad(house)
        assert found["store"].startswith(f"nobody can write to it: process {stopped.pid} was")
        assert f"process {stopped.pid} was stopped" in found['connection "Marketing"']
        assert stopped.goes_on() == "committed"
        assert bad(house) == {}
