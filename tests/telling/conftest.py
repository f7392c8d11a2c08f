"""What tests of telling start from: a store with an export, and who is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
from sqlalchemy import Engine

from ccexport.states import RunState
from ccexport.store.database.engine import writing
from ccexport.store.moves import Held
from ccexport.store.notifications import NotificationStore
from ccexport.store.runs import RunStore
from ccexport.store.vault.keys import Keys
from tests.kit.clocks import Clock
from tests.kit.rows import export_row, run_row


@pytest.fixture
def runs(engine: Engine, clock: Clock) -> RunStore:
    return RunStore(engine, clock)


@pytest.fixture
def channels(engine: Engine, keys: Keys, clock: Clock) -> NotificationStore:
    return NotificationStore(engine, keys, clock)


@pytest.fixture
def export_id(engine: Engine, clock: Clock) -> int:
    row = export_row(at=clock())
    with writing(engine) as session:
        session.add(row)
        session.flush()
        return row.id


def begun(
    runs: RunStore, export_id: int, clock: Callable[[], datetime], name: str = "Newsletter"
) -> Held:
    """A run of the export that has just begun."""
    run = runs.queue(run_row(at=clock(), export_id=export_id, export_name=name))
    assert runs.claim("w1", run_id=run.id) is not None
    held = Held(run.id, "w1")
    runs.move(held, RunState.PREPARING, started_at=clock())
    return held
