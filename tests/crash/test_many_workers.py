"""Several processes on one store: the pace and the sign-in are shared, each run is performed by one."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from ccexport.sandbox.server import running_sandbox
from ccexport.store.budget import SPACING_MARGIN
from tests.crash.conftest import shorten_tokens
from tests.crash.killed_worker import WorkerProcess
from tests.crash.slots import note_slots, noted_slots
from tests.kit.house import House, behaviour, check_sums, people, write_source

PROCESSES = 8
REQUESTS_PER_SECOND = 4
SPACING_SECONDS = SPACING_MARGIN / REQUESTS_PER_SECOND
ROUNDING_SECONDS = 0.001  # of clocks and of times in a database


def test_eight_processes_share_one_sign_in_of_two_seconds_and_one_pace(
    tmp_path: Path, database_url: str
) -> None:
    """No second with more than 4 requests, no refresh token used twice, every run succeeds."""
    with running_sandbox(behaviour()) as sandbox:
        house = House(
            tmp_path,
            sandbox,
            database_url=database_url,
            cc_requests_per_second=REQUESTS_PER_SECOND,
        )
        write_source(house.source, people(10))
        house.connect()
        for number in range(PROCESSES):
            house.add_export(f"Export {number}")
        shorten_tokens(house, 2)
        note_slots(house.installation.engine)
        before = len(requests_at(house))
        runs = [house.queue(f"Export {number}") for number in range(PROCESSES)]
        workers = [
            WorkerProcess(house.environment(), tmp_path / f"log{number}", keeps_slots=True)
            for number in range(PROCESSES)
        ]
        assert [worker.end() for worker in workers] == [0] * PROCESSES
        for run_id in runs:
            document = house.document(run_id)
            check_sums(document)
            assert document["state"] == "succeeded", document["error"]
        slots = noted_slots(house.installation.engine, SPACING_SECONDS)
        check_pace(slots, requests_at(house)[before:])
        counters = house.ask("/_sandbox/tokens")
        assert counters["spent_refresh_tokens_used"] == 0
        assert counters["refreshed"] > 2
        made = [each["activity_id"] for each in house.requests("contactsCSVImport")]
        assert len(made) == len(set(made)) == PROCESSES
        house.close()


def requests_at(house: House) -> list[float]:
    """When each request to the API arrived."""
    return sorted(each["at"] for each in house.requests() if each["path"].startswith("/v3/"))


def check_pace(slots: list[float], arrived: list[float]) -> None:
    """Slots lie far enough apart; every request took one, and none came before its own.

    How long after its slot a request arrives is up to the machine; that is what the margin of the slots is for.
    """
    assert SPACING_SECONDS * REQUESTS_PER_SECOND > 1.0
    assert (
        min(after - before for before, after in pairwise(slots))
        >= SPACING_SECONDS - ROUNDING_SECONDS
    )
    assert len(slots) == len(arrived) > PROCESSES
    early = [
        slot - at for slot, at in zip(slots, arrived, strict=True) if at < slot - ROUNDING_SECONDS
    ]
    assert early == []


@pytest.mark.parametrize(
    ("slots", "arrived"),
    [
        pytest.param([0.0, 0.1] + [n + 1.0 for n in range(8)], None, id="two slots too close"),
        pytest.param([float(n) for n in range(10)], [n - 0.5 for n in range(10)], id="too early"),
        pytest.param(
            [float(n) for n in range(10)], [n / 2 for n in range(20)], id="without a slot"
        ),
    ],
)
def test_a_pace_that_is_not_kept_is_noticed(
    slots: list[float], arrived: list[float] | None
) -> None:
    with pytest.raises(AssertionError):
        check_pace(slots, slots if arrived is None else arrived)
