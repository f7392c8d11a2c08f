"""Questions about many runs, on both databases."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from ccexport.states import RunState, Trigger, WaitingFor
from ccexport.store.database.engine import writing
from ccexport.store.history import HistoryStore, RunFilter
from tests.kit.clocks import Clock
from tests.kit.rows import connection_row, export_row, run_row


@pytest.fixture
def history(engine: Engine, clock: Clock) -> HistoryStore:
    return HistoryStore(engine, clock)


@pytest.fixture
def store(engine: Engine, clock: Clock) -> Store:
    return Store(engine, clock)


class Store:
    """Rows for a test."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock

    def connection(self) -> int:
        row = connection_row(at=self._clock())
        return self._stored(row)

    def export(self, name: str, **values: Any) -> int:
        return self._stored(export_row(name, at=self._clock(), **values))

    def run(self, state: RunState, **values: Any) -> int:
        queued_at = values.pop("queued_at", self._clock())
        ended = queued_at + timedelta(minutes=1) if state.is_final else None
        times = {"started_at": queued_at, "finished_at": ended}
        return self._stored(run_row(state, at=queued_at, **(times | values)))

    def _stored(self, row: Any) -> int:
        with writing(self._engine) as session:
            session.add(row)
            session.flush()
            return int(row.id)


def test_page_has_the_newest_first_and_count_counts_all(
    history: HistoryStore, store: Store
) -> None:
    ids = [store.run(RunState.SUCCEEDED) for _ in range(5)]
    assert [run.id for run in history.page(RunFilter(), offset=1, limit=2)] == [ids[3], ids[2]]
    assert history.count(RunFilter()) == 5


def test_filters_narrow_page_count_and_sums_alike(
    history: HistoryStore, store: Store, clock: Clock
) -> None:
    wanted = store.run(
        RunState.FAILED, export_name="Win-back", trigger=Trigger.REFRESH, submitted_count=7
    )
    store.run(RunState.SUCCEEDED, export_name="Win-back", trigger=Trigger.REFRESH)
    store.run(RunState.FAILED, trigger=Trigger.REFRESH)
    store.run(RunState.FAILED, export_name="Win-back")
    store.run(
        RunState.FAILED,
        export_name="Win-back",
        trigger=Trigger.REFRESH,
        queued_at=clock() - timedelta(days=9),
    )
    only = RunFilter(
        "Win-back", (RunState.FAILED,), Trigger.REFRESH, since=clock() - timedelta(days=1)
    )
    assert [run.id for run in history.page(only)] == [wanted]
    assert history.count(only) == 1
    assert [(each.runs, each.sent) for each in history.daily(only)] == [(1, 7)]
    assert [each.run_id for each in history.times(only)] == [wanted]


def test_daily_sums_are_by_utc_day(history: HistoryStore, store: Store) -> None:
    late = datetime(2026, 1, 3, 23, 59, 59, tzinfo=UTC)
    for queued_at, sent in (
        (late, 10),
        (late + timedelta(seconds=1), 5),
        (late + timedelta(hours=1), 1),
    ):
        store.run(
            RunState.SUCCEEDED,
            queued_at=queued_at,
            submitted_count=sent,
            rejected_count=2,
            unsubscribed_count=1,
        )
    sums = [
        (each.day, each.sent, each.accepted, each.left_out) for each in history.daily(RunFilter())
    ]
    assert sums == [(date(2026, 1, 3), 10, 9, 2), (date(2026, 1, 4), 6, 4, 4)]


def test_times_are_of_runs_that_began_and_ended(history: HistoryStore, store: Store) -> None:
    ended = store.run(RunState.SUCCEEDED, seconds={"preparing": 1.5, "uploading": 2.0})
    store.run(RunState.QUEUED, started_at=None)
    store.run(RunState.CANCELED, started_at=None)
    found = history.times(RunFilter())
    assert [(each.run_id, each.seconds, each.work_seconds) for each in found] == [(ended, 60, 3.5)]


def test_export_names_are_those_the_exports_had(history: HistoryStore, store: Store) -> None:
    for name in ("b", "A", "b", "c"):
        store.run(RunState.SUCCEEDED, export_name=name)
    assert history.export_names() == ["A", "b", "c"]


def test_waiting_for_a_person_leaves_out_what_goes_on_by_itself(
    history: HistoryStore, store: Store
) -> None:
    waiting = {reason: store.run(RunState.WAITING, waiting_for=reason) for reason in WaitingFor}
    store.run(RunState.CANCELED, waiting_for=None)
    found = [run.id for run in history.waiting_for_a_person()]
    assert found == [waiting[WaitingFor.SIGN_IN], waiting[WaitingFor.APPROVAL]]


def test_failing_names_exports_whose_last_run_did_not_end_well(
    history: HistoryStore, store: Store, clock: Clock
) -> None:
    mended, broken, partly, removed, old = (store.export(name) for name in "abcde")
    store.run(RunState.FAILED, export_id=mended)
    store.run(RunState.SUCCEEDED, export_id=mended)
    store.run(RunState.SUCCEEDED, export_id=broken)
    failed = store.run(RunState.FAILED, export_id=broken)
    store.run(RunState.CANCELED, export_id=broken)
    store.run(RunState.QUEUED, export_id=broken)
    errors = store.run(RunState.COMPLETED_WITH_ERRORS, export_id=partly)
    store.run(RunState.FAILED, export_id=None)
    store.run(RunState.FAILED, export_id=old, queued_at=clock() - timedelta(days=31))
    assert removed
    runs, total = history.failing(timedelta(days=30))
    assert [run.id for run in runs] == [failed, errors]
    assert total == 2
    assert [run.id for run in history.failing(timedelta(days=30), limit=1)[0]] == [failed]


def test_previous_is_the_last_run_of_the_export_that_sent_to_its_end(
    history: HistoryStore, store: Store
) -> None:
    export, other = store.export("a"), store.export("b")
    before = store.run(RunState.COMPLETED_WITH_ERRORS, export_id=export)
    store.run(RunState.FAILED, export_id=export)
    store.run(RunState.SUCCEEDED, export_id=other)
    store.run(RunState.QUEUED, export_id=export)
    this = history.page(RunFilter(), limit=1)[0]
    found = history.previous(this)
    assert found is not None
    assert found.id == before
    assert history.previous(found) is None


def test_next_due_and_counts_leave_detached_exports_out(
    history: HistoryStore, store: Store, clock: Clock
) -> None:
    marketing = store.connection()
    later, soon = clock() + timedelta(hours=9), clock() + timedelta(hours=1)
    store.export("later", connection_id=marketing, next_run_at=later)
    store.export("soon", connection_id=marketing, next_run_at=soon)
    store.export("detached", next_run_at=soon, schedule="refresh")
    store.export("with refresh", connection_id=marketing, schedule="refresh")
    found = [(each.name, each.next_run_at) for each in history.next_due()]
    assert found == [("soon", soon), ("later", later)]
    assert [each.name for each in history.next_due(limit=1)] == ["soon"]
    assert history.export_counts() == {"all": 4, "detached": 1, "refresh": 1}


def test_an_empty_store_has_no_history(history: HistoryStore) -> None:
    assert not history.has_runs()
    assert history.page(RunFilter()) == []
    assert history.daily(RunFilter()) == []
    assert history.failing(timedelta(days=30)) == ([], 0)
    assert history.export_counts() == {"all": 0, "detached": 0, "refresh": 0}
