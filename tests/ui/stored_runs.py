"""Runs and batches as the store would have them, and what pages show of them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from streamlit.testing.v1 import AppTest

from ccexport.installation import Installation
from ccexport.states import BatchState, RunState, WaitingFor
from ccexport.store.approvals import Question
from ccexport.store.database.engine import writing
from ccexport.store.database.tables import Batch, Run
from ccexport.store.exports import ExportView
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


def add_held_run(installation: Installation, export: ExportView, sent: int) -> Run:
    """One that the guard holds: it would send so many people, beside 20,000 that are placed."""
    question = Question(sent, 0, 20_000, 20, "")
    return add_run(
        installation,
        RunState.WAITING,
        connection_id=export.export.connection_id,
        resume_state=RunState.PREPARING,
        waiting_for=WaitingFor.APPROVAL,
        question=asdict(question),
        read_count=20_000 + sent,
        prepared_count=20_000 + sent,
        new_count=sent,
        unchanged_count=20_000,
    )


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
