"""When an export runs by itself, as its form asks for it."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from ccexport.installation import Installation
from ccexport.services.exports.exports import Exports
from ccexport.services.people.access import local_administrator
from ccexport.store.exports import ExportView
from tests.ui.conftest import OpenPage, texts

BY = local_administrator()


def fill_in(test: AppTest, when: str) -> None:
    """The kind of schedule, and its fields as far as they are not right already."""
    test.radio(key="export_when").set_value(when).run()
    if when == "weekly":
        test.button_group(key="export_days").set_value([0, 3]).run()
    if when in ("weekly", "cron"):
        test.selectbox(key="export_zone").select("Europe/Berlin").run()
    if when == "every":
        test.number_input(key="export_count").set_value(90).run()
        test.selectbox(key="export_unit").select("minutes").run()


@pytest.mark.parametrize(
    ("when", "schedule"),
    [
        ("weekly", "weekly mon,thu 06:30 Europe/Berlin"),
        ("every", "every 90 minutes"),
        ("cron", "cron 30 6 * * 1-5 Europe/Berlin"),
    ],
)
def test_a_schedule_is_filled_in_saved_and_opened_again(
    open_page: OpenPage, installation: Installation, export: ExportView, when: str, schedule: str
) -> None:
    test = open_page("export", export=str(export.export.id))
    fill_in(test, when)
    [said] = [caption.value for caption in test.caption if caption.value.startswith("Next")]
    assert said.count(", ") >= 4  # five times
    test.button(key="export_save").click().run()
    assert not test.exception
    saved = installation.exports.by_name("Newsletter").export
    assert saved.schedule == schedule
    assert saved.next_run_at is not None
    again = open_page("export", export=str(export.export.id))
    assert again.radio(key="export_when").value == when
    assert not again.exception


def test_a_cron_that_never_comes_is_refused_while_it_is_typed(
    open_page: OpenPage, installation: Installation, export: ExportView
) -> None:
    test = open_page("export", export=str(export.export.id))
    fill_in(test, "cron")
    test.text_input(key="export_cron").set_value("0 6 30 2 *").run()
    assert "never comes" in texts(test)
    assert test.button(key="export_save").disabled
    assert installation.exports.by_name("Newsletter").export.schedule == "refresh"


def test_without_a_weekday_nothing_can_be_saved(
    open_page: OpenPage, installation: Installation, export: ExportView
) -> None:
    test = open_page("export", export=str(export.export.id))
    test.radio(key="export_when").set_value("weekly").run()
    test.button_group(key="export_days").set_value([]).run()
    assert "No weekday was chosen" in texts(test)
    assert test.button(key="export_save").disabled


def test_the_table_says_each_schedule_in_words(
    open_page: OpenPage, installation: Installation, export: ExportView
) -> None:
    Exports(installation).set_schedule("Newsletter", "weekly mon 06:30 UTC", by=BY)
    test = open_page("exports")
    assert list(test.dataframe[0].value["Schedule"]) == ["Monday at 06:30 (UTC)"]
