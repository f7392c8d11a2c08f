"""A run described: the funnel adds up, the estimate, the sentence, lines of errors, CSV for spreadsheets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccexport.services.runs.described import Progress, describe
from ccexport.services.runs.run_words import headline
from ccexport.services.runs.spreadsheets import to_spreadsheet_csv
from ccexport.states import BatchState, RunState, WaitingFor
from ccexport.store.database.tables import Batch, Run
from ccexport.words import duration
from tests.kit.rows import run_row

NOW = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
SPACING = 0.28


def a_run(state: RunState, **values: Any) -> Run:
    usual: dict[str, Any] = {
        "id": 42,
        "export_id": 1,
        "list_name": "Spring buyers",
        "started_at": NOW - timedelta(minutes=4),
        "seconds": {},
    }
    return run_row(state, at=NOW - timedelta(minutes=5), **(usual | values))


def batches(*states: BatchState, rows: int = 100) -> list[Batch]:
    return [
        Batch(run_id=42, number=number, first_row=0, rows=rows, bytes=1, state=state)
        for number, state in enumerate(states, 1)
    ]


def described(run: Run, found: list[Batch], **more: Any) -> Progress:
    return describe(run, found, now=NOW, spacing_seconds=SPACING, **more)


PREPARED = {"read_count": 340, "rejected_count": 40, "prepared_count": 300}
_PENDING, _SENT, _DONE = BatchState.PENDING, BatchState.SUBMITTED, BatchState.COMPLETED


# --- the funnel ----------------------------------------------------------------------------------


@given(
    states=st.lists(st.sampled_from(list(BatchState)), max_size=8),
    left_out=st.integers(0, 1000),
    unsubscribed=st.integers(0, 20),
    failed=st.integers(0, 20),
)
def test_funnel_adds_up_at_every_step(
    states: list[BatchState], left_out: int, unsubscribed: int, failed: int
) -> None:
    found = batches(*states)
    prepared = 100 * len(states)
    sent = 100 * sum(
        state in (BatchState.SUBMITTED, BatchState.COMPLETED, BatchState.FAILED) for state in states
    )
    ended = sent - 100 * states.count(BatchState.SUBMITTED)
    run = a_run(
        RunState.UPLOADING,
        read_count=prepared + left_out,
        rejected_count=left_out,
        prepared_count=prepared,
        submitted_count=sent,
        unsubscribed_count=min(unsubscribed, ended),
        failed_count=min(failed, ended - min(unsubscribed, ended)),
    )
    funnel = described(run, found).funnel
    assert funnel.read == funnel.left_out + funnel.prepared
    assert funnel.prepared == funnel.unchanged + funnel.suppressed + funnel.not_sent + funnel.sent
    assert funnel.sent == (
        funnel.in_progress + funnel.accepted + funnel.unsubscribed + funnel.failed
    )
    assert min(funnel.not_sent, funnel.accepted, funnel.in_progress) >= 0


def test_funnel_counts_what_constant_contact_still_works_on_apart() -> None:
    run = a_run(RunState.CONFIRMING, **PREPARED, submitted_count=300, unsubscribed_count=5)
    funnel = described(run, batches(_DONE, _SENT, _SENT)).funnel
    assert (funnel.in_progress, funnel.accepted, funnel.not_sent) == (200, 95, 0)


# --- how far, how long ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "found", "fraction"),
    [
        (a_run(RunState.QUEUED), [], 0.0),
        (a_run(RunState.PREPARING), [], 0.05),
        (a_run(RunState.UPLOADING), batches(_PENDING, _PENDING), 0.1),
        (a_run(RunState.UPLOADING), batches(_SENT, _PENDING), 0.325),
        (a_run(RunState.CONFIRMING), batches(_DONE, _SENT), 0.775),
        (a_run(RunState.SUCCEEDED), batches(_DONE, _DONE), 1.0),
        (a_run(RunState.CANCELED), batches(BatchState.CANCELED), 1.0),
    ],
)
def test_fraction_done_grows_from_stage_to_stage(
    run: Run, found: list[Batch], fraction: float
) -> None:
    assert described(run, found).fraction_done == pytest.approx(fraction)


def test_time_remaining_follows_the_pace_of_the_files_that_ended() -> None:
    run = a_run(RunState.CONFIRMING, seconds={"preparing": 90.0, "uploading": 4.0, "confirming": 6})
    assert described(run, batches(_DONE, _SENT, _SENT)).seconds_left == pytest.approx(20.0)


def test_time_remaining_is_no_less_than_the_pacing_of_what_is_to_be_sent() -> None:
    run = a_run(RunState.UPLOADING, seconds={"uploading": 0.001})
    left = described(run, batches(_DONE, *[_PENDING] * 50)).seconds_left
    assert left == pytest.approx(50 * SPACING)


def test_time_remaining_before_the_first_file_ended_comes_from_the_run_before() -> None:
    before = a_run(
        RunState.SUCCEEDED,
        submitted_count=200,
        seconds={"preparing": 2.0, "uploading": 3.0, "confirming": 27.0},
    )
    run = a_run(RunState.UPLOADING, seconds={"uploading": 1.0})
    assert described(run, batches(_SENT, _SENT), previous=before).seconds_left == pytest.approx(29)
    assert described(run, batches(_SENT, _SENT)).seconds_left is None
    reading = a_run(RunState.PREPARING, started_at=NOW - timedelta(seconds=12))
    assert described(reading, [], previous=before).seconds_left == pytest.approx(20.0)


@pytest.mark.parametrize("state", [RunState.QUEUED, RunState.WAITING, RunState.SUCCEEDED])
def test_time_remaining_is_not_guessed_for_a_run_that_is_not_worked_on(state: RunState) -> None:
    run = a_run(state, resume_state=RunState.UPLOADING, seconds={"uploading": 5.0})
    assert described(run, batches(_DONE, _PENDING)).seconds_left is None


def test_a_waiting_run_is_shown_at_the_stage_where_it_goes_on() -> None:
    run = a_run(
        RunState.WAITING, resume_state=RunState.UPLOADING, waiting_for=WaitingFor.QUOTA, **PREPARED
    )
    stages = described(run, batches(_SENT, _PENDING, _PENDING)).stages
    assert [(stage.is_done, stage.is_now, stage.done, stage.total) for stage in stages] == [
        (True, False, 0, 0),
        (False, True, 1, 3),
        (False, False, 0, 3),
    ]


# --- words ---------------------------------------------------------------------------------------

SENTENCES = [
    (
        a_run(
            RunState.SUCCEEDED,
            read_count=12_400,
            rejected_count=40,
            prepared_count=12_360,
            submitted_count=12_360,
            unsubscribed_count=15,
        ),
        batches(_DONE, rows=12_360),
        "12,345 of 12,400 profiles are on “Spring buyers”; 40 were left out, 15 had unsubscribed.",
    ),
    (
        a_run(RunState.SUCCEEDED, read_count=1, prepared_count=1, submitted_count=1),
        batches(_DONE, rows=1),
        "1 of 1 profiles is on “Spring buyers”.",
    ),
    (
        a_run(
            RunState.COMPLETED_WITH_ERRORS,
            read_count=10,
            rejected_count=1,
            prepared_count=9,
            submitted_count=9,
            failed_count=2,
        ),
        batches(_DONE, rows=9),
        "7 of 10 profiles are on “Spring buyers”; 1 was left out, 2 failed.",
    ),
    (
        a_run(RunState.CANCELED, **PREPARED, submitted_count=100),
        batches(_DONE, BatchState.CANCELED, BatchState.CANCELED),
        "Canceled: 100 of 340 profiles are on “Spring buyers”; 40 were left out, 200 were not sent.",
    ),
    (
        a_run(RunState.CANCELED),
        [],
        "Canceled before anything was sent to “Spring buyers”.",
    ),
    (a_run(RunState.FAILED), [], "Nothing was sent to “Spring buyers”."),
    (a_run(RunState.SKIPPED), [], "There was nothing to send to “Spring buyers”."),
    (
        a_run(RunState.COMPLETED_WITH_ERRORS, read_count=3, rejected_count=3),
        [],
        "None of the profiles could be sent to “Spring buyers”; 3 profiles were read.",
    ),
    (a_run(RunState.QUEUED), [], "Queued: it begins as soon as a worker runs."),
    (
        a_run(RunState.PREPARING),
        [],
        "Reading “All” and checking each profile; nothing has been sent yet.",
    ),
    (
        a_run(RunState.UPLOADING, **PREPARED, submitted_count=100),
        batches(_SENT, _PENDING, _PENDING),
        "300 contacts are going to “Spring buyers”: 1 of 3 files sent.",
    ),
    (
        a_run(RunState.CONFIRMING, **PREPARED, submitted_count=300),
        batches(_DONE, _DONE, _SENT),
        "All 300 contacts are at Constant Contact, which still works on 1 file.",
    ),
]


@pytest.mark.parametrize(("run", "found", "sentence"), SENTENCES)
def test_headline_says_the_run_in_one_sentence(run: Run, found: list[Batch], sentence: str) -> None:
    assert headline(described(run, found)) == sentence


@pytest.mark.parametrize("state", list(RunState))
def test_headline_knows_every_state(state: RunState) -> None:
    assert headline(described(a_run(state), [])).endswith(".")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (4800, "1 h 20 min"),
        (-3, "0 s"),
    ],
)
def test_duration_has_two_units_at_most(seconds: float, words: str) -> None:
    assert duration(seconds) == words


# --- CSV for spreadsheets ------------------------------------------------------------------------


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_spreadsheet_csv_disarms_a_cell_that_would_run_as_a_formula(sign: str) -> None:
    content = to_spreadsheet_csv(["customer_id"], [[f"{sign}cmd"]]).decode("utf-8-sig")
    assert content.split("\r\n", 1)[1].lstrip('"').startswith(f"'{sign}cmd")


def test_spreadsheet_csv_leaves_other_cells_as_they_are() -> None:
    content = to_spreadsheet_csv(["a", "b"], [["17", 'o\'neil, "x" 1=1']])
    assert content == b'\xef\xbb\xbfa,b\r\n17,"o\'neil, ""x"" 1=1"\r\n'
