"""Workers killed while a connection goes, or while a run begins to wait for its administrator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ccexport.services.connections.connections import Connections
from ccexport.services.people.access import Person, Role
from ccexport.services.people.users import Users
from tests.crash.conftest import CrashHouse
from tests.crash.killed_worker import KILLED, Doom
from tests.kit.house import ANA

OLIVIA, OSCAR = (
    Person(email, Role.ADMINISTRATOR, email)
    for email in ("olivia@example.com", "oscar@example.com")
)


@pytest.mark.parametrize(
    ("point", "left"),
    [
        ("preparing", []),
        ("intent committed", ["sending", "canceled"]),  # whether it arrived is not known
        ("posted", ["sending", "canceled"]),
        ("outcome committed", ["submitted", "canceled"]),
    ],
)
def test_a_connection_is_removed_after_the_worker_of_its_run_was_killed(
    crash_house: Callable[..., CrashHouse], point: str, left: list[str]
) -> None:
    crash = crash_house()
    run_id = crash.house.queue()
    assert crash.work_in_process(Doom("at", point)) == KILLED, crash.said()
    _remove(crash)
    sent = len(crash.house.requests())
    crash.house.work()
    _check_ended(crash.house.document(run_id), left)
    assert len(crash.house.requests()) == sent


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_worker_is_killed_while_it_ends_a_run_whose_connection_is_gone(
    crash_house: Callable[..., CrashHouse], when: str
) -> None:
    crash = crash_house()
    run_id = crash.house.queue()
    assert crash.work_in_process(Doom("at", "outcome committed")) == KILLED, crash.said()
    _remove(crash)
    doom = Doom(when, "RunStore.end_without_connection")
    assert crash.work_in_process(doom) == KILLED, crash.said()
    crash.house.work()
    _check_ended(crash.house.document(run_id), ["submitted", "canceled"])


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_worker_is_killed_while_a_run_begins_to_wait_for_an_export_user(
    crash_house: Callable[..., CrashHouse], when: str
) -> None:
    crash = crash_house()
    connections, users = Connections(crash.house.installation), Users(crash.house.installation)
    for person in (OLIVIA, OSCAR):
        users.add(person.name, person.role, by=ANA)
    connections.become_export_user("Marketing", by=OLIVIA)
    users.remove(OLIVIA.name, by=ANA)
    run_id = crash.house.queue()
    assert crash.work_in_process(Doom(when, "RunStore.wait")) == KILLED, crash.said()
    crash.house.work()
    assert crash.house.document(run_id)["waiting_for"] == "approval"
    assert crash.house.requests("contactsCSVImport") == []
    connections.become_export_user("Marketing", by=OSCAR)
    crash.check(run_id, crash.finish(run_id))


def _remove(crash: CrashHouse) -> None:
    Connections(crash.house.installation).remove("Marketing", by=ANA)


def _check_ended(document: dict[str, Any], left: list[str]) -> None:
    assert document["state"] == "canceled"
    assert 'The connection "Marketing" was removed' in document["error"]
    assert [batch["state"] for batch in document["batches"]] == left
