"""Ends of an activity other than a clean one: what follows, what a person reads, and that it adds up."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from ccexport.clock import utc_now
from ccexport.preparation.files import cut_files
from ccexport.runs.pipeline import execute_run
from ccexport.sandbox.server import running_sandbox
from ccexport.store.moves import Held
from ccexport.worker import Worker
from tests.kit.house import House, behaviour, check_sums, people, write_source


class Ahead:
    """The present, or so much later."""

    def __init__(self) -> None:
        self.by = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.by


@pytest.fixture
def clock() -> Ahead:
    return Ahead()


@pytest.fixture
def house(tmp_path: Path, clock: Ahead) -> Iterator[House]:
    """Ten people, a connection, an export, and a clock that can be moved."""
    with running_sandbox(behaviour()) as sandbox:
        house = House(tmp_path, sandbox, now=clock)
        write_source(house.source, people(10))
        house.connect()
        house.add_export()
        yield house
        house.close()


@pytest.fixture
def files_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """Make files of so many rows, and keep so many in flight."""

    def cut(rows: int, in_flight: int) -> None:
        planned = partial(cut_files, max_rows=rows)
        monkeypatch.setattr("ccexport.preparation.contacts.cut_files", planned)
        monkeypatch.setattr("ccexport.runs.uploading.MAX_IN_FLIGHT", in_flight)

    return cut


def fault(house: House, do: str, **more: object) -> None:
    house.tell("/_sandbox/behaviour", faults=[{"on": "contactsCSVImport", "do": do, **more}])


def follow_for_a_while(house: House, run_id: int, looks: int = 5) -> None:
    """Perform a run until it has looked so many times, then let it go."""
    seen = len(house.requests("getActivityStatusCollection"))

    def is_enough(seconds: float) -> bool:
        return len(house.requests("getActivityStatusCollection")) - seen >= looks

    assert house.installation.runs.claim("w1", run_id=run_id)
    tools = dataclasses.replace(Worker(house.installation).tools, sleep=is_enough)
    execute_run(Held(run_id, "w1"), tools)


@pytest.mark.parametrize(
    ("do", "says"),
    [
        ("activity_failed", "as failed"),
        ("activity_timed_out", "as timed_out"),
        ("activity_cancelled", "as cancelled"),
    ],
)
def test_a_file_whose_activity_did_not_complete_has_failed_with_their_words(
    house: House, do: str, says: str
) -> None:
    fault(house, do, messages=["The contacts of ana@example.com are too many."])
    document = house.run()
    check_sums(document)
    (batch,) = document["batches"]
    assert (document["state"], batch["state"]) == ("failed", "failed")
    assert says in batch["errors"][0]
    assert batch["errors"][1] == "The contacts of ***@*** are too many."
    assert document["counts"]["failed"] == 10


@pytest.mark.parametrize(
    ("do", "state"),
    [("activity_stuck", "processing"), ("activity_weird_state", "paused_for_review")],
)
def test_an_activity_that_does_not_end_is_followed_for_hours_and_then_reported(
    house: House, clock: Ahead, do: str, state: str
) -> None:
    fault(house, do)
    run_id = house.queue()
    follow_for_a_while(house, run_id)
    clock.by = timedelta(hours=23)
    follow_for_a_while(house, run_id)
    document = house.document(run_id)
    assert (document["state"], document["batches"][0]["state"]) == ("confirming", "submitted")
    clock.by = timedelta(hours=25)
    house.work()
    document = house.document(run_id)
    check_sums(document)
    assert document["state"] == "failed"
    (words,) = document["batches"][0]["errors"]
    assert words == f'The activity did not end within 24 hours (its state is "{state}").'


def test_an_activity_that_is_gone_is_reported_and_not_followed_for_ever(
    house: House, clock: Ahead
) -> None:
    fault(house, "activity_gone")
    document = house.run()
    check_sums(document)
    (words,) = document["batches"][0]["errors"]
    assert "no longer knows the activity" in words
    assert document["counts"]["failed"] == 10


def test_two_files_in_a_row_that_fail_with_the_same_words_stop_the_run(
    house: House, files_of: Callable[[int, int], None]
) -> None:
    files_of(1, 4)
    house.tell("/_sandbox/behaviour", processing_seconds=1)
    fault(house, "activity_failed", times=2, after=1, messages=["Contact limit reached."])
    document = house.run()
    states = [batch["state"] for batch in document["batches"]]
    assert states[:4] == ["completed", "failed", "failed", "completed"]
    assert set(states[4:]) <= {"canceled", "completed"}
    not_sent = states.count("canceled")
    assert not_sent >= 3
    assert document["state"] == "failed"
    assert "Contact limit reached." in document["error"]
    assert f"{not_sent} of 10 contacts were not sent" in document["error"]
    assert document["counts"]["submitted"] == 10 - not_sent == len(house.members()) + 2
    assert document["counts"]["accepted"] == len(house.members())
    assert len(house.requests("contactsCSVImport")) == 10 - not_sent


@pytest.mark.parametrize(
    "faults",
    [
        [{"messages": ["One."]}, {"messages": ["Another."], "after": 1}],
        [{"messages": ["Same."]}, {"messages": ["Same."], "after": 2}],
    ],
    ids=["other words", "one between that went well"],
)
def test_other_failures_do_not_stop_the_run(
    house: House, files_of: Callable[[int, int], None], faults: list[dict[str, object]]
) -> None:
    files_of(2, 1)
    keys = {"on": "contactsCSVImport", "do": "activity_failed"}
    house.tell("/_sandbox/behaviour", faults=[keys | each for each in faults])
    document = house.run()
    check_sums(document)
    assert document["state"] == "completed_with_errors"
    assert document["counts"]["failed"] == 4
    assert len(house.members()) == 6


def test_rows_named_by_their_line_are_kept_with_what_was_said_of_them(
    house: House, files_of: Callable[[int, int], None]
) -> None:
    files_of(5, 20)
    texts = ["is person8@example.com"]
    fault(house, "reject_rows", after=1, lines=[2, 4], messages=texts)
    document = house.run()
    check_sums(document)
    assert document["counts"]["failed"] == 2
    found = house.installation.batches.failed_rows(document["id"])
    assert [(batch.first_row + row.row, row.words) for batch, row in found] == [
        (5, "is ***@***"),
        (7, "is ***@***"),
    ]
    assert set(house.members()) == {f"person{n}@example.com" for n in (1, 2, 3, 4, 5, 7, 9, 10)}


def test_rows_that_failed_without_a_line_are_counted(house: House) -> None:
    fault(house, "reject_rows_silently", lines=[3, 5])
    document = house.run()
    check_sums(document)
    assert (document["state"], document["counts"]["failed"]) == ("completed_with_errors", 2)
    assert house.installation.batches.failed_rows(document["id"]) == []


def test_without_counters_the_lines_they_name_are_what_failed(house: House) -> None:
    keys = {"on": "contactsCSVImport"}
    faults = [keys | {"do": "null_counters"}, keys | {"do": "reject_rows", "lines": [3]}]
    house.tell("/_sandbox/behaviour", faults=faults)
    document = house.run()
    check_sums(document)
    assert (document["state"], document["counts"]["failed"]) == ("completed_with_errors", 1)


def test_a_failed_file_with_opted_out_people_in_it_is_not_counted_twice(house: House) -> None:
    house.tell("/_sandbox/unsubscribe", email="person3@example.com")
    fault(house, "activity_timed_out", apply=True)
    document = house.run()
    check_sums(document)
    assert document["counts"]["failed"] == 10
    assert (document["counts"]["unsubscribed"], document["counts"]["accepted"]) == (0, 0)
