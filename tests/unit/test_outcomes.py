"""What counters amount to: `completed` is not success, not known is not zero, zero is never plain success."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ccexport.constantcontact.model import Activity
from ccexport.runs.outcomes import RunTotals, first_words, judge_activity, judge_run
from ccexport.runs.poll_timer import PollTimer
from ccexport.states import BatchState, RunState


def activity(state: str = "completed", **counters: int | None) -> Activity:
    return Activity(activity_id="a", state=state, **counters)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ended", "state", "failed", "unsubscribed"),
    [
        (activity(person_count=100, error_count=0), BatchState.COMPLETED, 0, 0),
        (activity(), BatchState.COMPLETED, 0, 0),
        (activity(person_count=100, cannot_add_count=7), BatchState.COMPLETED, 0, 7),
        (
            activity(person_count=100, error_count=2, correctable_count=3),
            BatchState.COMPLETED,
            5,
            0,
        ),
        (activity(person_count=90), BatchState.COMPLETED, 10, 0),
        (activity(person_count=0), BatchState.COMPLETED, 100, 0),
        (
            activity(person_count=100, error_count=99, cannot_add_count=99),
            BatchState.COMPLETED,
            1,
            99,
        ),
        (activity("failed"), BatchState.FAILED, 100, 0),
        (activity("timed_out", person_count=100), BatchState.FAILED, 100, 0),
        (activity("cancelled"), BatchState.FAILED, 100, 0),
    ],
)
def test_an_activity_is_judged_by_its_counters(
    ended: Activity, state: BatchState, failed: int, unsubscribed: int
) -> None:
    outcome = judge_activity(ended, 100)
    assert (outcome.state, outcome.failed_rows, outcome.unsubscribed) == (
        state,
        failed,
        unsubscribed,
    )


def test_fewer_contacts_than_rows_has_words_of_its_own() -> None:
    assert (
        "counted 90 contacts in a file of 100"
        in judge_activity(activity(person_count=90), 100).problem
    )


def totals(**changed: int) -> RunTotals:
    whole = {
        "read": 100,
        "prepared": 90,
        "to_send": changed.get("prepared", 90),
        "submitted": 90,
        "unsubscribed": 0,
        "failed": 0,
        "batches": 2,
        "failed_batches": 0,
    }
    return RunTotals(**{**whole, **changed})


@pytest.mark.parametrize(
    ("of", "canceled", "state"),
    [
        (totals(), False, RunState.SUCCEEDED),
        (totals(unsubscribed=5), False, RunState.SUCCEEDED),
        (totals(failed=1), False, RunState.COMPLETED_WITH_ERRORS),
        (totals(submitted=40), False, RunState.COMPLETED_WITH_ERRORS),
        (totals(failed=45, failed_batches=1), False, RunState.COMPLETED_WITH_ERRORS),
        (totals(failed=90, failed_batches=2), False, RunState.FAILED),
        (totals(read=0, prepared=0, submitted=0, batches=0), False, RunState.SKIPPED),
        (totals(prepared=0, submitted=0, batches=0), False, RunState.COMPLETED_WITH_ERRORS),
        (totals(), True, RunState.CANCELED),
    ],
)
def test_a_run_ends_by_what_became_of_its_rows(
    of: RunTotals, canceled: bool, state: RunState
) -> None:
    found, words = judge_run(of, canceled=canceled)
    assert found is state
    if not of.prepared:
        assert words


def test_no_more_errors_are_kept_than_a_person_reads() -> None:
    assert first_words((str(n) for n in range(1000)), most=3) == ["0", "1", "2"]


def test_a_look_is_taken_when_files_of_another_run_say_that_one_should_have_ended() -> None:
    now = datetime(2026, 1, 5, tzinfo=UTC)
    timer = PollTimer(5.0, now)
    for seconds in (5, 40, 80):
        timer.looked(now + timedelta(seconds=seconds), None)
    assert timer.seconds_left(now + timedelta(seconds=81)) == pytest.approx(11.0)
    timer.expect(now + timedelta(seconds=70))  # a look after it has not shown it
    assert timer.seconds_left(now + timedelta(seconds=81)) == pytest.approx(11.0)
    timer.expect(now + timedelta(seconds=83))
    assert timer.seconds_left(now + timedelta(seconds=81)) == pytest.approx(2.5)
    timer.looked(now + timedelta(seconds=84), ended_after_seconds=40.0)
    timer.expect(now + timedelta(seconds=85))  # it knows better by itself
    assert timer.seconds_left(now + timedelta(seconds=84)) == pytest.approx(6.0)


def test_a_look_is_taken_when_the_file_that_was_sent_last_should_have_ended() -> None:
    now = datetime(2026, 1, 5, tzinfo=UTC)
    timer = PollTimer(5.0, now)
    timer.looked(now + timedelta(seconds=30), ended_after_seconds=20.0)
    timer.expect_last(now + timedelta(seconds=24), took_seconds=10.0)
    assert timer.seconds_left(now + timedelta(seconds=30)) == pytest.approx(3.0)  # one sooner stays
    timer.expect_last(now + timedelta(seconds=24), took_seconds=8.0)
    assert timer.seconds_left(now + timedelta(seconds=30)) == pytest.approx(2.0)
    timer.looked(now + timedelta(seconds=32), None)
    timer.expect_last(now + timedelta(seconds=24), took_seconds=8.0)  # it takes somewhat longer
    assert timer.seconds_left(now + timedelta(seconds=32)) == pytest.approx(8.0 * 0.15)
    assert timer.expected_at == timer.due_at


def test_looks_grow_apart_while_nothing_ends_and_come_sooner_once_something_has() -> None:
    now = datetime(2026, 1, 5, tzinfo=UTC)
    timer = PollTimer(5.0, now)
    began_at, waits = now, []
    for _ in range(36):
        waits.append(timer.seconds_left(now))
        now = timer.due_at
        timer.looked(now, None)
    assert waits[:4] == pytest.approx([5, 0.75, 0.8625, 0.991875])
    assert waits[-1] == pytest.approx(60)
    assert now - began_at < timedelta(minutes=12)
    timer.looked(now, ended_after_seconds=20.0)
    assert timer.seconds_left(now) == pytest.approx(3.0)
    for _ in range(4):  # not sooner than what is known to be too soon
        now = timer.due_at
        timer.looked(now, None)
        assert timer.seconds_left(now) == pytest.approx(3.0)
    now += timedelta(seconds=18)
    timer.looked(now, None)
    assert timer.seconds_left(now) == pytest.approx(30 * 0.15)
    timer.looked(now, ended_after_seconds=100_000.0)
    assert timer.seconds_left(now) == pytest.approx(60.0)
    timer.all_sent(now)
    assert timer.seconds_left(now) == pytest.approx(5.0)
    assert timer.due_at - now <= timedelta(seconds=60)


def test_what_another_worker_sent_is_looked_at_at_once_and_then_as_if_it_were_young() -> None:
    now = datetime(2026, 1, 5, tzinfo=UTC)
    timer = PollTimer(5.0, now)
    timer.taken_over()
    assert timer.seconds_left(now) == 0
    timer.looked(now, None)
    assert timer.seconds_left(now) == pytest.approx(5.0)
    timer.looked(now + timedelta(seconds=5), None)
    assert timer.seconds_left(now + timedelta(seconds=5)) == pytest.approx(0.75)
