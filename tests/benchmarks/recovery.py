"""Recovery of a run of a million in 26 files after SIGKILL, and what writing durably costs a run.

    python tests/benchmarks/recovery.py [--profiles 1000000] [--repeats 3] [--output FILE.json]

*Recovery*: the worker's command is killed when half of the files have arrived; another is started at once. Quoted is
our own time until its next useful request: from the start of the process, its imports of Python included, to the first
import or look at the activities that reaches the stand-in.

*Durable path*: the same run as it is, and without SQLite's `synchronous=FULL` and fsync of run files, in turns, against
a stand-in that allows 1,000 requests a second, so that hardly anything but our own work counts. Quoted is the ratio.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.benchmarks.measure import machine, report, say  # noqa: E402  # the tree is not installed
from tests.benchmarks.run_million import write_profiles  # noqa: E402
from tests.crash.test_by_commands import Commands  # noqa: E402
from tests.house import LIST_ID  # noqa: E402

USEFUL = ("contactsCSVImport", "getActivityStatusCollection")
RECOVERY_SECONDS = 2.0
DURABLE_SHARE = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--profiles", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    before = machine()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # in a process of its own: a child's peak counts its parent's memory as it was when it was started
        write = multiprocessing.get_context("spawn").Process(
            target=write_profiles, args=(folder / "source", options.profiles)
        )
        write.start()
        write.join()
        recoveries = [recovery(folder, n) for n in range(options.repeats)]
        durable, loose = in_turns(folder, options.repeats)
    ratio = statistics.median(durable) / statistics.median(loose)
    median = statistics.median(each["seconds_to_useful_request"] for each in recoveries)
    document = {
        "profiles": options.profiles,
        "machine": before,
        "recovery": {
            "median_seconds": round(median, 3),
            "goal_seconds": RECOVERY_SECONDS,
            "rounds": recoveries,
        },
        "durable_path": {
            "ratio": round(ratio, 3),
            "goal_ratio": 1 + DURABLE_SHARE,
            "durable_seconds": durable,
            "not_durable_seconds": loose,
        },
    }
    report(document, options.output)


@contextmanager
def installation(folder: Path, name: str, *, requests_per_second: int) -> Iterator[Commands]:
    """A stand-in of its own process, a connection, an export, made by commands."""
    place = folder / name
    place.mkdir()
    (place / "source").symlink_to(folder / "source")
    behaviour = place / "behaviour.yaml"
    behaviour.write_text(
        f"auto_approve: true\nprocessing_seconds: 1\nrequests_per_second: {requests_per_second}\n"
        f"lists: [{{list_id: {LIST_ID}, name: Everybody}}]\n"
    )
    with subprocess.Popen(
        [sys.executable, "-m", "ccexport", "sandbox", "--port", "0", "--behaviour", str(behaviour)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as sandbox:
        assert sandbox.stdout is not None
        commands = Commands(place, sandbox.stdout.readline().split(" on ")[1].strip())
        commands.environment["CCEXPORT_CC_REQUESTS_PER_SECOND"] = str(requests_per_second)
        commands.connect()
        commands.run(
            *("exports", "add", "Everybody", "--connection", "Marketing", "--list-id", LIST_ID),
            *("--segment", "All", "--map", "email=EMail"),
            *("--map", "first_name=FirstName", "--map", "last_name=LastName"),
        )
        yield commands
        sandbox.terminate()


def recovery(folder: Path, number: int) -> dict[str, Any]:
    """Kill half-way; how long until the next worker's first useful request."""
    with installation(folder, f"recovery{number}", requests_per_second=4) as commands:
        commands.run("exports", "run", "Everybody")
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
        document = json.loads(commands.run("runs", "show", "1", "--json"))
        sent = sum(batch["state"] not in ("pending", "sending") for batch in document["batches"])
        if document["batches"] and 2 * sent >= len(document["batches"]):
            return len(document["batches"])


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


def in_turns(folder: Path, repeats: int) -> tuple[list[float], list[float]]:
    """Seconds of whole runs, durable and not."""
    durable, loose = [], []
    for number in range(repeats):
        durable.append(whole_run(folder, f"durable{number}", is_durable=True))
        loose.append(whole_run(folder, f"loose{number}", is_durable=False))
        say(f"whole run {number + 1}: {durable[-1]} s durable, {loose[-1]} s not")
    return durable, loose


def whole_run(folder: Path, name: str, *, is_durable: bool) -> float:
    with installation(folder, name, requests_per_second=1000) as commands:
        commands.run("exports", "run", "Everybody")
        command = [sys.executable, str(Path(__file__).with_name("peers") / "worker_not_durable.py")]
        if is_durable:
            command = [sys.executable, "-m", "ccexport", "worker", "--until-idle"]
        started = time.monotonic()
        subprocess.run(
            command,
            env=commands.environment,
            cwd=commands.folder,
            check=True,
            stderr=subprocess.DEVNULL,
        )
        return round(time.monotonic() - started, 2)


if __name__ == "__main__":
    main()
