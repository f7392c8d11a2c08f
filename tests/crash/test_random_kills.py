"""Workers killed by SIGKILL at random moments: sixteen runs, each begun by a worker that dies somewhere."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from tests.crash.conftest import CrashHouse

KILLS = 8  # that meet a run under way, on each database


def test_runs_whose_worker_is_killed_at_random_moments_end_as_if_nothing_had_happened(
    crash_house: Callable[..., CrashHouse],
) -> None:
    """Tokens live two seconds, so that some of the kills meet a renewal.

    Moments lie within the time that a run takes on this machine. A run that ends before its kill was quicker than that:
    later moments lie before that one, and another run takes its place.
    """
    crash = crash_house(processing_seconds=0.2)
    moments = random.Random(crash.house.settings.database_url.partition(":")[0])
    crash.shorten_tokens(2)
    assert crash.work_in_process() == 0  # nothing to do: later ones find the fork server running
    longest, met = seconds_of_a_run(crash), 0
    while met < KILLS:
        run_id = crash.house.queue()
        worker = crash.start()
        moment = moments.uniform(0.0, longest)
        time.sleep(moment)  # the moment itself, not a wait
        worker.kill()
        if crash.house.document(run_id)["finished_at"] is None:
            met += 1
        else:
            longest = moment
        crash.check(run_id, crash.finish(run_id))


def seconds_of_a_run(crash: CrashHouse) -> float:
    """From the start of its worker to its end, where nobody disturbs it."""
    run_id = crash.house.queue()
    started = time.monotonic()
    assert crash.work_in_process() == 0
    taken = time.monotonic() - started
    crash.check(run_id, crash.house.document(run_id))
    return taken
