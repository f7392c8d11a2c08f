"""Workers that are told to stop, and workers that hang without dying."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import Session, select

from ccexport.states import RunState
from ccexport.store.database.tables import Batch, Run, RunEvent, Token
from tests.crash.conftest import CrashHouse
from tests.crash.killed_worker import Doom
from tests.kit.waiting import wait_until

HANGS_AT = [
    "preparing",
    "files written",
    "batches stored",
    "intent committed",
    "posted",
    "outcome committed",
    "batch ended",
    "before the end",
]


def test_a_worker_told_to_stop_finishes_the_step_in_hand_and_lets_the_run_go(
    crash_house: Callable[..., CrashHouse],
) -> None:
    crash = crash_house()
    run_id = crash.house.queue()
    stopped = crash.start(Doom("at", "posted", signal=signal.SIGTERM), until_idle=False)
    assert stopped.end() == 0
    run = crash.house.installation.runs.get(run_id)
    assert (run.state.is_final, run.lease_owner) == (False, None)
    first = crash.house.document(run_id)["batches"][0]
    assert first["activity_id"], "the answer that was under way was not taken"
    crash.check(run_id, crash.finish(run_id))


@pytest.mark.parametrize("point", HANGS_AT)
def test_a_worker_that_hangs_loses_its_lease_and_on_waking_touches_nothing(
    crash_house: Callable[..., CrashHouse], point: str
) -> None:
    crash = crash_house()
    run_id = crash.house.queue()
    hanging = crash.start(Doom("at", point, signal=signal.SIGSTOP), lease_seconds=1)
    wait_until(hanging.is_stopped, f"the worker stops at {point}")
    document = crash.finish(run_id)
    before = (everything(crash), crash.house.requests())
    assert "taken over" in [event.what for event in crash.house.installation.runs.events(run_id)]
    hanging.signal(signal.SIGCONT)
    assert hanging.end() == 0
    assert (everything(crash), crash.house.requests()) == before
    crash.check(run_id, document)


def everything(crash: CrashHouse) -> list[dict[str, Any]]:
    """All that is stored of runs and sign-ins."""
    with Session(crash.house.installation.engine) as session:
        return [
            row.model_dump()
            for table in (Run, Batch, RunEvent, Token)
            for row in session.exec(select(table)).all()
        ]


def test_a_hanging_worker_and_its_successor_are_not_mixed_up_by_their_machine(
    crash_house: Callable[..., CrashHouse],
) -> None:
    """A process that is stopped is not dead: only its lease tells."""
    crash = crash_house()
    run_id = crash.house.queue()
    hanging = crash.start(Doom("at", "intent committed", signal=signal.SIGSTOP))
    wait_until(hanging.is_stopped, "the worker stops")
    assert crash.house.installation.runs.claim("another worker") is None
    assert crash.house.installation.runs.get(run_id).state is RunState.UPLOADING
    hanging.signal(signal.SIGCONT)
    assert hanging.end() == 0
    crash.check(run_id, crash.house.document(run_id))
