"""The preview beside the ledger: which fields of whom changed, and who would be taken off, as far as files are kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ccexport.sandbox.server import running_sandbox
from ccexport.services.connections.connections import Connections
from ccexport.services.exports.exports import Exports
from ccexport.services.exports.sending_one import SendingOne
from ccexport.services.people.access import Person, Role
from ccexport.services.people.users import Users
from ccexport.services.preview.beside_ledger import BesideLedger
from ccexport.services.preview.previews import preview_document
from ccexport.services.runs.forgetting import Forgetting
from tests.kit.house import ANA, LIST_ID, House, behaviour, furnished, people, write_source
from tests.runs.changing import change, renamed

TEN = people(10)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Ten people on the list; then the third has another name, the last two leave, and one is new."""
    with (
        running_sandbox(behaviour()) as sandbox,
        furnished(tmp_path, sandbox, TEN, mode="mirror") as house,
    ):
        house.run()
        write_source(house.source, [*renamed(TEN[:8], 3), *people(1, first=11)])
        yield house


def beside(house: House, by: Person = ANA) -> BesideLedger:
    return Exports(house.installation).preview("Newsletter", by=by).beside


def fields(found: BesideLedger) -> dict[str, Any]:
    return {each.customer_id: each.fields for each in found.samples.changed}


def leavers(found: BesideLedger) -> dict[str, str]:
    return {each.customer_id: each.values["email"] for each in found.samples.to_remove}


def test_before_and_after_of_who_changed_and_the_names_of_who_would_go(house: House) -> None:
    found = beside(house)
    assert fields(found) == {"0000003": {"first_name": ("First3", "Other3")}}
    assert leavers(found) == {
        "0000009": "person9@example.com",
        "0000010": "person10@example.com",
    }
    assert sorted(found.samples.lines()) == [
        "0000003 changed, first_name: First3 → Other3",
        "0000009 would go: person9@example.com",
        "0000010 would go: person10@example.com",
    ]
    house.run()
    assert (fields(beside(house)), leavers(beside(house))) == ({}, {})


def test_what_was_sent_last_is_shown_whichever_run_sent_it(house: House) -> None:
    house.run()
    write_source(house.source, [*renamed(TEN[1:8], 1), *people(1, first=11)])
    found = beside(house)
    assert fields(found) == {
        "0000002": {"first_name": ("First2", "Other1")},  # of the first run
        "0000003": {"first_name": ("Other3", "First3")},  # of the second
    }
    assert leavers(found) == {"0000001": "person1@example.com"}


def test_a_field_that_the_mapping_has_not_any_more_was_sent_and_would_be_empty(
    house: House,
) -> None:
    write_source(house.source, TEN)
    change(house, "Newsletter", mode="mirror", mapping="job_title=FirstName")
    one = fields(beside(house))["0000001"]
    assert one == {"first_name": ("First1", ""), "job_title": ("", "First1")}


@pytest.mark.parametrize("gone", ["deleted", "another key", "forgotten"])
def test_where_the_files_say_it_no_more_nothing_is_made_up(house: House, gone: str) -> None:
    """The rest of the comparison is as it was: it needs the ledger alone."""
    files = house.installation.run_files
    if gone == "deleted":
        files.delete(1)
    elif gone == "another key":
        [path] = house.settings.data_dir.rglob("contacts.parquet")
        path.write_bytes(path.read_bytes()[:-100])
    else:
        for number in (3, 9, 10):
            Forgetting(house.installation).forget(f"person{number}@example.com", by=ANA)
    found = beside(house)
    if gone == "forgotten":
        assert (found.samples.changed, found.samples.to_remove) == ((), ())
        return
    assert (found.changed, found.to_remove) == (1, 2)
    assert fields(found) == {"0000003": None}
    assert (leavers(found), found.samples.unnamed) == ({}, 2)
    assert found.samples.lines() == ["0000003 changed; what was sent is not kept here any more"]


def test_one_who_was_sent_by_themselves_is_not_in_the_file_of_a_run(house: House) -> None:
    write_source(house.source, [*TEN, *people(1, first=11)])
    sending = SendingOne(house.installation)
    sending.follow(sending.send(sending.prepare("Newsletter", "0000011", by=ANA), by=ANA))
    write_source(house.source, TEN)
    found = beside(house)
    assert (found.to_remove, leavers(found), found.samples.unnamed) == (1, {}, 1)


def test_those_who_may_not_see_values_see_masked_ones(house: House) -> None:
    Users(house.installation).add("ben@example.com", Role.CONTRIBUTOR, by=ANA)
    Connections(house.installation).share("Marketing", contributors=True, by=ANA)
    found = beside(house, Person("ben@example.com", Role.CONTRIBUTOR, "ben@example.com"))
    assert fields(found) == {"0000003": {"first_name": ("F••••0", "O••••0")}}
    assert leavers(found) == {"0000009": "p•••••0@e••••••.c••", "0000010": "p•••••00@e••••••.c••"}


def test_the_document_has_the_same_and_nothing_where_no_samples_are_wanted(house: House) -> None:
    def examples(samples: int) -> Any:
        found = Exports(house.installation).preview("Newsletter", samples, by=ANA)
        document = preview_document(
            found, export="Newsletter", list_id=LIST_ID, requests_per_second=4
        )
        return document["examples"]

    some = examples(5)
    before_and_after = {"first_name": {"before": "First3", "after": "Other3"}}
    assert some["changed"] == [{"customer_id": "0000003", "fields": before_and_after}]
    assert {each["customer_id"]: each["email"] for each in some["to_remove"]} == {
        "0000009": "person9@example.com",
        "0000010": "person10@example.com",
    }
    assert examples(0) == {"changed": [], "to_remove": []}
