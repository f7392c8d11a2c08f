"""Mode `changes`: who is new or has another line is sent, whoever left the list stays away, on each database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ccexport.runs import preparing
from ccexport.runs.pipeline import execute_run
from ccexport.sandbox.server import running_sandbox
from ccexport.segments.source import Source
from ccexport.services.runs.retries import Retries
from ccexport.services.runs.runs import Runs
from ccexport.store.ledgers import Target
from ccexport.store.moves import Held
from ccexport.worker import Worker
from tests.kit.house import (
    ANA,
    LIST_ID,
    OTHER_LIST_ID,
    House,
    behaviour,
    furnished,
    people,
    write_source,
)
from tests.runs.changing import change, counts, put_on_by_hand, renamed, said

pytestmark = pytest.mark.one_store
TEN = people(10)
IMPORT, EXPORT, DOWNLOAD = "contactsCSVImport", "postContactsExport", "getContactsExport"


@pytest.fixture
def house(tmp_path: Path, database_url: str) -> Iterator[House]:
    """Ten people on the list by a first run of an export in mode `changes`."""
    with (
        running_sandbox(behaviour()) as sandbox,
        furnished(tmp_path, sandbox, TEN, database_url=database_url, mode="changes") as house,
    ):
        first = house.run()
        assert counts(first) == {"new": 10, "changed": 0, "unchanged": 0, "suppressed": 0}
        yield house


def suppressed(house: House, run_id: int) -> list[str]:
    rows = Runs(house.installation).rejected(run_id, by=ANA)
    return [email for _, email, reason, _ in rows if reason == "suppressed"]


def test_where_nothing_changed_nothing_is_sent(house: House) -> None:
    before = len(house.requests(IMPORT))
    document = house.run()
    assert document["state"] == "succeeded", document["error"]
    assert counts(document) == {"new": 0, "changed": 0, "unchanged": 10, "suppressed": 0}
    assert len(house.requests(IMPORT)) == before
    assert document["batches"] == []


def test_who_is_new_or_has_another_line_is_sent_and_nobody_else(house: House) -> None:
    write_source(house.source, [*renamed(TEN, 3, 7), *people(2, first=11)])
    document = house.run()
    assert counts(document) == {"new": 2, "changed": 2, "unchanged": 8, "suppressed": 0}
    assert [batch["rows"] for batch in document["batches"]] == [4]
    members = house.members()
    assert len(members) == 12
    assert members["person3@example.com"]["first_name"] == "Other3"
    assert counts(house.run())["unchanged"] == 12


@pytest.mark.each_store
def test_whoever_left_the_list_stays_away_and_is_named_until_seen_there_again(house: House) -> None:
    house.take_off("person2@example.com", "person9@example.com")
    write_source(house.source, renamed(TEN, 2, 5))
    document = house.run()
    assert counts(document) == {"new": 0, "changed": 1, "unchanged": 7, "suppressed": 2}
    assert suppressed(house, document["id"]) == ["person2@example.com", "person9@example.com"]
    assert len(house.members()) == 8
    assert counts(house.run())["suppressed"] == 2, "known without a further look"

    put_on_by_hand(house, "person2@example.com")
    document = house.run()
    assert counts(document) == {"new": 0, "changed": 1, "unchanged": 8, "suppressed": 1}
    assert house.members()["person2@example.com"]["first_name"] == "Other2"


def test_the_list_is_asked_for_once_a_run_and_costs_five_requests(house: House) -> None:
    before = len(house.requests())
    house.run()
    made = [each["operation"] for each in house.requests()[before:]]
    assert made.count(EXPORT) == 1
    assert len(made) <= 7, made  # with the account, the list, and one look more


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"on": EXPORT, "do": "access_denied", "times": -1}, "did not give who is on the list"),
        ({"on": EXPORT, "do": "activity_failed", "times": -1}, "as failed"),
        ({"on": DOWNLOAD, "do": "not_found", "times": -1}, "did not give who is on the list"),
        ({"on": DOWNLOAD, "do": "export_without_email", "times": -1}, "no column of email"),
        (
            {
                "on": DOWNLOAD,
                "do": "answer",
                "status": 200,
                "body": "Email address\r\n",
                "times": -1,
            },
            "had 0 people, though it counts 9",
        ),
    ],
)
def test_where_the_list_cannot_be_had_new_and_changed_people_are_sent_and_nobody_is_suppressed(
    house: House, fault: dict[str, Any], words: str
) -> None:
    house.take_off("person2@example.com")
    write_source(house.source, [*renamed(TEN, 3), *people(1, first=11)])
    house.tell("/_sandbox/behaviour", faults=[fault])
    document = house.run()
    assert document["state"] == "succeeded", document["error"]
    assert counts(document) == {"new": 1, "changed": 1, "unchanged": 9, "suppressed": 0}
    [told] = said(house, document["id"], "list not read")
    assert words in told


def test_a_list_that_was_emptied_by_hand_leaves_everybody_away(house: House) -> None:
    house.take_off(*(profile["EMail"] for profile in TEN))
    document = house.run()
    assert counts(document) == {"new": 0, "changed": 0, "unchanged": 0, "suppressed": 10}
    assert house.members() == {}


@pytest.mark.each_store
def test_rows_that_failed_go_again_in_the_next_run_and_a_retry_counts(house: House) -> None:
    bad = "person11@example.com"
    refuse = {"on": IMPORT, "do": "refuse_file", "times": -1, "containing": [bad]}
    house.tell("/_sandbox/behaviour", faults=[refuse])
    write_source(house.source, [*TEN, *people(2, first=11)])
    document = house.run()
    assert (document["state"], document["counts"]["failed"]) == ("completed_with_errors", 1)
    house.tell("/_sandbox/behaviour", faults=[])
    retried = Retries(house.installation).retry(document["id"], by=ANA).run
    house.work()
    assert counts(house.document(retried.id))["new"] == 1
    assert counts(house.run()) == {"new": 0, "changed": 0, "unchanged": 12, "suppressed": 0}


@pytest.mark.each_store
def test_a_resync_sends_everybody_once_more_but_whoever_left(house: House) -> None:
    house.take_off("person4@example.com")
    document = house.run(resync=True)
    assert counts(document) == {"new": 0, "changed": 9, "unchanged": 0, "suppressed": 1}
    assert counts(house.run()) == {"new": 0, "changed": 0, "unchanged": 9, "suppressed": 1}


def test_a_full_run_keeps_the_ledger_so_a_change_of_mode_needs_no_first_full_run(
    house: House,
) -> None:
    house.add_export("Other", list_id=OTHER_LIST_ID, mode="full")
    assert counts(house.run("Other"))["new"] == 10
    assert counts(house.run("Other"))["changed"] == 10
    change(house, "Other", list_id=OTHER_LIST_ID, mode="changes")
    assert counts(house.run("Other"))["unchanged"] == 10


def test_an_export_that_moves_to_another_list_begins_another_ledger_and_keeps_the_old_one(
    house: House,
) -> None:
    change(house, "Newsletter", list_id=OTHER_LIST_ID)
    assert counts(house.run())["new"] == 10
    change(house, "Newsletter", list_id=LIST_ID)
    assert counts(house.run())["unchanged"] == 10


def test_who_left_a_list_is_not_put_back_by_another_export_to_it(house: House) -> None:
    house.take_off("person6@example.com")
    house.add_export("Second", mode="changes")
    document = house.run("Second")
    assert counts(document) == {"new": 9, "changed": 0, "unchanged": 0, "suppressed": 1}
    assert "person6@example.com" not in house.members()


def test_a_profile_with_another_address_is_named_and_its_old_one_stays(house: House) -> None:
    write_source(house.source, [{**TEN[0], "EMail": "new@example.com"}, *TEN[1:]])
    document = house.run()
    assert counts(document) == {"new": 1, "changed": 0, "unchanged": 9, "suppressed": 0}
    [told] = said(house, document["id"], "addresses changed")
    assert told.startswith("1 profile has another address")


def test_a_run_whose_file_ends_with_unnamed_failures_leaves_its_people_to_the_next_run(
    house: House,
) -> None:
    write_source(house.source, [*TEN, *people(3, first=11)])
    fault = {"on": IMPORT, "do": "activity_failed", "times": 1}
    house.tell("/_sandbox/behaviour", faults=[fault])
    assert house.run()["counts"]["failed"] == 3
    assert counts(house.run())["unchanged"] == 10


@pytest.mark.each_store
def test_a_canceled_run_leaves_the_ledger_with_what_was_confirmed(house: House) -> None:
    write_source(house.source, [*TEN, *people(2, first=11)])
    run_id = house.queue()
    house.perform_until(run_id, "outcome committed")
    Runs(house.installation).request_cancel(run_id, by=ANA)
    house.work()
    assert house.document(run_id)["state"] == "canceled"
    assert counts(house.run())["unchanged"] == 12


@pytest.mark.each_store
def test_a_ledger_holds_no_address_and_is_counted_without_being_opened(house: House) -> None:
    export = house.installation.exports.by_name("Newsletter").export
    connection = house.installation.connections.by_name("Marketing")
    target = Target(export.id, connection.account_id, LIST_ID)
    assert house.installation.ledgers.sizes(target) == (10, 0)
    house.take_off("person1@example.com")
    house.run()
    assert house.installation.ledgers.sizes(target) == (9, 1)


def test_an_export_of_the_list_that_never_ends_is_not_waited_for_longer_than_an_hour(
    house: House,
) -> None:
    house.tell("/_sandbox/behaviour", faults=[{"on": EXPORT, "do": "activity_stuck", "times": 1}])
    asked, run_id = len(house.requests(EXPORT)), house.queue()
    house.perform_until(run_id, "list asked for")
    reading = house.installation.ledgers.reading_of(run_id)
    assert reading is not None
    reading.asked_at -= timedelta(hours=2)
    house.installation.ledgers.store_reading(reading)
    house.work()
    assert counts(house.document(run_id))["unchanged"] == 10
    [told] = said(house, run_id, "list not read")
    assert "within an hour" in told
    assert len(house.requests(EXPORT)) == asked + 1, (
        "the run went on with the export it had asked for"
    )


def test_the_source_is_read_while_constant_contact_writes_the_list(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    check, before = Source.check_segments, len(house.requests(EXPORT))
    seen: list[tuple[int, int]] = []

    def look(source: Source, names: list[str]) -> None:
        check(source, names)
        seen.append((len(house.requests(EXPORT)) - before, len(house.requests(DOWNLOAD))))

    monkeypatch.setattr(Source, "check_segments", look)
    downloads = len(house.requests(DOWNLOAD))
    assert counts(house.run())["unchanged"] == 10
    assert seen == [(1, downloads)]


def test_a_list_that_is_not_written_soon_holds_up_no_other_run_and_everybody_is_prepared_anew(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.take_off("person2@example.com")
    unfinished = {"status": 200, "body": {"activity_id": "a1", "state": "processing"}}
    fault = {"on": "getActivity", "do": "answer", "times": 1, **unfinished}
    house.tell("/_sandbox/behaviour", faults=[fault])
    monkeypatch.setattr(preparing, "LIST_WAIT", timedelta(seconds=-1))
    check, worker = Source.check_segments, Worker(house.installation)
    reads: list[list[str]] = []
    is_free: list[bool] = []

    def look(source: Source, names: list[str]) -> None:
        check(source, names)
        reads.append(names)

    def reached(point: str) -> None:
        if point == "list read":
            is_free.append(worker.tools.preparing.acquire(blocking=False))
            worker.tools.preparing.release()

    monkeypatch.setattr(Source, "check_segments", look)
    worker.tools = replace(worker.tools, reached=reached)
    run_id = house.queue()
    worker.work(until_idle=True)
    assert counts(house.document(run_id))["suppressed"] == 1
    assert (len(reads), is_free) == (2, [True])
    assert len(house.requests(EXPORT)) == 2, "one of them by the first run"


def test_a_run_can_be_canceled_while_it_waits_for_the_list(house: House) -> None:
    house.tell("/_sandbox/behaviour", faults=[{"on": EXPORT, "do": "activity_stuck", "times": 1}])
    run_id, worker = house.queue(), Worker(house.installation)

    def canceled(point: str) -> None:
        if point == "list asked for":
            Runs(house.installation).request_cancel(run_id, by=ANA)

    worker.tools = replace(worker.tools, reached=canceled)
    worker.work(until_idle=True)
    assert house.document(run_id)["state"] == "canceled"
    assert counts(house.run())["unchanged"] == 10


def test_where_the_service_is_down_the_run_waits_for_the_list(house: House) -> None:
    fault = {"on": EXPORT, "do": "unavailable", "times": -1}
    house.tell("/_sandbox/behaviour", faults=[fault])
    run_id = house.queue()
    held = house.installation.runs.claim("one", run_id=run_id)
    assert held is not None
    execute_run(Held(run_id, "one"), Worker(house.installation).tools)
    assert house.document(run_id)["waiting_for"] == "service"
    house.tell("/_sandbox/behaviour", faults=[])
    house.installation.runs.wake(run_id)
    house.work()
    assert counts(house.document(run_id))["unchanged"] == 10
