"""Preparing a whole segment: profiles → contacts and rejections on disk, encrypted, and the files planned.

python -m tests.benchmarks.prepare [--profiles 1000000] [--members N] [--repeats 5] [--untrimmed] [--output FILE.json]

Each program is started anew and measured from its start to its end, imports included. Beside ours run the scripts that
a team would write with pandas and with Polars (plain CSV files on disk, the row limit alone), and the floor: DuckDB
reading both files and touching every value. What they count is compared before anything is reported.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tests.benchmarks.measure import (
    Measured,
    apart,
    in_turns,
    machine,
    medians,
    report,
    run_program,
    say,
)
from tests.benchmarks.profiles import make_profiles

PEERS = Path(__file__).parent / "peers"
PROGRAMS = {
    "ours": [str(PEERS / "with_ccexport.py")],
    "pandas": [str(PEERS / "with_pandas.py")],
    "polars": [str(PEERS / "with_polars.py")],
    "polars_in_memory": [str(PEERS / "with_polars.py"), "in-memory"],
    "floor": [str(PEERS / "floor.py")],
}
ENDINGS = ("csv", "parquet")


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        say(f"making {arguments.profiles:,} profiles …")
        apart(
            *(make_profiles, folder, arguments.profiles, arguments.members),
            untrimmed=arguments.untrimmed,
        )
        facts = machine()
        programs = {
            f"{program} {ending}": partial(_run, program, folder, ending)
            for program in PROGRAMS
            for ending in ENDINGS
        }
        runs = in_turns(programs, arguments.repeats)
        counts = _same_counts(folder)
    measured = {name: medians(each) for name, each in runs.items()}
    report(
        {
            "benchmark": "prepare",
            "profiles": arguments.profiles,
            "members": arguments.members or arguments.profiles,
            "untrimmed": arguments.untrimmed,
            "repeats": arguments.repeats,
            "read prepared truncated": counts,
            "machine": facts,
            "medians": measured,
            "ratios": _ratios(measured),
        },
        arguments.output,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--profiles", type=int, default=1_000_000)
    parser.add_argument("--members", type=int, help="only so many of the profiles are in a segment")
    parser.add_argument("--untrimmed", action="store_true", help="blanks around 30 %% of the names")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path)
    return parser.parse_args()


def _run(program: str, folder: Path, ending: str) -> Measured:
    output = folder / "out" / f"{program} {ending}"
    subprocess.run(["rm", "-rf", str(output)], check=True)
    output.mkdir(parents=True)
    script, *options = PROGRAMS[program]
    root = str(Path(__file__).parents[2])
    return run_program(
        [sys.executable, script, str(folder / ending), str(output), *options], {"PYTHONPATH": root}
    )


def _same_counts(folder: Path) -> str:
    """What every program says it read, prepared and cut; all of them have to agree."""
    found = {path.parent.name: path.read_text() for path in folder.glob("out/*/summary.txt")}
    if len(set(found.values())) != 1:
        raise RuntimeError(f"the programs disagree: {found}")
    return next(iter(found.values()))


def _ratios(measured: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Wall time: above 1, ours is faster. Processor time and peak memory: ours as a share of the peer's."""
    ratios: dict[str, Any] = {}
    for ending in ENDINGS:
        ours = measured[f"ours {ending}"]
        peers = [measured[f"{name} {ending}"] for name in ("polars", "polars_in_memory")]
        polars = min(peers, key=lambda figures: figures["wall_seconds"])
        ratios[ending] = {
            "pandas from the same file, wall": _times(measured[f"pandas {ending}"], ours),
            "pandas from CSV, wall": _times(measured["pandas csv"], ours),
            "the faster Polars, wall": _times(polars, ours),
            "processor beside it": _share("processor_seconds", ours, polars),
            "peak beside it": _share("peak_mb", ours, polars),
            "floor, wall": _times(measured[f"floor {ending}"], ours),
        }
    return ratios


def _times(peer: Mapping[str, float], ours: Mapping[str, float]) -> float:
    return round(peer["wall_seconds"] / ours["wall_seconds"], 2)


def _share(figure: str, ours: Mapping[str, float], peer: Mapping[str, float]) -> float:
    return round(ours[figure] / peer[figure], 2)


if __name__ == "__main__":
    main()
