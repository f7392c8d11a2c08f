"""C38 and C39: nobody works, somebody comes late, a run is longer than its interval. With a clock that is moved."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import update
from starlette.applications import Starlette
from starlette.testclient import TestClient

from ccexport.schedules import is_late
from ccexport.services.exports.exports import Exports
from ccexport.services.operations.attendance import attendance
from ccexport.services.operations.health import examine
from ccexport.services.operations.refreshes import Refreshes
from ccexport.states import RunState, Trigger
from ccexport.store.database.engine import writing
from ccexport.store.database.tables import Export
from ccexport.web.health import health_routes
from tests.kit.clocks import Clock
from tests.kit.offline import ANA, OfflineParts, draft, finish

AUCKLAND = "Pacific/Auckland"


@pytest.fixture
def far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A host whose own zone is far from UTC."""
    monkeypatch.setenv("TZ", AUCKLAND)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def works(installation: OfflineParts, worker: str = "one") -> None:
    installation.workers.started(worker, host="h", pid=1, version="1")


def due_every_day(installation: OfflineParts, name: str = "Newsletter") -> None:
    Exports(installation).add(draft(name, schedule="daily 11:00 UTC"), by=ANA)


def healthz(installation: OfflineParts, path: str = "/healthz") -> tuple[int, dict[str, object]]:
    app = Starlette(routes=health_routes(lambda: installation))
    with TestClient(app) as browser:
        answer = browser.get(path)
        return answer.status_code, answer.json()


def finding(installation: OfflineParts, subject: str = "workers") -> tuple[bool, str]:
    return next((each.ok, each.text) for each in examine(installation) if each.subject == subject)


# --- nobody works ------------------------------------------------------------------------------------------------


def test_without_a_worker_it_says_since_when_and_what_is_overdue(
    installation: OfflineParts, clock: Clock
) -> None:
    due_every_day(installation)
    works(installation)
    clock.move(minutes=50)
    installation.workers.stopped("one")
    clock.move(minutes=14)  # 11:04: it may still be begun in time
    assert attendance(installation).in_words == "no worker since 2026-01-05 10:50 UTC"
    assert healthz(installation)[0] == 200
    clock.move(minutes=1)
    said = "no worker since 2026-01-05 10:50 UTC; 1 export overdue"
    found = attendance(installation)
    assert (found.in_words, found.overdue_exports) == (said, ("Newsletter",))
    assert finding(installation) == (False, f"{said}. Start one: python -m ccexport worker")
    code, answer = healthz(installation)
    assert (code, answer["status"], answer["exports_overdue"]) == (503, "overdue", 1)
    assert answer["worker_last_seen_at"] == "2026-01-05T10:50:00.000Z"
    assert answer["overdue_since"] == "2026-01-05T11:00:00.000Z"
    assert "Newsletter" not in str(answer)  # nobody is asked who they are


def test_a_dashboard_stays_ready_while_work_is_overdue(
    installation: OfflineParts, clock: Clock
) -> None:
    due_every_day(installation)
    clock.move(hours=2)
    assert healthz(installation)[0] == 503
    code, answer = healthz(installation, "/readyz")
    assert (code, answer["status"], answer["workers_alive"]) == (200, "ready", 0)
    works(installation)
    assert healthz(installation, "/readyz")[1]["workers_alive"] == 1


def test_a_worker_that_was_killed_is_missed_after_a_minute(
    installation: OfflineParts, clock: Clock
) -> None:
    works(installation)
    assert attendance(installation).in_words == ""
    assert healthz(installation)[1]["status"] == "ok"
    clock.move(seconds=61)
    assert attendance(installation).in_words == "no worker since 2026-01-05 10:00 UTC"
    assert healthz(installation) == (200, healthz(installation)[1] | {"status": "no worker"})


def test_where_there_never_was_a_worker_it_says_so(installation: OfflineParts) -> None:
    assert attendance(installation).in_words == "no worker has run yet"


def test_a_worker_that_does_not_get_to_what_is_due_is_told_of_as_well(
    installation: OfflineParts, clock: Clock
) -> None:
    due_every_day(installation)
    clock.move(hours=2)
    works(installation)
    assert attendance(installation).in_words == "1 export overdue"
    assert healthz(installation)[0] == 503
    ok, text = finding(installation)
    assert not ok
    assert text.startswith("1 export overdue. Look at the log of the worker")


def test_exports_that_are_off_or_detached_are_not_overdue(
    installation: OfflineParts, clock: Clock
) -> None:
    for name in ("Off", "Detached"):
        due_every_day(installation, name)
    Exports(installation).turn_off("Off", by=ANA)
    with writing(installation.engine) as session:
        session.exec(update(Export).values(connection_id=None))
    clock.move(days=2)
    assert not attendance(installation).is_overdue


def test_a_refresh_that_nobody_does_is_overdue(installation: OfflineParts, clock: Clock) -> None:
    Refreshes(installation).set_schedule(range(7), ["11:00"], "UTC", by=ANA)
    due_every_day(installation)
    due_every_day(installation, "Another")
    clock.move(hours=2)
    assert attendance(installation).in_words == (
        "no worker has run yet; 2 exports and the refresh overdue"
    )


def test_an_overdue_export_runs_once_and_late_when_a_worker_comes(
    installation: OfflineParts, clock: Clock
) -> None:
    due_every_day(installation)
    clock.move(days=6)
    works(installation)
    (run,) = installation.due.queue_due_exports()
    assert run.due_at == utc("2026-01-05T11:00")
    assert is_late(run.due_at, run.queued_at)
    assert not attendance(installation).is_overdue
    assert installation.due.queue_due_exports() == []
    finish(installation, run)
    clock.move(hours=1)
    assert [run.due_at for run in installation.due.queue_due_exports()] == [utc("2026-01-11T11:00")]


# --- longer than its interval ------------------------------------------------------------------------------------


def test_a_time_at_which_a_run_is_live_is_one_skipped_run_in_the_history(
    installation: OfflineParts, clock: Clock
) -> None:
    due_every_day(installation)
    clock.move(hours=1)
    (live,) = installation.due.queue_due_exports()
    clock.move(days=1)
    for _ in range(3):
        assert installation.due.queue_due_exports() == []
    skipped, first = installation.runs.latest()
    assert (first.id, skipped.state, skipped.trigger) == (
        live.id,
        RunState.SKIPPED,
        Trigger.SCHEDULE,
    )
    assert skipped.due_at == utc("2026-01-06T11:00")
    assert skipped.finished_at == clock.at
    words = f"Run {live.id} was still live at 2026-01-06 11:00 UTC, so this time is left out."
    assert skipped.error == words
    assert [event.what for event in installation.runs.events(skipped.id)] == ["skipped"]
    assert Exports(installation).last_runs()[skipped.export_id or 0].id == live.id
    finish(installation, live)
    clock.move(days=1)  # the day after is not lost
    (after,) = installation.due.queue_due_exports()
    assert after.due_at == utc("2026-01-07T11:00")


# --- a host in another zone --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("far_east")
def test_midnight_utc_is_an_hour_away_on_a_host_in_auckland(
    installation: OfflineParts, clock: Clock
) -> None:
    clock.at = utc("2026-09-20T22:59")
    Exports(installation).add(draft(schedule="daily 00:00 Etc/UTC"), by=ANA)
    (view,) = Exports(installation).views()
    assert view.export.next_run_at == utc("2026-09-21T00:00")
    clock.move(hours=1, minutes=1)
    (run,) = installation.due.queue_due_exports()
    assert not is_late(run.due_at, run.queued_at)


@pytest.mark.usefixtures("far_east")
@pytest.mark.parametrize(
    ("now", "expected"),
    [  # New Zealand's clocks go forward on Sunday, 27 September 2026, and back on 4 April 2027
        ("2026-09-20T22:59", "2026-09-27T17:30"),
        ("2026-09-27T17:31", "2026-10-04T17:30"),
        ("2027-03-29T00:00", "2027-04-04T18:30"),
    ],
)
def test_a_weekly_refresh_keeps_its_hour_over_the_change_of_clocks(
    installation: OfflineParts, clock: Clock, now: str, expected: str
) -> None:
    clock.at = utc(now)
    row = Refreshes(installation).set_schedule([0], ["06:30"], AUCKLAND, by=ANA)
    assert row.next_at == utc(expected)
