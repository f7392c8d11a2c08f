"""C39: the machine's clock is set back while a worker works, as at the end of summer time or by hand."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import time_machine

from ccexport.clock import utc_now
from ccexport.worker import Worker
from tests.kit.offline import offline_parts


def test_a_worker_goes_on_when_the_clock_is_set_back_by_an_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library that ticks waits until the clock has come to where it was: an hour without claims and heartbeats."""
    installation = offline_parts(tmp_path, utc_now)
    worker, beats = Worker(installation), []
    monkeypatch.setattr(worker, "beat", lambda: beats.append(utc_now()))
    now = utc_now()
    with time_machine.travel(now, tick=False) as clock:
        ticks = worker._schedule()
        clock.move_to(now + timedelta(seconds=20))
        ticks = worker._run_pending(ticks)
        assert len(beats) == 1
        clock.move_to(now - timedelta(hours=1))
        ticks = worker._run_pending(ticks)
        clock.move_to(now - timedelta(hours=1) + timedelta(seconds=20))
        worker._run_pending(ticks)
        assert len(beats) == 2
    installation.engine.dispose()
