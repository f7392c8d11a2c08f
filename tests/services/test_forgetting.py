"""`people forget`: nothing of the person stays in any run's file; everybody else, counts and row numbers do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from ccexport.errors import Conflict, UsageError
from ccexport.runs.pipeline import execute_run
from ccexport.runs.retrying import pick_rows
from ccexport.sandbox.server import running_sandbox
from ccexport.services.runs.forgetting import Forgetting
from ccexport.services.runs.people import People
from ccexport.services.runs.runs import Runs
from ccexport.states import RunFile
from ccexport.store.moves import Held
from ccexport.worker import Worker
from tests.kit.house import ANA, House, behaviour, people, write_source

EMAIL = "person2@example.com"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Five people; the second has a twin of the same address, and once had none."""
    with running_sandbox(behaviour()) as sandbox:
        house = House(tmp_path, sandbox)
        first = people(5)
        first[1] = {**first[1], "EMail": ""}
        write_source(house.source, first)
        house.connect()
        house.add_export()
        house.run()
        twin = {
            **people(2)[1],
            "CustomerId": "0000009",
            "FirstName": "Twin",
            "EMail": EMAIL.upper(),
        }
        write_source(house.source, [*people(5), twin])
        house.run()
        yield house
        house.close()


def everything(house: House) -> list[dict[str, str | None]]:
    files = house.installation.run_files
    return [
        row for file in files.all() for batch in files.stream(*file) for row in batch.to_pylist()
    ]


def test_nothing_of_the_person_stays_and_all_else_does(house: House) -> None:
    before, documents = everything(house), [house.document(run) for run in (1, 2)]
    done = Forgetting(house.installation).forget(" Person2@Example.com ", by=ANA)
    assert (done.rows, done.runs, done.unreadable_runs, done.is_in_source) == (3, 2, 0, True)
    after = everything(house)
    theirs = [row["customer_id"] in ("0000002", "0000009") for row in before]
    assert sum(theirs) == 3
    assert [row for row, is_theirs in zip(after, theirs, strict=True) if not is_theirs] == [
        row for row, is_theirs in zip(before, theirs, strict=True) if not is_theirs
    ]
    blank = [row for row, is_theirs in zip(after, theirs, strict=True) if is_theirs]
    kept = [{name: value for name, value in row.items() if value} for row in blank]
    assert sorted(map(str, kept)) == sorted(
        map(str, [{}, {"reason": "missing_email"}, {"reason": "duplicate"}])
    )
    assert [house.document(run) for run in (1, 2)] == documents
    assert [row[2] for row in Runs(house.installation).rejected(2, by=ANA)] == ["duplicate"]


def test_afterwards_they_are_not_found_and_forgetting_again_changes_nothing(house: House) -> None:
    Forgetting(house.installation).forget(EMAIL, by=ANA)
    assert People(house.installation).find(EMAIL, by=ANA).document["runs"] == []
    again = Forgetting(house.installation).forget(EMAIL, by=ANA)
    assert (again.rows, again.runs) == (0, 0)
    said = [event.model_dump_json() for event in house.installation.audit.all_since(None)]
    assert any("profile.forget" in row for row in said)
    assert not any("person2" in row.lower() for row in said)


def test_a_person_in_a_live_run_is_refused_before_anything_changes(house: House) -> None:
    house.tell(
        "/_sandbox/behaviour",
        faults=[{"on": "contactsCSVImport", "do": "unavailable", "times": -1}],
    )
    run_id, before = house.queue(), everything(house)
    held = house.installation.runs.claim("elsewhere", run_id=run_id)
    assert held is not None
    execute_run(Held(run_id, "elsewhere"), Worker(house.installation).tools)
    assert house.document(run_id)["state"] == "waiting"
    with pytest.raises(Conflict, match=rf"has not ended \({run_id}\)"):
        Forgetting(house.installation).forget(EMAIL, by=ANA)
    assert everything(house)[: len(before)] == before
    Forgetting(house.installation).forget("person77@example.com", by=ANA)


def test_a_retry_leaves_a_forgotten_person_out(house: House) -> None:
    Forgetting(house.installation).forget(EMAIL, by=ANA)
    picked = list(pick_rows(house.installation.run_files.stream(2, RunFile.CONTACTS), [(0, 5)]))
    lines = pa.Table.from_batches(picked)["line"].to_pylist()
    assert sorted(line.partition(",")[0] for line in lines) == [
        f"person{n}@example.com" for n in (1, 3, 4, 5)
    ]


def test_what_is_no_address_is_wrong_usage(house: House) -> None:
    with pytest.raises(UsageError, match="not an email address"):
        Forgetting(house.installation).forget("person2", by=ANA)
