"""A worker in a process of its own that is killed by SIGKILL: at a named point, at a commit, or at any moment.

The processes come out of a fork server that has imported everything (`preloaded`): real processes, but there at once.
A commit's name is the store's method that makes it, with the state it moves to: `BatchStore.move sending`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

from ccexport import worker as worker_module
from ccexport.constantcontact import pacing
from ccexport.installation import Installation
from ccexport.services.exports.sending_one import SendingOne
from ccexport.services.people.access import local_administrator
from ccexport.services.runs.runs import Runs
from ccexport.settings import load_settings
from ccexport.store import runs
from ccexport.worker import Worker

KILLED = -signal.SIGKILL
PATIENCE_SECONDS = 120
_STORE = f"{os.sep}ccexport{os.sep}store{os.sep}"
_IMPORTED = ("tests.crash.preloaded",)
_processes = multiprocessing.get_context("forkserver")


@dataclasses.dataclass(frozen=True)
class Doom:
    """Where a worker is met by `signal`: the `count`-th time it is `when` `name`.

    `when`: "at" a named point, "before" or "after" a commit.
    """

    when: str
    name: str
    count: int = 1
    signal: signal.Signals = signal.SIGKILL

    def __str__(self) -> str:
        return f"{self.when} {self.name} {self.count}".removesuffix(" 1")


def apart(dooms: Sequence[Doom], runs: int) -> list[list[Doom]]:
    """Dooms in the order of a run, spread over so many runs: neighbours are met in different ones."""
    return [list(dooms[first::runs]) for first in range(runs)]


class WorkerProcess:
    """A worker of its own process, working until nothing is left; what it logs goes to `log`."""

    def __init__(
        self,
        environment: Mapping[str, str],
        log: Path,
        doom: Doom | None = None,
        *,
        until_idle: bool = True,
        lease_seconds: float | None = None,
        keeps_slots: bool = False,
    ) -> None:
        """Its leases are of `lease_seconds` where given, so that a test need not wait for them to lapse.

        With `keeps_slots` a request goes in its slot however late it is: how many slots are taken then says nothing
        about how fast the machine is.
        """
        _processes.set_forkserver_preload(list(_IMPORTED))
        self._log = log
        self._process = _processes.Process(
            target=_work,
            args=(dict(environment), str(log), doom, until_idle, lease_seconds, keeps_slots),
        )
        self._process.start()
        self.pid = self._process.pid or 0

    def end(self) -> int:
        """Wait for its end; the exit code, negative for a signal."""
        self._process.join(PATIENCE_SECONDS)
        if self._process.exitcode is None:
            self.kill()
            raise AssertionError(f"the worker does not end: {self.said()[-3000:]}")
        code = self._process.exitcode
        self._process.close()
        return code

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def is_stopped(self) -> bool:
        """Whether SIGSTOP has reached it."""
        state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state == "T"

    def kill(self) -> None:
        """SIGKILL, whatever it does just now; nothing where it has ended."""
        self._process.kill()
        self._process.join(PATIENCE_SECONDS)

    def said(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""


def commits_of(work: Callable[[], object]) -> list[str]:
    """The names of the commits that `work` makes in this process, in order."""
    made: list[str] = []
    with _each_commit("after", made.append):
        work()
    return made


def _work(
    environment: dict[str, str],
    log: str,
    doom: Doom | None,
    until_idle: bool,
    lease_seconds: float | None,
    keeps_slots: bool,
) -> None:  # runs in the new process
    if keeps_slots:
        pacing.LATE_SECONDS = math.inf
    if lease_seconds is not None:
        runs.LEASE = timedelta(seconds=lease_seconds)
    with open(log, "a", encoding="utf-8") as file:
        os.dup2(file.fileno(), sys.stderr.fileno())
    os.environ.update(environment)
    stop = _Between()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    worker_module.LAST_TELLING_SECONDS = (
        60.0  # this machine may be slow to come to where it is killed
    )
    worker = Worker(Installation(load_settings()), stop)
    countdown = _Countdown(doom, stop)
    worker.tools = dataclasses.replace(worker.tools, reached=countdown.seen)
    at_commits = (
        _each_commit(doom.when, countdown.seen)
        if doom and doom.when != "at"
        else contextlib.nullcontext()
    )
    with at_commits:
        worker.work(until_idle=until_idle)


def answer_in_process(environment: Mapping[str, str], run_id: int, answer: str, doom: Doom) -> int:
    """Answer what a run asks in a process of its own that is met by `doom` at a commit; its exit code."""
    return _end_of(_answer, dict(environment), run_id, answer, doom)


def send_one_in_process(environment: Mapping[str, str], customer_id: str, doom: Doom) -> int:
    """Send one profile as a test in a process of its own that is met by `doom` at a commit; its exit code."""
    return _end_of(_send_one, dict(environment), customer_id, doom)


def _end_of(act: Callable[..., None], *arguments: object) -> int:
    _processes.set_forkserver_preload(list(_IMPORTED))
    process = _processes.Process(target=act, args=arguments)
    process.start()
    process.join(PATIENCE_SECONDS)
    code = process.exitcode
    if code is None:
        process.kill()
        raise AssertionError("the process does not end")
    return code


def _answer(environment: dict[str, str], run_id: int, answer: str, doom: Doom) -> None:
    os.environ.update(environment)
    runs_of_it = Runs(Installation(load_settings()))
    countdown = _Countdown(doom, _Between())
    with _each_commit(doom.when, countdown.seen):
        getattr(runs_of_it, answer)(run_id, by=local_administrator())


def _send_one(environment: dict[str, str], customer_id: str, doom: Doom) -> None:
    os.environ.update(environment)
    sending = SendingOne(Installation(load_settings()))
    by = local_administrator()
    countdown = _Countdown(doom, _Between())
    with _each_commit(doom.when, countdown.seen):
        sending.follow(sending.send(sending.prepare("Newsletter", customer_id, by=by), by=by))


class _Between(threading.Event):
    """The worker's stop; its main thread waits for it between two ticks, outside every transaction.

    Only there a hanging process is stopped: one that hangs within a transaction holds the store's lock as well.
    """

    def __init__(self) -> None:
        super().__init__()
        self._asked, self._woken = threading.Event(), threading.Event()

    def hang(self) -> None:
        """Stop this process, soon; comes back once it was woken."""
        self._asked.set()
        self._woken.wait()

    def wait(self, timeout: float | None = None) -> bool:
        if self._asked.is_set() and threading.current_thread() is threading.main_thread():
            os.kill(os.getpid(), signal.SIGSTOP)
            self._asked.clear()
            self._woken.set()
        return super().wait(timeout)


class _Countdown:
    def __init__(self, doom: Doom | None, between: _Between) -> None:
        self._doom, self._between = doom, between
        self._left = doom.count if doom else 0

    def seen(self, name: str) -> None:
        if self._doom and name == self._doom.name:
            self._left -= 1
            if self._left == 0 and self._doom.signal is signal.SIGSTOP:
                self._between.hang()
            elif self._left == 0:
                os.kill(os.getpid(), self._doom.signal)


@contextlib.contextmanager
def _each_commit(when: str, tell: Callable[[str], object]) -> Iterator[None]:
    def listener(_session: Session) -> None:
        tell(_commit_name())

    event.listen(Session, f"{when}_commit", listener)
    try:
        yield
    finally:
        event.remove(Session, f"{when}_commit", listener)


def _commit_name() -> str:
    """The outermost method of the store that is at work."""
    found: FrameType | None = None
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if _STORE in frame.f_code.co_filename and "self" in frame.f_locals:
            found = frame
        frame = frame.f_back
    if found is None:
        return "?"
    local: dict[str, Any] = found.f_locals
    name = f"{type(local['self']).__name__}.{found.f_code.co_name}"
    return f"{name} {local['to']}" if "to" in local else name
