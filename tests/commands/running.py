"""Ways to run a command as a person does: in a process of its own, or here where that would take too long."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ccexport.commands.main import main

ROOT = Path(__file__).resolve().parents[2]
PROCESS_SECONDS = 60


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit code, and what it wrote to both outputs."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as JSON: it must be nothing else."""
        return json.loads(self.out)


def run_process(
    *arguments: str, environment: Mapping[str, str], cwd: Path = ROOT, **more: str
) -> Outcome:
    """The real thing: `python -m ccexport …`."""
    done = subprocess.run(
        [sys.executable, "-m", "ccexport", *arguments],
        env=in_process(environment) | more,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=PROCESS_SECONDS,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def start_process(*arguments: str, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    """The same, still running; to be used in a `with`."""
    return subprocess.Popen(
        [sys.executable, "-m", "ccexport", *arguments],
        env=in_process(environment),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def in_process(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment, in which the package is found from any folder."""
    return {**environment, "PYTHONPATH": str(ROOT)}


class Here:
    """Runs commands in this process: the same `main`, without the second that a new one takes to start."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys, self._monkeypatch = capsys, monkeypatch

    def __call__(
        self, *arguments: str, environment: Mapping[str, str], **more: str | None
    ) -> Outcome:
        """Run one command; `more` sets further variables, None takes one away."""
        self._capsys.readouterr()
        with self._monkeypatch.context() as patch, _logging_restored():
            for name in [name for name in os.environ if name.startswith("CCEXPORT_")]:
                patch.delenv(name)
            for name, value in {**environment, **more}.items():
                if value is None:
                    patch.delenv(name, raising=False)
                elif name.startswith("CCEXPORT_"):
                    patch.setenv(name, value)
            patch.setattr(sys, "argv", ["ccexport", *arguments])
            with pytest.raises(SystemExit) as stop:
                main()
        out, err = self._capsys.readouterr()
        return Outcome(int(stop.value.code or 0), out, err)


@contextmanager
def _logging_restored() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("ccexport")
    handlers, levels = list(root.handlers), (root.level, ours.level)
    factory, show = logging.getLogRecordFactory(), warnings.showwarning
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(levels[0])
        ours.setLevel(levels[1])
        logging.setLogRecordFactory(factory)
        logging.captureWarnings(False)
        warnings.showwarning = show


def assert_one_line(outcome: Outcome, *words: str, code: int = 1) -> None:
    """A failure as it should be: one line on standard error with these words, nothing else anywhere."""
    assert outcome.code == code, outcome
    assert outcome.out == ""
    assert outcome.err.endswith("\n")
    assert outcome.err.count("\n") == 1, outcome.err
    assert "Traceback" not in outcome.err
    for word in words:
        assert word in outcome.err, outcome.err
