"""A worker that slept through its lease, as a machine does whose lid is closed."""

from __future__ import annotations

import dataclasses
import threading
from datetime import timedelta

from sqlmodel import col, update

from ccexport.store.database.engine import writing
from ccexport.store.database.tables import Run
from ccexport.worker import Worker
from tests.kit.house import House, check_sums

PATIENCE_SECONDS = 60


def test_a_worker_that_slept_through_its_lease_does_not_work_on_its_run_twice_at_once(
    house: House,
) -> None:
    run_id = house.queue()
    worker = Worker(house.installation)
    asleep, awake = threading.Event(), threading.Event()

    def sleep_once(point: str) -> None:
        if point == "intent committed" and not asleep.is_set():
            asleep.set()
            awake.wait(PATIENCE_SECONDS)

    worker.tools = dataclasses.replace(worker.tools, reached=sleep_once)
    worker._claim()
    (thread,) = worker._threads.values()
    assert asleep.wait(PATIENCE_SECONDS)
    let_lapse(house, run_id)
    worker._claim()
    assert list(worker._threads.values()) == [thread]
    awake.set()
    thread.join(PATIENCE_SECONDS)
    assert house.requests("contactsCSVImport") == [], "it sent though its lease had lapsed"
    worker.work(until_idle=True)
    document = house.document(run_id)
    check_sums(document)
    assert document["state"] == "succeeded"
    assert "taken over" in [event.what for event in house.installation.runs.events(run_id)]
    assert len(house.requests("contactsCSVImport")) == 1


def let_lapse(house: House, run_id: int) -> None:
    before = house.installation.now() - timedelta(seconds=1)
    with writing(house.installation.engine) as session:
        session.exec(update(Run).where(col(Run.id) == run_id).values(lease_until=before))
