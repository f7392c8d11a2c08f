"""The preview of a whole segment, from Parquet, and how it grows with the segment.

python -m tests.benchmarks.preview [--repeats 5] [--growth 100000,1000000,10000000] [--output FILE.json]

Counted: opening the source, judging every profile, duplicates, the exact size of each file, three samples a kind.
Not counted: starting Python and importing, which a server has behind it. Each repetition is a process of its own, so
nothing is warm but the machine's cache of the files.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.measure import machine, report, say

LARGEST_REPEATED = 1_000_000  # larger ones are measured once: they say how it grows


def main() -> None:
    arguments = _arguments()
    if arguments.once:
        sys.stdout.write(str(preview_seconds(arguments.once)))
        return
    facts = machine()
    sizes = [int(size) for size in arguments.growth.split(",")]
    seconds = {size: _measured(size, arguments.repeats) for size in sizes}
    document: dict[str, Any] = {
        "benchmark": "preview",
        "repeats": arguments.repeats,
        "machine": facts,
        "median_seconds": seconds,
        "microseconds_a_profile": {n: round(s / n * 1e6, 2) for n, s in seconds.items()},
    }
    report(document, arguments.output)


def preview_seconds(folder: Path) -> float:
    """Preview everybody in the source folder, in this process, and say how long it took."""
    from ccexport.preparation.mapping import mapping_from_dict, suggest_mapping
    from ccexport.segments import read_fast

    read_fast()  # as the dashboard does
    from ccexport.segments import files  # noqa: F401  # what a server has imported long before
    from ccexport.segments.source import open_source
    from ccexport.services.preview.preview_values import Question
    from ccexport.services.preview.previews import preview_mapping

    started = time.perf_counter()
    with open_source(f"file:{folder}", memory_limit_mb=8_000) as source:
        mapping = mapping_from_dict(suggest_mapping(source.attribute_names))
        found = preview_mapping(source, Question(("All",), mapping), samples=3)
        counts = found.counts
        adds_up = counts.read == counts.rejected + counts.prepared and counts.bytes > 0
    seconds = time.perf_counter() - started
    if not adds_up or not found.samples:
        raise RuntimeError("the preview does not add up")
    return seconds


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--growth", default="100000,1000000,10000000")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--once", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _measured(profiles: int, repeats: int) -> float:
    from tests.benchmarks.profiles import make_profiles  # loads DuckDB

    with tempfile.TemporaryDirectory() as name:
        say(f"making {profiles:,} profiles …")
        make_profiles(Path(name), profiles)
        folder = str(Path(name) / "parquet")
        command = [sys.executable, "-m", "tests.benchmarks.preview", "--once", folder]
        seconds = []
        for _ in range(repeats if profiles <= LARGEST_REPEATED else 1):
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            seconds.append(float(done.stdout))
            say(f"{profiles:,}: {seconds[-1]:.2f} s")
    return round(statistics.median(seconds), 3)


if __name__ == "__main__":
    main()
