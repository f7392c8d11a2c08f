"""A worker killed by SIGKILL at each point and commit of a run: the next one goes on, nothing is lost or sent twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.crash.conftest import CrashHouse
from tests.crash.killed_worker import KILLED, Doom, commits_of
from tests.kit.house import check_sums

POINTS = [  # each the dooms of one run; a second file is counted by the worker that meets it
    [Doom("at", name) for name in ("preparing", "batches stored", "posted", "batch ended")],
    [
        Doom("at", name)
        for name in ("files written", "intent committed", "outcome committed", "before the end")
    ],
    [Doom("at", "intent committed", 2), Doom("at", "batch ended")],
    [Doom("at", "posted", 2), Doom("at", "before the end")],
]
# every commit of a run from its claim to its end, in order, with a file that is lost once
COMMITS = [
    "WorkerStore.started",
    "LedgerStore.drop_old",
    "AuditStore.delete_older_than",
    "Watch.delete_older_than",
    "RunStore.claim",
    "RunStore.move preparing",
    "BudgetStore.reserve_slot",
    "LedgerStore.hash_key",
    "BatchStore.store_prepared",
    "RunStore.add_seconds",
    "BatchStore.move sending",
    "BatchStore.move submitted",
    "BatchStore.move pending",
    "RunStore.move confirming",
    "BatchStore.end",
    "RunStore.finish succeeded",
    "WorkerStore.stopped",
]
# where the answer to a file is lost, by a worker that has just sent it
WAITING = ["RunStore.wait", "RunStore.resume uploading", "RunStore.made_progress"]
# and of a sign-in that has to be renewed: it may be lost with the worker, and the run waits for a person then
RENEWAL = ["TokenStore.take_lease", "TokenStore.write", "TokenStore.give_lease_back"]
ON_SOME_MACHINES = {  # of these no run can rely on having any
    "WorkerStore.beat",
    "RunStore.renew_leases",
    "BudgetStore.missed_slot",
    "BudgetStore.start_now",
    "RunStore.move uploading",  # where all was sent before a file was found to be lost
}
BOTH = ("before", "after")
LOST_ONCE = [{"on": "contactsCSVImport", "do": "drop_before"}]


@pytest.mark.parametrize("dooms", POINTS, ids=str)
def test_a_run_killed_at_any_point_ends_as_if_nothing_had_happened(
    crash_house: Callable[..., CrashHouse], dooms: list[Doom]
) -> None:
    crash = crash_house()
    run_id = crash.house.queue()
    crash.kill_at(*dooms)
    crash.check(run_id, crash.finish(run_id))


@pytest.mark.parametrize("commits", [COMMITS[first::4] for first in range(4)], ids=str)
def test_a_run_killed_before_and_then_after_a_commit_ends_as_if_nothing_had_happened(
    crash_house: Callable[..., CrashHouse], commits: list[str]
) -> None:
    crash = crash_house(faults=LOST_ONCE)
    run_id = crash.house.queue()
    crash.kill_at(*(Doom(when, commit) for commit in commits for when in BOTH))
    crash.check(run_id, crash.finish(run_id))


@pytest.mark.parametrize(
    "dooms",
    [
        [Doom("before", WAITING[0])],
        [Doom("after", WAITING[0]), *(Doom(w, c) for c in WAITING[1:] for w in BOTH)],
    ],
    ids=str,
)
def test_a_run_killed_around_its_waiting_for_a_lost_answer_ends_as_if_nothing_had_happened(
    crash_house: Callable[..., CrashHouse], dooms: list[Doom]
) -> None:
    """The answer is lost once: who takes over before the waiting was stored looks at once, and does not wait."""
    crash = crash_house(faults=LOST_ONCE)
    run_id = crash.house.queue()
    crash.kill_at(*dooms)
    crash.check(run_id, crash.finish(run_id))


@pytest.mark.parametrize("commit", RENEWAL)
def test_a_run_killed_around_a_renewal_ends_as_if_nothing_had_happened(
    crash_house: Callable[..., CrashHouse], commit: str
) -> None:
    crash = crash_house()
    crash.shorten_tokens(60)
    run_id = crash.house.queue()
    crash.kill_at(Doom("before", commit))
    crash.work_in_process(Doom("after", commit))
    crash.check(run_id, crash.finish(run_id))


def test_every_commit_of_a_run_has_its_kill(crash_house: Callable[..., CrashHouse]) -> None:
    crash = crash_house(faults=LOST_ONCE)
    crash.shorten_tokens(60)
    run_id = crash.house.queue()
    made = commits_of(crash.house.work)
    crash.check(run_id, crash.house.document(run_id))
    assert set(made) - ON_SOME_MACHINES == {*COMMITS, *WAITING, *RENEWAL}


@pytest.mark.parametrize(
    "doom",
    [
        Doom("before", "BatchStore.refused"),
        Doom("after", "BatchStore.refused"),
        Doom("before", "BatchStore.refused", 2),
        Doom("before", "BatchStore.end"),
    ],
    ids=str,
)
def test_a_run_killed_while_it_halves_a_refused_file_finds_the_row_and_sends_nobody_twice(
    crash_house: Callable[..., CrashHouse], doom: Doom
) -> None:
    bad = "person3@example.com"
    refuse = {"on": "contactsCSVImport", "do": "refuse_file", "times": -1, "containing": [bad]}
    crash = crash_house(faults=[refuse])
    run_id = crash.house.queue()
    assert crash.work_in_process(doom) == KILLED, crash.said()
    document = crash.finish(run_id)
    check_sums(document)
    assert (document["state"], document["counts"]["failed"]) == ("completed_with_errors", 1)
    everybody = {profile["EMail"] for profile in crash.profiles}
    assert set(crash.house.members()) == everybody - {bad}
    taken = [each for each in crash.house.requests("contactsCSVImport") if each["activity_id"]]
    assert sum(each["rows"] for each in taken) == len(everybody) - 1
