"""What went wrong with tools like this one elsewhere, and is promised not to here: the cases no other file has."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from ccexport.sandbox.server import running_sandbox
from ccexport.states import EventKind
from tests.kit.house import LIST_ID, House, behaviour, check_sums, people, write_source

OF_A_FULL_RUN = {
    "getAccountById",
    "getList",
    "contactsCSVImport",
    "getActivityStatusCollection",
    "getActivity",
}


def test_rows_that_failed_go_again_in_the_next_run(house: House) -> None:
    fault = {"on": "contactsCSVImport", "do": "reject_rows", "lines": [3, 4]}
    house.tell("/_sandbox/behaviour", faults=[fault])
    first = house.run()
    assert (first["state"], first["counts"]["failed"]) == ("completed_with_errors", 2)
    assert len(house.members()) == 8
    second = house.run()
    assert (second["state"], second["counts"]["accepted"]) == ("succeeded", 10)
    assert len(house.members()) == 10


def test_a_changed_address_is_said_since_the_old_one_stays_on_the_list(house: House) -> None:
    first = house.run()
    assert addresses_changed(house, first) == []
    moved = people(10)
    for profile in moved[3:5]:
        profile["EMail"] = f"new.{profile['EMail']}"
    moved[5]["EMail"] = ""
    write_source(house.source, [*moved, *people(2, first=11)])
    second = house.run()
    [said] = addresses_changed(house, second)
    assert said.startswith(f"2 profiles have another address than in run {first['id']}.")
    assert "example.com" not in said
    assert {"person4@example.com", "new.person4@example.com"} <= set(house.members())
    assert addresses_changed(house, house.run()) == []


def addresses_changed(house: House, document: dict[str, Any]) -> list[str]:
    events = house.installation.runs.events(document["id"])
    return [event.detail for event in events if event.what == EventKind.ADDRESSES_CHANGED]


def test_an_empty_segment_never_removes_anybody(house: House) -> None:
    house.run()
    write_source(house.source, people(10), memberships=[("nobody", "All")])
    document = house.run()
    assert document["state"] == "completed_with_errors"
    assert "nobody is taken off the list" in document["error"]
    assert len(house.members()) == 10


def test_a_full_run_takes_nobody_off_the_list_and_unsubscribes_nobody(tmp_path: Path) -> None:
    """Those on the list already stay, and no request that removes or changes a permission is made."""
    lists = [{"list_id": LIST_ID, "name": "Spring buyers", "members": ["older@example.com"]}]
    with running_sandbox(behaviour(lists=lists)) as sandbox:
        house = House(tmp_path, sandbox)
        write_source(house.source, people(10))
        house.connect()
        house.add_export()
        before = len(house.requests())
        house.run()
        made = {each["operation"] for each in house.requests()[before:]}
        assert made <= OF_A_FULL_RUN
        assert set(house.members()) == {
            "older@example.com",
            *(person["EMail"] for person in people(10)),
        }
        house.close()


@pytest.mark.parametrize("count", [20, 20_000])
def test_the_bookkeeping_takes_as_many_statements_for_twenty_thousand_rows_as_for_twenty(
    house: House, count: int
) -> None:
    write_source(house.source, people(count))
    written: Counter[str] = Counter()

    def note(_c: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        words = statement.split()
        if words[0] in ("INSERT", "DELETE"):
            rows = len(parameters) if isinstance(parameters, list) else 1
            written[f"{words[0]} {words[2]}"] += rows

    event.listen(house.installation.engine, "before_cursor_execute", note)
    document = house.run()
    check_sums(document)
    assert document["counts"]["accepted"] == count
    assert written["INSERT batch"] == 1
    parts = written.pop("INSERT ledger_part") + written.pop("DELETE ledger_part", 0)
    assert parts <= 6, "a ledger of twenty thousand people has four parts"
    assert sum(written.values()) < 25, written
