"""Exports at their own times, with a clock that is moved: once, late, left out; and the worker that sees to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ccexport.runs.due import Due
from ccexport.schedules import is_late
from ccexport.services.exports.exports import Exports
from ccexport.services.operations.refreshes import Refreshes
from ccexport.states import Trigger
from ccexport.store.exports import ExportChange
from ccexport.worker import Worker
from tests.kit.clocks import Clock
from tests.kit.offline import ANA, DAILY, OfflineParts, connect, draft, finish, offline_parts
from tests.kit.stores import ready_postgres

on_both = pytest.mark.parametrize("database", ["sqlite", "postgresql"])


@pytest.fixture
def database() -> str:
    """SQLite, unless a test is `on_both`."""
    return "sqlite"


@pytest.fixture
def installation(
    tmp_path: Path, clock: Clock, database: str, request: pytest.FixtureRequest
) -> Iterator[OfflineParts]:
    url = ""
    if database == "postgresql":
        url = ready_postgres(request.getfixturevalue("postgres_url"))
    installation = offline_parts(tmp_path, clock, url)
    yield installation
    installation.engine.dispose()


@pytest.fixture
def exports(installation: OfflineParts) -> Exports:
    return Exports(installation)


@pytest.fixture
def due(installation: OfflineParts) -> Due:
    return installation.due


@pytest.fixture
def refreshes(installation: OfflineParts) -> Refreshes:
    return Refreshes(installation)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def next_run_at(exports: Exports, name: str = "Newsletter") -> datetime | None:
    return next(v.export.next_run_at for v in exports.views() if v.export.name == name)


# --- exports on their own schedule ---------------------------------------------------------------


def test_saving_an_export_with_a_daily_time_sets_its_next_time_and_runs_nothing(
    exports: Exports, installation: OfflineParts
) -> None:
    exports.add(draft(), by=ANA)
    assert next_run_at(exports) == utc("2026-01-06T05:30")
    assert installation.runs.latest() == []


@pytest.mark.parametrize("schedule", ["refresh", "off"])
def test_an_export_without_a_time_of_its_own_has_no_next_time(
    exports: Exports, schedule: str
) -> None:
    exports.add(draft(schedule=schedule), by=ANA)
    assert next_run_at(exports) is None


def test_a_due_export_is_queued_with_its_due_time_by_the_schedule(
    exports: Exports, clock: Clock, due: Due
) -> None:
    exports.add(draft(), by=ANA)
    assert due.queue_due_exports() == []
    clock.at = utc("2026-01-06T05:30:03")
    (run,) = due.queue_due_exports()
    assert (run.trigger, run.requested_by) == (Trigger.SCHEDULE, "schedule")
    assert run.due_at == utc("2026-01-06T05:30")
    assert run.queued_at == clock.at
    assert not is_late(run.due_at, run.queued_at)
    assert next_run_at(exports) == utc("2026-01-07T05:30")
    assert due.queue_due_exports() == []


def test_a_run_queued_by_the_schedule_has_its_event(
    exports: Exports, installation: OfflineParts, clock: Clock, due: Due
) -> None:
    exports.add(draft(), by=ANA)
    clock.move(days=1)
    (run,) = due.queue_due_exports()
    (event,) = installation.runs.events(run.id)
    assert (event.who, event.what, event.detail) == ("schedule", "queued", "schedule")


def test_missed_times_are_run_once_and_the_run_is_late(
    exports: Exports, installation: OfflineParts, clock: Clock, due: Due
) -> None:
    exports.add(draft(), by=ANA)
    clock.at = utc("2026-01-10T12:00")
    (run,) = due.queue_due_exports()
    assert run.due_at == utc("2026-01-06T05:30")
    assert is_late(run.due_at, run.queued_at)
    finish(installation, run)
    assert due.queue_due_exports() == []
    assert next_run_at(exports) == utc("2026-01-11T05:30")


@on_both
def test_a_time_at_which_a_run_is_live_is_left_out_and_the_next_one_comes(
    exports: Exports,
    installation: OfflineParts,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    due: Due,
) -> None:
    exports.add(draft(), by=ANA)
    live = exports.queue("Newsletter", by=ANA)
    clock.at = utc("2026-01-06T05:31")
    assert due.queue_due_exports() == []
    assert "still live at 2026-01-06 05:30 UTC, so this time is left out" in caplog.text
    assert next_run_at(exports) == utc("2026-01-07T05:30")
    finish(installation, live)
    assert due.queue_due_exports() == []
    clock.move(days=1)
    assert len(due.queue_due_exports()) == 1


@on_both
def test_of_several_workers_one_queues_a_due_export(
    exports: Exports, installation: OfflineParts, clock: Clock, due: Due
) -> None:
    exports.add(draft(), by=ANA)
    clock.move(days=1)
    (seen,) = installation.exports.due()  # as another worker saw it, before either took it
    first = due.queue_due(seen)
    assert first is not None
    finish(installation, first)  # no live run stands in the way any more
    assert due.queue_due(seen) is None
    assert len(installation.runs.latest()) == 1


@on_both
def test_many_workers_at_once_queue_each_due_export_once(
    exports: Exports, installation: OfflineParts, clock: Clock, due: Due
) -> None:
    for name in ("One", "Two", "Three"):
        exports.add(draft(name), by=ANA)
    clock.move(days=1)
    barrier = threading.Barrier(4)

    def tick() -> None:
        barrier.wait()
        installation.due.queue_due_exports()

    threads = [threading.Thread(target=tick) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(run.export_name for run in installation.runs.latest()) == ["One", "Three", "Two"]


def test_a_detached_export_is_not_queued_and_starts_anew_with_another_connection(
    exports: Exports, installation: OfflineParts, clock: Clock, due: Due
) -> None:
    exports.add(draft(), by=ANA)
    installation.connections.remove(installation.connections.by_name("Marketing").id, by="ana")
    clock.at = utc("2026-01-10T12:00")
    assert due.queue_due_exports() == []
    connect(installation, "Sales")
    exports.update("Newsletter", draft(connection="Sales"), by=ANA)
    assert due.queue_due_exports() == []  # what was missed while detached is not made up
    assert next_run_at(exports) == utc("2026-01-11T05:30")


def test_an_export_turned_off_is_not_queued_and_turned_on_it_is_again(
    exports: Exports, clock: Clock, due: Due
) -> None:
    exports.add(draft(), by=ANA)
    exports.turn_off("Newsletter", by=ANA)
    clock.move(days=3)
    assert due.queue_due_exports() == []
    exports.turn_on("Newsletter", DAILY, by=ANA)
    assert due.queue_due_exports() == []
    clock.move(days=1)
    assert len(due.queue_due_exports()) == 1


def test_an_edit_that_leaves_the_schedule_alone_keeps_a_time_that_is_due(
    exports: Exports, clock: Clock, due: Due
) -> None:
    exports.add(draft(), by=ANA)
    clock.at = utc("2026-01-06T05:30:01")
    exports.update("Newsletter", draft(segments=["B"]), by=ANA)
    (run,) = due.queue_due_exports()
    assert run.segments == ["B"]


def test_a_schedule_whose_zone_is_gone_is_noted_once_and_holds_up_no_other(
    exports: Exports,
    installation: OfflineParts,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    due: Due,
) -> None:
    broken = exports.add(draft("Broken"), by=ANA)
    exports.add(draft("Sound"), by=ANA)
    unknown = {"schedule": "daily 06:30 Europe/Atlantis"}
    installation.exports.update(ExportChange(broken.export.id, "Broken", None, unknown))
    clock.move(days=1)
    assert [run.export_name for run in due.queue_due_exports()] == ["Sound"]
    assert '"Broken" is not run by its schedule' in caplog.text
    caplog.clear()
    due.queue_due_exports()
    assert caplog.text == ""


def test_the_time_of_a_clock_change_is_run_once(
    exports: Exports, installation: OfflineParts, clock: Clock, due: Due
) -> None:
    clock.at = utc("2026-10-24T12:00")
    exports.add(draft(schedule="daily 02:30 Europe/Berlin"), by=ANA)
    queued = []
    for _ in range(24 * 4):  # a day by the quarter of an hour: 02:30 comes twice
        clock.move(minutes=15)
        for run in due.queue_due_exports():
            queued.append(run.due_at)
            finish(installation, run)
    assert queued == [utc("2026-10-25T00:30")]


# --- the worker --------------------------------------------------------------------------------------


def worker_of(installation: OfflineParts, **options: int) -> Worker:
    return Worker(installation, **options)  # type: ignore[arg-type]  # `only_run` alone


def test_the_worker_looks_at_what_is_due_before_it_claims(
    exports: Exports, installation: OfflineParts, clock: Clock
) -> None:
    exports.add(draft(), by=ANA)
    clock.move(days=1)
    worker = worker_of(installation)
    worker.stop.set()  # it ticks no more; what it does on starting, it does
    worker.work()
    (run,) = installation.runs.latest()
    assert run.trigger is Trigger.SCHEDULE


def test_a_worker_of_one_run_leaves_schedules_alone(
    exports: Exports, installation: OfflineParts, clock: Clock
) -> None:
    exports.add(draft(), by=ANA)
    Refreshes(installation).ask(by=ANA)
    clock.move(days=1)
    worker = worker_of(installation, only_run=7)
    worker.stop.set()
    worker.work()
    assert installation.runs.latest() == []
    assert Refreshes(installation).latest()[0].state == "asked"


def test_the_worker_refreshes_what_was_asked_for_before_it_is_idle(
    exports: Exports, installation: OfflineParts
) -> None:
    Refreshes(installation).ask(by=ANA)
    worker_of(installation).work(until_idle=True)
    (refresh,) = Refreshes(installation).latest()
    assert (refresh.state, refresh.segments, refresh.members) == ("done", 2, 8)


def test_while_a_refresh_reads_the_source_the_worker_ticks_on(
    installation: OfflineParts, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    reading, go_on = threading.Event(), threading.Event()

    def slow(_self: Due, _begun: object) -> None:
        reading.set()
        assert go_on.wait(30)

    monkeypatch.setattr(Due, "perform", slow)
    Refreshes(installation).ask(by=ANA)
    worker = worker_of(installation)
    thread = threading.Thread(target=worker.work)
    thread.start()
    assert reading.wait(30)
    clock.move(seconds=15)
    worker.beat()
    assert installation.workers.alive()[0].heartbeat_at == clock.at
    second = Refreshes(installation).ask(by=ANA)
    worker._due()  # one refresh at a time: the second waits
    assert Refreshes(installation).latest()[0].state == "asked"
    assert Refreshes(installation).latest()[0].refresh.id == second.id
    worker.stop.set()
    go_on.set()
    thread.join(30)
    assert not thread.is_alive()  # it waited for the refresh to end
