"""Exports at their own times of every kind, with a clock that is moved, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ccexport.services.exports.export_files import ExportFiles
from ccexport.services.exports.exports import Exports
from ccexport.services.people.access import local_administrator
from tests.kit.clocks import Clock
from tests.kit.offline import OfflineParts, draft, finish, offline_parts

BY = local_administrator()


@pytest.fixture
def installation(tmp_path: Path, clock: Clock, database_url: str) -> Iterator[OfflineParts]:
    found = offline_parts(tmp_path, clock, database_url)
    yield found
    found.close()


# schedule, its first times after Monday 5 January 2026, 10:00 UTC
TIMES = [
    ("weekly mon,thu 06:30 Europe/Berlin", ["2026-01-08T05:30", "2026-01-12T05:30"]),
    ("every 90 minutes", ["2026-01-05T10:30", "2026-01-05T12:00"]),
    ("cron 30 6 * * 1-5 Europe/Berlin", ["2026-01-06T05:30", "2026-01-07T05:30"]),
]


@pytest.mark.parametrize(("schedule", "times"), TIMES)
def test_an_export_runs_once_at_each_of_its_times(
    installation: OfflineParts, clock: Clock, schedule: str, times: list[str]
) -> None:
    Exports(installation).add(draft(schedule=schedule), by=BY)
    due = installation.due
    assert due.queue_due_exports() == []
    for text in times:
        clock.at = datetime.fromisoformat(text).replace(tzinfo=UTC)
        [run] = due.queue_due_exports()
        assert run.due_at == clock.at
        assert due.queue_due_exports() == []
        finish(installation, run)


@pytest.mark.parametrize("schedule", [schedule for schedule, _ in TIMES])
def test_a_schedule_goes_into_a_yaml_file_and_back(
    installation: OfflineParts, schedule: str
) -> None:
    exports, files = Exports(installation), ExportFiles(installation)
    exports.add(draft(schedule=schedule), by=BY)
    text = files.dump()
    assert schedule in text
    exports.turn_off("Newsletter", by=BY)
    files.apply(text, "exports.yaml", by=BY)
    assert installation.exports.by_name("Newsletter").export.schedule == schedule
