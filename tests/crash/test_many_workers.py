"""Several processes on one store: the pace and the sign-in are shared, each run is performed by one."""

from __future__ import annotations

from pathlib import Path

from ccexport.sandbox.server import running_sandbox
from tests.crash.conftest import shorten_tokens
from tests.crash.killed_worker import WorkerProcess
from tests.house import House, behaviour, check_sums, people, write_source

PROCESSES = 8
REQUESTS_PER_SECOND = 4


def test_eight_processes_share_one_sign_in_of_two_seconds_and_one_pace(
    tmp_path: Path, database_url: str
) -> None:
    """No second with more than 4 requests, no refresh token used twice, every run succeeds."""
    with running_sandbox(behaviour(requests_per_second=REQUESTS_PER_SECOND)) as sandbox:
        house = House(tmp_path, sandbox, database_url=database_url, cc_requests_per_second=4)
        write_source(house.source, people(10))
        house.connect()
        for number in range(PROCESSES):
            house.add_export(f"Export {number}")
        shorten_tokens(house, 2)
        runs = [house.queue(f"Export {number}") for number in range(PROCESSES)]
        workers = [
            WorkerProcess(house.environment(), tmp_path / f"log{number}")
            for number in range(PROCESSES)
        ]
        assert [worker.end() for worker in workers] == [0] * PROCESSES
        for run_id in runs:
            document = house.document(run_id)
            check_sums(document)
            assert document["state"] == "succeeded", document["error"]
        assert crowded(house) == []
        assert [each for each in house.requests() if each["status"] == 429] == []
        counters = house.ask("/_sandbox/tokens")
        assert counters["spent_refresh_tokens_used"] == 0
        assert counters["refreshed"] > 2
        made = [each["activity_id"] for each in house.requests("contactsCSVImport")]
        assert len(made) == len(set(made)) == PROCESSES
        house.close()


def crowded(house: House) -> list[float]:
    """When a fifth request arrived within one second."""
    at = sorted(each["at"] for each in house.requests() if each["path"].startswith("/v3/"))
    pairs = zip(at, at[REQUESTS_PER_SECOND:], strict=False)
    return [last for first, last in pairs if last - first < 1.0]
