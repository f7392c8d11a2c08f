"""Perform or follow one run to its end, from the process that asked for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from ccexport.installation import Installation
from ccexport.services.runs.runs import Runs
from ccexport.states import RunState
from ccexport.worker import Worker

LOOK_SECONDS = 0.5
EXIT_CODES = {RunState.SUCCEEDED.value: 0, RunState.COMPLETED_WITH_ERRORS.value: 3}


def follow_run(
    installation: Installation, run_id: int, show: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Work on the run where nobody else does, follow it elsewhere; show each look. Gives the last document.

    Interrupted, the run stays for a worker.
    """
    runs = Runs(installation)
    worker = Worker(installation, threading.Event(), only_run=run_id)
    thread = threading.Thread(target=worker.work, name="worker")
    thread.start()
    try:
        while True:
            document = runs.document(run_id)
            show(document | {"waiting_why": runs.get(run_id).waiting_detail})
            if RunState(document["state"]).is_final:
                return document
            time.sleep(min(LOOK_SECONDS, installation.settings.poll_seconds))
    finally:
        worker.stop.set()
        thread.join()
