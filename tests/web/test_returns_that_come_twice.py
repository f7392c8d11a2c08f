"""C26: browsers fetch the return of the sign-in twice for reasons of their own. One exchange, and one end for all."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode, urlsplit

import pytest
import requests
from sqlmodel import select

from ccexport.installation import Installation
from ccexport.sandbox.server import RunningSandbox
from ccexport.services.connections.sign_ins import SignIns
from ccexport.services.people.access import local_administrator
from ccexport.store.database.engine import reading, writing
from ccexport.store.database.tables import OAuthSignIn

TIMEOUT = 60
CONNECTED = "/connections?connected=Sales"
PREFETCHES = (
    {"Sec-Purpose": "prefetch"},
    {"Sec-Purpose": "prefetch;prerender"},
    {"Purpose": "prefetch"},
    {"X-Moz": "prefetch"},
    {"X-Purpose": "preview"},
)


@pytest.mark.parametrize("header", PREFETCHES, ids=lambda header: "=".join(*header.items()))
def test_a_prefetch_spends_neither_ticket_nor_code(
    web: str,
    installation: Installation,
    browser: requests.Session,
    sandbox: RunningSandbox,
    header: dict[str, str],
) -> None:
    start = f"{web}/oauth/start/{ticket(installation)}"
    assert browser.get(start, headers=header, timeout=TIMEOUT).status_code == 503
    callback = go(web, browser, start)
    ahead = get(browser, callback, **header)
    assert (ahead.status_code, ahead.headers["Cache-Control"]) == (503, "no-store")
    assert exchanges(sandbox) == 0
    answer = get(browser, callback)
    assert (answer.status_code, answer.headers["Location"]) == (303, CONNECTED)
    assert exchanges(sandbox) == 1


def test_a_return_whose_browser_hangs_up_is_completed_and_the_second_ends_as_it_did(
    web: str, installation: Installation, browser: requests.Session, sandbox: RunningSandbox
) -> None:
    callback = go(web, browser, f"{web}/oauth/start/{ticket(installation)}")
    delay_exchanges(sandbox, seconds=1.5)
    hang_up_after_asking(callback, browser)
    wait_until_used(installation)
    answer = get(browser, callback)
    assert (answer.status_code, answer.headers["Location"]) == (303, CONNECTED)
    assert exchanges(sandbox) == 1
    assert len(installation.connections.views()) == 1


def test_equal_returns_at_the_same_time_make_one_exchange_and_all_end_on_connected(
    web: str, installation: Installation, browser: requests.Session, sandbox: RunningSandbox
) -> None:
    callback = go(web, browser, f"{web}/oauth/start/{ticket(installation)}")
    cookies = {cookie.name: cookie.value or "" for cookie in browser.cookies}
    delay_exchanges(sandbox, seconds=0.5)

    def ask(_number: int) -> tuple[int, str | None]:
        found = requests.get(callback, cookies=cookies, timeout=TIMEOUT, allow_redirects=False)
        return found.status_code, found.headers.get("Location")

    with ThreadPoolExecutor(4) as browsers:
        assert set(browsers.map(ask, range(4))) == {(303, CONNECTED)}
    assert exchanges(sandbox) == 1
    assert len(installation.connections.views()) == 1


def test_back_and_reload_end_on_connected_and_ask_nobody(
    web: str, installation: Installation, browser: requests.Session, sandbox: RunningSandbox
) -> None:
    callback = go(web, browser, f"{web}/oauth/start/{ticket(installation)}")
    for _ in range(3):
        answer = get(browser, callback)
        assert (answer.status_code, answer.headers["Location"]) == (303, CONNECTED)
    assert exchanges(sandbox) == 1
    assert sandbox.state.tokens.counters["spent_codes_used"] == 0


def test_a_repeated_return_of_a_sign_in_that_failed_says_why_again(
    web: str, installation: Installation, browser: requests.Session, sandbox: RunningSandbox
) -> None:
    callback = go(web, browser, f"{web}/oauth/start/{ticket(installation)}")
    change(sandbox, faults=[{"on": "token", "do": "no_refresh_token"}])
    for _ in range(2):
        answer = get(browser, callback)
        assert answer.status_code == 400
        assert "no refresh token" in answer.text
    assert exchanges(sandbox) == 1
    assert installation.connections.views() == []


def test_a_return_of_a_sign_in_that_was_declined_says_so_each_time(
    web: str, installation: Installation, browser: requests.Session
) -> None:
    callback = go(web, browser, f"{web}/oauth/start/{ticket(installation)}")
    state = dict(each.split("=") for each in urlsplit(callback).query.split("&"))["state"]
    declined = f"{web}/oauth/callback?{urlencode({'error': 'access_denied', 'state': state})}"
    for _ in range(2):
        assert "was declined" in get(browser, declined).text


def test_a_repeated_return_in_another_browser_learns_nothing(
    web: str, installation: Installation, browser: requests.Session
) -> None:
    callback = go(web, browser, f"{web}/oauth/start/{ticket(installation)}")
    assert get(browser, callback).status_code == 303
    foreign = requests.get(callback, timeout=TIMEOUT, allow_redirects=False)
    assert foreign.status_code == 400
    assert "Sales" not in foreign.text


def test_a_return_after_one_that_was_interrupted_says_so_when_it_has_waited(
    web: str,
    installation: Installation,
    browser: requests.Session,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As when the process that exchanged the code was killed in the middle."""
    monkeypatch.setattr("ccexport.services.connections.sign_ins.ENDS_WITHIN_SECONDS", 0.2)
    callback = go(web, browser, f"{web}/oauth/start/{ticket(installation)}")
    with writing(installation.engine) as session:
        for row in session.exec(select(OAuthSignIn)):
            row.used_at = installation.now()
    answer = get(browser, callback)
    assert answer.status_code == 400
    assert "takes longer than it should" in answer.text


def ticket(installation: Installation) -> str:
    return SignIns(installation).prepare(
        "Sales", contributors=False, agreed=True, by=local_administrator()
    )


def go(web: str, browser: requests.Session, start: str) -> str:
    """Start and sign in at the stand-in; the address of the return, on the server of this test."""
    begun = browser.get(start, timeout=TIMEOUT, allow_redirects=False)
    signed_in = browser.get(begun.headers["Location"], timeout=TIMEOUT, allow_redirects=False)
    return f"{web}/oauth/callback?{urlsplit(signed_in.headers['Location']).query}"


def get(browser: requests.Session, url: str, **headers: str) -> requests.Response:
    return browser.get(url, headers=headers, timeout=TIMEOUT, allow_redirects=False)


def exchanges(sandbox: RunningSandbox) -> int:
    """How often a code was brought to the token endpoint."""
    found = requests.get(f"{sandbox.url}/_sandbox/requests", timeout=TIMEOUT).json()
    return sum(each["operation"] == "token" for each in found)


def change(sandbox: RunningSandbox, **keys: object) -> None:
    told = requests.post(f"{sandbox.url}/_sandbox/behaviour", json=keys, timeout=TIMEOUT)
    assert told.ok, told.text


def delay_exchanges(sandbox: RunningSandbox, *, seconds: float) -> None:
    change(sandbox, faults=[{"on": "token", "do": "delay", "delay_seconds": seconds}])


def hang_up_after_asking(url: str, browser: requests.Session) -> None:
    """Ask as a browser does, and go away before the answer."""
    parts = urlsplit(url)
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.cookies)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=TIMEOUT) as wire:
        wire.sendall(
            f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Cookie: {cookies}\r\n\r\n".encode()
        )


def wait_until_used(installation: Installation) -> None:
    """Until the first return has come to where it uses the sign-in."""
    for _ in range(600):
        with reading(installation.engine) as session:
            if any(row.used_at for row in session.exec(select(OAuthSignIn))):
                return
        threading.Event().wait(0.1)
    raise AssertionError("the first return was never taken up")
