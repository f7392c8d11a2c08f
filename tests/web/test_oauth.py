"""The sign-in at Constant Contact over real HTTP: there and back, and everything that must store nothing."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests

from ccexport.installation import Installation
from ccexport.sandbox.server import RunningSandbox
from ccexport.services.connections.sign_ins import SignIns
from ccexport.services.people.access import local_administrator
from ccexport.store.database.tables import Connection

TIMEOUT = 60


def test_sign_in_there_and_back_makes_the_connection(
    web: str, installation: Installation, browser: requests.Session
) -> None:
    callback = _go(web, browser, _ticket(installation, contributors=True))
    answer = browser.get(callback, timeout=TIMEOUT, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/connections?connected=Sales")
    (view,) = installation.connections.views()
    assert view.connection.organization == "Sandbox Traders"
    assert view.connection.contributors
    assert view.agreed_by == view.connection.export_user == local_administrator().name
    assert installation.tokens.access_token(view.connection.id)


def test_sign_in_goes_to_constant_contact_with_state_and_pkce_and_sets_a_strict_cookie(
    web: str, installation: Installation, browser: requests.Session
) -> None:
    answer = browser.get(_start(web, _ticket(installation)), timeout=TIMEOUT, allow_redirects=False)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(f"{installation.settings.cc_auth_url}/authorize?")
    query = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert query["code_challenge_method"] == ["S256"]
    assert query["redirect_uri"] == [installation.settings.redirect_uri]
    assert len(query["state"][0]) > 30
    cookie = answer.headers["Set-Cookie"]
    assert all(
        word in cookie for word in ("HttpOnly", "SameSite=lax", "Path=/oauth", "Max-Age=600")
    )
    assert query["state"][0] not in cookie
    assert answer.headers["Cache-Control"] == "no-store"


def test_sign_in_again_keeps_the_connection_and_wakes_it(
    web: str, installation: Installation, browser: requests.Session, connection: Connection
) -> None:
    installation.connections.set_needs_sign_in(connection.id, needed=True)
    callback = _go(web, browser, _ticket(installation, name="Marketing", again=True))
    assert browser.get(callback, timeout=TIMEOUT, allow_redirects=False).status_code == 303
    (view,) = installation.connections.views()
    assert view.connection.id == connection.id
    assert not view.connection.needs_sign_in


def test_sign_in_again_with_another_account_is_refused_and_changes_nothing(
    web: str,
    installation: Installation,
    browser: requests.Session,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = installation.tokens.access_token(connection.id)
    monkeypatch.setattr(
        "ccexport.constantcontact.client.Client.account",
        lambda _client: _Account("other", "Somebody Else"),
    )
    callback = _go(web, browser, _ticket(installation, name="Marketing", again=True))
    answer = browser.get(callback, timeout=TIMEOUT)
    assert answer.status_code == 400
    assert "belongs to the account Sandbox Traders" in answer.text
    assert installation.tokens.access_token(connection.id) == before


def test_sign_in_again_whose_account_is_read_at_the_second_try_is_kept(
    web: str,
    installation: Installation,
    browser: requests.Session,
    connection: Connection,
    sandbox: RunningSandbox,
) -> None:
    before = installation.tokens.access_token(connection.id)
    callback = _go(web, browser, _ticket(installation, name="Marketing", again=True))
    _make_trouble(sandbox, "unavailable", times=1)
    assert browser.get(callback, timeout=TIMEOUT, allow_redirects=False).status_code == 303
    assert installation.tokens.access_token(connection.id) != before


def test_sign_in_again_whose_account_cannot_be_read_says_that_the_old_one_may_be_over(
    web: str,
    installation: Installation,
    browser: requests.Session,
    connection: Connection,
    sandbox: RunningSandbox,
) -> None:
    before = installation.tokens.access_token(connection.id)
    callback = _go(web, browser, _ticket(installation, name="Marketing", again=True))
    _make_trouble(sandbox, "quota_exceeded", times=-1)
    answer = browser.get(callback, timeout=TIMEOUT, allow_redirects=False)
    assert answer.status_code == 502
    assert "may have ended the one before. Sign in again" in answer.text
    assert installation.tokens.access_token(connection.id) == before
    _make_trouble(sandbox, "quota_exceeded", times=0)
    callback = _go(web, browser, _ticket(installation, name="Marketing", again=True))
    assert browser.get(callback, timeout=TIMEOUT, allow_redirects=False).status_code == 303
    assert installation.tokens.access_token(connection.id) != before


def test_first_sign_in_whose_account_cannot_be_read_makes_no_connection(
    web: str, installation: Installation, browser: requests.Session, sandbox: RunningSandbox
) -> None:
    callback = _go(web, browser, _ticket(installation))
    _make_trouble(sandbox, "quota_exceeded", times=-1)
    answer = browser.get(callback, timeout=TIMEOUT, allow_redirects=False)
    assert answer.status_code == 502
    assert "the one before" not in answer.text
    assert installation.connections.views() == []


def test_ticket_that_is_used_is_refused(
    web: str, installation: Installation, browser: requests.Session
) -> None:
    ticket = _ticket(installation)
    _go(web, browser, ticket)
    answer = browser.get(_start(web, ticket), timeout=TIMEOUT, allow_redirects=False)
    assert answer.status_code == 400
    assert "used before" in answer.text


def test_ticket_that_nobody_made_is_refused(web: str, browser: requests.Session) -> None:
    answer = browser.get(_start(web, "made-up"), timeout=TIMEOUT, allow_redirects=False)
    assert answer.status_code == 400
    assert "Set-Cookie" not in answer.headers


def test_look_at_a_ticket_does_not_use_it(
    web: str, installation: Installation, browser: requests.Session
) -> None:
    ticket = _ticket(installation)
    assert browser.head(_start(web, ticket), timeout=TIMEOUT).status_code == 405
    assert "code=" in _go(web, browser, ticket)


def test_return_in_another_browser_is_refused_and_the_right_one_still_passes(
    web: str, installation: Installation, browser: requests.Session
) -> None:
    callback = _go(web, browser, _ticket(installation))
    foreign = requests.get(callback, timeout=TIMEOUT, allow_redirects=False)
    assert foreign.status_code == 400
    assert installation.connections.views() == []
    assert browser.get(callback, timeout=TIMEOUT, allow_redirects=False).status_code == 303


@pytest.mark.parametrize(
    "query", ["", "code=c", "state=s", "code=c&state=wrong", "state=%00&code=c"]
)
def test_return_with_a_wrong_state_stores_nothing(
    web: str, installation: Installation, browser: requests.Session, query: str
) -> None:
    _go(web, browser, _ticket(installation))
    answer = browser.get(f"{web}/oauth/callback?{query}", timeout=TIMEOUT, allow_redirects=False)
    assert answer.status_code == 400
    assert "Nothing was stored" in answer.text
    assert installation.connections.views() == []


def test_two_sign_ins_in_one_browser_do_not_disturb_each_other(
    web: str, installation: Installation, browser: requests.Session
) -> None:
    callbacks = [_go(web, browser, _ticket(installation, name=name)) for name in ("One", "Two")]
    for callback in callbacks:
        assert browser.get(callback, timeout=TIMEOUT, allow_redirects=False).status_code == 303
    assert [view.connection.name for view in installation.connections.views()] == ["One", "Two"]


def test_declined_sign_in_is_a_sentence_and_stores_nothing(
    web: str, installation: Installation, browser: requests.Session
) -> None:
    state = parse_qs(urlsplit(_go(web, browser, _ticket(installation))).query)["state"][0]
    query = urlencode({"error": "access_denied", "error_description": "<b>no</b>", "state": state})
    answer = browser.get(f"{web}/oauth/callback?{query}", timeout=TIMEOUT)
    assert "was declined" in answer.text
    assert "<b>no" not in answer.text
    assert installation.connections.views() == []


def test_code_that_constant_contact_refuses_is_a_sentence(
    web: str, installation: Installation, browser: requests.Session
) -> None:
    callback = _go(web, browser, _ticket(installation))
    state = parse_qs(urlsplit(callback).query)["state"][0]
    query = urlencode({"code": "another", "state": state})
    answer = browser.get(f"{web}/oauth/callback?{query}", timeout=TIMEOUT)
    assert answer.status_code == 400
    assert "Start the sign-in again" in answer.text
    assert installation.connections.views() == []


def test_answers_of_the_sign_in_hold_neither_code_nor_state_nor_ticket(
    web: str,
    installation: Installation,
    browser: requests.Session,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ticket = _ticket(installation)
    callback = _go(web, browser, ticket)
    query = parse_qs(urlsplit(callback).query)
    shown = browser.get(callback.replace("state=", "state=x"), timeout=TIMEOUT).text + caplog.text
    for secret in (ticket, query["code"][0], query["state"][0]):
        assert secret not in shown


class _Account:
    def __init__(self, account_id: str, organization: str) -> None:
        self.account_id = account_id
        self.organization = organization


def _make_trouble(sandbox: RunningSandbox, kind: str, *, times: int) -> None:
    """Says whose account it is."""
    faults = [{"on": "getAccountById", "do": kind, "times": times}] if times else []
    told = requests.post(
        f"{sandbox.url}/_sandbox/behaviour", json={"faults": faults}, timeout=TIMEOUT
    )
    assert told.ok, told.text


def _ticket(
    installation: Installation,
    *,
    name: str = "Sales",
    contributors: bool = False,
    again: bool = False,
) -> str:
    return SignIns(installation).prepare(
        name, contributors=contributors, agreed=True, by=local_administrator(), again=again
    )


def _start(web: str, ticket: str) -> str:
    return f"{web}/oauth/start/{ticket}"


def _go(web: str, browser: requests.Session, ticket: str) -> str:
    """Start and sign in at the stand-in; the address of the return, on the server of this test."""
    start = browser.get(_start(web, ticket), timeout=TIMEOUT, allow_redirects=False)
    assert start.status_code == 302
    signed_in = browser.get(start.headers["Location"], timeout=TIMEOUT, allow_redirects=False)
    return f"{web}/oauth/callback?{urlsplit(signed_in.headers['Location']).query}"
