"""The guard: a run that would change much of its list waits with its numbers until it is answered, on each database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ccexport.errors import Conflict, NotAllowed, NotFound
from ccexport.runs.guard import Change
from ccexport.sandbox.server import running_sandbox
from ccexport.services.connections.connections import Connections
from ccexport.services.exports.exports import Exports
from ccexport.services.people.access import Person, Role
from ccexport.services.people.users import Users
from ccexport.services.runs.runs import Runs
from ccexport.store.audit import AuditFilter
from tests.kit.house import (
    ANA,
    OTHER_LIST_ID,
    House,
    behaviour,
    check_sums,
    furnished,
    people,
    write_source,
)
from tests.runs.changing import change, counts, renamed, said

pytestmark = pytest.mark.one_store
THREE_HUNDRED = people(300)
IMPORT = "contactsCSVImport"


@pytest.fixture
def house(tmp_path: Path, database_url: str) -> Iterator[House]:
    """Three hundred people on the list, by a first run of an export in mode `changes`."""
    with (
        running_sandbox(behaviour()) as sandbox,
        furnished(
            tmp_path, sandbox, THREE_HUNDRED, database_url=database_url, mode="changes"
        ) as house,
    ):
        first = house.run()
        assert (first["state"], first["guard"], len(house.members())) == ("succeeded", None, 300)
        yield house


def hold(house: House, new: int = 120) -> dict[str, Any]:
    """So many more people come; the run of it waits."""
    write_source(house.source, people(300 + new))
    document = house.run()
    assert (document["state"], document["waiting_for"]) == ("waiting", "approval"), document
    return document


def asked(sent: int, *, placed: int = 300, by: str | None = None) -> dict[str, object]:
    return {"percent": 20, "sent": sent, "removed": 0, "placed": placed, "approved_by": by}


@pytest.mark.parametrize(
    ("sent", "removed", "placed", "guard", "is_large"),
    [
        (61, 0, 300, 20, False),  # fewer than a hundred
        (100, 0, 300, 20, True),
        (99, 99, 300, 20, False),  # each for itself
        (0, 100, 300, 20, True),
        (200, 0, 1_000, 20, False),  # not more than its share
        (201, 0, 1_000, 20, True),
        (0, 201, 1_000, 20, True),
        (1_000, 0, 1_000, 100, False),
        (1_001, 0, 1_000, 100, True),
        (100, 0, 100_000, 0, True),
        (100_000, 100_000, 1_000, None, False),  # off
        (100_000, 0, 0, 20, False),  # nobody is placed: a first run
    ],
)
def test_what_is_large_is_more_than_the_share_and_a_hundred_people(
    sent: int, removed: int, placed: int, guard: int | None, is_large: bool
) -> None:
    assert Change(sent, removed, placed).is_large(guard) is is_large


@pytest.mark.each_store
def test_a_large_change_waits_with_its_numbers_and_is_sent_once_approved(house: House) -> None:
    before = len(house.requests(IMPORT))
    document = hold(house)
    assert document["guard"] == asked(120)
    assert document["counts"] | {"read": 420, "new": 120, "unchanged": 300} == document["counts"]
    assert len(house.requests(IMPORT)) == before
    house.work()
    assert house.document(document["id"])["state"] == "waiting", "nobody has answered"

    Runs(house.installation).approve(document["id"], by=ANA)
    house.work()
    document = house.document(document["id"])
    assert (document["state"], document["guard"]) == ("succeeded", asked(120, by=ANA.name))
    assert counts(document) == {"new": 120, "changed": 0, "unchanged": 300, "suppressed": 0}
    assert len(house.members()) == 420
    assert house.run()["guard"] is None, "an approval is of one run"


def test_who_goes_again_since_a_file_of_theirs_failed_is_not_asked_about(house: House) -> None:
    change(house, "Newsletter", mode="full")
    house.tell("/_sandbox/behaviour", faults=[{"on": IMPORT, "do": "activity_failed"}])
    assert house.run()["state"] == "failed"
    house.tell("/_sandbox/behaviour", faults=[])
    assert house.run()["state"] == "succeeded"


@pytest.mark.each_store
def test_a_run_that_is_declined_ends_canceled_and_sends_nothing(house: House) -> None:
    before, run_id = len(house.requests(IMPORT)), hold(house)["id"]
    Runs(house.installation).decline(run_id, by=ANA)
    document = house.document(run_id)
    assert document["state"] == "canceled"
    assert document["error"] == (
        "ana declined it: 120 people sent, of 300 placed there before. Nothing was sent."
    )
    assert said(house, run_id, "declined") == ["120 people sent, of 300 placed there before"]
    house.work()
    assert (len(house.requests(IMPORT)), len(house.members())) == (before, 300)
    write_source(house.source, THREE_HUNDRED)
    assert counts(house.run())["unchanged"] == 300, "the ledger is as it was"


def test_a_held_run_whose_source_changes_is_prepared_anew_and_asks_again(house: House) -> None:
    run_id = hold(house)["id"]
    write_source(house.source, people(460))
    Runs(house.installation).approve(run_id, by=ANA)
    house.work()
    document = house.document(run_id)
    assert (document["state"], document["guard"]) == ("waiting", asked(160))
    assert len(house.members()) == 300
    Runs(house.installation).approve(run_id, by=ANA)
    house.work()
    assert house.document(run_id)["state"] == "succeeded"
    assert len(house.members()) == 460


def test_a_held_run_whose_source_is_mended_goes_on_without_a_further_question(house: House) -> None:
    run_id = hold(house)["id"]
    write_source(house.source, people(310))
    Runs(house.installation).approve(run_id, by=ANA)
    house.work()
    assert house.document(run_id)["state"] == "succeeded"
    assert len(house.members()) == 310


def test_whoever_leaves_the_list_while_the_run_waits_stays_away(house: House) -> None:
    run_id = hold(house)["id"]
    house.take_off("person7@example.com")
    Runs(house.installation).approve(run_id, by=ANA)
    house.work()
    document = house.document(run_id)
    assert counts(document) == {"new": 120, "changed": 0, "unchanged": 299, "suppressed": 1}
    assert "person7@example.com" not in house.members()


@pytest.mark.parametrize("mode", ["changes", "full"])
def test_the_preview_says_what_the_run_then_does(house: House, mode: str) -> None:
    exports = Exports(house.installation)
    change(house, "Newsletter", mode=mode)
    for count, asks in ((399, False), (400, True)):
        write_source(house.source, people(count))
        found = exports.preview("Newsletter", by=ANA)
        assert exports.asks_first(found, "Newsletter") is asks
    assert house.run()["waiting_for"] == "approval"


def test_changed_lines_count_as_new_people_do(house: House) -> None:
    write_source(house.source, renamed(THREE_HUNDRED, *range(1, 101)))
    assert house.run()["guard"] == asked(100)


@pytest.mark.parametrize("what", ["few", "off", "pressed in full", "another list", "mode full"])
def test_what_nobody_is_asked_about(house: House, what: str) -> None:
    after = people(300 + (99 if what == "few" else 120))
    if what == "mode full":  # sends everybody each time: who is in it already says nothing
        change(house, "Newsletter", mode="full")
        after = people(310)
    if what == "off":
        change(house, "Newsletter", guard="off")
    if what == "another list":
        change(house, "Newsletter", list_id=OTHER_LIST_ID)
    write_source(house.source, after)
    document = house.run(resync=what == "pressed in full")
    check_sums(document)
    assert (document["state"], document["guard"]) == ("succeeded", None)


def test_mode_full_asks_where_many_are_new_and_not_since_the_mapping_changed(house: House) -> None:
    change(house, "Newsletter", mode="full", mapping="first_name=LastName")
    assert house.run()["state"] == "succeeded"
    write_source(house.source, people(420))
    assert house.run()["guard"] == asked(120)


def test_a_changed_mapping_sends_everybody_in_mode_changes_and_is_asked_about(house: House) -> None:
    change(house, "Newsletter", mapping="first_name=LastName")
    assert house.run()["guard"] == asked(300)


def test_a_first_run_that_was_cut_short_does_not_make_the_next_one_ask(
    tmp_path: Path, database_url: str
) -> None:
    with running_sandbox(behaviour()) as sandbox:
        house = House(tmp_path, sandbox, database_url=database_url)
        write_source(house.source, people(150))
        house.connect()
        house.add_export(mode="changes")
        faults = [{"on": IMPORT, "do": "reject_rows", "lines": list(range(2, 132))}]
        house.tell("/_sandbox/behaviour", faults=faults)
        assert house.run()["state"] == "completed_with_errors"
        house.tell("/_sandbox/behaviour", faults=[])
        document = house.run()
        assert (document["state"], document["guard"]) == ("succeeded", None)
        assert counts(document)["new"] == 130
        house.close()


@pytest.mark.parametrize("mode", ["changes", "full"])
def test_a_source_without_profiles_is_told_and_changes_nothing(house: House, mode: str) -> None:
    change(house, "Newsletter", mode=mode, guard="off")
    write_source(house.source, THREE_HUNDRED, [("nobody", "All")])
    document = house.run()
    assert document["state"] == "completed_with_errors"
    assert "300 people were placed on the list before" in document["error"]
    assert len(house.members()) == 300
    write_source(house.source, THREE_HUNDRED)
    assert house.run()["counts"]["removed"] == 0
    assert len(house.members()) == 300


@pytest.mark.each_store
def test_only_a_run_that_asks_is_answered_and_once(house: House) -> None:
    runs, run_id = Runs(house.installation), hold(house)["id"]
    with pytest.raises(NotFound, match="no run 99"):
        runs.approve(99, by=ANA)
    with pytest.raises(Conflict, match="asks with other numbers by now"):
        runs.approve(run_id, by=ANA, seen={"sent": 1})
    runs.approve(run_id, by=ANA)
    for answer in (runs.approve, runs.decline):
        with pytest.raises(Conflict, match="ana has approved run"):
            answer(run_id, by=ANA)
    house.work()
    with pytest.raises(Conflict, match="has ended already"):
        runs.decline(run_id, by=ANA)


@pytest.mark.each_store
def test_an_answer_is_audited_and_refused_to_whom_may_not_run_the_export(house: House) -> None:
    users, runs, run_id = Users(house.installation), Runs(house.installation), hold(house)["id"]
    Connections(house.installation).share("Marketing", contributors=True, by=ANA)
    users.add("ben@example.com", Role.CONTRIBUTOR, by=ANA)
    ben = Person("ben@example.com", Role.CONTRIBUTOR, "ben@example.com", "10.1.2.3")
    users.change("ben@example.com", Role.VIEWER, by=ANA)  # their page is open all the while
    with pytest.raises(NotAllowed, match="may approve runs that ask first; your role is viewer"):
        runs.approve(run_id, by=ben)
    users.change("ben@example.com", Role.CONTRIBUTOR, by=ANA)
    runs.approve(run_id, by=ben)
    rows = house.installation.audit.page(AuditFilter(action="run.approve"))
    assert [(row.who, row.outcome) for row in rows] == [
        ("ben@example.com", "done"),
        ("ben@example.com", "refused"),
    ]
    assert rows[0].before is not None
    assert rows[0].before["asks"] == asked(120)


@pytest.mark.parametrize("how", ["lowered", "removed"])
def test_an_approval_of_somebody_who_lost_the_right_before_the_run_went_on_is_withdrawn(
    house: House, how: str
) -> None:
    users, runs, run_id = Users(house.installation), Runs(house.installation), hold(house)["id"]
    for email in ("eve@example.com", "else@example.com"):
        users.add(email, Role.ADMINISTRATOR, by=ANA)
    runs.approve(run_id, by=Person("eve@example.com", Role.ADMINISTRATOR, "eve@example.com"))
    if how == "lowered":
        users.change("eve@example.com", Role.VIEWER, by=ANA)
    else:
        users.remove("eve@example.com", by=ANA)
    house.work()
    document = house.document(run_id)
    assert (document["state"], document["guard"]) == ("waiting", asked(120))
    assert said(house, run_id, "approval withdrawn") == ["eve@example.com may not give it any more"]
    assert len(house.members()) == 300
