"""Attacks on the sign-in at Constant Contact, over real HTTP: each is a plain page, and stores nothing."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
import requests
from requests.adapters import HTTPAdapter
from sqlalchemy import func, select, update

from ccexport.installation import Installation
from ccexport.sandbox.server import RunningSandbox
from ccexport.services.connections.sign_ins import SignIns
from ccexport.services.people.access import local_administrator
from ccexport.store.database.engine import reading, writing
from ccexport.store.database.tables import Connection, Consent, OAuthSignIn, Token
from ccexport.store.sign_ins import GOOD_FOR
from ccexport.web.attempts import MAX_FAILURES

TIMEOUT = 60
CONNECTED = "/connections?connected=Sales"
BAD_TARGETS = (
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "\r\nLocation: https://evil.example/",
)
TARGET_NAMES = ("next", "return_to", "redirect_uri", "url", "target", "connected", "ticket")


def test_a_made_up_state_is_refused_although_a_sign_in_is_under_way(
    web: str, installation: Installation, browser: requests.Session
) -> None:
    real = _go(web, browser, installation)
    for state in ("x", real["state"][:-1], real["state"] + "x", real["state"].swapcase()):
        _check_refused(installation, _return(web, browser, code=real["code"], state=state))
    assert _return(web, browser, **real).status_code == 303  # the real one is as good as before


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"state": ""},
        {"code": "c"},
        {"code": "c", "state": ""},
        {"code": "c", "state": "\x00"},
        {"code": "c", "state": "' OR 1=1 --"},
        {"code": "c", "state": "é\ud7ff🌻"},
        {"code": "c" * 20_000, "state": "s" * 20_000},
    ],
)
def test_a_return_without_a_sign_in_is_refused(
    web: str, installation: Installation, browser: requests.Session, given: dict[str, str]
) -> None:
    _check_refused(installation, _return(web, browser, **given))


def test_an_old_state_is_refused_with_the_right_cookie_and_a_fresh_code(
    web: str, installation: Installation, browser: requests.Session, sandbox: RunningSandbox
) -> None:
    real = _go(web, browser, installation)
    with writing(installation.engine) as session:
        past = installation.now() - GOOD_FOR - timedelta(seconds=1)
        session.connection().execute(update(OAuthSignIn).values(created_at=past))
    _check_refused(installation, _return(web, browser, **real))
    assert sandbox.state.tokens.counters["issued"] == 0


def test_an_old_ticket_begins_nothing(
    web: str, installation: Installation, browser: requests.Session
) -> None:
    ticket = _ticket(installation)
    with writing(installation.engine) as session:
        past = installation.now() - GOOD_FOR - timedelta(seconds=1)
        session.connection().execute(update(OAuthSignIn).values(created_at=past))
    _check_refused(installation, _get(browser, f"{web}/oauth/start/{ticket}"))
    assert not list(browser.cookies)


def test_a_foreign_state_is_refused_in_a_browser_that_signs_in_itself(
    web: str, installation: Installation, browser: requests.Session
) -> None:
    """Mix-up: a victim is led to the attacker's return, whose account would become the victim's connection."""
    with requests.Session() as attacker:
        theirs = _go(web, attacker, installation, name="Attacker")
        ours = _go(web, browser, installation, name="Victim")
        _check_refused(installation, _return(web, browser, **theirs))
        _check_refused(installation, _return(web, browser, code=theirs["code"], state="x"))
        _check_refused(installation, _return(web, attacker, **ours))
        # the attacker's cookie does not help in the victim's name, nor the other way round
        for cookie in attacker.cookies:
            browser.cookies.set(cookie.name, "made-up", path="/oauth")
        _check_refused(installation, _return(web, browser, **theirs))
    assert _return(web, browser, **ours).status_code == 303
    assert [view.connection.name for view in installation.connections.views()] == ["Victim"]


def test_a_foreign_code_in_ones_own_sign_in_is_refused(
    web: str, installation: Installation, browser: requests.Session
) -> None:
    """Code injection: state and cookie fit, but the code belongs to another sign-in: PKCE tells."""
    with requests.Session() as attacker:
        stolen = _go(web, browser, installation, name="Victim")
        own = _go(web, attacker, installation, name="Attacker")
        _check_refused(
            installation, _return(web, attacker, code=stolen["code"], state=own["state"])
        )


def test_a_replayed_return_with_all_that_the_first_one_had_exchanges_and_stores_nothing(
    web: str, installation: Installation, browser: requests.Session, sandbox: RunningSandbox
) -> None:
    real = _go(web, browser, installation)
    cookies = {cookie.name: cookie.value or "" for cookie in browser.cookies}
    assert _return(web, browser, **real).status_code == 303
    before = _stored(installation)
    for _ in range(3):
        browser.cookies.update(cookies)
        answer = _return(web, browser, **real)  # it leads to where the first one did
        assert (answer.status_code, answer.headers["Location"]) == (303, CONNECTED)
    assert _stored(installation) == before
    assert sandbox.state.tokens.counters["spent_codes_used"] == 0


def test_a_refused_return_is_spent_as_well(
    web: str, installation: Installation, browser: requests.Session
) -> None:
    real = _go(web, browser, installation)
    cookies = {cookie.name: cookie.value or "" for cookie in browser.cookies}
    _check_refused(installation, _return(web, browser, code="made-up", state=real["state"]))
    browser.cookies.update(cookies)
    _check_refused(installation, _return(web, browser, **real))


def test_a_spent_code_is_refused_in_a_new_sign_in(
    web: str, installation: Installation, browser: requests.Session
) -> None:
    first = _go(web, browser, installation, name="First")
    assert _return(web, browser, **first).status_code == 303
    before = _stored(installation)
    second = _go(web, browser, installation, name="Second")
    answer = _return(web, browser, code=first["code"], state=second["state"])
    assert answer.status_code == 400
    _check_plain(answer)
    assert _stored(installation) == before


def test_two_states_in_one_address_are_no_way_around(
    web: str, installation: Installation, browser: requests.Session
) -> None:
    real = _go(web, browser, installation)
    query = urlencode([("state", real["state"]), ("state", "x"), ("code", real["code"])])
    _check_refused(installation, _get(browser, f"{web}/oauth/callback?{query}"))


@pytest.mark.parametrize("target", BAD_TARGETS)
def test_the_return_leads_nowhere_but_to_our_own_page(
    web: str, installation: Installation, browser: requests.Session, target: str
) -> None:
    more = dict.fromkeys(TARGET_NAMES, target)
    _check_refused(installation, _return(web, browser, **more, code="c", state=target))
    real = _go(web, browser, installation)
    answer = _return(web, browser, **more, **real)
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/connections?connected=Sales"


@pytest.mark.parametrize("target", [each for each in BAD_TARGETS if "\n" not in each])
def test_a_connections_name_does_not_lead_elsewhere(
    web: str, installation: Installation, browser: requests.Session, target: str
) -> None:
    answer = _return(web, browser, **_go(web, browser, installation, name=target))
    assert answer.status_code == 303
    where = urlsplit(answer.headers["Location"])
    assert (where.scheme, where.netloc, where.path) == ("", "", "/connections")
    assert parse_qs(where.query) == {"connected": [target]}


@pytest.mark.parametrize("target", BAD_TARGETS)
def test_the_start_leads_nowhere_but_to_constant_contact(
    web: str, installation: Installation, browser: requests.Session, target: str
) -> None:
    for address in (f"/oauth/start/{quote(target, safe='')}", f"/oauth/start/{quote(target)}"):
        answer = _get(browser, web + address)
        assert answer.status_code in (400, 404)
        assert "Location" not in answer.headers
    query = urlencode(dict.fromkeys(TARGET_NAMES, target))
    answer = _get(browser, f"{web}/oauth/start/{_ticket(installation)}?{query}")
    sent_to = answer.headers["Location"]
    assert sent_to.startswith(f"{installation.settings.cc_auth_url}/authorize?")
    assert parse_qs(urlsplit(sent_to).query)["redirect_uri"] == [installation.settings.redirect_uri]


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "localhost@evil.example"]
)
def test_the_name_that_was_asked_for_does_not_decide_where_the_sign_in_returns(
    web: str, installation: Installation, browser: requests.Session, host: str
) -> None:
    ticket = _ticket(installation)
    for header in ("Host", "X-Forwarded-Host", "Forwarded"):
        value = f"host={host}" if header == "Forwarded" else host
        answer = browser.get(
            f"{web}/oauth/start/{ticket if header == 'Forwarded' else 'made-up'}",
            headers={header: value},
            timeout=TIMEOUT,
            allow_redirects=False,
        )
        assert "evil" not in answer.headers.get("Location", "")
        assert (
            answer.status_code == {"Host": 403, "X-Forwarded-Host": 400, "Forwarded": 302}[header]
        )


def test_words_of_a_made_up_refusal_are_shown_as_they_are(
    web: str, installation: Installation, browser: requests.Session
) -> None:
    words = "<script>alert(1)</script><img src=x onerror=alert(1)> javascript:alert(1)"
    real = _go(web, browser, installation)
    answer = _return(web, browser, error=words, error_description=words, state=real["state"])
    _check_refused(installation, answer)
    assert "<img" not in answer.text


def test_a_browser_that_keeps_failing_has_to_wait_and_others_do_not(
    web: str, installation: Installation, browser: requests.Session
) -> None:
    for number in range(MAX_FAILURES):
        path = "callback?code=c&state=s" if number % 2 else "start/made-up"
        assert _get(browser, f"{web}/oauth/{path}").status_code == 400
    for path in ("callback?code=c&state=s", "start/made-up", f"start/{_ticket(installation)}"):
        answer = _get(browser, f"{web}/oauth/{path}")
        assert answer.status_code == 429
        assert 0 < int(answer.headers["Retry-After"]) <= 300
        _check_plain(answer)
    with requests.Session() as another:
        another.mount("http://", _FromAddress("127.0.0.2"))
        assert _return(web, another, **_go(web, another, installation)).status_code == 303


class _FromAddress(HTTPAdapter):
    """Calls as another machine would."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *args: int, **options: object) -> None:
        super().init_poolmanager(*args, **options, source_address=(self._address, 0))


def _ticket(installation: Installation, name: str = "Sales") -> str:
    return SignIns(installation).prepare(
        name, contributors=False, agreed=True, by=local_administrator()
    )


def _go(
    web: str, browser: requests.Session, installation: Installation, name: str = "Sales"
) -> dict[str, str]:
    """Start and sign in at the stand-in: code and state of the return, which is not made yet."""
    start = _get(browser, f"{web}/oauth/start/{_ticket(installation, name)}")
    assert start.status_code == 302
    signed_in = _get(browser, start.headers["Location"])
    query = parse_qs(urlsplit(signed_in.headers["Location"]).query)
    return {"code": query["code"][0], "state": query["state"][0]}


def _return(web: str, browser: requests.Session, **given: str) -> requests.Response:
    return _get(browser, f"{web}/oauth/callback?{urlencode(given)}")


def _get(browser: requests.Session, url: str) -> requests.Response:
    return browser.get(url, timeout=TIMEOUT, allow_redirects=False)


def _check_refused(installation: Installation, answer: requests.Response) -> None:
    assert answer.status_code == 400
    _check_plain(answer)
    assert _stored(installation) == (0, 0, 0)


def _check_plain(answer: requests.Response) -> None:
    """A page of a sentence: it runs nothing, leads nowhere but to our own page, and no cache keeps it."""
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Location" not in answer.headers
    assert "<script" not in answer.text
    assert answer.text.count("href=") == answer.text.count('href="/connections"') == 1
    cookie = answer.headers.get("Set-Cookie", "")
    assert not cookie or "Max-Age=0" in cookie


def _stored(installation: Installation) -> tuple[int, int, int]:
    """Connections, tokens, consents."""
    with reading(installation.engine) as session:
        connection = session.connection()
        return tuple(  # type: ignore[return-value]  # three of them
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (Connection, Token, Consent)
        )
