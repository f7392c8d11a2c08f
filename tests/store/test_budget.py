"""Pacing and the day's budget, shared by every process on the store."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from ccexport.errors import QuotaExceeded
from ccexport.store.budget import SPACING_MARGIN, BudgetStore, next_reset
from ccexport.store.database.engine import open_engine
from tests.kit.clocks import Clock


def budget(engine: Engine, clock: Clock, *, per_day: int = 10_000) -> BudgetStore:
    return BudgetStore(engine, "app", requests_per_second=4, requests_per_day=per_day, now=clock)


def test_slots_are_a_little_further_apart_than_the_limit(engine: Engine, clock: Clock) -> None:
    shared = budget(engine, clock)
    waits = [shared.reserve_slot() for _ in range(5)]
    spacing = SPACING_MARGIN / 4
    assert waits == pytest.approx([n * spacing for n in range(5)], abs=1e-4)
    assert waits[4] > 1.0


def test_a_slot_after_a_pause_is_at_once(engine: Engine, clock: Clock) -> None:
    shared = budget(engine, clock)
    shared.reserve_slot()
    clock.move(seconds=10)
    assert shared.reserve_slot() == 0


def test_a_request_outside_the_slots_counts_and_is_not_followed_too_closely(
    engine: Engine, clock: Clock
) -> None:
    shared = budget(engine, clock)
    shared.reserve_slot()
    clock.move(seconds=0.2)
    shared.start_now()
    assert shared.reserve_slot() == pytest.approx(SPACING_MARGIN / 4, abs=1e-4)
    assert shared.today().used == 3


def test_what_the_store_takes_is_no_part_of_the_wait_and_a_slot_may_be_past(engine: Engine) -> None:
    moments = iter([*[10.0] * 2, 10.0, 10.1, 20.0, 20.5, 30.0, 29.0])
    shared = BudgetStore(
        engine,
        "app",
        requests_per_second=4,
        requests_per_day=10_000,
        now=lambda: datetime.fromtimestamp(next(moments), UTC),
    )
    shared.reserve_slot()
    assert shared.reserve_slot() == pytest.approx(SPACING_MARGIN / 4 - 0.1, abs=1e-4)
    assert shared.reserve_slot() == pytest.approx(-0.5, abs=1e-4)
    assert shared.reserve_slot() == pytest.approx(0, abs=1e-4), "set back meanwhile"


def test_a_missed_slot_costs_nothing_of_the_day(engine: Engine, clock: Clock) -> None:
    shared = budget(engine, clock, per_day=1)
    shared.reserve_slot()
    shared.missed_slot()
    assert shared.today().left == 1
    assert shared.reserve_slot() > 0, "the slot itself is gone"


def test_the_days_last_request_is_handed_out_and_not_one_more(engine: Engine, clock: Clock) -> None:
    shared = budget(engine, clock, per_day=2)
    shared.reserve_slot()
    shared.reserve_slot()
    with pytest.raises(QuotaExceeded):
        shared.reserve_slot()
    today = shared.today()
    assert (today.used, today.left) == (2, 0)
    assert today.resets_at == datetime(2026, 1, 6, tzinfo=UTC)
    clock.move(hours=14)
    assert shared.reserve_slot() >= 0
    assert shared.today().used == 1


def test_what_the_service_says_counts_more_than_our_count(engine: Engine, clock: Clock) -> None:
    shared = budget(engine, clock)
    shared.mark_exhausted()
    assert shared.today().left == 0
    with pytest.raises(QuotaExceeded):
        shared.reserve_slot()


def test_a_clock_set_back_does_not_stop_requests_for_an_hour(engine: Engine, clock: Clock) -> None:
    shared = budget(engine, clock)
    shared.reserve_slot()
    clock.move(hours=-1)
    assert shared.reserve_slot() < 1


def test_applications_do_not_share_their_budget(engine: Engine, clock: Clock) -> None:
    budget(engine, clock, per_day=1).reserve_slot()
    other = BudgetStore(engine, "other", requests_per_second=4, requests_per_day=1, now=clock)
    assert other.reserve_slot() == 0


def test_many_at_once_never_get_the_same_slot(
    database_url: str, engine: Engine, clock: Clock
) -> None:
    waits: list[float] = []

    def take() -> None:
        own = open_engine(database_url)  # as another process would
        shared = budget(own, clock)
        waits.extend(shared.reserve_slot() for _ in range(5))
        own.dispose()

    threads = [threading.Thread(target=take) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spacing = SPACING_MARGIN / 4
    assert sorted(waits) == pytest.approx([n * spacing for n in range(30)], abs=1e-3)


@pytest.mark.parametrize(
    ("now", "reset"),
    [
        (datetime(2026, 1, 5, 0, 0, tzinfo=UTC), datetime(2026, 1, 6, tzinfo=UTC)),
        (datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
    ],
)
def test_the_budget_resets_at_midnight_utc(now: datetime, reset: datetime) -> None:
    assert next_reset(now) == reset
    assert next_reset(now) - now <= timedelta(days=1)
