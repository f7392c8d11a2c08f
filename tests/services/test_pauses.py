"""A pause of everything: no run begins, whoever asks is told why, and what came due runs once afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from ccexport.errors import Conflict, UsageError
from ccexport.services.exports.exports import Exports
from ccexport.services.operations.attendance import attendance
from ccexport.services.operations.pauses import Pauses
from ccexport.services.operations.refreshes import Refreshes
from tests.kit.clocks import Clock
from tests.kit.offline import ANA, OfflineParts, draft, offline_parts


@pytest.fixture
def parts(tmp_path: Path, clock: Clock) -> OfflineParts:
    return offline_parts(tmp_path, clock)


def test_in_a_pause_no_run_begins_and_what_came_due_runs_once_afterwards(
    parts: OfflineParts, clock: Clock
) -> None:
    exports, pauses = Exports(parts), Pauses(parts)
    exports.add(draft(), by=ANA)
    Refreshes(parts).set_schedule([0, 1, 2, 3, 4, 5, 6], ["06:00"], "UTC", by=ANA)
    pauses.begin("  The warehouse\nmoves. ", by=ANA)
    assert pauses.in_words() == (
        "Everything is paused since 2026-01-05 10:00 UTC by ana: The warehouse moves."
    )
    clock.move(days=3)
    assert parts.due.queue_due_exports() == []
    assert parts.due.begin_due() is None
    assert not attendance(parts).is_overdue
    for ask in (
        lambda: exports.queue("Newsletter", by=ANA),
        lambda: Refreshes(parts).ask(by=ANA),
        lambda: Refreshes(parts).refresh(by=ANA),
    ):
        with pytest.raises(Conflict, match=r"by ana: The warehouse moves\. Nothing was queued"):
            ask()
    pauses.end(by=ANA)
    assert pauses.in_words() is None
    assert len(parts.due.queue_due_exports()) == 1
    assert parts.due.queue_due_exports() == []
    assert parts.due.begin_due() is not None


@pytest.mark.parametrize("reason", ["", " \n", "x" * 201])
def test_a_pause_has_a_reason_that_people_can_read(parts: OfflineParts, reason: str) -> None:
    with pytest.raises(UsageError):
        Pauses(parts).begin(reason, by=ANA)
    assert Pauses(parts).in_words() is None
