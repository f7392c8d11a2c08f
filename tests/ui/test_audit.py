"""The screen Audit: the rows, filtered, and what was before and after."""

from __future__ import annotations

from ccexport.installation import Installation
from ccexport.services.connections.connections import Connections
from ccexport.services.people.access import local_administrator
from ccexport.store.audit import AuditFilter
from ccexport.store.database.tables import Connection
from tests.ui.conftest import OpenPage, texts

BY = local_administrator()


def test_audit_shows_the_newest_first_and_what_changed(
    open_page: OpenPage, installation: Installation, connection: Connection
) -> None:
    Connections(installation).rename("Marketing", "Sales <b>", by=BY)
    test = open_page("audit")
    [frame] = test.dataframe
    assert list(frame.value["What"]) == ["Rename connections", "Add connections"]
    assert set(frame.value["Who"]) == {BY.name}
    newest = installation.audit.page(AuditFilter())[0]
    test.session_state["audit_table_ticked"] = [newest.id]
    test.run()
    assert [
        '"name": "Marketing"' in test.code[0].value,
        '"name": "Sales <b>"' in test.code[1].value,
    ] == [
        True,
        True,
    ]


def test_audit_is_filtered_by_action_and_target(
    open_page: OpenPage, installation: Installation, connection: Connection
) -> None:
    Connections(installation).share("Marketing", contributors=True, by=BY)
    test = open_page("audit")
    test.selectbox(key="audit_action").select("connection.share").run()
    assert list(test.dataframe[0].value["What"]) == ["Share connections with contributors"]
    test.text_input(key="audit_search").input("nothing of that name").run()
    assert "No row matches" in texts(test)
