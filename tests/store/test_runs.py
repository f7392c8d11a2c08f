"""Runs in the store: one live run an export, leases, legal moves, counts as sums."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine

from ccexport.errors import Conflict, NotFound
from ccexport.states import RUN_MOVES, BatchState, RunState, WaitingFor
from ccexport.store.batches import BatchStore, Piece, PreparedCounts
from ccexport.store.connections import ConnectionStore
from ccexport.store.database.tables import Run
from ccexport.store.exports import ExportStore
from ccexport.store.moves import Held, LeaseLost
from ccexport.store.runs import RunStore, Wait
from tests.kit.clocks import Clock
from tests.kit.rows import batch_row, connection_row, export_row, run_row


@pytest.fixture
def runs(engine: Engine, clock: Clock) -> RunStore:
    return RunStore(engine, clock)


@pytest.fixture
def batches(engine: Engine, clock: Clock) -> BatchStore:
    return BatchStore(engine, clock)


@pytest.fixture
def export_id(engine: Engine, clock: Clock) -> int:
    export = export_row(at=clock())
    ExportStore(engine, clock).add(export, ["A"], (("email", "EMail"),))
    return export.id


def new_run(export_id: int | None, clock: Clock) -> Run:
    return run_row(export_id=export_id, at=clock())


def claimed(runs: RunStore, clock: Clock, export_id: int | None = None) -> Held:
    run = runs.queue(new_run(export_id, clock))
    assert runs.claim("w1", run_id=run.id)
    return Held(run.id, "w1")


def test_a_second_run_is_refused_while_one_of_the_export_is_live(
    runs: RunStore, clock: Clock, export_id: int
) -> None:
    first = runs.queue(new_run(export_id, clock))
    with pytest.raises(Conflict, match=f"Run {first.id} of"):
        runs.queue(new_run(export_id, clock))
    assert runs.claim("w1")
    runs.finish(Held(first.id, "w1"), RunState.FAILED, error="no")
    assert runs.queue(new_run(export_id, clock)).id != first.id


def test_runs_of_a_connection_that_has_its_share_are_left_alone_unless_canceled(
    engine: Engine, runs: RunStore, clock: Clock
) -> None:
    connection = connection_row(at=clock())
    ConnectionStore(engine, clock).add(connection, agreed_by="ana", text_version="1")
    run = new_run(None, clock)
    run.connection_id = connection.id
    runs.queue(run)
    assert runs.claim("w1", not_of=[connection.id]) is None
    runs.request_cancel(run.id, by="ana")
    assert runs.claim("w1", not_of=[connection.id]) is not None


def test_a_run_without_a_connection_is_claimed_whatever_others_have(
    runs: RunStore, clock: Clock
) -> None:
    runs.queue(new_run(None, clock))
    assert runs.claim("w1", not_of=[1]) is not None


def test_two_workers_cannot_both_claim_a_run(runs: RunStore, clock: Clock) -> None:
    run = runs.queue(new_run(None, clock))
    assert runs.claim("w1") is not None
    assert runs.claim("w2") is None
    assert runs.check_lease(Held(run.id, "w1")).id == run.id
    with pytest.raises(LeaseLost):
        runs.check_lease(Held(run.id, "w2"))


def test_a_lapsed_lease_is_taken_over_and_the_first_worker_touches_nothing_more(
    runs: RunStore, clock: Clock
) -> None:
    held = claimed(runs, clock)
    clock.move(seconds=61)
    assert runs.claim("w2") is not None
    for act in (
        lambda: runs.move(held, RunState.PREPARING),
        lambda: runs.finish(held, RunState.FAILED, error="x"),
        lambda: runs.add_seconds(held, RunState.PREPARING, 1.0),
        lambda: runs.made_progress(held),
    ):
        with pytest.raises(LeaseLost):
            act()
    assert runs.get(held.run_id).state is RunState.QUEUED
    assert "taken over" in [event.what for event in runs.events(held.run_id)]


def test_a_renewed_lease_is_kept_and_a_lapsed_one_is_not_renewed(
    runs: RunStore, clock: Clock
) -> None:
    held = claimed(runs, clock)
    clock.move(seconds=45)
    runs.renew_leases("w1", [held.run_id])
    clock.move(seconds=45)
    assert runs.check_lease(held)
    clock.move(seconds=20)
    runs.renew_leases("w1", [held.run_id])
    with pytest.raises(LeaseLost):
        runs.check_lease(held)


@pytest.mark.parametrize(
    "to", [state for state in RunState if state not in RUN_MOVES[RunState.QUEUED]]
)
def test_an_illegal_move_is_refused(runs: RunStore, clock: Clock, to: RunState) -> None:
    held = claimed(runs, clock)
    with pytest.raises(ValueError, match="does not move"):
        runs.move(held, to)


def test_each_move_adds_an_event_with_its_time_and_who(runs: RunStore, clock: Clock) -> None:
    held = claimed(runs, clock)
    clock.move(seconds=3)
    runs.move(held, RunState.PREPARING, detail="so")
    last = runs.events(held.run_id)[-1]
    assert (last.what, last.detail, last.who, last.at) == ("preparing", "so", "w1", clock())


def test_a_waiting_run_is_claimed_when_its_time_has_come_and_not_before(
    runs: RunStore, clock: Clock
) -> None:
    held = claimed(runs, clock)
    runs.move(held, RunState.PREPARING)
    until = clock() + timedelta(seconds=30)
    runs.wait(held, Wait(WaitingFor.SERVICE, until, "down"))
    assert runs.claim("w2") is None
    clock.move(seconds=30)
    assert runs.claim("w2") is not None
    run = runs.resume(Held(held.run_id, "w2"))
    assert (run.state, run.waiting_for, run.waits) == (RunState.PREPARING, None, 1)


def test_a_run_that_waits_for_a_person_is_woken_by_a_sign_in_or_a_cancel(
    runs: RunStore, clock: Clock
) -> None:
    held = claimed(runs, clock)
    runs.wait(held, Wait(WaitingFor.SIGN_IN, None, "sign in"))
    clock.move(days=3)
    assert runs.claim("w2") is None
    runs.request_cancel(held.run_id, "ana")
    assert runs.claim("w2") is not None


def test_totals_are_the_sums_over_the_batches(
    runs: RunStore, batches: BatchStore, clock: Clock
) -> None:
    held = claimed(runs, clock)
    runs.move(held, RunState.PREPARING)
    counts = PreparedCounts(210, 200, 3, {"missing_email": 10})
    batches.store_prepared(held, counts, [batch_row(held.run_id, n) for n in (1, 2)])
    first, second = batches.of_run(held.run_id)
    for batch in (first, second):
        batch = batches.move(held, batch, BatchState.SENDING, attempts=1)
        batches.move(held, batch, BatchState.SUBMITTED, activity_id="a")
    first, second = batches.of_run(held.run_id)
    batches.move(held, first, BatchState.COMPLETED, unsubscribed_count=2, failed_rows=1)
    batches.move(held, second, BatchState.FAILED, failed_rows=100)
    run = runs.get(held.run_id)
    assert (run.read_count, run.rejected_count, run.prepared_count) == (210, 10, 200)
    assert (run.submitted_count, run.unsubscribed_count, run.failed_count) == (200, 2, 101)


def test_a_batch_moved_by_another_is_not_moved_again(
    runs: RunStore, batches: BatchStore, clock: Clock
) -> None:
    held = claimed(runs, clock)
    runs.move(held, RunState.PREPARING)
    batches.store_prepared(held, PreparedCounts(1, 1, 0, {}), [batch_row(held.run_id, 1)])
    (seen,) = batches.of_run(held.run_id)
    batches.move(held, seen, BatchState.SENDING)
    with pytest.raises(LeaseLost):
        batches.move(held, seen, BatchState.SENDING)


def test_a_run_that_has_ended_cannot_be_canceled(runs: RunStore, clock: Clock) -> None:
    held = claimed(runs, clock)
    runs.finish(held, RunState.FAILED, error="no")
    with pytest.raises(Conflict, match="has ended already"):
        runs.request_cancel(held.run_id, "ana")


def test_a_run_that_is_not_there_is_one_line(runs: RunStore) -> None:
    with pytest.raises(NotFound, match="There is no run 7"):
        runs.get(7)


def test_run_files_fall_due_after_their_time(runs: RunStore, clock: Clock) -> None:
    held = claimed(runs, clock)
    runs.finish(held, RunState.FAILED, error="no")
    assert runs.with_old_files(timedelta(days=30)) == []
    clock.move(days=31)
    assert runs.with_old_files(timedelta(days=30)) == [held.run_id]
    runs.mark_files_deleted(held.run_id)
    assert runs.with_old_files(timedelta(days=30)) == []


def test_the_newest_run_of_each_export_is_found_at_once(
    runs: RunStore, clock: Clock, export_id: int
) -> None:
    first = runs.queue(new_run(export_id, clock))
    assert runs.claim("w1")
    runs.finish(Held(first.id, "w1"), RunState.FAILED, error="no")
    second = runs.queue(new_run(export_id, clock))
    assert {key: run.id for key, run in runs.last_of_each_export().items()} == {
        export_id: second.id
    }


def test_a_refused_batch_becomes_two_of_its_rows_in_one_transaction(
    runs: RunStore, batches: BatchStore, clock: Clock
) -> None:
    held = claimed(runs, clock)
    runs.move(held, RunState.PREPARING)
    counts = PreparedCounts(200, 200, 0, {})
    stored = [batch_row(held.run_id, 1), batch_row(held.run_id, 2)]
    batches.store_prepared(held, counts, stored)
    sending = batches.move(held, stored[0], BatchState.SENDING, attempts=1, sending_at=clock())
    halves = (Piece(0, 50, 500, "a", "half-1.csv"), Piece(50, 50, 500, "b", "half-2.csv"))
    run = batches.refused(held, sending, "no", halves)
    assert (run.halvings, run.refused_in_row, run.submitted_count) == (1, 0, 0)
    found = batches.of_run(held.run_id)
    shapes = [(b.number, b.first_row, b.rows, b.halvings, b.file_name) for b in found]
    assert shapes == [
        (1, 0, 50, 1, "half-1.csv"),
        (2, 100, 100, 0, stored[1].file_name),
        (3, 50, 50, 1, "half-2.csv"),
    ]
    assert {batch.state for batch in found} == {BatchState.PENDING}
    with pytest.raises(LeaseLost):
        batches.refused(held, sending, "no", halves)  # as a worker would that knows an old state
    assert len(batches.of_run(held.run_id)) == 3


def test_refused_halves_are_counted_until_a_file_is_taken_and_a_named_row_is_kept(
    runs: RunStore, batches: BatchStore, clock: Clock
) -> None:
    held = claimed(runs, clock)
    runs.move(held, RunState.PREPARING)
    stored = [batch_row(held.run_id, number, rows=1) for number in (1, 2, 3)]
    for batch in stored:
        batch.halvings = 1
    batches.store_prepared(held, PreparedCounts(3, 3, 0, {}), stored)
    for batch, in_row in ((stored[0], 1), (stored[1], 2)):
        sending = batches.move(held, batch, BatchState.SENDING)
        run = batches.refused(held, sending, "no such row", None)
        assert (run.refused_in_row, run.failed_count) == (in_row, in_row)
    sending = batches.move(held, stored[2], BatchState.SENDING)
    batches.move(held, sending, BatchState.SUBMITTED, activity_id="a", submitted_at=clock())
    assert runs.get(held.run_id).refused_in_row == 0
    named = batches.failed_rows(held.run_id)
    assert [(batch.number, row.row, row.words) for batch, row in named] == [
        (1, 0, "no such row"),
        (2, 0, "no such row"),
    ]
