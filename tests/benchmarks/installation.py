"""An installation as benchmarks want it: many profiles, a stand-in of its own process, an export made by commands."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.kit.by_commands import Commands, sandbox_process
from tests.kit.house import LIST_ID

EXPORT = "Everybody"
# what Constant Contact allows, and a guess at how long it takes for a file
REQUESTS_PER_SECOND = 4
PROCESSING_SECONDS = 5.0


def write_profiles_apart(folder: Path, count: int) -> None:
    """In a process of its own: a child's peak counts its parent's memory as it was when it was started."""
    write = multiprocessing.get_context("spawn").Process(
        target=_write_profiles, args=(folder, count)
    )
    write.start()
    write.join()
    if write.exitcode:
        raise RuntimeError("the profiles were not written")


def _write_profiles(folder: Path, count: int) -> None:
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


@contextmanager
def installation(
    place: Path,
    source: Path,
    *,
    requests_per_second: int = REQUESTS_PER_SECOND,
    processing_seconds: float = PROCESSING_SECONDS,
    poll_seconds: float | None = None,
) -> Iterator[Commands]:
    """A connection and an export in the folder `place`, over the profiles in `source`.

    Without `poll_seconds` it looks at the activities as often as one that was just installed.
    """
    place.mkdir(exist_ok=True)
    if source != place / "source":
        (place / "source").symlink_to(source)
    behaviour = place / "behaviour.yaml"
    behaviour.write_text(
        f"auto_approve: true\nprocessing_seconds: {processing_seconds}\n"
        f"requests_per_second: {requests_per_second}\n"
        f"lists: [{{list_id: {LIST_ID}, name: Everybody}}]\n"
    )
    with sandbox_process(behaviour) as url:
        commands = Commands(place, url)
        commands.environment["CCEXPORT_CC_REQUESTS_PER_SECOND"] = str(requests_per_second)
        del commands.environment["CCEXPORT_POLL_SECONDS"]
        if poll_seconds is not None:
            commands.environment["CCEXPORT_POLL_SECONDS"] = str(poll_seconds)
        commands.connect()
        commands.run(
            *("exports", "add", EXPORT, "--connection", "Marketing", "--list-id", LIST_ID),
            *("--segment", "All", "--map", "email=EMail"),
            *("--map", "first_name=FirstName", "--map", "last_name=LastName"),
        )
        yield commands


@dataclass(frozen=True)
class Performed:
    """What the worker's command took, from outside; `requests` made to the stand-in meanwhile."""

    seconds: float
    processor_seconds: float
    peak_mb: int
    requests: list[dict[str, Any]]


def perform(commands: Commands) -> Performed:
    """Queue a run of the export, and let the worker's command perform it."""
    before = len(commands.ask("/_sandbox/requests"))
    commands.run("exports", "run", EXPORT)
    started = time.monotonic()
    worker = commands.start("worker", "--until-idle")
    _, status, usage = os.wait4(worker.pid, 0)
    seconds = time.monotonic() - started
    worker.returncode = os.waitstatus_to_exitcode(status)
    worker.communicate()
    if worker.returncode:
        raise SystemExit(f"the worker ended with {worker.returncode}")
    return Performed(
        seconds=round(seconds, 2),
        processor_seconds=round(usage.ru_utime + usage.ru_stime, 2),
        peak_mb=round(usage.ru_maxrss / 1024),
        requests=commands.ask("/_sandbox/requests")[before:],
    )


def set_mode(commands: Commands, export: str, before: str, after: str) -> None:
    """As a person would: the export as a file, changed, and put back."""
    text = commands.run("exports", "dump", export)
    assert text.count(f"mode: {before}") == 1, text
    file = commands.folder / "export.yaml"
    file.write_text(text.replace(f"mode: {before}", f"mode: {after}"))
    commands.run("exports", "apply", str(file))


def document_of(commands: Commands, run_id: int) -> dict[str, Any]:
    """The run document, as the command prints it."""
    found: dict[str, Any] = json.loads(commands.run("runs", "show", str(run_id), "--json"))
    return found
