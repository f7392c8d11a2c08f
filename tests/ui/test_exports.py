"""The page Exports: empty, full, each action, and what can go wrong with it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from streamlit.testing.v1 import AppTest

from ccexport.errors import NotFound
from ccexport.installation import Installation
from ccexport.services.connections.connections import Connections
from ccexport.services.exports.exports import Exports
from ccexport.services.operations.refreshes import Refreshes
from ccexport.services.people.access import local_administrator
from ccexport.store.database.tables import Connection
from ccexport.store.exports import ExportView
from tests.ui.conftest import OpenPage, texts
from tests.ui.stored_exports import add, names

BY = local_administrator()


def select(test: AppTest, *views: ExportView) -> AppTest:
    test.session_state["exports_table_ticked"] = [view.export.id for view in views]
    return test.run()


def test_exports_without_a_connection_says_to_add_one_first(open_page: OpenPage) -> None:
    test = open_page("exports")
    assert not test.exception
    assert "no connection yet" in test.info[0].value
    assert "/connections" in texts(test)


def test_exports_without_any_says_to_add_one(open_page: OpenPage, connection: Connection) -> None:
    test = open_page("exports")
    assert "no export yet" in test.info[0].value
    assert test.button(key="exports_add").label == "Add export"


def test_exports_shows_what_goes_where_and_how_it_went(
    open_page: OpenPage, installation: Installation, export: ExportView
) -> None:
    refreshes = Refreshes(installation)
    refreshes.set_schedule(range(7), ["06:30"], "UTC", by=BY)
    run = Exports(installation).queue("Newsletter", by=BY)
    test = open_page("exports")
    row = test.dataframe[0].value.iloc[0]
    assert (row["Name"], row["List"], row["Connection"]) == (
        "Newsletter",
        "Spring newsletter",
        "Marketing",
    )
    assert row["Segments"] == "Newsletter subscribers, Spring buyers"
    assert row["Schedule"] == "with each refresh"
    assert (list(row["State"]), list(row["Last run"])) == (["Active"], ["Queued"])
    assert row["Ran at"] == run.queued_at
    assert row["Prepared"] is None  # nothing is counted yet
    assert row["Next run"] == refreshes.next_five()[0]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("summer", ["Summer sale"]),
        ("SPRING newsletter", ["Newsletter", "Summer sale", "<b>Ärzte</b> 🎉"]),
        ("ärzte", ["<b>Ärzte</b> 🎉"]),
        ("spring buyers", ["Newsletter"]),
        ("nothing such", []),
    ],
)
def test_exports_are_found_by_name_list_and_segment(
    open_page: OpenPage,
    installation: Installation,
    export: ExportView,
    typed: str,
    found: list[str],
) -> None:
    add(installation, "Summer sale")
    add(installation, "<b>Ärzte</b> 🎉")
    test = open_page("exports")
    test.text_input(key="exports_search").set_value(typed).run()
    assert sorted(names(test)) == sorted(found)
    if not found:
        assert "No export matches" in test.info[0].value


def test_exports_are_filtered_by_state_and_sorted(
    open_page: OpenPage, installation: Installation, export: ExportView
) -> None:
    add(installation, "Asleep", "off")
    add(installation, "Daily", "daily 06:30 UTC")
    Exports(installation).queue("Newsletter", by=BY)
    test = open_page("exports")
    assert names(test) == ["Asleep", "Daily", "Newsletter"]
    test.selectbox(key="exports_sort").select("Last run").run()
    assert names(test)[0] == "Newsletter"
    test.selectbox(key="exports_sort").select("Next run").run()
    assert names(test)[0] == "Daily"
    for state, found in (
        ("Off", ["Asleep"]),
        ("Last run: queued", ["Newsletter"]),
        ("Never run", ["Daily", "Asleep"]),
        ("Detached", []),
    ):
        test.selectbox(key="exports_state").select(state).run()
        assert names(test) == found


def test_exports_offers_nothing_until_one_is_selected(
    open_page: OpenPage, export: ExportView
) -> None:
    test = open_page("exports")
    for name in ("run", "edit", "duplicate", "off", "on", "remove"):
        assert test.button(key=f"exports_{name}").disabled
    select(test, export)
    assert not test.button(key="exports_run").disabled
    assert test.button(key="exports_on").disabled


def test_exports_run_queues_each_selected_and_links_to_the_runs(
    open_page: OpenPage, installation: Installation, export: ExportView
) -> None:
    other = add(installation, "Summer *sale*")
    live = Exports(installation).queue("Newsletter", by=BY)
    test = select(open_page("exports"), export, other)
    assert test.button(key="exports_run").label == "Run 2"
    test.button(key="exports_run").click().run()
    [queued] = [run for run in installation.runs.latest() if run.id != live.id]
    assert queued.export_id == other.export.id
    assert "still live" in test.error[0].value
    assert "1 run queued" in test.success[0].value
    assert f"/run?run={queued.id}" in texts(test)
    assert "Summer \\*sale\\*" in texts(test)


def test_exports_duplicate_asks_for_a_name_and_is_off(
    open_page: OpenPage, installation: Installation, export: ExportView
) -> None:
    test = select(open_page("exports"), export)
    test.button(key="exports_duplicate").click().run()
    assert test.text_input(key="exports_duplicate_name").value == "Copy of Newsletter"
    test.text_input(key="exports_duplicate_name").set_value("Newsletter").run()
    test.button(key="exports_duplicate_confirm").click().run()
    assert "already" in test.error[0].value
    test.text_input(key="exports_duplicate_name").set_value("Second").run()
    test.button(key="exports_duplicate_confirm").click().run()
    assert installation.exports.by_name("Second").state == "off"
    assert "Second" in test.success[0].value


def test_exports_turns_off_and_on_again(
    open_page: OpenPage, installation: Installation, export: ExportView
) -> None:
    test = select(open_page("exports"), export)
    test.button(key="exports_off").click().run()
    assert installation.exports.by_name("Newsletter").state == "off"
    test.button(key="exports_on").click().run()
    test.radio(key="exports_on_when").set_value("daily").run()
    test.selectbox(key="exports_on_zone").select("Europe/Berlin").run()
    test.button(key="exports_on_confirm").click().run()
    stored = installation.exports.by_name("Newsletter").export
    assert stored.schedule == "daily 06:30 Europe/Berlin"
    assert stored.next_run_at is not None
    assert stored.next_run_at > datetime.now(UTC)


def test_exports_remove_names_what_goes_and_asks(
    open_page: OpenPage, installation: Installation, export: ExportView
) -> None:
    test = select(open_page("exports"), export)
    test.button(key="exports_remove").click().run()
    assert "Newsletter" in texts(test)
    assert "cannot be undone" in texts(test)
    assert installation.exports.views()
    test.button(key="exports_remove_confirm").click().run()
    with pytest.raises(NotFound):
        installation.exports.by_name("Newsletter")
    assert "1 export removed" in test.success[0].value
    assert "no export yet" in test.info[0].value


def test_exports_remove_is_refused_while_a_run_is_live(
    open_page: OpenPage, installation: Installation, export: ExportView
) -> None:
    Exports(installation).queue("Newsletter", by=BY)
    test = select(open_page("exports"), export)
    test.button(key="exports_remove").click().run()
    test.button(key="exports_remove_confirm").click().run()
    assert "still live" in test.error[0].value
    assert installation.exports.views()


def test_exports_that_are_detached_say_so_and_do_not_run(
    open_page: OpenPage, installation: Installation, export: ExportView
) -> None:
    Connections(installation).remove("Marketing", by=BY)
    test = select(open_page("exports"), export)
    row = test.dataframe[0].value.iloc[0]
    assert (list(row["State"]), row["Connection"]) == (["Detached"], "none: detached")
    test.button(key="exports_run").click().run()
    assert "detached" in test.error[0].value


def test_exports_selection_does_not_outlive_a_change_of_the_rows(
    open_page: OpenPage, installation: Installation, export: ExportView
) -> None:
    add(installation, "Another")
    test = select(open_page("exports"), export)
    test.text_input(key="exports_search").set_value("another").run()
    assert names(test) == ["Another"]
    assert test.button(key="exports_remove").disabled


def test_exports_removed_by_somebody_else_meanwhile_is_said(
    open_page: OpenPage, installation: Installation, export: ExportView
) -> None:
    test = select(open_page("exports"), export)
    test.button(key="exports_duplicate").click().run()
    Exports(installation).remove("Newsletter", by=BY)
    test.button(key="exports_duplicate_confirm").click().run()
    assert not test.exception
    assert "no export" in texts(test)
