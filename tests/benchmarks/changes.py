"""Nights of an export that sends only what changed: a million on the list, 1 % changed, 0.5 % left, by commands.

    python tests/benchmarks/changes.py [--profiles 1000000] [--mirror] [--repeats 1] [--output FILE.json]

The stand-in allows 4 requests a second and takes 5 s for a file and for an export of the list. Nights, one after the
other, over the same list: everybody, in mode `full`; nothing changed; 1 % changed and 0.5 % left, in mode `changes`;
with `--mirror` those who left are taken off in a night more, whose requests are mostly the list's pages. Quoted are
each night's time as a ratio to that of the full run, its requests, its worker's peak, and the bytes of the ledger. In
the same run a pandas script keeps last night's CSV and compares: it knows neither the list nor what was confirmed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sqlite3
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.benchmarks.installation import (  # noqa: E402  # the tree is not installed
    EXPORT,
    PROCESSING_SECONDS,
    document_of,
    installation,
    perform,
    set_mode,
    write_profiles_apart,
)
from tests.benchmarks.measure import machine, medians, report, run_program, say  # noqa: E402
from tests.kit.by_commands import Commands  # noqa: E402
from tests.kit.house import LIST_ID  # noqa: E402

PANDAS = ROOT / "tests/benchmarks/peers/diff_with_pandas.py"
IMPORT = "contactsCSVImport"
GOALS = {
    "ratio_to_full": 0.35,
    "requests": 40,
    "imports_where_nothing_changed": 0,
    "worker_peak_mb": 450,
    "ledger_mb": 30,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--profiles", type=int, default=1_000_000)
    parser.add_argument("--processing", type=float, default=PROCESSING_SECONDS)
    parser.add_argument("--mirror", action="store_true")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    before = machine()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_profiles_apart(folder / "before", options.profiles)
        change_apart(folder / "before", folder / "after")
        rounds = [
            one_round(folder, number, options.processing, mirror=options.mirror)
            for number in range(options.repeats)
        ]
        peer = with_pandas(folder, options.repeats)
    changed = [each["nights"]["changes"] for each in rounds]
    document = {
        "profiles": options.profiles,
        "processing_seconds": options.processing,
        "machine": before,
        "goals": GOALS,
        "median_ratio_to_full": statistics.median(each["ratio_to_full"] for each in changed),
        "rounds": rounds,
        "pandas": peer,
        "processor_time_to_pandas": round(
            statistics.median(each["processor_seconds"] for each in changed)
            / peer["processor_seconds"],
            3,
        ),
    }
    report(document, options.output)


# --- sources --------------------------------------------------------------------------------------


def change_apart(before: Path, after: Path) -> None:
    """In a process of its own, as the profiles are written."""
    change = multiprocessing.get_context("spawn").Process(target=_change, args=(before, after))
    change.start()
    change.join()
    if change.exitcode:
        raise RuntimeError("the changed profiles were not written")


def _change(before: Path, after: Path) -> None:
    """1 % have another first name, and 0.5 % are in no segment any more."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    after.mkdir()
    customers = pq.read_table(before / "Customer.parquet").to_pydict()
    customers["FirstName"] = [
        f"Other{n}" if n % 100 == 7 else name for n, name in enumerate(customers["FirstName"])
    ]
    pq.write_table(pa.table(customers), after / "Customer.parquet")
    members = pq.read_table(before / "SegmentMembership.parquet").to_pydict()
    stays = [n % 200 != 11 for n in range(len(members["CustomerId"]))]
    left = {
        name: [value for value, stay in zip(column, stays, strict=True) if stay]
        for name, column in members.items()
    }
    pq.write_table(pa.table(left), after / "SegmentMembership.parquet")


# --- nights ---------------------------------------------------------------------------------------


def one_round(folder: Path, number: int, processing: float, *, mirror: bool) -> dict[str, Any]:
    """All nights over one list, from the first."""
    place = folder / f"round{number}"
    profiles = _rows(folder / "before")
    changed, left = _rows(folder / "before", 100, 7), _rows(folder / "before", 200, 11)
    with installation(place, folder / "before", processing_seconds=processing) as commands:
        nights = {"full": night(commands, {"new": profiles})}
        set_mode(commands, EXPORT, "full", "changes")
        nights["nothing changed"] = night(commands, {"unchanged": profiles})
        (place / "source").unlink()
        (place / "source").symlink_to(folder / "after")
        stay = {"changed": changed, "unchanged": profiles - changed - left}
        nights["changes"] = night(commands, stay)
        ledger = ledger_bytes(place)
        if mirror:
            set_mode(commands, EXPORT, "changes", "mirror")
            gone = {"unchanged": profiles - left, "removed": left}
            nights["mirror"] = night(commands, gone)
        members = len(commands.ask(f"/_sandbox/members?list={LIST_ID}&format=emails"))
    if members != profiles - (left if mirror else 0):
        raise SystemExit(f"the list has {members} members")
    for each in nights.values():
        each["ratio_to_full"] = round(each["seconds"] / nights["full"]["seconds"], 3)
    return {"nights": nights, "ledger_mb": round(ledger / 1_000_000, 2)}


def _rows(source: Path, every: int = 1, first: int = 0) -> int:
    import pyarrow.parquet as pq

    return len(range(first, pq.read_metadata(source / "Customer.parquet").num_rows, every))


def night(commands: Commands, expected: dict[str, int]) -> dict[str, Any]:
    """A run, performed by the worker's command, measured from outside. Its counts have to be those expected."""
    performed = perform(commands)
    document = document_of(commands, _last_run(commands))
    wrong = {name: n for name, n in expected.items() if document["counts"][name] != n}
    if wrong or document["state"] != "succeeded":
        raise SystemExit(f"not as expected: {wrong}, {document['state']}, {document['counts']}")
    found = {
        "seconds": performed.seconds,
        "processor_seconds": performed.processor_seconds,
        "worker_peak_mb": performed.peak_mb,
        "requests": len(performed.requests),
        "imports": _count(performed.requests, IMPORT),
        "by_operation": dict(Counter(each["operation"] for each in performed.requests)),
        "timings": document["timings"],
    }
    say(f"{document['mode']}: {found}")
    return found


def _last_run(commands: Commands) -> int:
    with closing(sqlite3.connect(commands.folder / "var/ccexport.db")) as store:
        return int(store.execute("SELECT max(id) FROM run").fetchone()[0])


def _count(requests: Sequence[dict[str, Any]], operation: str) -> int:
    return sum(each["operation"] == operation for each in requests)


def ledger_bytes(place: Path) -> int:
    """What the store keeps of a ledger."""
    with closing(sqlite3.connect(place / "var/ccexport.db")) as store:
        return int(store.execute("SELECT sum(length(sealed)) FROM ledger_part").fetchone()[0])


def with_pandas(folder: Path, repeats: int) -> dict[str, float]:
    """The night of changes by the script, which kept what it had the night before."""
    measured = []
    for number in range(repeats):
        kept = folder / f"kept{number}"
        kept.mkdir()
        for source in ("before", "after"):
            found = run_program([sys.executable, str(PANDAS), str(folder / source), str(kept)])
        measured.append(found)
        for name, every in (("changed", 100), ("left", 200)):
            rows = sum(1 for _ in (kept / f"{name}.csv").open()) - 1
            assert rows == _rows(folder / "before", every, 7 if every == 100 else 11)
    return medians(measured)


if __name__ == "__main__":
    main()
