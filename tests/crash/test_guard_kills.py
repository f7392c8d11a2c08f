"""A process killed around what the guard asks, on each database: it asks, is answered once, sends nothing before."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ccexport.services.runs.runs import Runs
from ccexport.store.audit import AuditFilter
from tests.crash.conftest import CrashHouse
from tests.crash.killed_worker import KILLED, Doom, answer_in_process, apart
from tests.kit.house import ANA, check_sums, people, write_source
from tests.runs.changing import change, counts

ASKING = [
    *(Doom("at", name) for name in ("files written", "asking")),
    *(Doom(when, "RunStore.ask") for when in ("before", "after")),
    Doom("at", "asked"),
]
APPROVED = [
    *(Doom(when, "RunStore.resume preparing") for when in ("before", "after")),
    *(Doom("at", name) for name in ("list intended", "list read", "files written")),
    *(Doom(when, "BatchStore.store_prepared") for when in ("before", "after")),
    *(Doom("at", name) for name in ("batches stored", "posted", "before the end")),
    *(Doom(when, "RunStore.finish succeeded") for when in ("before", "after")),
]


def asks_first(crash: CrashHouse) -> int:
    """Twenty people are on the list; a run of 120 more is queued. Gives its id."""
    change(crash.house, "Newsletter")
    assert counts(crash.house.run())["new"] == 20
    write_source(crash.house.source, [*crash.profiles, *people(120, first=21)])
    return crash.house.queue()


def held(crash: CrashHouse, run_id: int) -> bool:
    document = crash.house.document(run_id)
    is_held = (document["state"], document["waiting_for"]) == ("waiting", "approval")
    assert not is_held or document["guard"]["sent"] == 120
    assert len(crash.house.members()) == 20
    assert document["batches"] == []
    return is_held


@pytest.mark.parametrize("dooms", apart(ASKING, 2), ids=str)
def test_a_worker_killed_where_it_asks_asks_once_and_sends_nothing(
    crash_house: Callable[..., CrashHouse], dooms: list[Doom]
) -> None:
    crash = crash_house()
    run_id = asks_first(crash)
    crash.kill_at(*dooms)
    crash.house.work()
    assert held(crash, run_id)
    Runs(crash.house.installation).decline(run_id, by=ANA)
    assert len(crash.house.members()) == 20


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("answer", ["approve", "decline"])
def test_an_answer_killed_at_its_commit_is_given_wholly_or_not_at_all(
    crash_house: Callable[..., CrashHouse], answer: str, when: str
) -> None:
    crash = crash_house()
    house, run_id = crash.house, asks_first(crash)
    house.work()
    assert held(crash, run_id)
    doom = Doom(when, f"RunStore.{answer}")
    assert answer_in_process(house.environment(), run_id, answer, doom) == KILLED
    audited = house.installation.audit.count(AuditFilter(action=f"run.{answer}"))
    house.work()
    if when == "before":
        assert audited == 0
        assert held(crash, run_id)
        getattr(Runs(house.installation), answer)(run_id, by=ANA)
        house.work()
    else:
        assert audited == 1
    document = house.document(run_id)
    if answer == "approve":
        assert (document["state"], len(house.members())) == ("succeeded", 140)
        assert counts(house.run())["unchanged"] == 140
    else:
        assert (document["state"], len(house.members())) == ("canceled", 20)


@pytest.mark.parametrize("dooms", apart(APPROVED, 3), ids=str)
def test_an_approved_run_that_is_killed_goes_on_without_asking_again_and_sends_nobody_twice(
    crash_house: Callable[..., CrashHouse], dooms: list[Doom]
) -> None:
    crash = crash_house()
    house, run_id = crash.house, asks_first(crash)
    house.work()
    Runs(house.installation).approve(run_id, by=ANA)
    crash.kill_at(*dooms)
    document = crash.finish(run_id)
    check_sums(document)
    assert document["state"] == "succeeded", document["error"]
    assert document["guard"]["approved_by"] == ANA.name
    assert crash.files_taken(run_id) == [batch["file_name"] for batch in document["batches"]]
    assert len(house.members()) == 140
    assert counts(house.run())["unchanged"] == 140
