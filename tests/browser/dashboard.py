"""The dashboard as `serve` starts it, beside a stand-in, and Chromium to look at it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ccexport.sandbox.behaviour import Behaviour
from ccexport.sandbox.server import running_sandbox
from tests.kit.house import House
from tests.kit.ports import free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 90
END_SECONDS = 30
CHROMIUM_FLAGS = (
    "--no-sandbox",  # Chromium's own does not work for root, as whom containers run
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    # nobody else's host has an address here. A route of Playwright's to one would have each page fetch its scripts anew
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)


class Dashboard:
    """A running `serve`; `lines` is what it and its pages have said so far."""

    def __init__(
        self,
        house: House,
        *,
        with_worker: bool,
        path: str = "",
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.house = house
        self._path = path
        self.public_url = dict(variables or {}).get("CCEXPORT_PUBLIC_URL", "")  # "": as `url`
        self.port = free_port()
        self.lines: list[str] = []
        self._ready_word = "started" if with_worker else "dashboard on"
        self._ready = threading.Event()
        options = () if with_worker else ("--no-worker",)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ccexport", "serve", "--port", str(self.port), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            env=house.environment() | self._public_url() | dict(variables or {}),
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}{self._path}"

    def _public_url(self) -> dict[str, str]:
        return {"CCEXPORT_PUBLIC_URL": self.url} if self._path else {}

    def wait_until_ready(self) -> None:
        """Raises `RuntimeError` with its own words where it does not start."""
        if not self._ready.wait(START_SECONDS) or self._process.poll() is not None:
            raise RuntimeError("serve did not start:\n" + "".join(self.lines))

    def stop(self) -> None:
        """One Ctrl-C, as a person would; a process that hangs is killed."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(END_SECONDS)
        if self._process.stdout:
            self._process.stdout.close()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self.lines.append(line)
            if self._ready_word in line:
                self._ready.set()
        self._ready.set()  # it has ended: nobody has to wait on


@contextmanager
def house_beside_sandbox(folder: Path, source: Path, behaviour: Behaviour) -> Iterator[House]:
    """An installation with an empty store over a copy of `source`."""
    shutil.copytree(source, folder / "source")
    with running_sandbox(behaviour) as sandbox:
        house = House(folder, sandbox)
        yield house
        house.close()


@contextmanager
def served(
    house: House,
    *,
    with_worker: bool = True,
    path: str = "",
    variables: Mapping[str, str] | None = None,
) -> Iterator[Dashboard]:
    """The dashboard, answering, below `path`; `variables` are further ones of its environment."""
    dashboard = Dashboard(house, with_worker=with_worker, path=path, variables=variables)
    try:
        dashboard.wait_until_ready()
        yield dashboard
    finally:
        dashboard.stop()


def find_chromium(environment: Mapping[str, str] = os.environ) -> str | None:
    """Where the system's Chromium is."""
    path = environment.get("PATH")
    return shutil.which("/usr/bin/chromium") or shutil.which("chromium", path=path)


def launch(playwright: Playwright) -> Browser:
    """The system's Chromium, headless."""
    return playwright.chromium.launch(executable_path=find_chromium(), args=[*CHROMIUM_FLAGS])
