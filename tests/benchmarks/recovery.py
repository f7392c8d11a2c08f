"""Recovery of a run of a million in 26 files after SIGKILL.

    python tests/benchmarks/recovery.py [--profiles 1000000] [--repeats 3] [--output FILE.json]

The worker's command is killed when half of the files have arrived; another is started at once. Quoted is our own time
until its next useful request: from the start of the process, its imports of Python included, to the first import or
look at the activities that reaches the stand-in.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import sys
import tempfile
import time
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
from tests.benchmarks.measure import machine, report, say  # noqa: E402
from tests.kit.by_commands import Commands  # noqa: E402

USEFUL = ("contactsCSVImport", "getActivityStatusCollection")
GOAL_SECONDS = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--profiles", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    before = machine()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_profiles_apart(folder / "source", options.profiles)
        rounds = [recovery(folder, number) for number in range(options.repeats)]
    median = statistics.median(each["seconds_to_useful_request"] for each in rounds)
    document = {
        "profiles": options.profiles,
        "machine": before,
        "median_seconds": round(median, 3),
        "goal_seconds": GOAL_SECONDS,
        "rounds": rounds,
    }
    report(document, options.output)


def recovery(folder: Path, number: int) -> dict[str, Any]:
    """Kill half-way; how long until the next worker's first useful request."""
    place = folder / f"recovery{number}"
    with installation(place, folder / "source", processing_seconds=1, poll_seconds=1) as commands:
        commands.run("exports", "run", EXPORT)
        first = commands.start("worker", "--until-idle")
        files = wait_for_half(commands)
        first.send_signal(signal.SIGKILL)
        first.wait()
        arrived = len(commands.ask("/_sandbox/requests"))
        started = time.time()
        second = commands.start("worker", "--until-idle")
        useful = wait_for_useful(commands, arrived)
        worked = processor_seconds(second.pid)
        second.communicate(timeout=600)
        assert second.returncode == 0
        made = [each for each in commands.ask("/_sandbox/requests") if each["activity_id"]]
        assert len({each["file_name"] for each in made}) == len(made) == files
    found = {
        "files": files,
        "seconds_to_useful_request": round(useful["at"] - started, 3),
        "processor_seconds": worked,
        "request": useful["operation"],
    }
    say(f"recovery {number + 1}: {found}")
    return found


def wait_for_half(commands: Commands) -> int:
    """How many files there are; returns when half of them have arrived."""

    while True:
        batches = document_of(commands, 1)["batches"]
        sent = sum(batch["state"] not in ("pending", "sending") for batch in batches)
        if batches and 2 * sent >= len(batches):
            return len(batches)


def wait_for_useful(commands: Commands, after: int) -> dict[str, Any]:
    while True:
        for each in commands.ask("/_sandbox/requests")[after:]:
            if each["operation"] in USEFUL:
                return dict(each)
        time.sleep(0.05)


def processor_seconds(pid: int) -> float:
    """What a process has had of the processors so far: what it took on a machine with nothing else to do, at most."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
