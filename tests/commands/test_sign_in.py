"""`connections add`: a browser's way through the sign-in, and everything that can go wrong on it."""

from __future__ import annotations

import re
import signal
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

import pytest

from ccexport.commands import callback, connections
from ccexport.commands.console import say
from ccexport.sandbox.visitor import sign_in_at_once
from tests.commands.running import Here, Outcome, assert_one_line, start_process
from tests.kit.house import House
from tests.kit.ports import free_port
from tests.kit.sign_in import ADDRESS, asked

Visit = Callable[[str], object]


@contextmanager
def taken_port() -> Iterator[int]:
    """A port that something listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def come_back(url: str, **params: str) -> int:
    """Call the redirect address as a browser would; the answer's status."""
    address = asked(url)["redirect_uri"]
    try:
        with urllib.request.urlopen(f"{address}?{urlencode(params)}", timeout=30) as answer:
            assert answer.headers["Cache-Control"] == "no-store"
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code


def sign_in(url: str) -> None:
    """The way of somebody who allows everything."""
    assert come_back(url, **sign_in_at_once(url)) == 200


class Adding:
    """Runs `connections add` here, with a browser in a thread that is told the address."""

    def __init__(self, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
        self._here, self._monkeypatch = here, monkeypatch
        self.head_start_seconds = 0.0

    def __call__(self, house: House, name: str, visit: Visit, *more: str) -> Outcome:
        """What it wrote after the address."""
        browsers: list[threading.Thread] = []

        def hear(text: str) -> None:
            if not text.startswith(ADDRESS):
                say(text)
                return
            url = text.removeprefix(ADDRESS)
            browsers.append(threading.Thread(target=visit, args=(url,)))
            browsers[0].start()
            browsers[0].join(self.head_start_seconds)

        self._monkeypatch.setattr(connections, "say", hear)
        self._monkeypatch.setattr(callback, "LINGER_SECONDS", 0.01)
        words = ("connections", "add", name, "--agree", "--callback-port", str(free_port()), *more)
        outcome = self._here(*words, environment=house.environment())
        for browser in browsers:
            browser.join(30)
        return outcome


@pytest.fixture
def add(here: Here, monkeypatch: pytest.MonkeyPatch) -> Adding:
    return Adding(here, monkeypatch)


def names(house: House) -> list[str]:
    return [view.connection.name for view in house.installation.connections.views()]


def test_a_connection_is_added_and_a_foreign_state_is_answered_400_and_ignored(
    house: House,
) -> None:
    words = ("connections", "add", " Vertrieb Ä ", "--agree", "--contributors")
    port = ("--callback-port", str(free_port()))
    narrow = house.environment() | {"COLUMNS": "20"}
    with start_process(*words, *port, environment=narrow) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert re.fullmatch(rf"{ADDRESS}\S+\n", line)
        url = line.removeprefix(ADDRESS).strip()
        assert asked(url)["redirect_uri"] == f"http://localhost:{port[1]}/callback"
        brought = sign_in_at_once(url)
        assert come_back(url, **{**brought, "state": "another"}) == 400
        assert come_back(url, code=brought["code"]) == 400
        assert come_back(url) == 400
        assert names(house) == ["Marketing"]
        assert come_back(url, **brought) == 200
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "")
    connected, warning = err.splitlines()
    assert connected == '"Vertrieb Ä" is connected to Sandbox Traders.'
    assert warning.startswith('Warning: "Marketing" is connected to the same account')
    view = next(
        v for v in house.installation.connections.views() if v.connection.name == "Vertrieb Ä"
    )
    assert view.connection.contributors
    assert view.agreed_by


def test_only_the_callback_path_answers(add: Adding, house: House) -> None:
    seen: list[int] = []

    def look_around(url: str) -> None:
        address = asked(url)["redirect_uri"].replace("/callback", "/")
        try:
            urllib.request.urlopen(address, timeout=30).close()
        except urllib.error.HTTPError as refusal:
            with refusal:
                seen.append(refusal.code)
        sign_in(url)

    assert add(house, "Sales", look_around).code == 0
    assert seen == [404]


def test_a_browser_that_is_back_before_the_terminal_waits_is_signed_in(
    add: Adding, house: House
) -> None:
    add.head_start_seconds = 0.5
    assert add(house, "Sales", sign_in).code == 0


def test_a_name_that_exists_is_signed_in_again_and_its_runs_go_on(
    add: Adding, lone_house: House
) -> None:
    lone_house.tell("/_sandbox/revoke")
    number = lone_house.queue()
    lone_house.work()
    assert lone_house.document(number)["waiting_for"] == "sign_in"
    outcome = add(lone_house, "marketing", sign_in)
    assert (outcome.code, outcome.err) == (0, '"Marketing" is connected to Sandbox Traders.\n')
    assert names(lone_house) == ["Marketing"]
    lone_house.work()
    assert lone_house.document(number)["state"] == "succeeded"


def test_another_account_is_refused_and_nothing_changes(
    add: Adding, here: Here, house: House
) -> None:
    before = house.installation.connections.views()
    house.tell("/_sandbox/behaviour", sign_in_as="other@example.com")
    outcome = add(house, "Marketing", sign_in)
    assert_one_line(
        outcome, '"Marketing"', "Sandbox Traders", "Another Company", "Nothing was changed"
    )
    assert house.installation.connections.views() == before
    house.tell("/_sandbox/behaviour", sign_in_as="owner@example.com")
    checked = here("connections", "check", "Marketing", environment=house.environment())
    assert checked.out.startswith('ok: "Marketing" is signed in to Sandbox Traders')


def test_a_sign_in_that_the_person_refuses_is_one_line(add: Adding, house: House) -> None:
    def refuse(url: str) -> None:
        come_back(url, error="access_denied", error_description="no", state=asked(url)["state"])

    assert_one_line(add(house, "Sales", refuse), "declined", "Start it again")
    assert names(house) == ["Marketing"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"on": "token", "do": "no_refresh_token"}, ["no refresh token", "offline_access"]),
        ({"on": "token", "do": "invalid_client"}, ["CCEXPORT_CC_CLIENT_SECRET"]),
        ({"on": "token", "do": "invalid_grant"}, ["Start the sign-in again"]),
        ({"on": "token", "do": "unavailable"}, ["503", "Start the command again"]),
        ({"on": "token", "do": "drop_before"}, ["Start the sign-in again"]),
        ({"on": "getAccountById", "do": "quota_exceeded", "times": -1}, ["after 00:00 UTC"]),
        (
            {"on": "getAccountById", "do": "access_denied", "times": -1},
            ["Sign in as the account's owner"],
        ),
    ],
    ids=lambda value: str(value["do"]) if isinstance(value, dict) else None,
)
def test_a_sign_in_that_fails_at_the_service_is_one_line_and_stores_nothing(
    add: Adding, house: House, fault: dict[str, object], said: list[str]
) -> None:
    house.tell("/_sandbox/behaviour", faults=[fault])
    assert_one_line(add(house, "Sales", sign_in), *said)
    assert names(house) == ["Marketing"]


def test_the_wait_for_a_sign_in_ends(add: Adding, house: House) -> None:
    def look_away(_url: str) -> None:
        pass

    outcome = add(house, "Sales", look_away, "--timeout", "1")
    assert_one_line(outcome, "Nobody signed in within 1 s", "Start the command again")


def test_a_wait_that_is_interrupted_is_one_line(quiet_house: House) -> None:
    words = ("connections", "add", "Sales", "--agree", "--callback-port", str(free_port()))
    with start_process(*words, environment=quiet_house.environment()) as process:
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert_one_line(Outcome(process.returncode, out, err), "Interrupted")
    assert names(quiet_house) == ["Marketing"]


def test_a_busy_callback_port_is_one_line(here: Here, house: House) -> None:
    with taken_port() as port:
        outcome = here(
            *("connections", "add", "Sales", "--agree", "--callback-port", str(port)),
            environment=house.environment(),
        )
    assert_one_line(outcome, f"Port {port}", "--callback-port")


def test_a_check_names_the_privileges_that_are_missing(
    add: Adding, here: Here, house: House
) -> None:
    house.tell("/_sandbox/behaviour", sign_in_as="creator@example.com")
    assert add(house, "Sales", sign_in).code == 0
    outcome = here("connections", "check", "Sales", environment=house.environment())
    assert_one_line(outcome, '"Sales"', "contacts:read, contacts:write", "owner or a manager")
