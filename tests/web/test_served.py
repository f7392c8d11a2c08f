"""`serve` as a person starts it: pages under their addresses for the first visitor, a worker, an end in order."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect
from websockets.typing import Origin

from ccexport.store.database.engine import open_engine
from ccexport.store.workers import WorkerStore
from ccexport.ui.shell import MENU
from tests.kit.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 60
SCREENS = [s.name for screens in MENU.values() for s in screens][::-1]  # Home, the easy one, last


@dataclass
class Served:
    """A running `serve`; `lines` is what it said until the worker was there."""

    process: subprocess.Popen[str]
    port: int
    folder: Path
    lines: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def stop(self) -> int:
        """Ctrl-C, once; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(TIMEOUT)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    port = free_port()
    with _started("serve", "--port", str(port), folder=folder) as process:
        made = Served(process, port, folder)
        for line in process.stdout or ():
            made.lines.append(line.rstrip())
            if "started" in line:
                break
        yield made
        if process.poll() is None:
            made.stop()


def test_serve_says_where_the_dashboard_is(served: Served) -> None:
    assert f"dashboard on http://localhost:{served.port}" in served.lines


@pytest.mark.parametrize("screen", SCREENS)
def test_serve_opens_each_page_under_its_address_at_once(served: Served, screen: str) -> None:
    if not (ROOT / "pages" / f"{screen}.py").exists():
        pytest.skip("not there yet")
    messages = _visit(served, "" if screen == "home" else screen)
    assert not [each for each in messages if each.WhichOneof("type") == "page_not_found"]
    shown = [each.delta.new_element for each in messages if each.WhichOneof("type") == "delta"]
    assert not [each for each in shown if each.WhichOneof("type") == "exception"]
    assert [each.heading.body for each in shown if each.WhichOneof("type") == "heading"]


def test_serve_answers_health_with_its_worker(served: Served) -> None:
    answer = requests.get(f"{served.url}/healthz", timeout=TIMEOUT)
    assert answer.json()["status"] == "ok"


def test_serve_pages_carry_strict_headers_and_name_no_other_host(served: Served) -> None:
    answer = requests.get(f"{served.url}/connections", timeout=TIMEOUT)
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert "sha256-" in answer.headers["Content-Security-Policy"]
    assert 'src="http' not in answer.text
    assert 'href="http' not in answer.text


def test_serve_refuses_a_page_under_a_foreign_name(served: Served) -> None:
    answer = requests.get(served.url, headers={"Host": "evil.example"}, timeout=TIMEOUT)
    assert answer.status_code == 403


def test_serve_on_a_busy_port_is_one_line_and_starts_nothing(
    served: Served, tmp_path: Path
) -> None:
    with _started("serve", "--port", str(served.port), folder=tmp_path) as process:
        said, _ = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 1
    assert said.count("\n") == 1
    assert f"Port {served.port} cannot be used" in said
    assert not (tmp_path / "ccexport.db").exists()


def test_app_refuses_to_answer_others_while_nobody_signs_in(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py")]
    address = ["--server.address", "0.0.0.0", "--server.port", str(free_port())]  # noqa: S104  # refused
    ended = subprocess.run(
        [*command, *address],
        capture_output=True,
        text=True,
        env=_environment(tmp_path),
        timeout=TIMEOUT,
        check=False,
    )
    assert ended.returncode == 1
    assert "although nobody signs in" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_app_started_without_its_trusted_proxies_says_how_to_start_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py")]
    ended = subprocess.run(
        [*command, "--server.port", str(free_port())],
        capture_output=True,
        text=True,
        env=_environment(tmp_path) | {"CCEXPORT_TRUSTED_PROXIES": "10.0.0.5"},
        timeout=TIMEOUT,
        check=False,
    )
    assert ended.returncode == 1
    assert "FORWARDED_ALLOW_IPS=10.0.0.5/32,::ffff:10.0.0.5/128" in ended.stderr


def test_serve_ends_in_order_at_one_interrupt(served: Served) -> None:
    assert served.stop() == 0
    with socket.create_server(("127.0.0.1", served.port), reuse_port=False):
        pass  # the dashboard has gone too
    engine = open_engine(f"sqlite:///{served.folder / 'ccexport.db'}")
    assert WorkerStore(engine).alive() == []
    engine.dispose()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can bind a child to its parent")
def test_serve_that_is_killed_leaves_no_dashboard_behind(tmp_path: Path) -> None:
    with _started("serve", "--port", str(free_port()), "--no-worker", folder=tmp_path) as process:
        assert process.stdout is not None
        assert "dashboard on" in process.stdout.readline()
        process.kill()
        process.stdout.read()  # ends when the last process that holds it has ended


def _visit(served: Served, page: str) -> list[ForwardMsg]:
    """What the server sends a browser that opens the page as its first, until the script has ended."""
    address = f"ws://localhost:{served.port}/_stcore/stream"
    ask = BackMsg()
    ask.rerun_script.page_name = page
    found: list[ForwardMsg] = []
    with connect(address, origin=Origin(served.url), max_size=None, proxy=None) as channel:
        channel.send(ask.SerializeToString())
        while True:
            message = ForwardMsg()
            content = channel.recv(TIMEOUT)
            message.ParseFromString(content if isinstance(content, bytes) else content.encode())
            found.append(message)
            if message.WhichOneof("type") == "script_finished":
                return found


def _started(*arguments: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ccexport", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env=_environment(folder),
    )


def _environment(folder: Path) -> dict[str, str]:
    ours = {key: value for key, value in os.environ.items() if not key.startswith("CCEXPORT_")}
    return ours | {"CCEXPORT_DATA_DIR": str(folder), "CCEXPORT_CC_CLIENT_ID": "test-application"}
