"""A worker killed while it takes people off a list: each is off it once, nobody else is, the ledger is exact."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ccexport.preparation.mapping import parse_mapping
from ccexport.services.exports.exports import ExportDraft, Exports
from tests.crash.conftest import CrashHouse
from tests.crash.killed_worker import Doom, apart, commits_of
from tests.kit.house import ANA, LIST_ID, MAPPING, check_sums, people, write_source
from tests.runs.changing import counts, put_on_by_hand

STRANGER = "stranger@example.com"
REMOVE = "postListRemoveContact"
COMMITS = [
    "RemovalStore.plan",
    "RemovalStore.begin",
    "RemovalStore.move submitted",
    "RemovalStore.end completed",
]
DOOMS = [  # in the order of a run
    Doom("at", "batch ended"),
    *(Doom(when, "RemovalStore.plan") for when in ("before", "after")),
    Doom("at", "removal planned"),
    *(Doom(when, "RemovalStore.begin") for when in ("before", "after")),
    *(Doom("at", point) for point in ("removal intended", "removal asked for")),
    *(Doom(when, "RemovalStore.move submitted") for when in ("before", "after")),
    Doom("at", "removal submitted"),
    *(Doom(when, "RemovalStore.end completed") for when in ("before", "after")),
    *(Doom("at", point) for point in ("removal ended", "before the end")),
    *(Doom(when, "RunStore.finish succeeded") for when in ("before", "after")),
]


def mirroring(crash: CrashHouse) -> None:
    """Twenty people on the list, and a stranger; then the second changes, two are new, and three leave."""
    house = crash.house
    mapping = parse_mapping(MAPPING)
    draft = ExportDraft("Newsletter", "Marketing", LIST_ID, ["All"], mapping, "mirror")
    Exports(house.installation).update("Newsletter", draft, by=ANA)
    assert counts(house.run())["new"] == 20
    put_on_by_hand(house, STRANGER)
    changed = [{**crash.profiles[1], "FirstName": "Other"}, *crash.profiles[2:18]]
    write_source(house.source, [*changed, *people(2, first=21)])


def is_exact(crash: CrashHouse, run_id: int) -> None:
    house, document = crash.house, crash.finish(run_id)
    check_sums(document)
    assert document["state"] == "succeeded", document["error"]
    assert counts(document) == {"new": 2, "changed": 1, "unchanged": 16, "suppressed": 0}
    assert document["counts"]["removed"] == document["to_remove"] == 3
    left = {crash.profiles[n]["EMail"] for n in (0, 18, 19)}
    new = {"person21@example.com", "person22@example.com"}
    everybody = {profile["EMail"] for profile in crash.profiles}
    assert set(house.members()) == everybody - left | new | {STRANGER}
    assert len([each for each in house.requests(REMOVE) if each["activity_id"]]) == 1
    again = house.run()
    assert counts(again) == {"new": 0, "changed": 0, "unchanged": 19, "suppressed": 0}
    assert again["counts"]["removed"] == 0
    write_source(house.source, [*crash.profiles, *people(2, first=21)])
    assert counts(house.run()) == {"new": 3, "changed": 1, "unchanged": 18, "suppressed": 0}


@pytest.mark.parametrize("dooms", apart(DOOMS, 4), ids=str)
def test_a_run_killed_around_a_removal_takes_each_off_once_and_nobody_else(
    crash_house: Callable[..., CrashHouse], dooms: list[Doom]
) -> None:
    crash = crash_house()
    mirroring(crash)
    run_id = crash.house.queue()
    crash.kill_at(*dooms)
    is_exact(crash, run_id)


def test_every_commit_of_a_removal_has_its_kill(crash_house: Callable[..., CrashHouse]) -> None:
    crash = crash_house()
    mirroring(crash)
    run_id = crash.house.queue()
    made = commits_of(crash.house.work)
    is_exact(crash, run_id)
    assert {name for name in made if name.startswith("RemovalStore")} == set(COMMITS)
