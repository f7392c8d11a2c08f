"""Consent and export user: without them runs wait and say so; once they are there, runs go on by themselves."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from ccexport.consent import CONSENT_TEXTS, CONSENT_VERSION
from ccexport.preparation.files import cut_files
from ccexport.runs.pipeline import execute_run
from ccexport.sandbox.server import RunningSandbox, running_sandbox
from ccexport.services.connections.connections import Connections, connection_document
from ccexport.services.people.access import Person, Role
from ccexport.services.people.users import Users
from ccexport.states import RunFile, RunState
from ccexport.store.moves import Held
from ccexport.worker import Worker
from tests.kit.house import ANA, House, behaviour, check_sums, furnished, people

OLD, NEW = "olivia@example.com", "oscar@example.com"
pytestmark = pytest.mark.one_store
OLIVIA = Person(OLD, Role.ADMINISTRATOR, OLD)
OSCAR = Person(NEW, Role.ADMINISTRATOR, NEW)
DIGESTS = {  # a text that somebody agreed to is not changed: another text is another version
    "1": "70fdfbd2f032d9a86e36cec788a541f714e9ab750d26b647ee58bad51ee619b2",
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox(behaviour()) as running:
        yield running


@pytest.fixture
def house(tmp_path: Path, database_url: str, sandbox: RunningSandbox) -> Iterator[House]:
    """On each database: an export over a connection that Olivia lends her right; Oscar is an administrator too."""
    with furnished(tmp_path, sandbox, people(10), database_url=database_url) as house:
        for email in (OLD, NEW):
            Users(house.installation).add(email, Role.ADMINISTRATOR, by=ANA)
        Connections(house.installation).become_export_user("Marketing", by=OLIVIA)
        yield house


def agreed_to(house: House, version: str) -> None:
    """The latest consent is one to this text."""
    connection = house.installation.connections.by_name("Marketing")
    house.installation.connections.agree(connection.id, agreed_by="ana", text_version=version)


def sent(house: House) -> int:
    """Files of this house that the sandbox was sent; its runs' numbers are in their names."""
    names = {batch["file_name"] for run in (1, 2) for batch in batches(house, run)}
    return sum(each["file_name"] in names for each in house.requests("contactsCSVImport"))


def batches(house: House, run_id: int) -> list[dict[str, object]]:
    known = {run.id for run in house.installation.runs.latest()}
    return house.document(run_id)["batches"] if run_id in known else []  # type: ignore[no-any-return]  # JSON


def assert_waits(house: House, run_id: int, *words: str) -> None:
    document = house.document(run_id)
    assert (document["state"], document["waiting_for"]) == ("waiting", "approval")
    assert document["waiting_until"] is None  # nothing but a person ends it
    for word in ("Marketing", *words):
        assert word in (house.installation.runs.get(run_id).waiting_detail or "")


def test_consent_texts_do_not_change_under_their_version() -> None:
    assert {
        version: hashlib.sha256(text.encode()).hexdigest()
        for version, text in CONSENT_TEXTS.items()
    } == DIGESTS


def test_consent_to_an_older_text_lets_new_runs_wait_until_an_administrator_agrees(
    house: House,
) -> None:
    agreed_to(house, "0")
    run_id = house.queue()
    house.work()
    assert_waits(house, run_id, "I agree", "connections agree")
    assert not house.installation.run_files.exists(run_id, RunFile.CONTACTS), "the source was read"
    assert sent(house) == 0
    Connections(house.installation).agree("Marketing", by=OSCAR)
    house.work()
    document = house.document(run_id)
    assert document["state"] == "succeeded"
    check_sums(document)
    [view] = Connections(house.installation).views()
    assert (view.agreed_by, view.text_version) == (NEW, CONSENT_VERSION)
    assert view.agreed_at is not None
    assert connection_document(view)["waits_for"] == []


def test_signing_in_again_agrees_again(house: House) -> None:
    agreed_to(house, "0")
    run_id = house.queue()
    house.work()
    house.connect()
    house.work()
    assert house.document(run_id)["state"] == "succeeded"


def test_a_run_that_has_begun_to_send_goes_on_under_the_text_of_then(house: House) -> None:
    run_id = house.queue()
    die_at(house, run_id, "batches stored", lambda: agreed_to(house, "0"))
    house.work()
    assert house.document(run_id)["state"] == "succeeded"


@pytest.mark.each_store
@pytest.mark.parametrize("loses_it", ["removed", "contributor", "viewer"])
def test_export_user_who_loses_the_right_lets_runs_wait_until_another_steps_in(
    house: House, loses_it: str
) -> None:
    users = Users(house.installation)
    if loses_it == "removed":
        users.remove(OLD, by=ANA)
    else:
        users.change(OLD, Role(loses_it), by=ANA)
    run_id = house.queue()
    house.work()
    assert_waits(house, run_id, OLD, "Add yourself as export user")
    assert not house.installation.run_files.exists(run_id, RunFile.CONTACTS), "the source was read"
    [view] = Connections(house.installation).views()
    assert connection_document(view)["waits_for"] == ["export_user"]
    Connections(house.installation).become_export_user("Marketing", by=OSCAR)
    house.work()
    assert house.document(run_id)["state"] == "succeeded"
    [view] = Connections(house.installation).views()
    assert (view.connection.export_user, view.has_export_user) == (NEW, True)


@pytest.mark.parametrize("how", ["set", "added again"])
def test_export_user_who_is_an_administrator_again_lets_runs_go_on(house: House, how: str) -> None:
    users = Users(house.installation)
    if how == "set":
        users.change(OLD, Role.VIEWER, by=ANA)
    else:
        users.remove(OLD, by=ANA)
    run_id = house.queue()
    house.work()
    assert_waits(house, run_id)
    if how == "set":
        users.change(OLD, Role.ADMINISTRATOR, by=ANA)
    else:
        users.add(OLD, Role.ADMINISTRATOR, by=ANA)
    house.work()
    assert house.document(run_id)["state"] == "succeeded"


def test_one_of_two_things_is_not_enough(house: House) -> None:
    agreed_to(house, "0")
    Users(house.installation).remove(OLD, by=ANA)
    run_id = house.queue()
    house.work()
    Connections(house.installation).become_export_user("Marketing", by=OSCAR)
    house.work()
    assert_waits(house, run_id, "I agree")
    Connections(house.installation).agree("Marketing", by=OSCAR)
    house.work()
    assert house.document(run_id)["state"] == "succeeded"


@pytest.mark.each_store
def test_export_user_removed_while_files_go_out_what_is_under_way_is_followed_and_no_more_is_sent(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccexport.preparation.contacts.cut_files", partial(cut_files, max_rows=3))
    run_id = house.queue()
    at(house, run_id, "outcome committed", lambda: Users(house.installation).remove(OLD, by=ANA))
    assert_waits(house, run_id, OLD)
    assert [each["state"] for each in batches(house, run_id)] == [
        "completed",
        "pending",
        "pending",
        "pending",
    ]
    assert sent(house) == 1
    Connections(house.installation).become_export_user("Marketing", by=OSCAR)
    house.work()
    document = house.document(run_id)
    assert (document["state"], document["counts"]["accepted"]) == ("succeeded", 10)
    check_sums(document)
    assert sent(house) == 4


@pytest.mark.each_store
def test_who_steps_in_while_the_waiting_is_being_written_is_not_missed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    Users(house.installation).remove(OLD, by=ANA)
    run_id = house.queue()
    wait = house.installation.runs.wait

    def step_in_first(*args: object) -> object:
        Connections(house.installation).become_export_user("Marketing", by=OSCAR)
        return wait(*args)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(house.installation.runs, "wait", step_in_first)
    house.work()
    assert house.document(run_id)["state"] == "succeeded"


def test_who_has_the_machine_keeps_the_right_that_it_gives(house: House) -> None:
    Connections(house.installation).become_export_user("Marketing", by=ANA)  # nobody of the people
    Users(house.installation).remove(OLD, by=ANA)
    assert house.run()["state"] == "succeeded"


def test_a_run_that_waits_for_an_administrator_can_be_canceled(house: House) -> None:
    Users(house.installation).remove(OLD, by=ANA)
    run_id = house.queue()
    house.work()
    house.installation.runs.request_cancel(run_id, "ana")
    house.work()
    assert house.document(run_id)["state"] == "canceled"
    assert house.installation.runs.get(run_id).state is RunState.CANCELED


def at(house: House, run_id: int, point: str, do: Callable[[], object]) -> None:
    """Perform a run; the first time that it comes to a point, something happens elsewhere."""
    left = [do]

    def reached(name: str) -> None:
        if name == point and left:
            left.pop()()

    assert house.installation.runs.claim("w1", run_id=run_id)
    tools = dataclasses.replace(Worker(house.installation).tools, reached=reached)
    execute_run(Held(run_id, "w1"), tools)


def die_at(house: House, run_id: int, point: str, do: Callable[[], object]) -> None:
    """The same, and there the process dies."""

    def die() -> None:
        do()
        raise SystemExit

    with pytest.raises(SystemExit):
        at(house, run_id, point, die)
    house.installation.runs.release(Held(run_id, "w1"))
