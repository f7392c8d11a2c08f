"""C32: rows that are ticked while others come, go or change places. What was seen is what is acted on."""

from __future__ import annotations

from dataclasses import replace

from streamlit.testing.v1 import AppTest

from ccexport.installation import Installation
from ccexport.preparation.mapping import parse_mapping
from ccexport.services.connections.connections import Connections
from ccexport.services.exports.exports import ExportDraft, Exports
from ccexport.services.people.access import Role, local_administrator
from ccexport.services.people.users import Users
from ccexport.store.audit import AuditFilter
from ccexport.store.database.tables import Connection
from ccexport.store.exports import ExportView
from tests.ui.conftest import LIST_ID, MAPPING, SEGMENTS, OpenPage, connect, texts
from tests.ui.stored_exports import add, names

BY = local_administrator()


def tick(test: AppTest, *ids: object, table: str = "exports_table") -> AppTest:
    """As the table does when somebody ticks rows in it."""
    test.session_state[f"{table}_ticked"] = list(ids)
    return test.run()


def stored(installation: Installation) -> list[str]:
    return [view.export.name for view in Exports(installation).views()]


def test_a_ticked_export_stays_the_one_when_another_comes_that_sorts_first(
    open_page: OpenPage, installation: Installation, export: ExportView
) -> None:
    test = tick(open_page("exports"), export.export.id)
    add(installation, "A comes first")
    test.button(key="exports_remove").click().run()
    assert names(test) == ["A comes first", "Newsletter"]
    assert "- Newsletter" in texts(test)
    assert "- A comes first" not in texts(test)
    test.button(key="exports_remove_confirm").click().run()
    assert stored(installation) == ["A comes first"]


def test_a_ticked_export_is_marked_at_its_new_place(
    open_page: OpenPage, installation: Installation, export: ExportView
) -> None:
    test = tick(open_page("exports"), export.export.id)
    add(installation, "A comes first")
    test.run()
    key = f"exports_table_{test.session_state['exports_table_turn']}"
    assert test.session_state[key]["selection"]["rows"] == [1]


def test_a_filter_hides_the_tick_with_its_row_and_the_dialog_does_not_come_back(
    open_page: OpenPage, installation: Installation, export: ExportView
) -> None:
    add(installation, "Another")
    test = tick(open_page("exports"), export.export.id)
    test.button(key="exports_remove").click().run()
    test.text_input(key="exports_search").set_value("another").run()
    assert test.button(key="exports_run").disabled
    test.text_input(key="exports_search").set_value("").run()
    test = tick(test, Exports(installation).views()[0].export.id)
    assert "This cannot be undone" not in texts(test)


def test_an_export_that_was_renamed_meanwhile_is_acted_on_and_its_old_name_is_not(
    open_page: OpenPage, installation: Installation, export: ExportView
) -> None:
    test = tick(open_page("exports"), export.export.id)
    test.button(key="exports_remove").click().run()
    draft = ExportDraft("Monthly news", "Marketing", LIST_ID, SEGMENTS[:1], parse_mapping(MAPPING))
    Exports(installation).update(export.export.id, draft, by=BY)
    add(installation, "Newsletter")  # another one under the name that the dialog shows
    test.button(key="exports_remove_confirm").click().run()
    assert stored(installation) == ["Newsletter"]


def test_a_connection_that_was_renamed_meanwhile_is_removed_and_its_old_name_is_not(
    open_page: OpenPage, installation: Installation, connection: Connection
) -> None:
    test = open_page("connections")
    test.button(key=f"connections_remove_{connection.id}").click().run()
    Connections(installation).rename("Marketing", "Sales", by=BY)
    connect(installation, "Marketing")  # another one under the name that the dialog shows
    test.button(key="connections_remove_confirm").click().run()
    assert [view.connection.name for view in Connections(installation).views()] == ["Marketing"]


def test_a_person_who_is_ticked_stays_the_one_when_another_comes_that_sorts_first(
    open_page: OpenPage, installation: Installation
) -> None:
    users = Users(installation)
    for address in ("mia@example.com", "olivia@example.com"):
        users.add(address, Role.ADMINISTRATOR, by=BY)
    test = tick(open_page("people"), "mia@example.com", table="people_table")
    users.add("ana@example.com", Role.ADMINISTRATOR, by=BY)
    test.segmented_control(key="people_role_mia@example.com").select(Role.VIEWER).run()
    test.button(key="people_save").click().run()
    assert {view.user.email: view.role for view in users.views(by=BY)} == {
        "ana@example.com": Role.ADMINISTRATOR,
        "mia@example.com": Role.VIEWER,
        "olivia@example.com": Role.ADMINISTRATOR,
    }


def test_a_row_of_the_audit_that_is_ticked_stays_the_one_when_newer_ones_come(
    open_page: OpenPage, installation: Installation, connection: Connection
) -> None:
    Connections(installation).rename("Marketing", "Sales", by=BY)
    test = open_page("audit")
    [newest, *_] = installation.audit.page(AuditFilter())
    test = tick(test, newest.id, table="audit_table")
    Connections(installation).rename("Sales", "Support", by=replace(BY, name="bob"))
    test.run()
    assert ['"Marketing"' in test.code[0].value, '"Sales"' in test.code[1].value] == [True, True]
