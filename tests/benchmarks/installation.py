"""An installation as benchmarks want it: many profiles, a stand-in of its own process, an export made by commands."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
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


def document_of(commands: Commands, run_id: int) -> dict[str, Any]:
    """The run document, as the command prints it."""
    found: dict[str, Any] = json.loads(commands.run("runs", "show", str(run_id), "--json"))
    return found
