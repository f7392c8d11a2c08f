"""The page Runs: the table, filters that the address holds, pages, charts."""

from __future__ import annotations

from datetime import timedelta

from streamlit.testing.v1 import AppTest

from ccexport.installation import Installation
from ccexport.states import RunState, Trigger
from ccexport.ui.screens.runs import PAGE_SIZE
from tests.ui.conftest import OpenPage, texts
from tests.ui.stored_runs import HOSTILE, add_run


def shown(test: AppTest) -> list[int]:
    """The numbers of the runs in the table."""
    return [int(number) for number in test.dataframe[0].value["Run"]] if test.dataframe else []


def test_an_empty_history_says_the_next_step(open_page: OpenPage) -> None:
    test = open_page("runs")
    assert not test.exception
    assert "Nothing has run yet" in test.info[0].value
    assert "/exports" in texts(test)


def test_the_newest_run_is_first_with_its_counts(
    installation: Installation, open_page: OpenPage
) -> None:
    older = add_run(installation, RunState.SUCCEEDED)
    newer = add_run(
        installation,
        RunState.COMPLETED_WITH_ERRORS,
        export_name=HOSTILE,
        read_count=12,
        rejected_count=2,
        submitted_count=10,
        unsubscribed_count=1,
        failed_count=3,
        trigger=Trigger.REFRESH,
    )
    test = open_page("runs")
    assert not test.exception
    assert shown(test) == [newer.id, older.id]
    row = test.dataframe[0].value.iloc[0]
    assert (row["Export"], list(row["State"])) == (HOSTILE, ["Completed with errors"])
    assert (row["Read"], row["Left out"], row["Accepted"], row["Failed"]) == (12, 2, 6, 3)
    assert (row["Duration"], row["Started by"]) == ("1 min", "Refresh")
    assert "2 runs" in texts(test)


def test_filters_in_the_address_are_used(installation: Installation, open_page: OpenPage) -> None:
    add_run(installation, RunState.SUCCEEDED)
    wanted = add_run(installation, RunState.FAILED, export_name="Win-back", trigger=Trigger.REFRESH)
    add_run(installation, RunState.FAILED, export_name="Win-back")
    test = open_page("runs", export="Win-back", state="failed", trigger="refresh", days="7")
    assert shown(test) == [wanted.id]
    assert test.selectbox(key="runs_state").value == "Failed"


def test_a_chosen_filter_is_written_to_the_address_and_the_default_is_not(
    installation: Installation, open_page: OpenPage
) -> None:
    add_run(installation, RunState.SUCCEEDED)
    wanted = add_run(installation, RunState.QUEUED)
    test = open_page("runs")
    test.selectbox(key="runs_state").select("Running or waiting").run()
    assert shown(test) == [wanted.id]
    assert dict(test.query_params) == {"state": "live"}
    test.selectbox(key="runs_state").select("Any").run()
    assert dict(test.query_params) == {}
    assert len(shown(test)) == 2


def test_a_filter_that_means_nothing_is_as_if_it_was_not_there(
    installation: Installation, open_page: OpenPage
) -> None:
    run = add_run(installation, RunState.SUCCEEDED)
    test = open_page("runs", export="Removed long ago", state="<b>", days="-1")
    assert not test.exception
    assert shown(test) == [run.id]
    assert dict(test.query_params) == {}


def test_old_runs_are_shown_for_all_time_alone(
    installation: Installation, open_page: OpenPage
) -> None:
    long_ago = installation.now() - timedelta(days=400)
    old = add_run(installation, RunState.SUCCEEDED, queued_at=long_ago, finished_at=long_ago)
    test = open_page("runs")
    assert "No run matches" in test.info[0].value
    assert shown(open_page("runs", days="all")) == [old.id]
    assert test.selectbox(key="runs_days").value == "Last 30 days"


def test_a_long_history_has_pages(installation: Installation, open_page: OpenPage) -> None:
    runs = [add_run(installation, RunState.SUCCEEDED) for _ in range(PAGE_SIZE + 1)]
    test = open_page("runs")
    assert len(shown(test)) == PAGE_SIZE
    test.session_state["runs_page"] = 2
    assert shown(test.run()) == [runs[0].id]
    test.selectbox(key="runs_state").select("Succeeded").run()
    assert len(shown(test)) == PAGE_SIZE  # a new filter begins at its first page


def test_volumes_and_durations_are_drawn_for_the_same_runs(
    installation: Installation, open_page: OpenPage
) -> None:
    add_run(installation, RunState.SUCCEEDED, submitted_count=10)
    add_run(installation, RunState.QUEUED, export_name="Win-back")
    assert len(open_page("runs").get("vega_lite_chart")) == 2
    test = open_page("runs", export="Win-back")
    assert len(test.get("vega_lite_chart")) == 0
    assert "No profile has been sent or left out in these runs" in texts(test)
    assert "None of these runs has ended yet" in texts(test)
