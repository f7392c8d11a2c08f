"""The page Connections: empty, full, without an application, and each thing that can be done there."""

from __future__ import annotations

import re

import pytest
import requests
from streamlit.testing.v1 import AppTest

from ccexport.assembly import Parts
from ccexport.errors import UsageError
from ccexport.sandbox.server import RunningSandbox
from ccexport.services.access import local_administrator
from ccexport.services.consent import CONSENT_TEXT
from ccexport.services.exports import Exports
from ccexport.services.sign_ins import SignIns
from ccexport.store.exports import ExportView
from ccexport.store.tables import Connection
from ccexport.ui.page import plain
from tests.pages.conftest import OpenPage, connect, texts


def test_connections_without_any_says_the_next_step_and_shows_the_form(open_page: OpenPage) -> None:
    test = open_page("connections")
    assert not test.exception
    assert "no connection yet" in test.info[0].value
    assert plain(CONSENT_TEXT) in texts(test)
    assert test.button(key="connections_add_connect").disabled


def test_connections_without_an_application_says_what_to_set_up(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CCEXPORT_CC_CLIENT_ID", "")
    test = open_page("connections")
    assert "No Constant Contact application" in test.warning[0].value
    assert test.code[0].value == "http://localhost:8501/oauth/callback"
    assert "CCEXPORT_CC_CLIENT_ID" in test.code[1].value


def test_connections_shows_account_state_consent_and_exports(
    open_page: OpenPage, export: ExportView
) -> None:
    shown = texts(open_page("connections"))
    for text in (
        "Marketing",
        "Sandbox Traders",
        "Connected",
        "Administrators",
        "Newsletter",
        "UTC",
    ):
        assert text in shown
    assert "None yet" not in shown


@pytest.mark.parametrize("missing", ["name", "consent"])
def test_connections_connect_needs_a_name_and_consent(open_page: OpenPage, missing: str) -> None:
    test = open_page("connections")
    if missing != "name":
        test.text_input(key="connections_name").input("Marketing").run()
    if missing != "consent":
        test.checkbox(key="connections_add_agree").check().run()
    assert test.button(key="connections_add_connect").disabled


def test_connections_connect_leaves_for_the_sign_in(open_page: OpenPage) -> None:
    test = _click_connect(open_page("connections"), "Marketing")
    assert re.fullmatch(r"/oauth/start/[\w-]{43}", _address(test))


def test_connections_a_name_that_is_taken_is_refused(
    open_page: OpenPage, connection: Connection
) -> None:
    test = _click_connect(open_page("connections"), "  marketing ")
    assert "is a connection" in test.error[0].value
    assert not test.get("html")


def test_connections_says_who_was_connected_and_only_once(
    open_page: OpenPage, connection: Connection
) -> None:
    test = open_page("connections", connected="Marketing")
    assert "is connected to Sandbox Traders" in test.success[0].value
    assert not test.run().success


def test_connections_a_made_up_name_in_the_address_is_not_shown(
    open_page: OpenPage, connection: Connection
) -> None:
    assert not open_page("connections", connected="<b>Nobody</b>").success


def test_connections_names_are_shown_as_they_are(open_page: OpenPage, parts: Parts) -> None:
    name = "<b>Sales</b> *é* 😀 \u202eabc"
    connect(parts, name)
    assert plain(name) in [each.value for each in open_page("connections").subheader]


def test_connections_test_says_what_was_found(open_page: OpenPage, connection: Connection) -> None:
    test = open_page("connections").button(key=f"connections_test_{connection.id}").click().run()
    assert "Signed in to Sandbox Traders; 1 lists" in test.success[0].value


def test_connections_test_of_a_revoked_sign_in_asks_to_authenticate(
    open_page: OpenPage, parts: Parts, connection: Connection, sandbox: RunningSandbox
) -> None:
    _revoke(sandbox)
    test = open_page("connections").button(key=f"connections_test_{connection.id}").click().run()
    assert "Authenticate" in test.error[0].value
    again = open_page("connections")
    assert "no longer accepts" in again.error[0].value
    assert "Sign-in needed" in texts(again)


def test_connections_authenticate_leads_to_the_sign_in_of_the_same_connection(
    open_page: OpenPage, connection: Connection
) -> None:
    test = open_page("connections")
    test.button(key=f"connections_authenticate_{connection.id}").click().run()
    test.checkbox(key=f"connections_again_{connection.id}_agree").check().run()
    test.button(key=f"connections_again_{connection.id}_connect").click().run()
    assert _address(test).startswith("/oauth/start/")


def test_connections_rename_keeps_exports(
    open_page: OpenPage, parts: Parts, export: ExportView, connection: Connection
) -> None:
    test = open_page("connections").button(key=f"connections_rename_{connection.id}").click().run()
    test.text_input(key="connections_new_name").input("Sales").run()
    test.button(key="connections_rename_save").click().run()
    assert parts.connections.by_name("sales").id == connection.id
    assert parts.exports.by_name("Newsletter").connection_name == "Sales"


def test_connections_rename_to_a_taken_name_says_so(
    open_page: OpenPage, parts: Parts, connection: Connection
) -> None:
    connect(parts, "Sales")
    test = open_page("connections").button(key=f"connections_rename_{connection.id}").click().run()
    test.text_input(key="connections_new_name").input("SALES").run()
    test.button(key="connections_rename_save").click().run()
    assert "is a connection" in test.error[0].value
    assert parts.connections.get(connection.id).name == "Marketing"


def test_connections_sharing_is_kept(
    open_page: OpenPage, parts: Parts, connection: Connection
) -> None:
    test = open_page("connections")
    test.toggle(key=f"connections_share_{connection.id}").set_value(True).run()
    assert parts.connections.get(connection.id).contributors
    assert "Administrators and contributors" in texts(test)


@pytest.mark.parametrize(("choice", "left"), [("Detach them", 1), ("Remove them too", 0)])
def test_connections_remove_names_the_exports_and_does_with_them_as_chosen(
    open_page: OpenPage,
    parts: Parts,
    export: ExportView,
    connection: Connection,
    choice: str,
    left: int,
) -> None:
    test = open_page("connections").button(key=f"connections_remove_{connection.id}").click().run()
    assert "Newsletter" in texts(test)
    test.radio(key="connections_remove_choice").set_value(choice).run()
    test.button(key="connections_remove_confirm").click().run()
    assert parts.connections.find("Marketing") is None
    assert [view.state for view in parts.exports.views()] == ["detached"] * left


def test_connections_remove_while_a_run_is_live_says_why_not(
    open_page: OpenPage, parts: Parts, export: ExportView, connection: Connection
) -> None:
    Exports(parts).queue("Newsletter", by=local_administrator())
    test = open_page("connections").button(key=f"connections_remove_{connection.id}").click().run()
    test.button(key="connections_remove_confirm").click().run()
    assert "still uses this connection" in test.error[0].value
    assert parts.connections.find("Marketing") is not None


def test_connections_a_store_that_cannot_be_read_is_a_sentence(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CCEXPORT_DATABASE_URL", "sqlite:////proc/nowhere/store.db")
    test = open_page("connections")
    assert "cannot be made" in test.error[0].value
    assert not test.exception


def test_connections_a_ticket_needs_consent(parts: Parts) -> None:
    with pytest.raises(UsageError, match="agreed"):
        SignIns(parts).prepare(
            "Marketing", contributors=False, agreed=False, by=local_administrator()
        )


def _click_connect(test: AppTest, name: str) -> AppTest:
    test.text_input(key="connections_name").input(name).run()
    test.checkbox(key="connections_add_agree").check().run()
    return test.button(key="connections_add_connect").click().run()


def _address(test: AppTest) -> str:
    """Where the page sends the browser, as its fallback link says."""
    found = re.search(r"/oauth/start/[\w-]+", str(test.get("html")[0].proto))
    assert found
    return found[0]


def _revoke(sandbox: RunningSandbox) -> None:
    requests.post(f"{sandbox.url}/_sandbox/revoke", timeout=5).raise_for_status()
