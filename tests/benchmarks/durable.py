"""What writing durably costs a run: intent before each call, outcome after it, on the disk before it goes on.

    python tests/benchmarks/durable.py [--profiles 1000000] [--rounds 5] [--output FILE.json]

One export runs again and again: as it is, and without SQLite's `synchronous=FULL` and without fsync of run files, in
turns. Quoted is the ratio of the medians, of the time on the wall and of the processors' time, and the ratio of the
least times on the wall, which is what a machine that is busy with other things leaves to go by. That is done twice: *as
installed*, against a stand-in that allows 4 requests a second and takes 5 s a file; and *unpaced*, against one that
never makes us wait, so that hardly anything but our own work counts.

A third program is the first with a stop-watch in it, which a busy machine disturbs less. It adds up what its threads
spend in commits and in forcing run files to the disk (`share_forced` of its time), and in whole transactions that write
(`share_written`): upper bounds, since threads write beside each other, beside other work and while they wait anyway.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.benchmarks.installation import (  # noqa: E402  # the tree is not installed
    EXPORT,
    document_of,
    installation,
    write_profiles_apart,
)
from tests.benchmarks.measure import (  # noqa: E402
    Measured,
    in_turns,
    machine,
    medians,
    report,
    run_program,
    say,
)
from tests.kit.by_commands import Commands  # noqa: E402

GOAL_SHARE = 0.05
PEERS = Path(__file__).with_name("peers")
DURABLE = (sys.executable, "-m", "ccexport", "worker", "--until-idle")
NOT_DURABLE = (sys.executable, str(PEERS / "worker_not_durable.py"))
COUNTED = (sys.executable, str(PEERS / "worker_counted.py"))
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "as_installed": {},
    "unpaced": {"requests_per_second": 100, "processing_seconds": 0.05, "poll_seconds": 0.05},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--profiles", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    document: dict[str, Any] = {
        "profiles": options.profiles,
        "goal_share": GOAL_SHARE,
        "machine": machine(),
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        document["fsync_milliseconds"] = _fsync_milliseconds(folder / "probe")
        write_profiles_apart(folder / "source", options.profiles)
        for setting, keys in SETTINGS.items():
            say(setting)
            with installation(folder / setting, folder / "source", **keys) as commands:
                document[setting] = _compare(commands, options.rounds)
    report(document, options.output)


def _compare(commands: Commands, rounds: int) -> dict[str, Any]:
    _one_run(commands, DURABLE)  # the first one adds people, all others change them
    counted: list[dict[str, float]] = []
    programs = {
        "durable": partial(_one_run, commands, DURABLE),
        "not_durable": partial(_one_run, commands, NOT_DURABLE),
        "counted": partial(_counted_run, commands, counted),
    }
    runs = in_turns(programs, rounds)
    found = {name: medians(each) for name, each in runs.items()}
    return {
        "ratio_wall": _ratio(found, "wall_seconds"),
        "ratio_wall_least": round(_least(runs["durable"]) / _least(runs["not_durable"]), 3),
        "ratio_processor": _ratio(found, "processor_seconds"),
        "share_forced": statistics.median(each["share_forced"] for each in counted),
        "share_written": statistics.median(each["share_written"] for each in counted),
        "medians": found,
        "wall_seconds": {name: _walls(each) for name, each in runs.items()},
        "counted": counted,
    }


def _one_run(commands: Commands, program: Sequence[str]) -> Measured:
    """Queue, perform in a process of its own, check that it arrived."""
    commands.run("exports", "run", EXPORT)
    measured = run_program(program, {**commands.environment, "CCEXPORT_LOG_LEVEL": "error"})
    run_id = json.loads(commands.run("runs", "list", "--json"))[0]["id"]
    document = document_of(commands, run_id)
    if document["state"] != "succeeded":
        raise SystemExit(f"run {run_id} ended as {document['state']}: {document['error']}")
    return measured


def _counted_run(commands: Commands, found: list[dict[str, float]]) -> Measured:
    file = commands.folder / "counted.json"
    measured = _one_run(commands, (*COUNTED, str(file)))
    spent = json.loads(file.read_text())
    forced = spent["commits_seconds"] + spent["fsyncs_seconds"]
    written = spent["transactions_seconds"] + spent["fsyncs_seconds"]
    shares = {"share_forced": forced, "share_written": written}
    found.append(
        spent | {key: round(value / measured.wall_seconds, 4) for key, value in shares.items()}
    )
    return measured


def _ratio(found: Mapping[str, Mapping[str, float]], key: str) -> float:
    return round(found["durable"][key] / found["not_durable"][key], 3)


def _least(runs: Sequence[Measured]) -> float:
    return min(run.wall_seconds for run in runs)


def _walls(runs: Sequence[Measured]) -> list[float]:
    return [round(run.wall_seconds, 2) for run in runs]


def _fsync_milliseconds(path: Path, tries: int = 50) -> float:
    """How long the disk takes to force a page: figures of a disk that does not are worth nothing."""
    taken = []
    with path.open("wb") as file:
        for _ in range(tries):
            file.write(bytes(4096))
            file.flush()
            started = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - started)
    return round(statistics.median(taken) * 1000, 3)


if __name__ == "__main__":
    main()
