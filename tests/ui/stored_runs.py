"""Runs and batches as the store would have them, and what pages show of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from streamlit.testing.v1 import AppTest

from ccexport.installation import Installation
from ccexport.states import BatchState, RunState
from ccexport.store.database.engine import writing
from ccexport.store.database.tables import Batch, Run
from tests.kit.rows import run_row

HOSTILE = "<b>Ana</b> **x** $y$ :tada: [a](b)"


def add_run(installation: Installation, state: RunState, **values: Any) -> Run:
    """A run as the store would have it; a final one ended a minute after it was queued, an hour ago."""
    queued_at = installation.now() - timedelta(hours=1)
    usual: dict[str, Any] = {
        "list_name": "Spring buyers",
        "started_at": None if state is RunState.QUEUED else queued_at,
        "finished_at": queued_at + timedelta(minutes=1) if state.is_final else None,
    }
    run = run_row(state, at=queued_at, **(usual | values))
    with writing(installation.engine) as session:
        session.add(run)
    return run


def add_batch(
    installation: Installation, run: Run, number: int, state: BatchState, **values: Any
) -> None:
    base = {"first_row": 0, "rows": 10, "bytes": 500, "digest": "d"}
    name = f"run{run.id}-{number}.csv"
    with writing(installation.engine) as session:
        session.add(
            Batch(run_id=run.id, number=number, file_name=name, state=state, **(base | values))
        )


def has_button(test: AppTest, key: str) -> bool:
    return any(button.key == key for button in test.button)
