"""What a lease allows: to begin something while it is fresh, to record an outcome until somebody else has the run."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, select

from ccexport.states import BatchState, EventKind, RunState, WaitingFor
from ccexport.store.batches import BatchStore, PreparedCounts, Sealed
from ccexport.store.connections import ConnectionStore
from ccexport.store.database.tables import RunAddresses
from ccexport.store.moves import Held, LeaseLost
from ccexport.store.runs import RunStore, Wait
from tests.kit.clocks import Clock
from tests.kit.rows import batch_row, connection_row, run_row

COUNTS = PreparedCounts(read=10, prepared=10, truncated=0, rejections={})


@pytest.fixture
def runs(engine: Engine, clock: Clock) -> RunStore:
    return RunStore(engine, clock)


@pytest.fixture
def batches(engine: Engine, clock: Clock) -> BatchStore:
    return BatchStore(engine, clock)


@pytest.fixture
def held(runs: RunStore, batches: BatchStore, clock: Clock) -> Held:
    """A run in `uploading` with two batches, held by w1."""
    run = runs.queue(run_row(at=clock()))
    assert runs.claim("w1") is not None
    held = Held(run.id, "w1")
    runs.move(held, RunState.PREPARING)
    new = [batch_row(run.id, number, rows=5) for number in (1, 2)]
    batches.store_prepared(held, COUNTS, new, Sealed(b"hashes"))
    return held


def test_a_lapsed_lease_begins_nothing_and_still_records_what_happened(
    runs: RunStore, batches: BatchStore, held: Held, clock: Clock
) -> None:
    first, second = batches.of_run(held.run_id)
    first = batches.move(held, first, BatchState.SENDING)
    clock.move(seconds=61)
    with pytest.raises(LeaseLost):
        batches.move(held, second, BatchState.SENDING)
    with pytest.raises(LeaseLost):
        runs.move(held, RunState.CONFIRMING)
    sent = batches.move(held, first, BatchState.SUBMITTED, activity_id="a1")
    assert sent.activity_id == "a1"
    runs.note(held, EventKind.ADDRESSES_CHANGED, "1 profile")


def test_once_another_worker_has_the_run_nothing_is_recorded_for_the_first(
    runs: RunStore, batches: BatchStore, held: Held, clock: Clock
) -> None:
    first = batches.move(held, batches.of_run(held.run_id)[0], BatchState.SENDING)
    clock.move(seconds=61)
    assert runs.claim("w2") is not None
    with pytest.raises(LeaseLost):
        batches.move(held, first, BatchState.SUBMITTED, activity_id="a1")
    with pytest.raises(LeaseLost):
        runs.note(held, EventKind.ADDRESSES_CHANGED, "1 profile")


def test_whatever_ends_a_run_drops_the_hashes_of_its_addresses(
    engine: Engine, runs: RunStore, batches: BatchStore, held: Held, clock: Clock
) -> None:
    connection = ConnectionStore(engine, clock).add(
        connection_row(at=clock()), agreed_by="ana", text_version="1"
    )
    other = runs.queue(run_row(at=clock(), connection_id=connection.id))
    assert runs.claim("w1") is not None
    removed = Held(other.id, "w1")
    runs.move(removed, RunState.PREPARING)
    batches.store_prepared(removed, COUNTS, [batch_row(other.id, 1, rows=10)], Sealed(b"x"))
    runs.end_without_connection(removed)
    runs.finish(held, RunState.FAILED, error="no")
    with Session(engine) as session:
        assert session.exec(select(RunAddresses)).all() == []


def test_the_sentence_of_a_waiting_is_there_while_it_waits(runs: RunStore, clock: Clock) -> None:
    run = runs.queue(run_row(at=clock()))
    assert runs.claim("w1") is not None
    held = Held(run.id, "w1")
    runs.move(held, RunState.PREPARING)
    waiting = runs.wait(held, Wait(WaitingFor.SERVICE, clock(), "Constant Contact is down."))
    assert waiting.waiting_detail == "Constant Contact is down."
    clock.move(seconds=1)
    assert runs.claim("w1") is not None
    assert runs.resume(held).waiting_detail is None
