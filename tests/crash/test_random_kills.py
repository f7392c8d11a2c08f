"""Workers killed by SIGKILL at random moments: thirty runs, each begun by a worker that dies somewhere."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from tests.crash.conftest import CrashHouse

ROUNDS = 15  # on each database
LONGEST_SECONDS = 1.2  # about as long as a run takes from the start of its worker


def test_runs_whose_worker_is_killed_at_random_moments_end_as_if_nothing_had_happened(
    crash_house: Callable[..., CrashHouse],
) -> None:
    """Tokens live two seconds, so that some of the kills meet a renewal."""
    crash = crash_house(processing_seconds=0.2)
    moments = random.Random(crash.house.settings.database_url.partition(":")[0])
    crash.shorten_tokens(2)
    unfinished = 0
    for _ in range(ROUNDS):
        run_id = crash.house.queue()
        worker = crash.start()
        time.sleep(moments.uniform(0.0, LONGEST_SECONDS))  # the moment itself, not a wait
        worker.kill()
        unfinished += crash.house.document(run_id)["finished_at"] is None
        crash.check(run_id, crash.finish(run_id))
    assert unfinished > ROUNDS / 3, "hardly a kill met a run that was under way"
