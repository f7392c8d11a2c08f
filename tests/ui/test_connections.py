"""The page Connections: empty, full, without an application, and each thing that can be done there."""

from __future__ import annotations

import json
import re

import pytest
import requests
from streamlit.testing.v1 import AppTest

from ccexport.consent import CONSENT_TEXT, CONSENT_VERSION
from ccexport.errors import UsageError
from ccexport.installation import Installation
from ccexport.sandbox.server import RunningSandbox
from ccexport.services.connections.connections import Connections, connection_document
from ccexport.services.connections.sign_ins import SignIns
from ccexport.services.exports.exports import Exports
from ccexport.services.people.access import Person, Role, local_administrator
from ccexport.states import RunState
from ccexport.store.database.tables import Connection
from ccexport.store.exports import ExportView
from ccexport.store.tokens import TokenStore
from ccexport.ui import identity
from ccexport.ui.page import plain
from ccexport.worker import Worker
from tests.kit.rows import connection_row
from tests.ui.conftest import OpenPage, connect, texts


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


def test_connections_names_are_shown_as_they_are(
    open_page: OpenPage, installation: Installation
) -> None:
    name = "<b>Sales</b> *é* 😀 \u202eabc"
    connect(installation, name)
    assert plain(name) in [each.value for each in open_page("connections").subheader]


def test_connections_test_says_what_was_found(open_page: OpenPage, connection: Connection) -> None:
    test = open_page("connections").button(key=f"connections_test_{connection.id}").click().run()
    assert "Signed in to Sandbox Traders; 1 lists" in test.success[0].value


def test_connections_test_of_a_revoked_sign_in_asks_to_authenticate(
    open_page: OpenPage, installation: Installation, connection: Connection, sandbox: RunningSandbox
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


def test_connections_of_one_account_say_so_as_long_as_there_are_two(
    open_page: OpenPage, installation: Installation, connection: Connection
) -> None:
    assert not open_page("connections").warning
    connect(installation, "*Stores*")
    said = [each.value.replace("\\", "") for each in open_page("connections").warning]
    assert [words.split(" is ")[0] for words in said] == ['"Marketing"', '"*Stores*"']
    assert all("may end the sign-in of the others" in words for words in said)
    other = connection_row("Elsewhere", account_id="another", at=installation.now())
    installation.connections.add(other, agreed_by="ana", text_version=CONSENT_VERSION)
    Connections(installation).remove("*Stores*", by=local_administrator())
    assert not [each for each in open_page("connections").warning if "same account" in each.value]


def test_connections_rename_keeps_exports(
    open_page: OpenPage, installation: Installation, export: ExportView, connection: Connection
) -> None:
    test = open_page("connections").button(key=f"connections_rename_{connection.id}").click().run()
    test.text_input(key="connections_new_name").input("Sales").run()
    test.button(key="connections_rename_save").click().run()
    assert installation.connections.by_name("sales").id == connection.id
    assert installation.exports.by_name("Newsletter").connection_name == "Sales"


def test_connections_rename_to_a_taken_name_says_so(
    open_page: OpenPage, installation: Installation, connection: Connection
) -> None:
    connect(installation, "Sales")
    test = open_page("connections").button(key=f"connections_rename_{connection.id}").click().run()
    test.text_input(key="connections_new_name").input("SALES").run()
    test.button(key="connections_rename_save").click().run()
    assert "is a connection" in test.error[0].value
    assert installation.connections.get(connection.id).name == "Marketing"


def test_connections_sharing_is_kept(
    open_page: OpenPage, installation: Installation, connection: Connection
) -> None:
    test = open_page("connections")
    test.toggle(key=f"connections_share_{connection.id}").set_value(True).run()
    assert installation.connections.get(connection.id).contributors
    assert "Administrators and contributors" in texts(test)


@pytest.mark.parametrize(("choice", "left"), [("Detach them", 1), ("Remove them too", 0)])
def test_connections_remove_names_the_exports_and_does_with_them_as_chosen(
    open_page: OpenPage,
    installation: Installation,
    export: ExportView,
    connection: Connection,
    choice: str,
    left: int,
) -> None:
    test = open_page("connections").button(key=f"connections_remove_{connection.id}").click().run()
    assert "Newsletter" in texts(test)
    test.radio(key="connections_remove_choice").set_value(choice).run()
    test.button(key="connections_remove_confirm").click().run()
    assert installation.connections.find("Marketing") is None
    assert [view.state for view in installation.exports.views()] == ["detached"] * left


def test_connections_remove_while_a_run_is_live_says_so_and_stops_it(
    open_page: OpenPage, installation: Installation, export: ExportView, connection: Connection
) -> None:
    run = Exports(installation).queue("Newsletter", by=local_administrator())
    test = open_page("connections").button(key=f"connections_remove_{connection.id}").click().run()
    assert "1 run is live: it is stopped" in test.warning[0].value
    test.button(key="connections_remove_confirm").click().run()
    assert "1 live run is stopped; nothing more is sent." in test.success[0].value
    assert "only that ends the grant itself" in test.success[0].value
    assert installation.runs.get(run.id).state is RunState.CANCELED
    assert "The connection" in texts(open_page("run", run=run.id))


def test_connections_consent_to_an_older_text_is_asked_for_again(
    open_page: OpenPage, installation: Installation, export: ExportView, connection: Connection
) -> None:
    installation.connections.agree(connection.id, agreed_by="ana", text_version="0")
    assert "select I agree" in texts(open_page("home"))
    assert "select I agree" in texts(open_page("exports"))
    test = open_page("connections")
    assert plain(CONSENT_TEXT) in [each.value for each in test.markdown]
    assert "Waits for an administrator" in texts(test)
    test.button(key=f"connections_agree_{connection.id}").click().run()
    assert "You agreed" in test.success[0].value
    assert "Waits for an administrator" not in texts(test)
    view = installation.connections.view(connection.id)
    assert (view.agreed_by, view.text_version) == (local_administrator().name, CONSENT_VERSION)


def test_connections_whose_export_user_was_removed_wait_until_somebody_adds_himself(
    open_page: OpenPage, installation: Installation, export: ExportView, connection: Connection
) -> None:
    installation.connections.set_export_user(connection.id, "olivia@example.com")
    for email in ("olivia@example.com", "oscar@example.com"):
        installation.users.add(email, Role.ADMINISTRATOR.value, by="ana")
    add = f"connections_export_user_{connection.id}"
    assert open_page("connections").button(key=add)  # offered, not asked for
    installation.users.remove("olivia@example.com")
    run = Exports(installation).queue("Newsletter", by=local_administrator())
    Worker(installation).work(until_idle=True)
    for shown in (open_page("home"), open_page("exports"), open_page("run", run=run.id)):
        assert "Add yourself as export user" in texts(shown)
    test = open_page("connections")
    assert "is not an administrator any more" in test.warning[0].value
    test.button(key=add).click().run()
    assert "You are the export user" in test.success[0].value
    assert add not in [button.key for button in test.button]
    Worker(installation).work(until_idle=True)
    assert installation.runs.get(run.id).state is RunState.SUCCEEDED


def test_connections_that_are_shared_show_their_secrets_to_nobody(
    open_page: OpenPage,
    installation: Installation,
    export: ExportView,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Connections(installation).share("Marketing", contributors=True, by=local_administrator())
    stored = TokenStore(installation.engine, installation.keys).read(
        export.export.connection_id or 0
    )
    assert stored is not None
    pair = json.loads(stored.content)
    secrets = {
        pair["access_token"],
        pair["refresh_token"],
        "gAAAAA",
    }  # how all that is encrypted begins
    monkeypatch.setattr(identity, "local_administrator", lambda: Person("cleo", Role.CONTRIBUTOR))
    for name in ("export", "exports", "home", "runs", "segments"):
        shown = "".join(str(element.proto) for element in open_page(name).main)
        assert name in ("home", "segments", "runs") or "Marketing" in shown
        assert not [secret for secret in secrets if secret in shown], name
    [view] = Connections(installation).views()
    said = f"{view} {connection_document(view)}"
    assert not [secret for secret in secrets if secret in said]


def test_connections_a_store_that_cannot_be_read_is_a_sentence(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CCEXPORT_DATABASE_URL", "sqlite:////proc/nowhere/store.db")
    test = open_page("connections")
    assert "cannot be made" in test.error[0].value
    assert not test.exception


def test_connections_a_ticket_needs_consent(installation: Installation) -> None:
    with pytest.raises(UsageError, match="agreed"):
        SignIns(installation).prepare(
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
