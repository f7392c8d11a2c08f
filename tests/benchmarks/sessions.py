"""What many people on live pages cost: memory a session, errors, and how much a run is slowed that goes on meanwhile.

    python -m tests.benchmarks.sessions [--sessions 200] [--seconds 60] [--profiles 400000] [--rounds 3] [--output FILE]

`serve` runs as installed (dashboard and worker), beside a stand-in of its own process that allows 4 requests a second
and takes 5 s a file. The same export runs again and again: `rounds` times alone, then for at least `seconds` while the
sessions look on, then alone once more; medians are compared. A session speaks Streamlit's protocol over a real
websocket as a browser does: it opens Home, Runs or the page of the live run, and repeats each live part at the interval
that the page asks for. The lookers run at a low priority: in life their work is done by other machines.
Exit code 1 where a session met an error or the run was slowed by more than 10 %.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin, Subprotocol

from ccexport.installation import Installation
from ccexport.services.exports.exports import Exports
from ccexport.settings import load_settings
from tests.benchmarks.installation import EXPORT, installation, write_profiles_apart
from tests.benchmarks.measure import machine, report, say
from tests.kit.by_commands import Commands
from tests.kit.house import ANA
from tests.kit.ports import free_port

LIMIT_RATIO = 1.10
PAGES = ("run", "", "run", "runs")  # half of the people look at the live run
OPEN_AT_ONCE = 20  # connections being opened: people do not all arrive in one moment
END_SECONDS = 120.0


def main() -> int:
    """Set up, run alone and under the eyes of many, report."""
    options = _arguments()
    with (
        tempfile.TemporaryDirectory() as name,
        _installation(Path(name), options.profiles) as place,
    ):
        alone = [place.run() for _ in range(options.rounds)]
        say(f"alone: {alone}")
        with _lookers(place, options.sessions) as lookers:
            opened = place.memory_mb()
            started = time.monotonic()
            watched = []
            while time.monotonic() - started < options.seconds or len(watched) < options.rounds:
                watched.append(place.run(lookers.look_at))
            processor = place.processor_seconds() - lookers.processor_before
            seen = lookers.end()
            memory = place.memory_mb()
            looked_for = time.monotonic() - started
        say(f"watched: {watched}")
        alone += [place.run() for _ in range(options.rounds)]
        log = place.complaints()
    ratio = statistics.median(watched) / statistics.median(alone)
    document = {
        "benchmark": "sessions",
        "sessions": options.sessions,
        "profiles": options.profiles,
        "run_seconds_alone": alone,
        "run_seconds_watched": watched,
        "median_ratio": round(ratio, 3),
        "limit_ratio": LIMIT_RATIO,
        "looked_for_seconds": round(looked_for, 1),
        "dashboard_memory_mb": {"before": lookers.memory_before, "opened": opened, "end": memory},
        "memory_mb_per_session": round((memory - lookers.memory_before) / options.sessions, 2),
        "dashboard_processor_share": round(processor / looked_for, 2),
        "seen": seen,
        "dashboard_log_complaints": log,
        "machine": machine(),
    }
    report(document, options.output)
    return 1 if seen["errors"] or log or ratio > LIMIT_RATIO else 0


# --- the installation ----------------------------------------------------------------------------


class _Installation:
    """`serve` in processes of its own, and the store that it uses."""

    def __init__(self, commands: Commands, port: int, process: subprocess.Popen[str]) -> None:
        self._folder = commands.folder
        self.url = f"http://localhost:{port}"
        self._installation = Installation(load_settings())
        self._dashboard = _dashboard_of(psutil.Process(process.pid))

    def run(self, look_at: Any = None) -> float:
        """One run of the export, performed by the worker; seconds from queued to its end."""
        run_id = Exports(self._installation).queue(EXPORT, by=ANA).id
        if look_at:
            look_at(run_id)
        give_up_at = time.monotonic() + 600
        while (run := self._installation.runs.get(run_id)).finished_at is None:
            if time.monotonic() > give_up_at:
                raise RuntimeError(f"run {run_id} does not end: {run.state}")
            time.sleep(0.1)
        if run.state != "succeeded":
            raise RuntimeError(f"run {run_id} ended as {run.state}: {run.error}")
        return round((run.finished_at - run.queued_at).total_seconds(), 2)

    def memory_mb(self) -> float:
        """What the dashboard's process holds of its own."""
        return round(self._dashboard.memory_full_info().uss / 1e6, 1)

    def processor_seconds(self) -> float:
        times = self._dashboard.cpu_times()
        return float(times.user + times.system)

    def complaints(self) -> list[str]:
        """Lines of the log that nobody wants."""
        text = (self._folder / "log").read_text(encoding="utf-8")
        return [line for line in text.splitlines() if "ERROR" in line or "Traceback" in line][:20]

    def close(self) -> None:
        self._installation.close()


@contextmanager
def _installation(folder: Path, profiles: int) -> Iterator[_Installation]:
    write_profiles_apart(folder / "source", profiles)
    with installation(folder, folder / "source") as commands:
        for variable in [each for each in os.environ if "CCEXPORT" in each]:
            del os.environ[variable]
        ours = {k: v for k, v in commands.environment.items() if k.startswith("CCEXPORT_")}
        os.environ.update(ours)
        port = free_port()
        with _ended(commands.start("serve", "--port", str(port))) as process:
            assert process.stdout is not None
            process.stdout.readline()  # "dashboard on …"
            place = _Installation(commands, port, process)
            try:
                yield place
            except RuntimeError:
                say((folder / "log").read_text(encoding="utf-8")[-3_000:])
                raise
            finally:
                place.close()


@contextmanager
def _ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=END_SECONDS)


def _dashboard_of(serve: psutil.Process) -> psutil.Process:
    (found,) = [each for each in serve.children() if "streamlit" in each.cmdline()]
    return found


# --- those who look on ---------------------------------------------------------------------------


class _Lookers:
    """The sessions, in a process of their own."""

    def __init__(self, url: str, sessions: int, memory: float, processor: float) -> None:
        self.memory_before = memory
        self.processor_before = processor
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_look_on, args=(url, sessions, theirs))
        self._process.start()
        self._receive()  # all are there

    def look_at(self, run_id: int) -> None:
        """Those on the page of a run go to this one."""
        self._pipe.send(run_id)

    def end(self) -> dict[str, Any]:
        """Close all sessions; what they saw."""
        self._pipe.send(None)
        seen: dict[str, Any] = self._receive()
        return seen

    def _receive(self) -> Any:
        if not self._pipe.poll(END_SECONDS):
            raise RuntimeError("the sessions do not answer")
        return self._pipe.recv()

    def close(self) -> None:
        self._process.kill()
        self._process.join()


@contextmanager
def _lookers(place: _Installation, sessions: int) -> Iterator[_Lookers]:
    """One session comes and goes first: what the dashboard loads once is no session's memory."""
    for number in (len(PAGES), sessions):
        memory, processor = place.memory_mb(), place.processor_seconds()
        lookers = _Lookers(place.url, number, memory, processor)
        try:
            if number == sessions:
                yield lookers
            else:
                lookers.end()
        finally:
            lookers.close()


def _look_on(url: str, sessions: int, pipe: Connection) -> None:
    os.nice(10)
    asyncio.run(_look_on_all(url, sessions, pipe))


async def _look_on_all(url: str, sessions: int, pipe: Connection) -> None:
    seen = Seen()
    lookers = [Looker(url, PAGES[number % len(PAGES)], seen) for number in range(sessions)]
    gate = asyncio.Semaphore(OPEN_AT_ONCE)

    async def open_one(looker: Looker) -> None:
        async with gate:
            await looker.open()

    await asyncio.gather(*(open_one(looker) for looker in lookers))
    pipe.send("open")
    while True:
        while not pipe.poll():
            await asyncio.sleep(0.1)
        if (run_id := pipe.recv()) is None:
            break
        for looker in lookers:
            await looker.look_at(run_id)
    await asyncio.gather(*(looker.close() for looker in lookers))
    pipe.send(seen.document())


@dataclass
class Seen:
    """What all sessions saw."""

    errors: list[str] = field(default_factory=list)
    page_seconds: list[float] = field(default_factory=list)
    part_seconds: list[float] = field(default_factory=list)
    bytes: int = 0

    def document(self) -> dict[str, Any]:
        return {
            "errors": self.errors[:20],
            "pages": _times(self.page_seconds),
            "live_parts": _times(self.part_seconds),
            "megabytes": round(self.bytes / 1e6, 1),
        }


class Looker:
    """One browser tab."""

    def __init__(self, url: str, page: str, seen: Seen) -> None:
        self._url = url
        self._page = page
        self._query = ""
        self._seen = seen
        self._hash = ""
        self._channel: ClientConnection | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: dict[str, asyncio.Task[None]] = {}
        self._asked_at: dict[str, float] = {}  # by live part; the whole page is ""
        self._drawn = asyncio.Event()

    async def open(self) -> None:
        """Connect, and wait until the page has been drawn once."""
        self._channel = await connect(
            self._url.replace("http", "ws") + "/_stcore/stream",
            origin=Origin(self._url),
            subprotocols=[Subprotocol("streamlit")],
            max_size=None,
            proxy=None,
            open_timeout=END_SECONDS,
        )
        self._start(self._listen(self._channel))
        await self._ask()
        await asyncio.wait_for(self._drawn.wait(), END_SECONDS)

    async def look_at(self, run_id: int) -> None:
        """One on the page of a run goes to this one."""
        if self._page == "run":
            self._query = f"run={run_id}"
            await self._ask()

    async def close(self) -> None:
        for task in [*self._tasks, *self._timers.values()]:
            task.cancel()
        if self._channel:
            await self._channel.close()

    async def _ask(self, part: str = "") -> None:
        if self._channel is None or part in self._asked_at:
            return  # as a browser: no second request before the first is answered
        message = BackMsg()
        state = message.rerun_script
        state.query_string = self._query
        if part:
            state.page_script_hash = self._hash
            state.fragment_id = part
            state.is_auto_rerun = True
        else:
            state.page_name = self._page
        self._asked_at[part] = time.monotonic()
        with suppress(ConnectionClosed):
            await self._channel.send(message.SerializeToString())

    async def _listen(self, channel: ClientConnection) -> None:
        try:
            async for content in channel:
                assert isinstance(content, bytes)
                self._seen.bytes += len(content)
                message = ForwardMsg()
                message.ParseFromString(content)
                self._take(message)
            self._seen.errors.append("the channel was closed")
        except ConnectionClosed as error:
            self._seen.errors.append(f"the channel broke: {error}")

    def _take(self, message: ForwardMsg) -> None:
        match message.WhichOneof("type"):
            case "new_session":
                self._hash = message.new_session.page_script_hash
            case "auto_rerun":
                asked = message.auto_rerun
                self._stop_timers([asked.fragment_id])
                self._timers[asked.fragment_id] = asyncio.create_task(
                    self._repeat(asked.fragment_id, asked.interval)
                )
            case "stop_auto_rerun":
                self._stop_timers(list(message.stop_auto_rerun.fragment_ids))
            case "script_finished":
                self._note(message.script_finished)
            case "delta" if message.delta.new_element.WhichOneof("type") == "exception":
                self._seen.errors.append(message.delta.new_element.exception.message[:200])
            case "page_not_found":
                self._seen.errors.append("page not found")

    def _note(self, how: int) -> None:
        if how == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
            self._seen.errors.append("the page's script does not compile")
        now = time.monotonic()
        if how == ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY:
            installation = [part for part in self._asked_at if part]
            for part in installation[:1]:
                self._seen.part_seconds.append(now - self._asked_at.pop(part))
        elif how == ForwardMsg.FINISHED_SUCCESSFULLY:
            if (asked_at := self._asked_at.pop("", None)) is not None:
                self._seen.page_seconds.append(now - asked_at)
            self._asked_at.clear()
            self._drawn.set()

    async def _repeat(self, part: str, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            await self._ask(part)

    def _stop_timers(self, parts: list[str]) -> None:
        for part in parts:
            if (timer := self._timers.pop(part, None)) is not None:
                timer.cancel()
            self._asked_at.pop(part, None)

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(self._look_how_it_ended)
        self._tasks.add(task)

    def _look_how_it_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._seen.errors.append(f"this script: {error!r}")
        self._drawn.set()


def _times(seconds: list[float]) -> dict[str, Any]:
    if len(seconds) < 2:
        return {"number": len(seconds)}
    cuts = statistics.quantiles(seconds, n=20)
    return {
        "number": len(seconds),
        "median_seconds": round(statistics.median(seconds), 3),
        "p95_seconds": round(cuts[-1], 3),
        "longest_seconds": round(max(seconds), 3),
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--profiles", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
