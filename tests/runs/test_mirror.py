"""Mode `mirror`: who is in none of the segments any more is taken off the list, and nobody else, on each database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ccexport.runs import removing, waiting
from ccexport.sandbox.server import running_sandbox
from ccexport.services.runs.runs import Runs
from tests.kit.house import ANA, House, behaviour, furnished, people, write_source
from tests.runs.changing import change, counts, put_on_by_hand, renamed, said

pytestmark = pytest.mark.one_store
TEN = people(10)
REMOVE, LOOK_UP, EXPORT = "postListRemoveContact", "getContacts", "postContactsExport"
STRANGER = "stranger@example.com"


@pytest.fixture
def house(tmp_path: Path, database_url: str) -> Iterator[House]:
    """Ten people on the list by a first run of an export in mode `mirror`, and a stranger."""
    with (
        running_sandbox(behaviour()) as sandbox,
        furnished(tmp_path, sandbox, TEN, database_url=database_url, mode="mirror") as house,
    ):
        assert counts(house.run())["new"] == 10
        put_on_by_hand(house, STRANGER)
        yield house


def names(house: House) -> set[str]:
    """Who is on the list, but for the stranger, who always is."""
    members = set(house.members())
    assert STRANGER in members
    return {email.removesuffix("@example.com") for email in members - {STRANGER}}


def persons(*numbers: int) -> set[str]:
    return {f"person{number}" for number in numbers}


def removals(house: House) -> list[dict[str, Any]]:
    return [each for each in house.requests(REMOVE) if each["activity_id"]]


@pytest.mark.each_store
def test_who_left_the_segments_is_taken_off_the_list_and_stays_in_the_account(house: House) -> None:
    write_source(house.source, [*renamed(TEN[2:], 1), *people(1, first=11)])
    document = house.run()
    assert document["state"] == "succeeded", document["error"]
    assert counts(document) == {"new": 1, "changed": 1, "unchanged": 7, "suppressed": 0}
    assert document["counts"]["removed"] == 2
    assert names(house) == persons(*range(3, 12))
    assert len(removals(house)) == 1
    assert said(house, document["id"], "taken off the list") == ["2 of 2 people"]

    again = house.run()
    assert (counts(again)["unchanged"], again["counts"]["removed"]) == (9, 0)
    assert len(removals(house)) == 1
    write_source(house.source, people(11))
    assert counts(house.run()) == {"new": 2, "changed": 1, "unchanged": 8, "suppressed": 0}
    assert names(house) == persons(*range(1, 12))


def test_each_person_once_at_most_so_many_a_request_and_ids_by_the_cheaper_way(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removing, "MAX_IDS_REMOVED", 2)
    write_source(house.source, TEN[1:])
    before = len(house.requests(LOOK_UP))
    assert house.run()["counts"]["removed"] == 1
    assert len(house.requests(LOOK_UP)) == before + 1, "one by its address"

    write_source(house.source, TEN[6:])
    before = len(house.requests(LOOK_UP))
    document = house.run()
    assert document["counts"]["removed"] == 5
    assert said(house, document["id"], "taken off the list") == [
        "2 of 2 people", "2 of 2 people", "1 of 1 people",
    ]  # fmt: skip
    assert len(house.requests(LOOK_UP)) == before + 1, "five by the one page of the list"
    assert names(house) == persons(7, 8, 9, 10)


def test_a_person_with_another_address_has_the_old_one_taken_off(house: House) -> None:
    write_source(house.source, [{**TEN[0], "EMail": "new@example.com"}, *TEN[1:]])
    document = house.run()
    assert (counts(document)["new"], document["counts"]["removed"]) == (1, 1)
    assert names(house) == persons(*range(2, 11)) | {"new"}
    [told] = said(house, document["id"], "addresses changed")
    assert told.endswith("The old one is taken off the list.")


@pytest.mark.parametrize(
    ("email", "first_name", "mapping"),
    [
        ("", "First1", "first_name=FirstName"),
        ("not an address", "First1", "first_name=FirstName"),
        ("person1@example.com", "never", "anniversary=FirstName"),
    ],
)
def test_who_is_in_a_segment_and_cannot_be_sent_this_time_stays_on_the_list(
    house: House, email: str, first_name: str, mapping: str
) -> None:
    change(house, "Newsletter", mode="mirror", mapping=mapping)
    source = [{**each, "FirstName": "2020-01-05"} for each in TEN]
    write_source(
        house.source, [{**source[0], "EMail": email, "FirstName": first_name}, *source[1:]]
    )
    document = house.run()
    assert (document["counts"]["rejected"], document["counts"]["removed"]) == (1, 0)
    assert names(house) == persons(*range(1, 11))


def test_an_address_of_two_profiles_stays_when_the_one_that_was_sent_leaves(house: House) -> None:
    twin = {**TEN[0], "CustomerId": "9999999"}
    write_source(house.source, [*TEN, twin])
    assert house.run()["rejections"] == {"duplicate": 1}
    write_source(house.source, [*TEN[1:], twin])
    document = house.run()
    assert (counts(document)["unchanged"], document["counts"]["removed"]) == (10, 0)
    write_source(house.source, TEN[1:])
    assert house.run()["counts"]["removed"] == 1
    assert names(house) == persons(*range(2, 11))


def test_who_left_the_list_by_themselves_stays_away_and_who_was_put_back_by_hand_is_a_stranger(
    house: House,
) -> None:
    house.take_off("person1@example.com", "person2@example.com")
    write_source(house.source, TEN[1:])
    document = house.run()
    assert (counts(document)["suppressed"], document["counts"]["removed"]) == (1, 0)
    put_on_by_hand(house, "person1@example.com")
    document = house.run()
    assert (counts(document)["suppressed"], document["counts"]["removed"]) == (1, 0)
    assert names(house) == persons(1, *range(3, 11)), "nobody put them there but a person"


def test_an_empty_source_takes_nobody_off_and_the_run_says_so(house: House) -> None:
    write_source(house.source, TEN, [("nobody", "All")])
    document = house.run()
    assert document["counts"]["read"] == document["counts"]["removed"] == 0
    assert document["state"] == "completed_with_errors"
    assert "10 people were placed on the list" in document["error"]
    assert names(house) == persons(*range(1, 11))


@pytest.mark.parametrize(
    "fault",
    [
        {"on": EXPORT, "do": "access_denied", "times": 1},
        {"on": EXPORT, "do": "activity_failed", "times": 1},
        {
            **{"on": "getContactsExport", "do": "answer", "status": 200, "times": 1},
            "body": "Email address\r\nperson1@example.com\r\n",
        },
    ],
    ids=lambda fault: fault["do"],
)
def test_where_the_list_cannot_be_had_nobody_is_taken_off_and_the_next_run_makes_up_for_it(
    house: House, fault: dict[str, Any]
) -> None:
    write_source(house.source, TEN[2:])
    house.tell("/_sandbox/behaviour", faults=[fault])
    document = house.run()
    assert (document["state"], document["counts"]["removed"]) == ("completed_with_errors", 0)
    assert "2 people are in none of the segments any more and stay" in document["error"]
    [told] = said(house, document["id"], "list not read")
    assert told.endswith("or is taken off it.")
    assert len(names(house)) == 10
    assert house.run()["counts"]["removed"] == 2
    assert len(names(house)) == 8


def test_a_change_to_mirror_needs_no_first_run_and_a_resync_takes_off_as_well(house: House) -> None:
    for mode in ("full", "changes"):
        change(house, "Newsletter", mode=mode)
        write_source(house.source, TEN[1:])
        assert house.run()["counts"]["removed"] == 0
    change(house, "Newsletter", mode="mirror")
    document = house.run(resync=True)
    assert (counts(document)["changed"], document["counts"]["removed"]) == (9, 1)
    assert names(house) == persons(*range(2, 11))


@pytest.mark.each_store
def test_a_large_removal_waits_for_somebody_and_nobody_is_taken_off_before(house: House) -> None:
    write_source(house.source, people(150))
    house.run(resync=True)  # so many new people would wait as well
    write_source(house.source, people(40))
    run_id = house.queue()
    house.work()
    document = house.document(run_id)
    assert (document["waiting_for"], document["counts"]["removed"]) == ("approval", 0)
    assert len(names(house)) == 150
    Runs(house.installation).approve(run_id, by=ANA)
    house.work()
    document = house.document(run_id)
    assert (document["state"], document["counts"]["removed"]) == ("succeeded", 110)
    assert names(house) == persons(*range(1, 41))


# --- several exports to one list ------------------------------------------------------------------


def second_export(house: House, *numbers: int, mode: str = "mirror") -> None:
    """Another export of its own segment to the same list; the first has everybody but these."""
    share(house, {"All": set(range(1, 11)), "Some": set(numbers)})
    house.add_export("Second", segments=["Some"], mode=mode)
    house.run("Second")


def share(house: House, segments: dict[str, set[int]]) -> None:
    write_source(
        house.source,
        TEN,
        [(f"{n:07}", segment) for segment, numbers in segments.items() for n in sorted(numbers)],
    )


@pytest.mark.each_store
def test_whom_another_export_placed_too_stays_until_the_last_one_lets_go(house: House) -> None:
    second_export(house, 1, 2)
    share(house, {"All": set(range(3, 11)), "Some": {1, 2}})
    assert house.run()["counts"]["removed"] == 0
    assert names(house) == persons(*range(1, 11))
    share(house, {"All": set(range(3, 11)), "Some": {2}})
    assert house.run("Second")["counts"]["removed"] == 1
    assert names(house) == persons(*range(2, 11))
    assert house.run()["counts"]["removed"] == 0


@pytest.mark.each_store
def test_of_opposite_moves_in_one_minute_nobody_is_lost_whoever_is_first(house: House) -> None:
    """A person moves from one export's segment to the other's while both run."""
    second_export(house, 2)
    share(house, {"All": set(range(2, 11)), "Some": {1, 2}})
    first = house.queue()
    house.perform_until(first, "removal intended")  # the answer to the request is never heard of
    second = house.queue("Second")
    house.work()
    assert house.document(first)["state"] == house.document(second)["state"] == "succeeded"
    assert "person1" in names(house), "sent once the removal had ended"

    share(house, {"All": set(range(1, 11)), "Some": {2}})  # and back, the other way round
    first = house.queue()
    house.perform_until(first, "batches stored")
    document = house.run("Second")
    house.work()
    assert document["counts"]["removed"] == 0, "the other run sends them"
    assert names(house) == persons(*range(1, 11))
    assert house.run("Second")["counts"]["removed"] == house.run()["counts"]["removed"] == 0
    assert names(house) == persons(*range(1, 11))


# --- what goes wrong at the service ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "asked"),
    [
        ({"do": "drop_before"}, 1),
        ({"do": "drop_after"}, 1),
        ({"do": "unavailable"}, 1),
        ({"do": "queue_full"}, 1),
        ({"do": "no_counters"}, 1),
        ({"do": "activity_slow", "seconds": 1}, 1),
    ],
    ids=lambda value: value["do"] if isinstance(value, dict) else "",
)
def test_whatever_becomes_of_the_answer_each_person_is_taken_off_once(
    house: House, fault: dict[str, Any], asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "QUEUE_WAIT_SECONDS", 0.1)
    write_source(house.source, TEN[3:])
    house.tell("/_sandbox/behaviour", faults=[{"on": REMOVE, "times": 1, **fault}])
    document = house.run()
    assert document["state"] == "succeeded", document["error"]
    assert document["counts"]["removed"] == 3
    assert len(removals(house)) == asked
    assert names(house) == persons(*range(4, 11))
    assert house.run()["counts"]["removed"] == 0


@pytest.mark.parametrize(
    ("fault", "left"),
    [
        ({"do": "validation_error"}, 10),
        ({"do": "activity_failed"}, 10),
        ({"do": "activity_timed_out", "apply": True}, 7),
    ],
    ids=lambda value: value["do"] if isinstance(value, dict) else "",
)
@pytest.mark.each_store
def test_a_removal_that_failed_is_said_and_tried_again_by_the_next_run(
    house: House, fault: dict[str, Any], left: int
) -> None:
    write_source(house.source, TEN[3:])
    house.tell("/_sandbox/behaviour", faults=[{"on": REMOVE, "times": 1, **fault}])
    document = house.run()
    assert (document["state"], document["counts"]["removed"]) == ("completed_with_errors", 0)
    assert "3 people who are in none of the segments any more" in document["error"]
    assert len(names(house)) == left
    assert house.run()["counts"]["removed"] == left - 7
    assert names(house) == persons(*range(4, 11))
    write_source(house.source, TEN)
    assert counts(house.run()) == {"new": 3, "changed": 0, "unchanged": 7, "suppressed": 0}
    assert len(names(house)) == 10


def test_a_run_that_is_canceled_takes_nobody_more_off(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removing, "MAX_IDS_REMOVED", 1)
    write_source(house.source, TEN[3:])
    run_id = house.queue()
    house.perform_until(run_id, "removal submitted")
    Runs(house.installation).request_cancel(run_id, by=ANA)
    house.work()
    document = house.document(run_id)
    assert (document["state"], document["counts"]["removed"]) == ("canceled", 1)
    assert len(names(house)) == 9
    assert house.run()["counts"]["removed"] == 2


def test_where_none_of_the_files_was_taken_nobody_is_taken_off(house: House) -> None:
    write_source(house.source, [*TEN[3:], *people(2, first=11)])
    fault = {"on": "contactsCSVImport", "do": "activity_failed", "times": 1}
    house.tell("/_sandbox/behaviour", faults=[fault])
    document = house.run()
    assert (document["state"], document["counts"]["removed"]) == ("failed", 0)
    assert house.run()["counts"]["removed"] == 3
