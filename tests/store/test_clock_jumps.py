"""The clock is set back or forward by an hour: leases, pace, budget and looks stay sane."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from ccexport.errors import CcexportError, QuotaExceeded
from ccexport.runs.poll_timer import PollTimer
from ccexport.states import RunState
from ccexport.store.budget import BudgetStore
from ccexport.store.moves import Held
from ccexport.store.runs import RunStore
from tests.kit.clocks import Clock
from tests.kit.rows import run_row


@pytest.fixture
def runs(engine: Engine, clock: Clock) -> RunStore:
    return RunStore(engine, clock)


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_run_has_one_worker_whichever_way_the_clock_jumps(
    runs: RunStore, clock: Clock, hours: int
) -> None:
    """Another may take the run over at once; the worker that had it then touches nothing more."""
    run = runs.queue(run_row(at=clock()))
    assert runs.claim("first") is not None
    clock.move(hours=hours)
    assert runs.claim("second") is not None
    assert runs.claim("third") is None
    with pytest.raises(CcexportError):
        runs.move(Held(run.id, "first"), RunState.PREPARING)
    assert runs.move(Held(run.id, "second"), RunState.PREPARING).state is RunState.PREPARING


def test_a_heartbeat_after_the_clock_was_set_back_keeps_the_run(
    runs: RunStore, clock: Clock
) -> None:
    run = runs.queue(run_row(at=clock()))
    runs.claim("first")
    clock.move(hours=-1)
    runs.renew_leases("first", [run.id])
    assert runs.claim("second") is None
    assert runs.check_lease(Held(run.id, "first")).id == run.id


def test_hosts_whose_clocks_differ_a_little_take_no_run_from_each_other(
    runs: RunStore, clock: Clock
) -> None:
    runs.queue(run_row(at=clock()))
    runs.claim("first")
    clock.move(seconds=-30)
    assert runs.claim("second") is None
    clock.move(seconds=60)
    assert runs.claim("second") is None


@pytest.mark.parametrize("hours", [-1, 1])
def test_the_next_request_waits_no_longer_than_its_turn(
    engine: Engine, clock: Clock, hours: int
) -> None:
    budget = BudgetStore(engine, "app", requests_per_second=4, requests_per_day=100, now=clock)
    budget.reserve_slot()
    clock.move(hours=hours)
    assert budget.reserve_slot() < 1


def test_a_clock_set_back_over_midnight_does_not_forget_what_was_used(
    engine: Engine, clock: Clock
) -> None:
    budget = BudgetStore(engine, "app", requests_per_second=4, requests_per_day=2, now=clock)
    clock.move(hours=14, minutes=10)
    budget.reserve_slot()
    budget.reserve_slot()
    clock.move(hours=-1)
    assert budget.today().left == 0
    with pytest.raises(QuotaExceeded):
        budget.reserve_slot()


def test_a_date_that_was_wrong_by_days_does_not_stop_requests_until_it_comes(
    engine: Engine, clock: Clock
) -> None:
    budget = BudgetStore(engine, "app", requests_per_second=4, requests_per_day=1, now=clock)
    clock.move(days=30)
    budget.reserve_slot()
    clock.move(days=-30)
    assert budget.today().left == 1
    budget.reserve_slot()


@pytest.mark.parametrize(("hours", "most"), [(-1, 5.0), (1, 0.0)])
def test_activities_are_looked_at_again_in_time(clock: Clock, hours: int, most: float) -> None:
    timer = PollTimer(5.0, clock())
    clock.move(hours=hours)
    assert timer.seconds_left(clock()) <= most
    clock.move(seconds=5)
    assert timer.seconds_left(clock()) == 0
