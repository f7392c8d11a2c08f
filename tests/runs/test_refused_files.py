"""Files that Constant Contact refuses: halved until the row is found; the others go through, and it adds up."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from ccexport.preparation.files import cut_files
from ccexport.runs.pipeline import execute_run
from ccexport.services.runs.runs import Runs
from ccexport.states import RunFile
from ccexport.store.moves import Held
from ccexport.worker import Worker
from tests.kit.house import House, check_sums, people, write_source

WORDS = "The file is not valid."


@pytest.fixture
def files_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Make files of so many rows."""

    def cut(rows: int) -> None:
        monkeypatch.setattr(
            "ccexport.preparation.contacts.cut_files", partial(cut_files, max_rows=rows)
        )

    return cut


def refuse(house: House, *addresses: str, **more: object) -> None:
    """Any file with one of these people in it is refused."""
    keys = {"on": "contactsCSVImport", "do": "refuse_file", "times": -1, "containing": addresses}
    house.tell("/_sandbox/behaviour", faults=[keys | more])


def address(number: int) -> str:
    return f"person{number}@example.com"


def failed(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [batch for batch in document["batches"] if batch["state"] == "failed"]


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_a_refused_file_is_halved_until_the_row_is_found_and_the_others_arrive(
    house: House, status: int
) -> None:
    refuse(house, address(7), status=status)
    document = house.run()
    check_sums(document)
    assert document["state"] == "completed_with_errors"
    assert (document["counts"]["submitted"], document["counts"]["failed"]) == (10, 1)
    assert set(house.members()) == {address(n) for n in range(1, 11) if n != 7}
    (bad,) = failed(document)
    assert (bad["rows"], bad["errors"]) == (1, [WORDS])
    names = [each["file_name"] for each in house.requests("contactsCSVImport")]
    assert len(names) == len(set(names)), "each half is a file of its own name"
    assert len(names) <= 1 + 2 * 4  # a row among ten is found in four halvings


def test_a_file_that_is_in_the_way_of_itself_is_halved_after_some_tries(house: House) -> None:
    refuse(house, address(7), status=409)
    document = house.run()
    check_sums(document)
    assert (document["state"], document["counts"]["failed"]) == ("completed_with_errors", 1)
    assert len(house.members()) == 9
    rows = [each["rows"] for each in house.requests("contactsCSVImport")]
    assert rows[:4] == [10, 10, 10, 5]


def test_the_row_that_no_file_may_hold_is_named(house: House) -> None:
    refuse(house, address(7))
    document = house.run()
    ((batch, row),) = house.installation.batches.failed_rows(document["id"])
    assert (batch.first_row + row.row, row.words) == (6, WORDS)


def test_several_bad_rows_in_several_files_cost_no_good_one(
    house: House, files_of: Callable[[int], None]
) -> None:
    files_of(20)
    write_source(house.source, people(40))
    bad = {3, 30, 31}
    refuse(house, *map(address, bad))
    document = house.run()
    check_sums(document)
    assert document["counts"]["failed"] == len(bad)
    assert {batch["rows"] for batch in failed(document)} == {1}
    assert set(house.members()) == {address(n) for n in range(1, 41)} - {*map(address, bad)}
    assert sum(batch["rows"] for batch in document["batches"]) == 40


def test_files_never_tried_go_before_the_halves_of_a_refused_one(
    house: House, files_of: Callable[[int], None]
) -> None:
    files_of(4)
    write_source(house.source, people(12))
    refuse(house, address(1))
    house.run()
    rows = [each["rows"] for each in house.requests("contactsCSVImport")]
    assert rows == [4, 4, 4, 2, 2, 1, 1]


def test_a_column_that_only_the_other_half_fills_is_left_out_of_a_half(house: House) -> None:
    profiles = people(4)
    for profile in profiles[:2]:
        profile["LastName"] = ""
    write_source(house.source, profiles)
    refuse(house, "last_name")  # the header of every file that has the column
    document = house.run()
    check_sums(document)
    assert set(house.members()) == {address(1), address(2)}
    assert document["counts"]["failed"] == 2


def test_a_refusal_that_is_about_no_row_stops_the_run_with_their_words(house: House) -> None:
    write_source(house.source, people(200))
    refuse(house, messages=["Imports are switched off for ana@example.com."])
    document = house.run()
    check_sums(document)
    assert document["state"] == "failed"
    assert "Imports are switched off for ***@***." in document["error"]
    assert document["counts"]["failed"] == 200
    assert sum(batch["rows"] for batch in document["batches"]) == 200
    assert {batch["state"] for batch in document["batches"]} == {"failed"}
    assert len(house.requests("contactsCSVImport")) == 17


def test_a_bad_row_in_each_of_many_files_is_no_reason_to_stop(
    house: House, files_of: Callable[[int], None]
) -> None:
    files_of(2)
    write_source(house.source, people(36))
    refuse(house, *(f"{address(n)}," for n in range(1, 37, 2)))
    document = house.run()
    check_sums(document)
    assert document["counts"]["failed"] == 18
    assert len(house.members()) == 18


def test_no_run_spends_more_than_so_many_requests_on_halving(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccexport.runs.halving.MAX_HALVINGS", 3)
    write_source(house.source, people(64))
    refuse(house, address(64))
    document = house.run()
    check_sums(document)
    (bad,) = failed(document)
    assert bad["rows"] == document["counts"]["failed"] == 8
    assert len(house.requests("contactsCSVImport")) == 1 + 2 * 3


@pytest.mark.parametrize("point", ["intent committed", "posted", "refusal recorded"])
def test_a_run_that_dies_while_it_halves_goes_on_and_sends_nobody_twice(
    house: House, point: str
) -> None:
    refuse(house, address(7))
    run_id = house.queue()
    house.perform_until(run_id, point)
    house.work()
    document = house.document(run_id)
    check_sums(document)
    assert (document["state"], document["counts"]["failed"]) == ("completed_with_errors", 1)
    assert len(house.members()) == 9
    sent = [each for each in house.requests("contactsCSVImport") if each["activity_id"]]
    assert sum(each["rows"] for each in sent) == 9


def test_halves_are_proven_the_same_when_the_run_files_are_made_anew(house: House) -> None:
    refuse(house, address(7))
    run_id = house.queue()
    house.perform_until(run_id, "refusal recorded")
    house.installation.run_files.delete(run_id)
    house.work()
    document = house.document(run_id)
    check_sums(document)
    assert (document["state"], document["counts"]["accepted"]) == ("completed_with_errors", 9)
    assert house.installation.run_files.exists(run_id, RunFile.CONTACTS)


def test_what_no_other_file_would_mend_is_not_halved_and_what_was_sent_is_followed(
    house: House, files_of: Callable[[int], None]
) -> None:
    files_of(4)
    faults = [{"on": "contactsCSVImport", "do": "not_found", "times": -1, "after": 1}]
    house.tell("/_sandbox/behaviour", faults=faults)
    document = house.run()
    assert document["state"] == "failed"
    assert "deleted there" in document["error"]
    assert "6 of 10 contacts were not sent" in document["error"]
    assert document["not_sent"] == 6
    assert [batch["state"] for batch in document["batches"]] == [
        "completed",
        "canceled",
        "canceled",
    ]
    assert (document["counts"]["accepted"], len(house.members())) == (4, 4)
    assert len(house.requests("contactsCSVImport")) == 2


@pytest.mark.parametrize(
    "do", ["unauthorized", "access_denied", "conflict", "throttled", "queue_full", "server_error"]
)
def test_a_call_that_may_work_later_is_not_halved(house: House, do: str) -> None:
    house.tell("/_sandbox/behaviour", faults=[{"on": "contactsCSVImport", "do": do}])
    run_id = house.queue()
    assert house.installation.runs.claim("w1", run_id=run_id)
    execute_run(Held(run_id, "w1"), Worker(house.installation).tools)
    assert [batch["rows"] for batch in Runs(house.installation).document(run_id)["batches"]] == [10]
