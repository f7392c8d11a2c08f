"""Refreshes on each database: the schedule, one reading by one worker, sizes over time, exports queued with it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlmodel import SQLModel

from ccexport.errors import UsageError
from ccexport.runs.due import INTERRUPTED, INTERRUPTED_AFTER, Begun, Due
from ccexport.services.exports.exports import Exports
from ccexport.services.operations.refreshes import Refreshes, refresh_document
from ccexport.states import Trigger
from ccexport.store.database.engine import open_engine
from ccexport.store.database.migrate import migrate
from tests.kit.clocks import Clock
from tests.kit.offline import ANA, OfflineParts, draft, finish, offline_parts, write_segments
from tests.kit.stores import ready_postgres

EVERY_DAY = range(7)


@pytest.fixture(scope="module")
def postgres_store(postgres_url: str) -> str:
    """One migrated database for all tests of this file: each begins with its tables emptied."""
    url = ready_postgres(postgres_url)
    engine = open_engine(url)
    migrate(engine)
    engine.dispose()
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def installation(
    tmp_path: Path, clock: Clock, request: pytest.FixtureRequest
) -> Iterator[OfflineParts]:
    url = ""
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_store")
        _empty(url)
    installation = offline_parts(tmp_path, clock, url)
    yield installation
    installation.engine.dispose()


def _empty(url: str) -> None:
    tables = ", ".join(f'"{table.name}"' for table in SQLModel.metadata.sorted_tables)
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))
    engine.dispose()


@pytest.fixture
def due(installation: OfflineParts) -> Due:
    return installation.due


@pytest.fixture
def refreshes(installation: OfflineParts) -> Refreshes:
    return Refreshes(installation)


@pytest.fixture
def exports(installation: OfflineParts) -> Exports:
    return Exports(installation)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "source"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# --- the schedule --------------------------------------------------------------------------------


def test_a_new_store_has_no_schedule_and_nothing_is_due(refreshes: Refreshes, due: Due) -> None:
    assert refreshes.schedule() is None
    assert refreshes.recurrence() is None
    assert refreshes.next_five() == []
    assert due.begin_due() is None


def test_a_schedule_is_kept_sorted_with_its_next_five_times(
    refreshes: Refreshes, clock: Clock
) -> None:
    row = refreshes.set_schedule([4, 0], ["18:00", "06:30"], "Europe/Berlin", by=ANA)
    assert (row.weekdays, row.times, row.zone) == ([0, 4], ["06:30", "18:00"], "Europe/Berlin")
    assert (row.changed_by, row.changed_at) == ("ana", clock.at)
    assert refreshes.next_five() == [
        utc("2026-01-05T17:00"),  # a Monday
        utc("2026-01-09T05:30"),
        utc("2026-01-09T17:00"),
        utc("2026-01-12T05:30"),
        utc("2026-01-12T17:00"),
    ]


def test_a_schedule_set_again_replaces_the_first(refreshes: Refreshes) -> None:
    refreshes.set_schedule(EVERY_DAY, ["06:30"], "UTC", by=ANA)
    refreshes.set_schedule([2], ["12:00"], "UTC", by=ANA)
    assert refreshes.next_five()[:2] == [utc("2026-01-07T12:00"), utc("2026-01-14T12:00")]


def test_turned_off_it_keeps_its_days_and_nothing_is_due(
    refreshes: Refreshes, clock: Clock, due: Due
) -> None:
    refreshes.set_schedule([2], ["12:00"], "UTC", by=ANA)
    refreshes.turn_off(by=ANA)
    clock.move(days=30)
    assert due.begin_due() is None
    assert refreshes.next_five() == []
    recurrence = refreshes.recurrence()
    assert recurrence is not None
    assert recurrence.weekdays == (2,)


def test_a_schedule_filled_in_wrongly_changes_nothing(refreshes: Refreshes) -> None:
    refreshes.set_schedule([2], ["12:00"], "UTC", by=ANA)
    with pytest.raises(UsageError):
        refreshes.set_schedule(EVERY_DAY, ["12:00", "12:00"], "UTC", by=ANA)
    row = refreshes.schedule()
    assert row is not None
    assert row.weekdays == [2]


# --- doing it ------------------------------------------------------------------------------------


def test_a_refresh_counts_every_segment_and_queues_the_exports_due_on_it(
    refreshes: Refreshes, exports: Exports, installation: OfflineParts
) -> None:
    for name, schedule in (("Due", "refresh"), ("Daily", "daily 06:30 UTC"), ("Off", "off")):
        exports.add(draft(name, schedule=schedule), by=ANA)
    result = refreshes.refresh(by=ANA)
    assert result.sizes == {"A": 3, "B": 5}
    (run,) = installation.runs.latest()
    assert (run.export_name, run.trigger, run.requested_by) == ("Due", Trigger.REFRESH, "ana")
    assert run.due_at is None
    (view,) = refreshes.latest()
    assert (view.state, view.segments, view.members) == ("done", 2, 8)
    assert (view.refresh.runs_queued, view.refresh.error) == (1, None)
    assert [v.export.name for v in refreshes.exports()] == ["Due"]


def test_a_detached_export_is_not_queued_by_a_refresh(
    refreshes: Refreshes, exports: Exports, installation: OfflineParts
) -> None:
    exports.add(draft(schedule="refresh"), by=ANA)
    installation.connections.remove(installation.connections.by_name("Marketing").id, by="ana")
    assert refreshes.refresh(by=ANA).runs == []
    assert refreshes.exports() == []


def test_an_export_that_still_runs_is_left_out_by_name_and_the_others_are_queued(
    refreshes: Refreshes, exports: Exports
) -> None:
    for name in ("One", "Two"):
        exports.add(draft(name, schedule="refresh"), by=ANA)
    exports.queue("One", by=ANA)
    result = refreshes.refresh(by=ANA)
    assert [run.export_name for run in result.runs] == ["Two"]
    assert result.left_out == {"One": "still runs"}
    (view,) = refreshes.latest()
    assert (view.state, view.refresh.error) == ("done", 'Not queued: "One" (still runs).')


def test_of_many_exports_left_out_a_few_are_named(refreshes: Refreshes, exports: Exports) -> None:
    for name in ("One", "Two", "Three", "Four", "Five"):
        exports.add(draft(name, schedule="refresh"), by=ANA)
        exports.queue(name, by=ANA)
    error = refreshes.refresh(by=ANA).refresh.error
    assert error is not None
    assert error.endswith(" and 2 more.")


def test_a_source_that_is_gone_is_the_refreshs_error_and_queues_nothing(
    refreshes: Refreshes, exports: Exports, installation: OfflineParts, source: Path
) -> None:
    exports.add(draft(schedule="refresh"), by=ANA)
    shutil.rmtree(source)
    result = refreshes.refresh(by=ANA)
    assert installation.runs.latest() == []
    (view,) = refreshes.latest()
    assert view.state == "failed"
    assert view.refresh.error == result.refresh.error
    assert "\n" not in (view.refresh.error or "\n")
    assert view.refresh.finished_at is not None


def test_a_bug_in_a_refresh_ends_it_and_is_not_swallowed(
    refreshes: Refreshes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_self: OfflineParts) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(OfflineParts, "open_source", broken)
    with pytest.raises(ZeroDivisionError):
        refreshes.refresh(by=ANA)
    assert refreshes.latest()[0].state == "failed"


def test_sizes_are_kept_over_refreshes_the_oldest_first(
    refreshes: Refreshes, source: Path, clock: Clock
) -> None:
    for sizes in ({"A": 3, "B": 5}, {"A": 4}, {"A": 7, "B": 6}):
        write_segments(source, sizes)
        refreshes.refresh(by=ANA)
        clock.move(hours=1)
    assert [each.members for each in refreshes.sizes("A")] == [3, 4, 7]
    assert [each.members for each in refreshes.sizes("A", limit=2)] == [4, 7]
    assert [each.at for each in refreshes.sizes("B")] == [
        utc("2026-01-05T10:00"),
        utc("2026-01-05T12:00"),
    ]
    assert refreshes.sizes("Nobody") == []
    found = refreshes.all_sizes(refreshes=2)
    assert {name: [each.members for each in rows] for name, rows in found.items()} == {
        "A": [4, 7],
        "B": [6],
    }


def test_a_segment_name_of_any_kind_has_its_sizes(refreshes: Refreshes, source: Path) -> None:
    names = {'O\'Brien, "quoted"': 1, "<b>bold</b>": 2, "🎉 مرحبا": 3, "x" * 200: 4}
    write_segments(source, names)
    assert refreshes.refresh(by=ANA).sizes == names
    assert {name: rows[0].members for name, rows in refreshes.all_sizes().items()} == names


# --- due, once, late -----------------------------------------------------------------------------


def test_a_due_refresh_is_begun_once_and_its_runs_know_the_time(
    refreshes: Refreshes, exports: Exports, installation: OfflineParts, clock: Clock, due: Due
) -> None:
    exports.add(draft(schedule="refresh"), by=ANA)
    refreshes.set_schedule(EVERY_DAY, ["12:00"], "UTC", by=ANA)
    assert due.begin_due() is None
    clock.at = utc("2026-01-05T12:00:02")
    begun = due.begin_due()
    assert begun is not None
    assert due.begin_due() is None
    due.perform(begun)
    (run,) = installation.runs.latest()
    assert (run.trigger, run.requested_by) == (Trigger.REFRESH, "schedule")
    assert run.due_at == utc("2026-01-05T12:00")
    (view,) = refreshes.latest()
    assert (view.refresh.trigger, view.refresh.due_at) == (Trigger.SCHEDULE, run.due_at)
    assert refreshes.next_five()[0] == utc("2026-01-06T12:00")


def test_missed_refreshes_are_done_once(refreshes: Refreshes, clock: Clock, due: Due) -> None:
    refreshes.set_schedule(EVERY_DAY, ["06:00", "12:00"], "UTC", by=ANA)
    clock.at = utc("2026-01-09T13:00")
    assert refreshes.next_five()[0] == utc("2026-01-05T12:00")  # over, and due
    begun = due.begin_due()
    assert begun is not None
    assert begun.refresh.due_at == utc("2026-01-05T12:00")
    due.perform(begun)
    assert due.begin_due() is None
    assert refreshes.next_five()[0] == utc("2026-01-10T06:00")


def test_of_many_workers_one_begins_a_due_refresh(
    refreshes: Refreshes, due: Due, clock: Clock
) -> None:
    refreshes.set_schedule(EVERY_DAY, ["12:00"], "UTC", by=ANA)
    clock.move(days=1)
    assert len(in_four_threads(due)) == 1
    assert len(refreshes.latest()) == 1


def test_of_many_workers_one_begins_what_was_asked_for(refreshes: Refreshes, due: Due) -> None:
    refreshes.ask(by=ANA)
    assert len(in_four_threads(due)) == 1


def in_four_threads(due: Due) -> list[Begun]:
    """What four workers begin that look at the same moment."""
    found: list[Begun | None] = []
    barrier = threading.Barrier(4)

    def look() -> None:
        barrier.wait()
        found.append(due.begin_due())

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    return [each for each in found if each is not None]


def test_asked_for_twice_before_a_worker_begins_it_is_one(
    refreshes: Refreshes, clock: Clock, due: Due
) -> None:
    first = refreshes.ask(by=ANA)
    assert refreshes.latest()[0].state == "asked"
    assert refreshes.ask(by=ANA).id == first.id
    clock.move(minutes=2)
    begun = due.begin_due()
    assert begun is not None
    assert begun.refresh.id == first.id
    assert begun.refresh.started_at == clock.at
    assert refreshes.latest()[0].state == "running"
    due.perform(begun)
    assert refreshes.latest()[0].refresh.requested_by == "ana"
    assert refreshes.ask(by=ANA).id != first.id


def test_a_refresh_whose_worker_died_is_begun_again_and_queues_nothing_twice(
    refreshes: Refreshes, exports: Exports, installation: OfflineParts, clock: Clock, due: Due
) -> None:
    for name in ("One", "Two"):
        exports.add(draft(name, schedule="refresh"), by=ANA)
    refreshes.set_schedule(EVERY_DAY, ["12:00"], "UTC", by=ANA)
    clock.at = utc("2026-01-05T12:00")
    assert due.begin_due() is not None
    clock.move(seconds=5)
    done = exports.queue("One", by=ANA, trigger=Trigger.REFRESH)  # as far as it came
    finish(installation, done)
    clock.at = utc("2026-01-05T12:00") + INTERRUPTED_AFTER
    assert due.begin_due() is None  # not yet long enough
    clock.move(seconds=1)
    again = due.begin_due()
    assert again is not None
    result = due.perform(again)
    assert [run.export_name for run in result.runs] == ["Two"]
    assert result.runs[0].due_at == utc("2026-01-05T12:00")
    newest, oldest = refreshes.latest()
    assert (newest.state, oldest.state) == ("done", "failed")
    assert oldest.refresh.error == INTERRUPTED


def test_a_refresh_given_up_as_interrupted_does_not_overwrite_its_end(
    refreshes: Refreshes, clock: Clock, due: Due
) -> None:
    refreshes.ask(by=ANA)
    slow = due.begin_due()
    assert slow is not None
    clock.at += INTERRUPTED_AFTER
    clock.move(seconds=1)
    again = due.begin_due()
    assert again is not None
    assert due.perform(slow).refresh.error == INTERRUPTED
    assert refreshes.sizes("A") == []
    due.perform(again)
    assert len(refreshes.sizes("A")) == 1


def test_the_document_of_a_refresh_names_segments_runs_and_times(
    refreshes: Refreshes, exports: Exports
) -> None:
    exports.add(draft(schedule="refresh"), by=ANA)
    result = refreshes.refresh(by=ANA)
    assert refresh_document(result) == {
        "id": result.refresh.id,
        "trigger": "manual",
        "requested_by": "ana",
        "due_at": None,
        "started_at": "2026-01-05T10:00:00.000Z",
        "finished_at": "2026-01-05T10:00:00.000Z",
        "segments": [{"name": "A", "members": 3}, {"name": "B", "members": 5}],
        "runs": [{"id": result.runs[0].id, "export": "Newsletter"}],
        "left_out": {},
        "error": None,
    }
