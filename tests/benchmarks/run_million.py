"""A whole run of a million contacts against the stand-in, which allows 4 requests a second and takes 5 s a file.

    python tests/benchmarks/run_million.py [--profiles 1000000] [--repeats 3] [--output FILE.json]

The floor is what Constant Contact's own limits allow: requests / 4 + processing. Quoted is the ratio to it, with the
requests made and the worker's peak memory (of its process, as the system counts it).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.crash.test_by_commands import Commands  # noqa: E402  # the tree is not installed
from tests.house import LIST_ID  # noqa: E402

PROCESSING_SECONDS = 5
REQUESTS_PER_SECOND = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--profiles", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # in a process of its own: a child's peak counts its parent's memory as it was when it was started
        write = multiprocessing.get_context("spawn").Process(
            target=write_profiles, args=(Path(folder) / "source", options.profiles)
        )
        write.start()
        write.join()
        rounds = [
            one_run(Path(folder), options.profiles, number) for number in range(options.repeats)
        ]
    median = statistics.median(each["ratio_to_floor"] for each in rounds)
    result = {"profiles": options.profiles, "median_ratio_to_floor": median, "rounds": rounds}
    print(json.dumps(result, indent=2))  # noqa: T201  # the result
    if options.output:
        options.output.write_text(json.dumps(result, indent=2) + "\n")


def write_profiles(folder: Path, count: int) -> None:
    """Everybody may be sent, and everybody is in one segment."""
    folder.mkdir()
    keys = [f"{number:07}" for number in range(count)]
    customers = {
        "CustomerId": keys,
        "FirstName": [f"First{number % 5000}" for number in range(count)],
        "LastName": [f"Last{number % 90000}" for number in range(count)],
        "EMail": [f"customer.number.{number}@example.com" for number in range(count)],
    }
    pq.write_table(pa.table(customers), folder / "Customer.parquet")
    members = {"CustomerId": keys, "Segment": ["All"] * count}
    pq.write_table(pa.table(members), folder / "SegmentMembership.parquet")


def one_run(folder: Path, profiles: int, number: int) -> dict[str, Any]:
    """Set up by commands, run by the worker's command, measured from outside."""
    place = folder / f"round{number}"
    place.mkdir()
    (place / "source").symlink_to(folder / "source")
    behaviour = place / "behaviour.yaml"
    behaviour.write_text(
        f"auto_approve: true\nprocessing_seconds: {PROCESSING_SECONDS}\n"
        f"requests_per_second: {REQUESTS_PER_SECOND}\n"
        f"lists: [{{list_id: {LIST_ID}, name: Everybody}}]\n"
    )
    with subprocess.Popen(
        [sys.executable, "-m", "ccexport", "sandbox", "--port", "0", "--behaviour", str(behaviour)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as sandbox:
        assert sandbox.stdout is not None
        url = sandbox.stdout.readline().split(" on ")[1].strip()
        commands = Commands(place, url)
        del commands.environment["CCEXPORT_POLL_SECONDS"]  # as installed
        commands.connect()
        commands.run(
            *("exports", "add", "Everybody", "--connection", "Marketing", "--list-id", LIST_ID),
            *("--segment", "All", "--map", "email=EMail"),
            *("--map", "first_name=FirstName", "--map", "last_name=LastName"),
        )
        before = len(commands.ask("/_sandbox/requests"))
        commands.run("exports", "run", "Everybody")
        started = time.monotonic()
        worker = commands.start("worker", "--until-idle")
        _, status, usage = os.wait4(worker.pid, 0)
        seconds = time.monotonic() - started
        worker.returncode = os.waitstatus_to_exitcode(status)
        worker.communicate()
        requests = commands.ask("/_sandbox/requests")[before:]
        document = json.loads(commands.run("runs", "show", "1", "--json"))
        members = len(commands.ask(f"/_sandbox/members?list={LIST_ID}&format=emails"))
        sandbox.terminate()
    if worker.returncode or members != profiles or document["state"] != "succeeded":
        raise SystemExit(f"the run did not arrive: {members} members, {document['state']}")
    floor = len(requests) / REQUESTS_PER_SECOND + PROCESSING_SECONDS
    return {
        "seconds": round(seconds, 2),
        "floor_seconds": floor,
        "ratio_to_floor": round(seconds / floor, 3),
        "requests": len(requests),
        "refused": sum(each["status"] == 429 for each in requests),
        "files": len(document["batches"]),
        "worker_peak_mb": round(usage.ru_maxrss / 1024),
        "timings": document["timings"],
    }


if __name__ == "__main__":
    main()
