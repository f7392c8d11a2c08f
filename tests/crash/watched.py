"""An installation of which every byte that it leaves behind is looked at, and a browser that opens its pages."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect
from websockets.typing import Origin

from ccexport.sandbox.account.tokens import IssuedTokens
from ccexport.sandbox.server import RunningSandbox
from ccexport.ui.shell import MENU
from tests.crash.needles import Needles
from tests.kit.house import House
from tests.kit.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
APP_SECRET = "application-secret-8fK2pQ"
DOMAIN = "hidden-haystack.example"  # of every profile's address
LAST_NAME = "Verborgenheimer"
TIMEOUT = 120


class Watched:
    """An installation whose every file lies below one folder, at a stand-in whose every token is known."""

    def __init__(self, folder: Path, sandbox: RunningSandbox) -> None:
        self.folder = folder
        self.house = House(folder, sandbox, cc_client_secret=APP_SECRET, log_level="debug")
        self.secrets = {
            "the application's secret": APP_SECRET,
            "an address": DOMAIN,
            "a name": LAST_NAME,
        }
        self.seen_in_lists: set[str] = set()
        for name in ("tmp", "home", "cwd", "logs"):
            (folder / name).mkdir()
        self._note_tokens(sandbox)

    @property
    def needles(self) -> Needles:
        return Needles(self.secrets)

    def environment(self, **more: str) -> dict[str, str]:
        ours = {
            "CCEXPORT_CC_CLIENT_SECRET": APP_SECRET,
            "CCEXPORT_LOG_LEVEL": "debug",
            "STREAMLIT_LOGGER_LEVEL": "debug",
            "TMPDIR": str(self.folder / "tmp"),
            "HOME": str(self.folder / "home"),
            "PYTHONPATH": str(ROOT),
            "PYTHONFAULTHANDLER": "1",
        }
        return self.house.environment() | ours | more

    def log(self, name: str) -> Path:
        return self.folder / "logs" / name

    def start(self, *arguments: str, log: str, **more: str) -> subprocess.Popen[bytes]:
        """`python -m ccexport …` in a folder of its own, with everything it says in a file."""
        with self.log(log).open("ab") as file:
            return subprocess.Popen(
                [sys.executable, "-m", "ccexport", *arguments],
                stdout=file,
                stderr=subprocess.STDOUT,
                env=self.environment(**more),
                cwd=self.folder / "cwd",
            )

    def run(self, *arguments: str, log: str = "commands", **more: str) -> int:
        process = self.start(*arguments, log=log, **more)
        self.look_at_process_list(process.pid)
        return process.wait(TIMEOUT)

    def look_at_process_list(self, pid: int) -> None:
        """What everybody on this machine can read of the process and its children."""
        try:
            family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for process in family:
            try:
                content = Path(f"/proc/{process.pid}/cmdline").read_bytes()
            except OSError:
                continue
            self.seen_in_lists |= self.needles.found_in(content)

    def found(self) -> dict[str, set[str]]:
        """All that should not be there."""
        places = [self.folder / name for name in ("var", "tmp", "home", "cwd", "logs")]
        return self.needles.found_below(places)

    def _note_tokens(self, sandbox: RunningSandbox) -> None:
        tokens = sandbox.state.tokens
        issue, new_code = tokens.issue, tokens.new_code

        def issue_and_note(*arguments: object, **options: object) -> IssuedTokens:
            issued = issue(*arguments, **options)  # type: ignore[arg-type]  # as they came
            number = len(self.secrets)
            self.secrets[f"access token {number}"] = issued.access_token.rsplit(".", 1)[-1]
            if issued.refresh_token:
                self.secrets[f"refresh token {number}"] = issued.refresh_token
            return issued

        def make_and_note(*arguments: object) -> str:
            code = new_code(*arguments)  # type: ignore[arg-type]
            self.secrets[f"code {len(self.secrets)}"] = code
            return code

        tokens.issue, tokens.new_code = issue_and_note, make_and_note  # type: ignore[method-assign]


@contextmanager
def dashboard_of(watched: Watched, log: str, **more: str) -> Iterator[str]:
    """Its address; `more` are further variables of its environment."""
    port = free_port()
    url = f"http://localhost:{port}"
    arguments = ("serve", "--no-worker", "--port", str(port))
    process = watched.start(*arguments, log=log, CCEXPORT_PUBLIC_URL=url, **more)
    try:
        give_up_at = time.monotonic() + TIMEOUT
        while f"dashboard on {url}" not in watched.log(log).read_text():
            assert process.poll() is None, watched.log(log).read_text()[-2000:]
            assert time.monotonic() < give_up_at
            time.sleep(0.1)
        watched.look_at_process_list(process.pid)
        yield url
        watched.look_at_process_list(process.pid)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(TIMEOUT)


def look_at_all_pages(
    url: str, runs: Iterable[int], cookies: Mapping[str, str] | None = None
) -> list[str]:
    """Open every page as a browser would; those that showed the sentence with a number."""
    names = [(screen.name, "") for screens in MENU.values() for screen in screens]
    names += [("run", f"run={run}") for run in runs]
    names += [("export", "export=1"), ("segments", "segments_chosen=All")]
    return [name for name, query in names if "our side" in look_at(url, name, query, cookies)]


def look_at(url: str, page: str, query: str = "", cookies: Mapping[str, str] | None = None) -> str:
    """Its heading and all texts of errors that the page shows."""
    ask = BackMsg()
    ask.rerun_script.page_name = "" if page == "home" else page
    ask.rerun_script.query_string = query
    shown = []
    kept = dict(cookies or {})
    token = [kept["_streamlit_xsrf"]] if "_streamlit_xsrf" in kept else []
    with connect(
        f"{url.replace('http', 'ws')}/_stcore/stream",
        origin=Origin(url),
        subprotocols=["streamlit", *token],  # type: ignore[list-item]  # a NewType of str
        additional_headers={"Cookie": "; ".join(f"{name}={kept[name]}" for name in kept)},
        max_size=None,
        proxy=None,
    ) as channel:
        channel.send(ask.SerializeToString())
        while True:
            message = ForwardMsg()
            content = channel.recv(TIMEOUT)
            message.ParseFromString(content if isinstance(content, bytes) else content.encode())
            shown.append(message.delta.new_element.heading.body)
            shown.append(message.delta.new_element.alert.body)
            if message.WhichOneof("type") == "script_finished":
                return " ".join(shown)
