"""The disk is full: while preparing, while the store or a new sign-in is written, while logging. Nothing is lost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ccexport.sandbox.server import running_sandbox
from tests.crash.conftest import shorten_tokens
from tests.crash.killed_worker import WorkerProcess
from tests.crash.small_disk import SmallDisk, small_disk
from tests.kit.house import House, behaviour, check_sums, people, write_source
from tests.kit.waiting import wait_until

COUNT = 200


@dataclass
class Scene:
    """An installation whose data folder is on a small disk, and its worker, which logs elsewhere."""

    house: House
    disk: SmallDisk
    log: Path

    def start(self) -> WorkerProcess:
        return WorkerProcess(self.house.environment(), self.log)

    def check(self, run_id: int) -> None:
        document = self.house.document(run_id)
        check_sums(document)
        assert document["state"] == "succeeded", document["error"]
        assert len(self.house.members()) == COUNT
        made = [each["activity_id"] for each in self.house.requests("contactsCSVImport")]
        assert len(made) == len(set(made)) == 1

    def lines_of_full_disk(self) -> list[str]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        assert not [line for line in lines if line.startswith("Traceback")], lines
        return [line for line in lines if "is full" in line]


@pytest.fixture
def scene(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Scene]:
    """With `request.param` "elsewhere" the store is not on the small disk."""
    elsewhere = f"sqlite:///{tmp_path / 'store.db'}" if request.param == "elsewhere" else None
    with (
        running_sandbox(behaviour()) as sandbox,
        small_disk(tmp_path / "small" / "var", megabytes=8) as disk,
    ):
        house = House(tmp_path / "small", sandbox, database_url=elsewhere)
        write_source(house.source, people(COUNT))
        house.connect()
        house.add_export()
        yield Scene(house, disk, tmp_path / "log")
        house.close()


@pytest.mark.parametrize("scene", ["elsewhere"], indirect=True)
def test_a_disk_full_while_preparing_is_waited_for_and_said_in_one_line(scene: Scene) -> None:
    scene.house.tell("/_sandbox/behaviour", faults=[pause("getList")])
    run_id = scene.house.queue()
    worker = scene.start()
    wait_until(lambda: bool(scene.house.requests("getList")), "the run is about to prepare")
    scene.disk.fill(worker)
    wait_until(
        lambda: scene.house.document(run_id)["waiting_for"] == "service", "the run waits for room"
    )
    (said,) = {
        e.detail for e in scene.house.installation.runs.events(run_id) if e.what == "waiting"
    }
    assert "is full. Free some space; the run then goes on by itself." in said
    assert "\n" not in said
    scene.disk.make_room(worker)
    assert worker.end() == 0
    scene.check(run_id)


@pytest.mark.parametrize("scene", ["on it"], indirect=True)
def test_a_disk_full_under_the_store_is_waited_for_and_said_in_one_line(scene: Scene) -> None:
    scene.house.tell("/_sandbox/behaviour", faults=[pause("contactsCSVImport")])
    run_id = scene.house.queue()
    worker = scene.start()
    wait_until(lambda: bool(scene.house.requests("contactsCSVImport")), "the file is sent")
    scene.disk.fill(worker)
    wait_until(lambda: bool(scene.lines_of_full_disk()), "the worker says what is wrong")
    scene.disk.make_room(worker)
    assert worker.end() == 0
    assert len(scene.lines_of_full_disk()) <= 3, "the same trouble is told again and again"
    scene.check(run_id)


@pytest.mark.parametrize("scene", ["on it"], indirect=True)
def test_a_new_sign_in_that_meets_a_full_disk_is_kept_until_there_is_room(scene: Scene) -> None:
    """The old refresh token is spent by then: were the new pair lost, a person would have to sign in."""
    shorten_tokens(scene.house, 60)
    scene.house.tell("/_sandbox/behaviour", faults=[pause("token:refresh_token")])
    run_id = scene.house.queue()
    worker = scene.start()
    wait_until(lambda: bool(renewals(scene)), "the sign-in is renewed")
    scene.disk.fill(worker)
    wait_until(lambda: 200 in renewals(scene), "the new pair is on its way")
    wait_until(lambda: bool(scene.lines_of_full_disk()), "the store was tried")
    scene.disk.make_room(worker)
    assert worker.end() == 0
    scene.check(run_id)
    assert scene.house.ask("/_sandbox/tokens")["spent_refresh_tokens_used"] == 0


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("scene", ["on it"], indirect=True)
def test_a_log_that_cannot_be_written_stops_no_run(scene: Scene, unbuffered: str) -> None:
    """Nor does it make one a failure: what is still in a buffer at the end is lost."""
    run_id = scene.house.queue()
    more = {"CCEXPORT_LOG_LEVEL": "debug", "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "ccexport", "worker", "--until-idle"],
            env=scene.house.environment() | more,
            stderr=full,
            timeout=120,
            check=False,
        )
    assert ended.returncode == 0
    scene.check(run_id)


def renewals(scene: Scene) -> list[int | None]:
    """What each was answered, None where it is not yet."""
    asked = scene.house.requests("token")
    return [each["status"] for each in asked if each["grant_type"] == "refresh_token"]


def pause(operation: str) -> dict[str, object]:
    """Time for the test to fill the disk: the answer comes a second later."""
    return {"on": operation, "do": "delay", "delay_seconds": 1.0}
