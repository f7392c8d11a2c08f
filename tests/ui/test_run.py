"""The page Run: every state, what was left out, files and their errors, cancel, run again, a link to nothing."""

from __future__ import annotations

from datetime import timedelta

import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from ccexport.installation import Installation
from ccexport.preparation.contacts import CONTACTS_SCHEMA, REJECTIONS_SCHEMA
from ccexport.services.exports.exports import Exports
from ccexport.services.people.access import local_administrator
from ccexport.states import BatchState, RunFile, RunState, Trigger, WaitingFor
from ccexport.store.database.engine import writing
from ccexport.store.database.tables import Run
from ccexport.store.exports import ExportView
from ccexport.worker import Worker
from tests.ui.conftest import OpenPage, texts
from tests.ui.stored_runs import HOSTILE, add_batch, add_run, has_button

COUNTS = {
    "read_count": 12,
    "rejected_count": 2,
    "prepared_count": 10,
    "submitted_count": 10,
    "rejections": {"duplicate": 1, "missing_email": 1},
}
REJECTED = [("=1+1", "", "missing_email", ""), ("7", "ana@example.com", "duplicate", "3")]


def write_rejections(installation: Installation, run: Run) -> None:
    columns = zip(*REJECTED, strict=True)
    rows = dict(zip(REJECTIONS_SCHEMA.names, map(list, columns), strict=True))
    with installation.run_files.writer(run.id, RunFile.REJECTIONS, REJECTIONS_SCHEMA) as file:
        file.write(pa.RecordBatch.from_pydict(rows, schema=REJECTIONS_SCHEMA))


def write_contacts(installation: Installation, run: Run, count: int) -> None:
    keys, lines = [f"C{n}" for n in range(count)], ["a@example.com\r\n"] * count
    rows = pa.RecordBatch.from_pydict({"customer_id": keys, "line": lines}, schema=CONTACTS_SCHEMA)
    with installation.run_files.writer(run.id, RunFile.CONTACTS, CONTACTS_SCHEMA) as file:
        file.write(rows)


def tables(test: AppTest) -> str:
    return "\n".join(frame.value.to_csv(index=False) for frame in test.dataframe)


# --- what a person sees --------------------------------------------------------------------------


@pytest.mark.parametrize("state", list(RunState))
def test_run_opens_in_every_state(
    installation: Installation, open_page: OpenPage, state: RunState
) -> None:
    waiting = {"waiting_for": WaitingFor.SERVICE, "resume_state": RunState.UPLOADING}
    run = add_run(installation, state, **(waiting if state is RunState.WAITING else {}))
    test = open_page("run", run=run.id)
    assert not test.exception
    assert test.title[0].value == f"Run {run.id}"
    assert has_button(test, "run_again") is state.is_final
    assert has_button(test, "run_cancel") is not state.is_final


def test_run_that_ended_says_it_in_a_sentence_and_adds_up(
    installation: Installation, open_page: OpenPage
) -> None:
    run = add_run(installation, RunState.SUCCEEDED, **COUNTS, unsubscribed_count=3)
    add_batch(installation, run, 1, BatchState.COMPLETED, person_count=10, unsubscribed_count=3)
    shown = texts(open_page("run", run=run.id)).replace("\\", "")
    assert "7 of 12 profiles are on “Spring buyers”; 2 were left out, 3 had unsubscribed." in shown
    assert "**12 read** = 10 prepared + 2 left out" in shown
    assert "**10 sent** = 7 on the list + 3 had unsubscribed" in shown
    assert "**1** Another profile with the same address is sent" in shown


def test_run_that_failed_shows_why_first(installation: Installation, open_page: OpenPage) -> None:
    run = add_run(installation, RunState.FAILED, error='The list "X" is gone. Choose another list.')
    test = open_page("run", run=run.id)
    assert [each.value.replace("\\", "") for each in test.error] == [
        'The list "X" is gone. Choose another list.'
    ]


@pytest.mark.parametrize(
    ("reason", "until", "words"),
    [
        (
            WaitingFor.QUOTA,
            timedelta(hours=3),
            "requests to Constant Contact are used up. It goes on at",
        ),
        (WaitingFor.SIGN_IN, None, "sign in at Constant Contact again. The run then goes on"),
        (WaitingFor.QUEUE, timedelta(0), "queue at Constant Contact is full. It goes on now."),
    ],
)
def test_run_that_waits_says_why_and_until_when(
    installation: Installation,
    open_page: OpenPage,
    reason: WaitingFor,
    until: timedelta | None,
    words: str,
) -> None:
    run = add_run(
        installation,
        RunState.WAITING,
        resume_state=RunState.UPLOADING,
        waiting_for=reason,
        waiting_until=None if until is None else installation.now() + until,
    )
    test = open_page("run", run=run.id)
    assert any(words in each.value.replace("\\", "") for each in test.warning)
    assert ("Sign in again" in texts(test)) is (reason is WaitingFor.SIGN_IN)


def test_run_that_was_late_says_when_it_was_due(
    installation: Installation, open_page: OpenPage
) -> None:
    now = installation.now()
    late = add_run(installation, RunState.SUCCEEDED, due_at=now - timedelta(hours=9), queued_at=now)
    on_time = add_run(installation, RunState.SUCCEEDED, due_at=now, queued_at=now)
    assert "late: it was due" in texts(open_page("run", run=late.id))
    assert "late" not in texts(open_page("run", run=on_time.id))


def test_run_that_no_worker_takes_says_how_to_start_one(
    installation: Installation, open_page: OpenPage
) -> None:
    run = add_run(installation, RunState.QUEUED)
    assert "python -m ccexport worker" in texts(open_page("run", run=run.id))
    installation.workers.started("w", host="h", pid=1, version="1")
    assert "python -m ccexport worker" not in texts(open_page("run", run=run.id))


def test_run_shows_hostile_names_as_they_are(
    installation: Installation, open_page: OpenPage
) -> None:
    names = dict.fromkeys(("export_name", "list_name", "connection_name", "requested_by"), HOSTILE)
    run = add_run(installation, RunState.FAILED, error=HOSTILE, **names)
    test = open_page("run", run=run.id)
    assert not test.exception
    shown = texts(test)
    assert HOSTILE not in shown
    assert HOSTILE in shown.replace("\\", "")


# --- files and profiles --------------------------------------------------------------------------


def test_files_show_the_services_own_counters(
    installation: Installation, open_page: OpenPage
) -> None:
    run = add_run(installation, RunState.COMPLETED_WITH_ERRORS, **COUNTS)
    add_batch(
        installation,
        run,
        1,
        BatchState.COMPLETED,
        person_count=9,
        error_count=4,
        correctable_count=2,
    )
    [files] = open_page("run", run=run.id).dataframe
    row = files.value.iloc[0]
    assert (row["Contacts"], row["Counted"], row["Errors"], row["Correctable"]) == (10, 9, 4, 2)


def test_errors_of_a_file_name_the_profile_they_are_about(
    installation: Installation, open_page: OpenPage
) -> None:
    run = add_run(installation, RunState.COMPLETED_WITH_ERRORS, **COUNTS)
    errors = ["Line 2: Invalid birthday", "Line 6: <b>", "Line 1: header", "The rest is silence"]
    add_batch(installation, run, 1, BatchState.COMPLETED, first_row=0, rows=5)
    add_batch(installation, run, 2, BatchState.COMPLETED, first_row=5, rows=5, errors=errors)
    write_contacts(installation, run, 10)
    test = open_page("run", run=run.id)
    assert "Invalid birthday" not in tables(test)  # not before somebody asks
    test.session_state["run_errors_2"] = True
    found = test.run().dataframe[1].value.astype(object)
    rows = found.where(found.notna(), "").values.tolist()
    assert rows == [
        ["C5", 2, "Invalid birthday"],
        ["C9", 6, "<b>"],
        ["", "", "Line 1: header"],
        ["", "", "The rest is silence"],
    ]


def test_rows_of_a_file_that_nobody_named_are_counted_on_the_page(
    installation: Installation, open_page: OpenPage
) -> None:
    run = add_run(installation, RunState.COMPLETED_WITH_ERRORS, **COUNTS, failed_count=2)
    add_batch(installation, run, 1, BatchState.COMPLETED, failed_rows=2)
    test = open_page("run", run=run.id)
    assert [each.label for each in test.expander if "File 1" in each.label] == [
        "File 1: 2 rows failed"
    ]
    test.session_state["run_errors_1"] = True
    found = test.run().dataframe[1].value.astype(object)
    (row,) = found.where(found.notna(), "").values.tolist()
    assert row[:2] == ["", ""]
    assert row[2].startswith("2 more rows failed; Constant Contact did not say which")


def test_errors_of_a_file_are_shown_without_profiles_once_the_runs_files_are_gone(
    installation: Installation, open_page: OpenPage
) -> None:
    run = add_run(installation, RunState.COMPLETED_WITH_ERRORS, **COUNTS)
    add_batch(installation, run, 1, BatchState.FAILED, errors=["Line 2: Invalid birthday"])
    test = open_page("run", run=run.id)
    test.session_state["run_errors_1"] = True
    assert test.run().dataframe[1].value.values.tolist() == [["", 2, "Invalid birthday"]]


def test_errors_of_many_files_are_chosen_from_a_list(
    installation: Installation, open_page: OpenPage
) -> None:
    run = add_run(installation, RunState.FAILED, **COUNTS)
    for number in range(1, 8):
        errors = [f"Line 2: Invalid birthday {number}"]
        add_batch(installation, run, number, BatchState.FAILED, errors=errors)
    test = open_page("run", run=run.id)
    assert "Invalid birthday" not in tables(test)
    chosen = test.selectbox(key="run_errors_file")
    assert chosen.label == "Errors of 7 files"
    test = chosen.select("File 6: 1 error").run()
    assert test.dataframe[1].value.values.tolist() == [["", 2, "Invalid birthday 6"]]


def test_left_out_can_be_searched(installation: Installation, open_page: OpenPage) -> None:
    run = add_run(installation, RunState.SUCCEEDED, **COUNTS)
    write_rejections(installation, run)
    test = open_page("run", run=run.id)
    assert "ana@example.com" not in tables(test)
    test.session_state["run_left_out"] = True
    assert list(test.run().dataframe[0].value["Customer id"]) == ["=1+1", "7"]
    test.text_input(key="run_search").input("ANA@").run()
    assert list(test.dataframe[0].value["Customer id"]) == ["7"]
    test.selectbox(key="run_reason").select("missing_email").run()
    assert "No profile matches" in texts(test)
    test.text_input(key="run_search").input("").run()
    assert list(test.dataframe[0].value["Customer id"]) == ["=1+1"]


def test_who_left_the_list_is_named_among_those_left_out(
    installation: Installation, open_page: OpenPage
) -> None:
    alone = {"read_count": 5, "prepared_count": 5, "unchanged_count": 4, "suppressed_count": 1}
    run = add_run(installation, RunState.SUCCEEDED, **alone)
    row = {"customer_id": ["9"], "email": ["bo@example.com"], "reason": ["suppressed"]}
    left = pa.RecordBatch.from_pydict({**row, "sent_instead": [None]}, schema=REJECTIONS_SCHEMA)
    for name, batches in ((RunFile.REJECTIONS, []), (RunFile.SUPPRESSED, [left])):
        with installation.run_files.writer(run.id, name, REJECTIONS_SCHEMA) as file:
            for batch in batches:
                file.write(batch)
    test = open_page("run", run=run.id)
    shown = texts(test).replace("\\", "")
    assert "Nothing new for “Spring buyers”, so nothing was sent: of 5 profiles 4 are" in shown
    assert "**5 prepared** = 0 sent + 4 unchanged + 1 had left the list" in shown
    assert "**1** They left the list, so they are not put back" in shown
    test.session_state["run_left_out"] = True
    assert list(test.run().dataframe[0].value["Email"]) == ["bo@example.com"]


def test_left_out_says_when_the_list_of_profiles_is_no_longer_kept(
    installation: Installation, open_page: OpenPage
) -> None:
    run = add_run(installation, RunState.SUCCEEDED, **COUNTS, files_deleted_at=installation.now())
    test = open_page("run", run=run.id)
    assert "no longer kept" in texts(test)
    assert not test.get("download_button")


def test_download_says_what_it_does_to_formulas(
    installation: Installation, open_page: OpenPage
) -> None:
    run = add_run(installation, RunState.SUCCEEDED, **COUNTS)
    write_rejections(installation, run)
    test = open_page("run", run=run.id)
    assert test.get("download_button")
    assert "apostrophe" in texts(test)


# --- what a person does --------------------------------------------------------------------------


def test_cancel_asks_and_names_the_run(installation: Installation, open_page: OpenPage) -> None:
    run = add_run(installation, RunState.UPLOADING)
    test = open_page("run", run=run.id)
    test.button(key="run_cancel").click().run()
    assert installation.runs.get(run.id).cancel_requested_by is None
    assert f"Run {run.id} of “Newsletter” ends at its next safe point" in texts(test)
    test.button(key="run_cancel_yes").click().run()
    assert installation.runs.get(run.id).cancel_requested_by is not None
    assert "asked to cancel" in texts(test)
    assert not has_button(test, "run_cancel")


def test_cancel_of_a_run_that_has_just_ended_says_so(
    installation: Installation, open_page: OpenPage
) -> None:
    run = add_run(installation, RunState.UPLOADING)
    test = open_page("run", run=run.id)
    test.button(key="run_cancel").click().run()
    with writing(installation.engine) as session:
        stored = session.get_one(Run, run.id)
        stored.state, stored.finished_at = RunState.SUCCEEDED, installation.now()
        session.add(stored)
    test.button(key="run_cancel_yes").click().run()
    assert not test.exception
    assert "ended by itself before it was canceled" in test.info[0].value
    assert installation.runs.get(run.id).cancel_requested_by is None


def test_run_again_queues_the_export_as_it_is_called_now(
    installation: Installation, open_page: OpenPage, export: ExportView
) -> None:
    run = add_run(
        installation,
        RunState.FAILED,
        export_id=export.export.id,
        export_name="Its name of last year",
    )
    open_page("run", run=run.id).button(key="run_again").click().run()
    live = installation.runs.live_of(export.export.id)
    assert live is not None
    assert (live.export_name, live.trigger) == ("Newsletter", Trigger.MANUAL)


def test_run_again_while_one_is_live_names_the_live_one(
    installation: Installation, open_page: OpenPage, export: ExportView
) -> None:
    run = add_run(installation, RunState.FAILED, export_id=export.export.id)
    live = add_run(installation, RunState.QUEUED, export_id=export.export.id)
    test = open_page("run", run=run.id)
    test.button(key="run_again").click().run()
    assert [each.value.replace("\\", "") for each in test.error] == [
        f'Run {live.id} of "Newsletter" is still live. Wait for its end, or cancel it.'
    ]


def test_run_again_is_off_when_the_export_was_removed(
    installation: Installation, open_page: OpenPage
) -> None:
    run = add_run(installation, RunState.FAILED, export_id=None)
    assert open_page("run", run=run.id).button(key="run_again").disabled


def test_a_real_run_is_followed_from_queued_to_its_end(
    installation: Installation, open_page: OpenPage, export: ExportView
) -> None:
    run = Exports(installation).queue(export.export.name, by=local_administrator())
    test = open_page("run", run=run.id)
    assert "it begins as soon as a worker runs" in texts(test)
    Worker(installation).work(until_idle=True)
    shown = texts(test.run()).replace("\\", "")
    assert "profiles are on “Spring newsletter”" in shown
    assert not has_button(test, "run_cancel")


# --- a link to nothing ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"run": 999}, "There is no run 999 any more."),
        ({"run": "x'; --"}, "This address names no run."),
        ({}, "This address names no run."),
    ],
)
def test_a_link_to_a_run_that_is_gone_leads_to_the_history(
    open_page: OpenPage, query: dict[str, object], words: str
) -> None:
    test = open_page("run", **query)
    assert not test.exception
    assert words in test.info[0].value
    assert "/runs" in texts(test)


def test_run_of_which_some_failed_offers_to_send_that_again(
    installation: Installation, open_page: OpenPage, export: ExportView
) -> None:
    rows = {**COUNTS, "failed_count": 10, "export_id": export.export.id}
    run = add_run(
        installation,
        RunState.FAILED,
        **rows,
        connection_id=export.export.connection_id,
        mapping=[["email", "EMail"]],
    )
    add_batch(installation, run, 1, BatchState.FAILED, failed_rows=10)
    write_contacts(installation, run, 10)
    test = open_page("run", run=run.id)
    assert has_button(test, "run_retry")
    test.button(key="run_retry").click().run()
    assert not test.exception
    (new,) = installation.runs.retries_of(run.id)
    assert new.trigger is Trigger.RETRY


def test_run_of_which_nothing_failed_offers_no_retry(
    installation: Installation, open_page: OpenPage
) -> None:
    run = add_run(installation, RunState.SUCCEEDED, **COUNTS)
    assert not has_button(open_page("run", run=run.id), "run_retry")


def test_run_says_how_many_were_taken_off_the_list_and_who_they_are(
    installation: Installation, open_page: OpenPage
) -> None:
    counts = {**COUNTS, "mode": "mirror", "to_remove_count": 3, "removed_count": 2}
    run = add_run(installation, RunState.COMPLETED_WITH_ERRORS, **counts)
    names = ["bo@example.com", "cy@example.com", "di@example.com"]
    rows = [("", name, "leaving", None) for name in names]
    columns = dict(zip(REJECTIONS_SCHEMA.names, map(list, zip(*rows, strict=True)), strict=True))
    with installation.run_files.writer(run.id, RunFile.LEAVING, REJECTIONS_SCHEMA) as file:
        file.write(pa.RecordBatch.from_pydict(columns, schema=REJECTIONS_SCHEMA))
    test = open_page("run", run=run.id)
    assert not test.exception
    assert "**2 taken off the list**: 3 are in none of the segments any more" in texts(test)
    assert "2 people were taken off the list" in texts(test)
    test.session_state["run_taken_off"] = True
    test.run()
    assert all(name in tables(test) for name in names)
