"""C26 at `connections add`: the return is fetched twice. One exchange, and each page says how it ended."""

from __future__ import annotations

import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode, urlsplit

from ccexport.sandbox.visitor import sign_in_at_once
from tests.commands.running import start_process
from tests.kit.house import House
from tests.kit.ports import free_port
from tests.kit.sign_in import ADDRESS, asked

DONE = "You are signed in."


@contextmanager
def adding(house: House) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`connections add Sales` in a process, and the address of the return that its sign-in leads to."""
    words = ("connections", "add", "Sales", "--agree", "--callback-port", str(free_port()))
    with start_process(*words, environment=house.environment()) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line.startswith(ADDRESS), line
        url = line.removeprefix(ADDRESS).strip()
        yield process, f"{asked(url)['redirect_uri']}?{urlencode(sign_in_at_once(url))}"


def get(address: str, **headers: str) -> tuple[int, str]:
    try:
        request = urllib.request.Request(address, headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read().decode()


def exchanges(house: House) -> int:
    return len(house.requests("token"))


def test_a_prefetch_is_not_the_return_and_spends_nothing(lone_house: House) -> None:
    before = exchanges(lone_house)
    with adding(lone_house) as (process, address):
        assert get(address, **{"Sec-Purpose": "prefetch"})[0] == 503
        status, text = get(address)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, status) == (0, 200)
    assert DONE in text
    assert '"Sales" is connected to' in err
    assert exchanges(lone_house) == before + 1


def test_a_browser_that_hangs_up_and_asks_again_sees_how_it_ended(lone_house: House) -> None:
    before = exchanges(lone_house)
    with adding(lone_house) as (process, address):
        parts = urlsplit(address)
        with socket.create_connection(("127.0.0.1", parts.port or 0), timeout=60) as wire:
            wire.sendall(
                f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
            )
        assert process.stderr is not None
        assert '"Sales" is connected to' in process.stderr.readline()
        status, text = get(address)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, status) == (0, 200)
    assert DONE in text
    assert "Traceback" not in err
    assert exchanges(lone_house) == before + 1


def test_two_equal_returns_both_see_how_it_ended(lone_house: House) -> None:
    lone_house.tell(
        "/_sandbox/behaviour", faults=[{"on": "token", "do": "delay", "delay_seconds": 0.5}]
    )
    before = exchanges(lone_house)
    with adding(lone_house) as (process, address):
        seen: list[tuple[int, str]] = []
        browsers = [threading.Thread(target=lambda: seen.append(get(address))) for _ in range(2)]
        for browser in browsers:
            browser.start()
        for browser in browsers:
            browser.join(60)
        process.communicate(timeout=60)
    assert [status for status, _ in seen] == [200, 200]
    assert all(DONE in text for _, text in seen)
    assert exchanges(lone_house) == before + 1


def test_a_sign_in_that_fails_says_so_in_the_browser_too(lone_house: House) -> None:
    lone_house.tell("/_sandbox/behaviour", faults=[{"on": "token", "do": "no_refresh_token"}])
    with adding(lone_house) as (process, address):
        status, text = get(address)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, status) == (1, 200)
    assert "You are not signed in" in text
    assert "no refresh token" in err
