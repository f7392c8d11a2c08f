"""A worker killed around the ledger and the reading of the list: afterwards the ledger is neither ahead nor behind."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ccexport.preparation.mapping import parse_mapping
from ccexport.services.exports.exports import ExportDraft, Exports
from tests.crash.conftest import CrashHouse
from tests.crash.killed_worker import Doom
from tests.kit.house import ANA, LIST_ID, MAPPING, check_sums, people, write_source
from tests.runs.changing import counts

READING = "LedgerStore.store_reading"  # three times: intended, asked for, read; counted by each worker anew
DOOMS = [  # each the dooms of one run
    [
        Doom("before", READING),
        Doom("after", READING, 2),
        Doom("at", "list read"),
        Doom("at", "batches stored"),
        Doom("before", "RunStore.finish succeeded"),
    ],
    [
        Doom("after", READING),
        Doom("before", READING),
        Doom("after", READING, 2),
        Doom("at", "files written"),
        Doom("at", "posted"),
        Doom("after", "RunStore.finish succeeded"),
    ],
    [
        Doom("at", "list intended"),
        Doom("at", "list asked for"),
        Doom("before", READING),
        Doom("at", "before the end"),
    ],
]


@pytest.mark.parametrize("dooms", DOOMS, ids=str)
def test_a_run_of_changes_that_is_killed_sends_nobody_twice_and_its_ledger_is_exact(
    crash_house: Callable[..., CrashHouse], dooms: list[Doom]
) -> None:
    crash = crash_house()
    house, gone = crash.house, crash.profiles[1]["EMail"]
    draft = ExportDraft(
        "Newsletter", "Marketing", LIST_ID, ["All"], parse_mapping(MAPPING), "changes"
    )
    Exports(house.installation).update("Newsletter", draft, by=ANA)
    assert counts(house.run())["new"] == 20
    house.take_off(gone)
    changed = [{**crash.profiles[0], "FirstName": "Other"}, *crash.profiles[1:]]
    write_source(house.source, [*changed, *people(2, first=21)])

    run_id = house.queue()
    crash.kill_at(*dooms)
    document = crash.finish(run_id)
    check_sums(document)
    assert document["state"] == "succeeded", document["error"]
    assert counts(document) == {"new": 2, "changed": 1, "unchanged": 18, "suppressed": 1}
    assert crash.files_taken(run_id) == [batch["file_name"] for batch in document["batches"]]
    assert len(house.members()) == 21
    assert counts(house.run()) == {"new": 0, "changed": 0, "unchanged": 21, "suppressed": 1}
