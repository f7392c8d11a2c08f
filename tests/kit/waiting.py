"""Waiting for what another process or thread does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.kit.house import House

PATIENCE_SECONDS = 120.0  # for what takes a moment on a machine that is not busy
LOOK_SECONDS = 0.02


def wait_until(fact: Callable[[], bool], what: str) -> None:
    """Look again and again, for two minutes at most."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not fact():
        assert time.monotonic() < give_up_at, f"in vain: {what}"
        time.sleep(LOOK_SECONDS)


def wait_for_state(house: House, run_id: int, *states: str) -> None:
    """Look until a run is in one of the states; in an end of another kind the test ends too."""
    ended = {"failed", "succeeded", "completed_with_errors", "canceled", "skipped", "waiting"} - {
        *states
    }

    def is_there() -> bool:
        now = house.document(run_id)["state"]
        assert now not in ended, f"run {run_id} is {now}"
        return now in states

    wait_until(is_there, f"run {run_id} is {' or '.join(states)}")
