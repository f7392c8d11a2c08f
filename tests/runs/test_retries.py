"""`runs retry`: what failed goes out again, as it was sent, and nothing else; or one sentence says why not."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from ccexport.errors import Conflict, NotFound
from ccexport.preparation.files import cut_files
from ccexport.services.connections.connections import Connections
from ccexport.services.exports.exports import Exports
from ccexport.services.runs.progress import FailedRow, RunProgress
from ccexport.services.runs.retries import Retries
from ccexport.states import RunFile
from tests.kit.house import ANA, House, check_sums, people, write_source

UNNAMED = "failed; Constant Contact did not say which, so a retry cannot send them."


def fault(house: House, do: str, **more: object) -> None:
    house.tell("/_sandbox/behaviour", faults=[{"on": "contactsCSVImport", "do": do, **more}])


def addresses(*numbers: int) -> set[str]:
    return {f"person{number}@example.com" for number in numbers}


def retried(house: House, run_id: int) -> dict[str, object]:
    new = Retries(house.installation).retry(run_id, by=ANA)
    house.work()
    document = house.document(new.run.id)
    check_sums(document)
    return document


@pytest.fixture
def three_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten people in files of four, four and two."""
    cut = partial(cut_files, max_rows=4)
    monkeypatch.setattr("ccexport.preparation.contacts.cut_files", cut)


@pytest.mark.usefixtures("three_files")
def test_a_retry_sends_the_failed_files_and_the_named_rows_and_only_those(house: House) -> None:
    keys = {"on": "contactsCSVImport"}
    faults = [
        keys | {"do": "activity_failed", "after": 1},
        keys | {"do": "reject_rows", "lines": [2]},
    ]
    house.tell("/_sandbox/behaviour", faults=faults)
    first = house.run()
    assert first["counts"]["failed"] == 5
    assert set(house.members()) == addresses(2, 3, 4, 9, 10)
    sent = len(house.requests("contactsCSVImport"))
    document = retried(house, first["id"])
    assert document["state"] == "succeeded"
    assert (document["trigger"], document["retry_of"]) == ("retry", first["id"])
    assert (document["counts"]["read"], document["counts"]["accepted"]) == (5, 5)
    rows = [each["rows"] for each in house.requests("contactsCSVImport")[sent:]]
    assert rows == [4, 1]
    assert set(house.members()) == addresses(*range(1, 11))


def test_a_retry_sends_what_was_sent_then_to_the_list_of_then(house: House) -> None:
    fault(house, "reject_rows", lines=[3])
    first = house.run()
    write_source(house.source, people(5, first=100))
    Exports(house.installation).duplicate("Newsletter", "Other", by=ANA)
    document = retried(house, first["id"])
    assert document["list_id"] == first["list_id"]
    assert house.members()["person2@example.com"]["first_name"] == "First2"
    assert len(house.members()) == 10


def test_a_retry_of_which_some_failed_again_can_be_retried_itself(house: House) -> None:
    fault(house, "reject_rows", lines=[3, 4])
    first = house.run()
    fault(house, "reject_rows", lines=[3])
    second = retried(house, first["id"])
    assert second["counts"]["failed"] == 1
    with pytest.raises(Conflict, match=f"Run {second['id']} has retried run {first['id']} already"):
        Retries(house.installation).retry(first["id"], by=ANA)
    assert retried(house, second["id"])["state"] == "succeeded"  # type: ignore[call-overload]
    assert len(house.members()) == 10


def test_a_retry_whose_files_are_gone_is_made_anew_from_the_run_it_retries(house: House) -> None:
    fault(house, "reject_rows", lines=[3])
    first = house.run()
    new = Retries(house.installation).retry(first["id"], by=ANA).run
    house.perform_until(new.id, "intent committed")
    house.installation.run_files.delete(new.id)
    house.work()
    document = house.document(new.id)
    assert (document["state"], document["counts"]["accepted"]) == ("succeeded", 1)
    assert house.installation.run_files.exists(new.id, RunFile.CONTACTS)


def test_rows_that_nobody_named_are_counted_and_not_sent(house: House) -> None:
    keys = {"on": "contactsCSVImport"}
    house.tell("/_sandbox/behaviour", faults=[keys | {"do": "reject_rows_silently", "lines": [3]}])
    first = house.run()
    assert (first["counts"]["failed"], unnamed(first)) == (1, 1)
    assert [(row.line, row.customer_id, row.text) for row in failed_rows(house, first["id"])] == [
        (None, None, f"1 more row {UNNAMED}")
    ]
    with pytest.raises(Conflict, match=r"1 row of run 1 failed, but .* did not say which"):
        Retries(house.installation).retry(first["id"], by=ANA)


@pytest.mark.usefixtures("three_files")
def test_a_retry_sends_who_was_named_and_says_how_many_were_not(house: House) -> None:
    keys = {"on": "contactsCSVImport"}
    faults = [
        keys | {"do": "reject_rows_silently", "lines": [2, 5], "after": 1},
        keys | {"do": "reject_rows", "lines": [3]},
    ]
    house.tell("/_sandbox/behaviour", faults=faults)
    first = house.run()
    assert (first["counts"]["failed"], unnamed(first)) == (3, 2)
    assert [(row.batch_number, row.customer_id) for row in failed_rows(house, first["id"])] == [
        (1, "0000002"),
        (2, None),
    ]
    retry = Retries(house.installation).retry(first["id"], by=ANA)
    assert (retry.rows, retry.unnamed) == (1, 2)
    house.work()
    assert set(house.members()) == addresses(1, 2, 3, 4, 6, 7, 9, 10)


def test_a_file_of_which_every_row_failed_is_sent_again_whether_they_were_named_or_not(
    house: House,
) -> None:
    lines = list(range(2, 12))
    fault(house, "reject_rows_silently", lines=lines)
    first = house.run()
    assert (first["counts"]["failed"], unnamed(first)) == (10, 0)
    assert retried(house, first["id"])["counts"]["accepted"] == 10  # type: ignore[index]  # a document
    assert set(house.members()) == addresses(*range(1, 11))


def unnamed(document: dict[str, Any]) -> int:
    return sum(int(batch["failed_unnamed"]) for batch in document["batches"])


def failed_rows(house: House, run_id: int) -> list[FailedRow]:
    return RunProgress(house.installation).failed_rows(run_id, by=ANA)


def test_a_retry_is_refused_where_nothing_failed(house: House) -> None:
    run = house.run()
    with pytest.raises(Conflict, match="Nothing of run 1 failed"):
        Retries(house.installation).retry(run["id"], by=ANA)


def test_a_retry_is_refused_while_the_run_or_another_of_its_export_is_live(house: House) -> None:
    fault(house, "reject_rows", lines=[3])
    first = house.run()
    live = house.queue()
    with pytest.raises(Conflict, match=f"Run {live} is still live"):
        Retries(house.installation).retry(live, by=ANA)
    with pytest.raises(Conflict, match=f"Run {live} of .* is still live"):
        Retries(house.installation).retry(first["id"], by=ANA)


def test_a_retry_is_refused_where_the_files_are_not_kept_or_not_here(house: House) -> None:
    fault(house, "reject_rows", lines=[3])
    first = house.run()
    house.installation.run_files.delete(first["id"])
    with pytest.raises(NotFound, match="not on this machine"):
        Retries(house.installation).retry(first["id"], by=ANA)
    house.installation.runs.mark_files_deleted(first["id"])
    with pytest.raises(NotFound, match="no longer kept"):
        Retries(house.installation).retry(first["id"], by=ANA)


@pytest.mark.parametrize("gone", ["export", "connection"])
def test_a_retry_is_refused_where_its_export_or_connection_was_removed(
    house: House, gone: str
) -> None:
    fault(house, "reject_rows", lines=[3])
    first = house.run()
    if gone == "export":
        Exports(house.installation).remove("Newsletter", by=ANA)
    else:
        Connections(house.installation).remove("Marketing", by=ANA)
    with pytest.raises(NotFound, match=f"its {gone} has been removed"):
        Retries(house.installation).retry(first["id"], by=ANA)


def test_a_retry_whose_source_file_went_meanwhile_fails_with_one_sentence(house: House) -> None:
    fault(house, "reject_rows", lines=[3])
    first = house.run()
    new = Retries(house.installation).retry(first["id"], by=ANA).run
    house.installation.run_files.delete(first["id"])
    house.work()
    document = house.document(new.id)
    assert document["state"] == "failed"
    assert document["error"] == (
        "The files of run 1, which this run retries, are not on this machine any more. "
        "Run the export again instead."
    )


def test_what_failed_can_be_downloaded_with_whose_row_it_was(house: House) -> None:
    fault(house, "reject_rows", lines=[3, 5], messages=["no such street"])
    first = house.run()
    lines = (
        Retries(house.installation).failed_csv(first["id"], by=ANA).decode("utf-8-sig").splitlines()
    )
    assert lines == [
        "customer_id,file,line,words",
        "0000002,1,3,no such street",
        "0000004,1,5,no such street",
    ]
