"""What is done by commands alone: `python -m ccexport …` in a folder of its own, and the stand-in as a process."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.kit.ports import free_port

ROOT = Path(__file__).resolve().parents[2]


class Commands:
    """`python -m ccexport …` in one folder, against one sandbox."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        inherited = {key: value for key, value in os.environ.items() if "CCEXPORT" not in key}
        self.environment = inherited | {
            "PYTHONPATH": str(ROOT),
            "CCEXPORT_DATA_DIR": str(folder / "var"),
            "CCEXPORT_SOURCE_URL": f"file:{folder / 'source'}",
            "CCEXPORT_CC_CLIENT_ID": "app",
            "CCEXPORT_CC_API_URL": f"{url}/v3",
            "CCEXPORT_CC_AUTH_URL": f"{url}/oauth2/default/v1",
            "CCEXPORT_POLL_SECONDS": "1",
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        with (self.folder / "log").open("a", encoding="utf-8") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "ccexport", *arguments],
                env=self.environment,
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def run(self, *arguments: str, code: int = 0) -> str:
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=300)
        assert process.returncode == code, (self.folder / "log").read_text()[-2000:]
        return output

    def connect(self, name: str = "Marketing") -> None:
        log = self.folder / "log"
        log.write_text("")
        process = self.start(
            "connections", "add", name, "--agree", "--callback-port", str(free_port())
        )
        deadline = time.monotonic() + 60
        while not (found := re.search(r"Open this address: (\S+)", log.read_text())):
            assert time.monotonic() < deadline, log.read_text()
            assert process.poll() is None, log.read_text()
        urllib.request.urlopen(found[1], timeout=30).close()
        process.communicate(timeout=60)
        assert process.returncode == 0

    def tell(self, path: str, keys: object) -> None:
        request = urllib.request.Request(
            self.url + path,
            data=json.dumps(keys).encode(),
            headers={"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=60).close()

    def ask(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=120) as answer:
            return json.load(answer)


@contextmanager
def sandbox_process(behaviour: Path) -> Iterator[str]:
    """The URL of a stand-in in a process of its own, which ends with the block."""
    command = ("sandbox", "--port", "0", "--behaviour", str(behaviour))
    sandbox = subprocess.Popen(
        [sys.executable, "-m", "ccexport", *command], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert sandbox.stdout is not None
        yield sandbox.stdout.readline().split(" on ")[1].strip()
    finally:
        sandbox.terminate()
        sandbox.communicate(timeout=30)
