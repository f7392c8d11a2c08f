"""The page Home: first steps, what runs, what needs a person, the budget, what comes next."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from ccexport.installation import Installation
from ccexport.services.operations.refreshes import Refreshes
from ccexport.services.people.access import local_administrator
from ccexport.states import BatchState, RunState, Trigger, WaitingFor
from ccexport.store.database.engine import writing
from ccexport.store.database.tables import Connection
from ccexport.store.exports import ExportView
from ccexport.store.tokens import TokenStore
from tests.ui.conftest import OpenPage, texts
from tests.ui.stored_runs import HOSTILE, add_batch, add_held_run, add_run, has_button

START_A_WORKER = "python -m ccexport worker"


def worker_is_alive(installation: Installation) -> None:
    installation.workers.started("w", host="h", pid=1, version="1")


def test_an_empty_store_shows_the_three_first_steps(open_page: OpenPage) -> None:
    test = open_page("home")
    assert not test.exception
    shown = texts(test)
    for address in ("/connections", "/export", "/exports"):
        assert f"]({address})" in shown
    assert "check_circle" not in shown
    assert "Needs you" not in shown


def test_a_step_that_is_done_is_ticked(open_page: OpenPage, connection: Connection) -> None:
    assert connection.name == "Marketing"
    assert texts(open_page("home")).count("check_circle") == 1


def test_first_steps_are_gone_once_something_ran(
    installation: Installation, open_page: OpenPage
) -> None:
    add_run(installation, RunState.SUCCEEDED, submitted_count=1234, rejected_count=5)
    test = open_page("home")
    shown = texts(test)
    assert "Three steps" not in shown
    assert "**1,234** contacts sent and **5** profiles left out in 1 run." in shown
    assert len(test.get("vega_lite_chart")) == 1


def test_without_a_worker_a_banner_says_how_to_start_one(
    installation: Installation, open_page: OpenPage
) -> None:
    add_run(installation, RunState.QUEUED)
    [banner] = open_page("home").warning
    assert START_A_WORKER in banner.value
    assert "1 run waits" in banner.value
    worker_is_alive(installation)
    assert not open_page("home").warning


def test_live_runs_are_shown_with_progress(installation: Installation, open_page: OpenPage) -> None:
    worker_is_alive(installation)
    run = add_run(
        installation, RunState.UPLOADING, export_name=HOSTILE, prepared_count=20, submitted_count=10
    )
    add_batch(installation, run, 1, BatchState.COMPLETED)
    add_batch(installation, run, 2, BatchState.PENDING)
    test = open_page("home")
    shown = texts(test)
    assert not test.exception
    assert HOSTILE not in shown
    assert HOSTILE in shown.replace("\\", "")
    assert f"run={run.id}" in shown
    assert "1 of 2 files sent" in shown.replace("\\", "")


def test_many_live_runs_are_named_in_part_and_the_rest_is_a_number(
    installation: Installation, open_page: OpenPage
) -> None:
    for _ in range(8):
        add_run(installation, RunState.QUEUED)
    assert "[3 more](/runs?state=live&days=all)" in texts(open_page("home"))


def test_a_lost_sign_in_leads_to_connections(
    installation: Installation, open_page: OpenPage, connection: Connection
) -> None:
    installation.connections.set_needs_sign_in(connection.id, needed=True)
    add_run(
        installation,
        RunState.WAITING,
        connection_id=connection.id,
        resume_state=RunState.PREPARING,
        waiting_for=WaitingFor.SIGN_IN,
    )
    shown = texts(open_page("home"))
    assert "no longer accepts the sign-in of “Marketing”. 1 run waits for it." in shown
    assert "[Sign in again](/connections)" in shown


def test_a_sign_in_that_will_end_for_want_of_use_is_shown(
    installation: Installation, open_page: OpenPage, connection: Connection
) -> None:
    tokens = TokenStore(
        installation.engine, installation.keys, lambda: installation.now() - timedelta(days=155)
    )
    tokens.write(connection.id, b"{}", installation.now())
    shown = texts(open_page("home"))
    assert "sign-in of “Marketing” has not been used for 155 days; unused for 180 it ends" in shown
    assert "[Test it](/connections)" in shown


def test_a_failed_run_says_why_and_can_be_run_again(
    installation: Installation, open_page: OpenPage, export: ExportView
) -> None:
    run = add_run(
        installation,
        RunState.FAILED,
        export_id=export.export.id,
        error="The list is gone. Choose another.",
    )
    test = open_page("home")
    assert "The list is gone. Choose another." in texts(test).replace("\\", "")
    test.button(key=f"home_again_{run.id}").click().run()
    assert installation.runs.live_of(export.export.id) is not None
    assert not test.exception


@pytest.mark.parametrize(
    ("submitted", "words"),
    [(10, "3 of 10 contacts failed."), (6, "3 of 6 contacts failed; 4 were not sent.")],
)
def test_people_who_had_nothing_to_be_sent_are_not_said_to_have_been_left(
    installation: Installation,
    open_page: OpenPage,
    export: ExportView,
    submitted: int,
    words: str,
) -> None:
    add_run(
        installation,
        RunState.COMPLETED_WITH_ERRORS,
        export_id=export.export.id,
        prepared_count=100,
        unchanged_count=85,
        suppressed_count=5,
        submitted_count=submitted,
        failed_count=3,
    )
    assert words in texts(open_page("home")).replace("\\", "")


def test_a_failed_run_of_an_export_that_went_well_since_is_not_shown(
    installation: Installation, open_page: OpenPage, export: ExportView
) -> None:
    run = add_run(installation, RunState.FAILED, export_id=export.export.id)
    add_run(installation, RunState.SUCCEEDED, export_id=export.export.id)
    assert not has_button(open_page("home"), f"home_again_{run.id}")


def test_a_refresh_that_failed_is_shown_with_its_reason(
    installation: Installation, open_page: OpenPage
) -> None:
    refresh = installation.refreshes.begin(Trigger.MANUAL, by="ana", due_at=None)
    installation.refreshes.finish(refresh.id, sizes={}, runs_queued=0, error="The source is gone.")
    shown = texts(open_page("home")).replace("\\", "")
    assert "The last refresh failed: The source is gone." in shown


def test_a_detached_export_is_shown(
    installation: Installation, open_page: OpenPage, connection: Connection, export: ExportView
) -> None:
    assert export.connection_name == connection.name
    installation.connections.remove(connection.id, by="ana", exports_too=False)
    assert "1 export has no connection" in texts(open_page("home"))


def test_the_budget_says_used_and_left_and_when_it_begins_anew(
    installation: Installation, open_page: OpenPage
) -> None:
    for _ in range(3):
        installation.budget.reserve_slot()
    test = open_page("home")
    [bar] = test.get("progress")
    assert bar.proto.text == "3 of 10,000 requests used, 9,997 left"
    assert "00:00 UTC" in texts(test)
    installation.budget.mark_exhausted()
    test = open_page("home")
    assert test.get("progress")[0].proto.value == 100
    assert "says that today's requests are gone" in texts(test)


def test_next_runs_name_exports_and_the_refresh(
    installation: Installation, open_page: OpenPage, export: ExportView
) -> None:
    assert "Nothing is scheduled" in texts(open_page("home"))
    Refreshes(installation).set_schedule(range(7), ["06:00"], "UTC", by=local_administrator())
    at = installation.now() + timedelta(hours=2, minutes=1)
    with writing(installation.engine) as session:
        session.connection().execute(
            text("UPDATE export SET next_run_at = :at"), {"at": f"{at:%Y-%m-%d %H:%M:%S.%f}"}
        )
    shown = texts(open_page("home"))
    assert export.export.name in shown
    assert "in 2 h 1 min" in shown
    assert "Refresh of the segments, then 1 export" in shown.replace("\\", "")


def test_a_store_that_cannot_be_read_is_one_sentence(
    installation: Installation, open_page: OpenPage
) -> None:
    path = installation.settings.data_dir / "ccexport.db"
    path.write_bytes(b"not a database, whatever its name says" * 100)
    test = open_page("home")
    assert not test.exception
    assert "is damaged" in test.error[0].value.replace("\\", "")


@pytest.mark.parametrize("page", ["home", "run"])
def test_a_run_that_asks_shows_its_numbers_and_is_answered(
    installation: Installation, open_page: OpenPage, export: ExportView, page: str
) -> None:
    declined, approved = (add_held_run(installation, export, sent) for sent in (5_000, 4_001))
    for run, answer, sent in ((declined, "decline", "5,000"), (approved, "approve", "4,001")):
        test = open_page(page, run=run.id)
        shown = texts(test)
        assert f"It would send {sent} people who are new or changed, beside 20,000 whom" in shown
        assert "that is more than 20 % of them" in shown
        test.button(key=f"{page}_{answer}_{run.id}").click().run()
        assert not test.exception
        assert not has_button(open_page(page, run=run.id), f"{page}_{answer}_{run.id}")
    assert installation.runs.get(declined.id).state is RunState.CANCELED
    found = installation.runs.get(approved.id)
    assert (found.state, found.is_held) == (RunState.WAITING, False)
    assert found.approved_by == local_administrator().name


def test_home_pauses_everything_with_a_reason_that_every_page_shows(
    open_page: OpenPage, installation: Installation
) -> None:
    test = open_page("home")
    test.button(key="home_pause").click().run()
    test.button(key="home_pause_confirm").click().run()
    assert "Say why" in test.error[0].value
    test.text_input(key="home_pause_reason").input("The warehouse moves")
    test.button(key="home_pause_confirm").click().run()
    for name in ("home", "runs"):
        assert "The warehouse moves" in open_page(name).warning[0].value
    test = open_page("home")
    test.button(key="home_resume").click().run()
    assert "The pause is over" in texts(test) + test.success[0].value
    assert installation.pauses.get() is None
