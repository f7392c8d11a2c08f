"""The page Refresh: its schedule, what runs with it, what the last refreshes found."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ccexport.installation import Installation
from ccexport.runs.due import Due
from ccexport.services.exports.exports import Exports
from ccexport.services.operations.refreshes import Refreshes
from ccexport.services.people.access import Person, Role, local_administrator
from ccexport.states import Trigger
from ccexport.store.exports import ExportView
from ccexport.store.refreshes import RefreshStore
from tests.ui.conftest import OpenPage, texts

ANA = Person("ana <b>*x*</b>", Role.ADMINISTRATOR)


@pytest.fixture
def due(installation: Installation) -> Due:
    return installation.due


@pytest.fixture
def refreshes(installation: Installation) -> Refreshes:
    return Refreshes(installation)


def test_on_an_empty_store_it_says_the_next_steps(open_page: OpenPage) -> None:
    test = open_page("refresh")
    assert not test.exception
    shown = texts(test)
    assert "No refresh happens by itself" in shown
    assert "No worker is alive" in shown
    assert "No export runs with a refresh yet" in shown
    assert "There has been no refresh yet" in shown
    assert [button.key for button in test.button] == ["refresh_now", "refresh_save"]
    assert not test.dataframe


def test_a_schedule_is_saved_and_its_next_times_are_shown(
    open_page: OpenPage, refreshes: Refreshes
) -> None:
    test = open_page("refresh")
    test.pills(key="refresh_days").set_value([0, 4])
    test.multiselect(key="refresh_times").set_value(["18:00", "06:30"])
    test.selectbox(key="refresh_zone").set_value("Europe/Berlin").run()
    following = next(each.value for each in test.markdown if each.value.startswith("- "))
    assert len(following.splitlines()) == 5
    assert refreshes.schedule() is None  # chosen, not saved
    test.button(key="refresh_save").click().run()
    assert not test.exception
    row = refreshes.schedule()
    assert row is not None
    assert (row.weekdays, row.times, row.zone) == ([0, 4], ["06:30", "18:00"], "Europe/Berlin")
    shown = texts(test)
    assert "The schedule is saved" in shown
    assert "Monday, Friday at 06\\:30 and 18\\:00 \\(Europe/Berlin\\)" in shown
    assert row.changed_by == local_administrator().name


def test_the_page_opens_with_what_is_saved(open_page: OpenPage, refreshes: Refreshes) -> None:
    refreshes.set_schedule([2], ["06:45"], "Australia/Lord_Howe", by=ANA)
    test = open_page("refresh")
    assert test.pills(key="refresh_days").value == [2]
    assert test.multiselect(key="refresh_times").value == ["06:45"]
    assert test.selectbox(key="refresh_zone").value == "Australia/Lord_Howe"
    assert "Last changed by ana \\<b\\>\\*x\\*" in texts(test)


@pytest.mark.parametrize(
    ("days", "times", "words"),
    [([], ["06:30"], "No weekday"), ([0], [], "one to 4 times"), ([0], ["6"], "not a time of day")],
)
def test_a_schedule_filled_in_wrongly_says_what_is_wrong_and_is_not_saved(
    open_page: OpenPage, refreshes: Refreshes, days: list[int], times: list[str], words: str
) -> None:
    test = open_page("refresh")
    test.pills(key="refresh_days").set_value(days)
    test.multiselect(key="refresh_times").set_value(times)
    test.button(key="refresh_save").click().run()
    assert not test.exception
    assert any(words in error.value for error in test.error)
    assert refreshes.schedule() is None


def test_turned_off_it_says_so_and_keeps_what_was_chosen(
    open_page: OpenPage, refreshes: Refreshes
) -> None:
    refreshes.set_schedule([2], ["12:00"], "UTC", by=ANA)
    test = open_page("refresh")
    test.button(key="refresh_turn_off").click().run()
    assert not test.exception
    assert refreshes.next_five() == []
    assert "No refresh happens by itself any more" in texts(test)
    assert test.pills(key="refresh_days").value == [2]
    assert "refresh_turn_off" not in [button.key for button in test.button]


def test_refresh_now_is_an_intent_that_a_worker_carries_out(
    open_page: OpenPage,
    refreshes: Refreshes,
    installation: Installation,
    export: ExportView,
    due: Due,
) -> None:
    test = open_page("refresh")
    test.button(key="refresh_now").click().run()
    assert not test.exception
    assert refreshes.latest()[0].state == "asked"
    assert installation.runs.latest() == []  # the page itself did nothing
    assert "waits for a worker" in texts(test)
    begun = due.begin_due()
    assert begun is not None
    due.perform(begun)
    test.run()
    assert "waits for a worker" not in texts(test)
    assert frame(test, "Began").iloc[0]["State"] == "done"
    assert frame(test, "Began").iloc[0]["Runs queued"] == 1


def test_a_full_page_shows_exports_refreshes_and_sizes(
    open_page: OpenPage, refreshes: Refreshes, installation: Installation, export: ExportView
) -> None:
    installation.workers.started("w", host="h", pid=1, version="1")
    Exports(installation).duplicate(export.export.name, "Off <b>", by=ANA)
    for _ in range(3):
        refreshes.refresh(by=ANA)
    test = open_page("refresh")
    assert not test.exception
    assert "No worker is alive" not in texts(test)
    assert list(frame(test, "Export")["Export"]) == ["Newsletter"]
    assert "Of the last refresh: Not queued" in texts(test)
    latest = frame(test, "Began")
    assert len(latest) == 3
    assert latest.iloc[0]["Note"] == 'Not queued: "Newsletter" (still runs).'
    assert latest.iloc[-1]["Note"] == ""
    sizes = frame(test, "Members", "Change")
    assert set(sizes["Change"]) == {0}
    assert all(len(history) == 3 for history in sizes["Over the last refreshes"])


def test_a_refresh_that_failed_says_why(
    open_page: OpenPage,
    refreshes: Refreshes,
    monkeypatch: pytest.MonkeyPatch,
    installation: Installation,
) -> None:
    begun = installation.refreshes.begin(Trigger.SCHEDULE, by="schedule", due_at=installation.now())
    error = "The folder *data* is gone."
    installation.refreshes.finish(begun.id, sizes={}, runs_queued=0, error=error)
    test = open_page("refresh")
    assert not test.exception
    assert any("The folder \\*data\\* is gone" in each.value for each in test.error)
    assert frame(test, "Began").iloc[0]["State"] == "failed"


def test_a_refresh_that_began_long_after_its_time_is_shown_as_late(
    open_page: OpenPage, installation: Installation
) -> None:
    due_at = installation.now() - timedelta(hours=2)
    begun = installation.refreshes.begin(Trigger.SCHEDULE, by="schedule", due_at=due_at)
    installation.refreshes.finish(begun.id, sizes={"A": 1}, runs_queued=0, error=None)
    test = open_page("refresh")
    assert frame(test, "Began").iloc[0]["State"] == "done, late"


def test_a_source_that_is_gone_does_not_keep_the_page_from_opening(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CCEXPORT_SOURCE_URL", "file:/nowhere/at/all")
    assert not open_page("refresh").exception


def test_a_store_that_fails_is_one_sentence(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ccexport.errors import StoreError

    def fails(*_: object) -> None:
        raise StoreError("The store stayed locked.")

    monkeypatch.setattr(RefreshStore, "schedule", fails)
    test = open_page("refresh")
    assert not test.exception
    assert [each.value for each in test.error] == ["The store stayed locked\\."]


def frame(test, *columns: str):  # type: ignore[no-untyped-def]  # AppTest and pandas
    """The table that has these columns."""
    return next(each.value for each in test.dataframe if set(columns) <= set(each.value.columns))
