"""Waiting is a state: it ends by itself or after a person acted, adds up, and holds nobody else up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from ccexport.constantcontact.pacing import Throttling
from ccexport.preparation.files import cut_files
from ccexport.runs.pipeline import execute_run
from ccexport.runs.tools import Tools
from ccexport.sandbox.server import RunningSandbox, running_sandbox
from ccexport.services.runs.runs import Runs
from ccexport.store.moves import Held
from tests.kit.clocks import Clock, MovedClock
from tests.kit.house import House, behaviour, check_sums, people, write_source

WORKER = "w1"
HALF_A_SECOND = timedelta(seconds=0.5)  # a document says whole ones


class Turns:
    """A run that is given its turns by hand, in a time that its waits move."""

    def __init__(self, folder: Path, sandbox: RunningSandbox, clock: MovedClock) -> None:
        self.clock = clock
        self.house = House(folder, sandbox, now=clock, poll_seconds=1)
        self.house.installation = replace(
            self.house.installation, sleep=clock.move, elapsed=clock.seconds
        )
        write_source(self.house.source, people(10))
        self.house.connect()
        self.house.add_export()

    def tools(self) -> Tools:
        return replace(self.house.installation.tools(threading.Event()), sleep=self._pause)

    def _pause(self, seconds: float) -> bool:
        runs = self.house.installation.runs
        runs.renew_leases(WORKER, [run.id for run in runs.unfinished()])
        self.clock.move(seconds)
        return False

    def go_on(self, run_id: int) -> dict[str, object]:
        assert self.house.installation.runs.claim(WORKER, run_id=run_id)
        execute_run(Held(run_id, WORKER), self.tools())
        return self.house.document(run_id)

    def until(self, at: object) -> None:
        """Move the clock a second beyond a time of a document."""
        wanted = datetime.fromisoformat(str(at)) + timedelta(seconds=1)
        self.clock.move((wanted - self.clock()).total_seconds())


@pytest.fixture
def turns(tmp_path: Path) -> Iterator[Turns]:
    clock = MovedClock()
    noon = datetime.combine(clock().date(), datetime.min.time(), UTC) + timedelta(hours=36)
    clock.move((noon - clock()).total_seconds())
    with running_sandbox(behaviour(), clock=clock.seconds) as sandbox:
        turns = Turns(tmp_path, sandbox, clock)
        yield turns
        turns.house.close()


def fault(house: House, on: str, do: str, **more: object) -> None:
    house.tell("/_sandbox/behaviour", faults=[{"on": on, "do": do, "times": -1, **more}])


def end_faults(house: House) -> None:
    house.tell("/_sandbox/behaviour", faults=[])


def test_the_days_quota_reached_in_mid_run_is_waited_for_and_the_run_adds_up(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccexport.preparation.contacts.cut_files", partial(cut_files, max_rows=2))
    house = turns.house
    run_id = house.queue()
    used = sum(each["path"].startswith("/v3/") for each in house.requests())
    house.tell("/_sandbox/behaviour", requests_per_day=used + 5)
    document = turns.go_on(run_id)
    assert (document["state"], document["waiting_for"]) == ("waiting", "quota")
    sent = len(house.requests("contactsCSVImport"))
    made = [each for each in house.requests("contactsCSVImport") if each["activity_id"]]
    assert 1 < len(made) < 5, "the quota was to end in the middle of the run"
    assert house.installation.budget.today().left == 0
    midnight = turns.clock().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    until = datetime.fromisoformat(str(document["waiting_until"]))
    assert midnight < until < midnight + timedelta(minutes=5)
    assert house.installation.runs.claim(WORKER, run_id=run_id) is None, "it does not try before"
    assert len(house.requests("contactsCSVImport")) == sent
    turns.until(document["waiting_until"])
    document = turns.go_on(run_id)
    check_sums(document)
    assert document["state"] == "succeeded"
    assert document["counts"]["accepted"] == 10  # type: ignore[index]  # a document
    assert len([each for each in house.requests("contactsCSVImport") if each["activity_id"]]) == 5
    assert len(house.members()) == 10


def test_our_own_budget_of_the_day_is_waited_for_before_constant_contact_says_so(
    turns: Turns,
) -> None:
    house = turns.house
    settings = house.settings.model_copy(
        update={"cc_requests_per_day": house.installation.budget.today().used + 2}
    )
    house.installation = replace(house.installation, settings=settings)
    run_id = house.queue()
    document = turns.go_on(run_id)
    assert (document["state"], document["waiting_for"]) == ("waiting", "quota")
    asked = [each for each in house.requests() if each["path"].startswith("/v3/")]
    assert not [each for each in asked if each["status"] == 429]
    turns.until(document["waiting_until"])
    assert turns.go_on(run_id)["state"] == "succeeded"


def test_a_quota_that_is_refused_just_after_midnight_does_not_cost_the_new_day(
    turns: Turns,
) -> None:
    midnight = turns.clock().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    turns.until((midnight + timedelta(seconds=30)).isoformat())
    run_id = turns.house.queue()
    fault(turns.house, "getAccountById", "quota_exceeded")
    document = turns.go_on(run_id)
    assert document["waiting_for"] == "quota"
    until = datetime.fromisoformat(str(document["waiting_until"]))
    assert until < midnight + timedelta(minutes=10)
    assert turns.house.installation.budget.today().left > 0
    end_faults(turns.house)
    turns.until(document["waiting_until"])
    assert turns.go_on(run_id)["state"] == "succeeded"


def test_unbroken_429s_of_five_minutes_mean_the_days_quota(turns: Turns) -> None:
    run_id = turns.house.queue()
    fault(turns.house, "*", "answer", status=429, body="<html>slow down</html>")
    reasons, began = [], turns.clock()
    for _ in range(30):
        document = turns.go_on(run_id)
        reasons.append(document["waiting_for"])
        if reasons[-1] == "quota":
            break
        turns.until(document["waiting_until"])
    assert set(reasons[:-1]) == {"service"}
    assert reasons[-1] == "quota"
    assert timedelta(minutes=5) <= turns.clock() - began < timedelta(minutes=20)
    assert turns.house.installation.budget.today().exhausted
    end_faults(turns.house)
    turns.until(document["waiting_until"])
    assert turns.go_on(run_id)["state"] == "succeeded"


def test_one_other_answer_ends_a_row_of_429s(clock: Clock) -> None:
    throttling = Throttling(clock)
    throttling.heard(429)
    clock.move(minutes=4)
    throttling.heard(200)
    clock.move(minutes=4)
    assert throttling.lasts() == timedelta(0)
    throttling.heard(429)
    clock.move(minutes=5)
    throttling.heard(429)
    assert throttling.lasts() == timedelta(minutes=5)


def test_a_service_that_is_down_for_days_is_tried_ever_more_seldom_and_the_run_goes_on(
    turns: Turns,
) -> None:
    run_id = turns.house.queue()
    fault(turns.house, "*", "unavailable")
    for seconds in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900):
        before = turns.clock()
        document = turns.go_on(run_id)
        assert (document["state"], document["waiting_for"]) == ("waiting", "service")
        until = datetime.fromisoformat(str(document["waiting_until"]))
        least, most = until - turns.clock(), until - before  # it began to wait in between
        assert least - HALF_A_SECOND < timedelta(seconds=seconds) < most + HALF_A_SECOND
        turns.until(document["waiting_until"])
    turns.clock.move(3 * 86_400)  # the rest of three days is more of the same
    end_faults(turns.house)
    document = turns.go_on(run_id)
    check_sums(document)
    assert document["state"] == "succeeded"


def test_a_full_queue_is_waited_for_by_minutes_and_longer_each_time(turns: Turns) -> None:
    run_id = turns.house.queue()
    fault(turns.house, "contactsCSVImport", "queue_full")
    waits = []
    for _ in range(5):
        document = turns.go_on(run_id)
        assert (document["state"], document["waiting_for"]) == ("waiting", "queue")
        until = datetime.fromisoformat(str(document["waiting_until"]))
        waits.append(round((until - turns.clock()).total_seconds() / 60))
        turns.until(document["waiting_until"])
    assert waits == [2, 4, 8, 15, 15]
    end_faults(turns.house)
    assert turns.go_on(run_id)["state"] == "succeeded"


def test_no_waiting_counts_as_a_failure_or_as_work(turns: Turns) -> None:
    run_id = turns.house.queue()
    fault(turns.house, "contactsCSVImport", "queue_full")
    document = turns.go_on(run_id)
    turns.clock.move(3600)
    end_faults(turns.house)
    document = turns.go_on(run_id)
    assert document["state"] == "succeeded"
    assert document["counts"]["failed"] == 0  # type: ignore[index]  # a document
    assert sum(document["timings"].values()) < 600  # type: ignore[attr-defined]  # a document


def test_a_right_that_is_lost_in_mid_run_is_waited_for_and_what_was_sent_adds_up(
    turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccexport.preparation.contacts.cut_files", partial(cut_files, max_rows=2))
    house = turns.house
    run_id = house.queue()
    fault(house, "contactsCSVImport", "access_denied", after=2)
    document = turns.go_on(run_id)
    assert (document["state"], document["waiting_for"]) == ("waiting", "sign_in")
    assert house.installation.connections.get(1).needs_sign_in
    assert Runs(house.installation).document(run_id)["waiting_until"] is None
    end_faults(house)
    turns.clock.move(2)
    house.connect()
    document = turns.go_on(run_id)
    check_sums(document)
    assert document["state"] == "succeeded"
    assert len([each for each in house.requests("contactsCSVImport") if each["activity_id"]]) == 5


def test_an_end_is_seen_a_seventh_of_its_time_later_though_the_last_look_is_young(
    turns: Turns,
) -> None:
    house = turns.house
    house.tell("/_sandbox/behaviour", processing_seconds=104)
    run_id = house.queue()
    assert house.installation.runs.claim(WORKER, run_id=run_id)
    execute_run(Held(run_id, WORKER), replace(turns.tools(), poll_seconds=100.0))
    assert house.document(run_id)["state"] == "succeeded"
    [sent] = house.requests("contactsCSVImport")
    looks = [each["at"] - sent["at"] for each in house.requests("getActivityStatusCollection")]
    assert looks == pytest.approx([100, 115], abs=15)  # waits, and what the machine takes


def test_a_look_that_another_run_takes_is_used_before_ones_own_is_due(
    turns: Turns,
) -> None:
    house, clock = turns.house, turns.clock
    house.tell("/_sandbox/behaviour", processing_seconds=100)
    run_id = house.queue()
    assert house.installation.runs.claim(WORKER, run_id=run_id)
    tools = turns.tools()
    looked: list[datetime] = []

    def pause(seconds: float) -> bool:
        sent = house.installation.batches.of_run(run_id)
        submitted = sent[0].submitted_at if sent else None
        if submitted and clock() > submitted + timedelta(seconds=101) and not looked:
            looked.append(clock())
            with closing(house.installation.client_for(1)) as client:
                tools.activities.look(1, client, not_before=clock(), wanted=set())
        return turns._pause(min(seconds, 0.3))

    execute_run(Held(run_id, WORKER), replace(tools, sleep=pause))
    document = house.document(run_id)
    assert document["state"] == "succeeded"
    ended = datetime.fromisoformat(document["finished_at"])
    assert ended - looked[0] < timedelta(seconds=1)
    own = [each for each in house.requests("getActivityStatusCollection")][:-1]
    assert looked[0].timestamp() - own[-1]["at"] > 1, "its own next look was not due"
