"""Eight small runs side by side, each waiting 20 s on Constant Contact's processing, beside one that gets no answer.

    python tests/benchmarks/interleave.py [--runs 8] [--processing 20] [--connections 2] [--output FILE.json]

Quoted is the time of all eight as a ratio to the time of one, measured first; the most requests the stand-in saw in any
second; and what the silent connection cost the others: the same eight without it. The silence is of the stand-in, for
the calls about the list of one connection alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from ccexport.installation import Installation  # noqa: E402  # the tree is not installed
from ccexport.settings import Settings  # noqa: E402
from tests.benchmarks.measure import machine, report, say  # noqa: E402
from tests.kit.by_commands import Commands, sandbox_process  # noqa: E402
from tests.kit.house import people, write_source  # noqa: E402

REQUESTS_PER_SECOND = 4
PEOPLE = 20
SILENT_LIST = "5f0c1e70-9d7a-4a52-8f43-0d1b6a3c2eff"
SILENCE_SECONDS = 600
PATIENCE_SECONDS = 600
LIVELY = {"queued", "preparing", "uploading", "confirming", "succeeded"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--processing", type=float, default=20.0)
    parser.add_argument("--connections", type=int, default=2)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Exporting(Path(folder), options.runs, options.processing, options.connections)
        try:
            one = place.measure(["Export 1"], silent=False)
            alone = place.measure(place.exports, silent=False)
            beside = place.measure(place.exports, silent=True)
        finally:
            place.close()
    report(
        {
            "machine": machine(),
            "runs": options.runs,
            "processing_seconds": options.processing,
            "connections": options.connections,
            "one": one,
            "side_by_side": alone,
            "beside_a_silent_connection": beside,
            "ratio_side_by_side": round(alone["seconds"] / one["seconds"], 3),
            "ratio_beside_a_silent_connection": round(beside["seconds"] / one["seconds"], 3),
            "cost_of_the_silent_connection_seconds": round(beside["seconds"] - alone["seconds"], 2),
        },
        options.output,
    )


class Exporting:
    """A stand-in and exports over it, made by commands; the runs are a worker's, in a process of its own."""

    def __init__(self, folder: Path, runs: int, processing: float, connections: int) -> None:
        write_source(folder / "source", people(PEOPLE))
        lists = [_list_id(number) for number in range(1, runs + 1)]
        behaviour = {
            "auto_approve": True,
            "processing_seconds": processing,
            "requests_per_second": REQUESTS_PER_SECOND,
            "lists": [{"list_id": each, "name": each[-4:]} for each in [*lists, SILENT_LIST]],
        }
        file = folder / "behaviour.yaml"  # JSON is YAML
        file.write_text(json.dumps(behaviour))
        self._stand_in = ExitStack()
        url = self._stand_in.enter_context(sandbox_process(file))
        self._commands = Commands(folder, url)
        del self._commands.environment["CCEXPORT_POLL_SECONDS"]  # as installed
        data_dir = Path(self._commands.environment["CCEXPORT_DATA_DIR"])
        self._installation = Installation(
            Settings(_env_file=None, data_dir=data_dir)
        )  # to look at the runs
        names = [f"Connection {number}" for number in range(1, connections + 1)]
        for name in [*names, "Silent"]:
            self._commands.connect(name)
        self.exports = [f"Export {number}" for number in range(1, runs + 1)]
        for number, (name, list_id) in enumerate(zip(self.exports, lists, strict=True)):
            self._add(name, names[number % len(names)], list_id)
        self._add("Silent", "Silent", SILENT_LIST)

    def measure(self, exports: Sequence[str], *, silent: bool) -> dict[str, Any]:
        """Seconds from the worker's start to the end of the last run of `exports`, and how it was paced."""
        before = len(self._commands.ask("/_sandbox/requests"))
        if silent:
            on = f"GET /v3/contact_lists/{SILENT_LIST}"
            fault = {"on": on, "do": "delay", "delay_seconds": SILENCE_SECONDS, "times": -1}
            self._commands.tell("/_sandbox/behaviour", {"faults": [fault]})
            self._commands.run("exports", "run", "Silent")  # the first in the queue
        for name in exports:
            self._commands.run("exports", "run", name)
        started = time.monotonic()
        worker = self._commands.start("worker")
        ended = self._ended(exports, started)
        seconds = ended - started
        worker.kill()  # it may still wait for the silent connection
        worker.communicate()
        requests = self._commands.ask("/_sandbox/requests")[before:]
        times = sorted(each["at"] for each in requests if each["path"].startswith("/v3/"))
        say(f"{len(exports)} runs{' beside a silent one' if silent else ''}: {seconds:.1f} s")
        return {
            "seconds": round(seconds, 2),
            "requests": len(requests),
            "refused": sum(each["status"] == 429 for each in requests),
            "most_requests_in_a_second": _most_in_a_second(times),
        }

    def close(self) -> None:
        self._installation.close()
        self._stand_in.close()

    def _ended(self, exports: Sequence[str], started: float) -> float:
        """When the last of the runs had ended, by the clock that `started` is of."""
        while time.monotonic() - started < PATIENCE_SECONDS:
            runs = [
                self._installation.runs.latest(export_name=name, limit=1)[0] for name in exports
            ]
            if any(run.state not in LIVELY for run in runs):
                raise SystemExit(f"a run did not go well: {[str(run.state) for run in runs]}")
            ends = [run.finished_at for run in runs if run.finished_at]
            if len(ends) == len(runs):
                return time.monotonic() - (datetime.now(UTC) - max(ends)).total_seconds()
            time.sleep(0.5)
        raise SystemExit("the runs do not end")

    def _add(self, name: str, connection: str, list_id: str) -> None:
        self._commands.run(
            *("exports", "add", name, "--connection", connection, "--list-id", list_id),
            *("--segment", "All", "--map", "email=EMail", "--map", "first_name=FirstName"),
        )


def _list_id(number: int) -> str:
    return f"5f0c1e70-9d7a-4a52-8f43-0d1b6a3c{number:04x}"


def _most_in_a_second(times: Sequence[float]) -> int:
    """The most in any window of a second."""
    return max((sum(at <= t < at + 1 for t in times) for at in times), default=0)


if __name__ == "__main__":
    main()
