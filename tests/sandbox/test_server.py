"""The stand-in as a program, and in a thread."""

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from ccexport.sandbox.behaviour import parse_behaviour
from ccexport.sandbox.server import running_sandbox, serve

ROOT = Path(__file__).parents[2]
PROGRAM = "from ccexport.sandbox.server import serve; serve(0, None, None, None)"


@pytest.mark.parametrize(
    ("number", "times"), [(signal.SIGINT, 1), (signal.SIGINT, 2), (signal.SIGTERM, 1)]
)
def test_the_program_says_when_it_is_ready_and_stops_cleanly(
    number: signal.Signals, times: int
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        told = re.fullmatch(r"sandbox ready on (http://127\.0\.0\.1:\d+)\n", line)
        assert told is not None
        assert requests.get(f"{told[1]}/_sandbox/requests", timeout=10).json() == []
        for _ in range(times):
            process.send_signal(number)
        rest, errors = process.communicate(timeout=20)
    assert (process.returncode, rest, errors) == (0, "", "")


def test_a_taken_port_is_an_error_before_anything_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            serve(port, None, None, None)
    assert capsys.readouterr().out == ""


def test_a_thread_serves_an_account_for_a_while() -> None:
    with running_sandbox(parse_behaviour({"lists": ["Mine"]}), client_id="app") as sandbox:
        assert sandbox.api_url == f"{sandbox.url}/v3"
        assert sandbox.auth_url == f"{sandbox.url}/oauth2/default/v1"
        assert [entry.name for entry in sandbox.state.lists.all()] == ["Mine"]
        assert requests.get(f"{sandbox.api_url}/contact_lists", timeout=10).status_code == 401
        url = sandbox.url
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=10)


def test_two_threads_do_not_share_an_account() -> None:
    with running_sandbox() as one, running_sandbox() as other:
        requests.post(f"{one.url}/_sandbox/behaviour", json={"lists": ["Third"]}, timeout=10)
        assert (len(one.state.lists.all()), len(other.state.lists.all())) == (3, 2)
