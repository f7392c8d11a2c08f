"""A whole run of a million contacts against the stand-in, which allows 4 requests a second and takes 5 s a file.

    python tests/benchmarks/run_million.py [--profiles 1000000] [--repeats 3] [--output FILE.json]

The floor is what Constant Contact's own limits allow: requests / 4 + processing. Quoted is the ratio to it, with the
requests made and the worker's peak memory (of its process, as the system counts it).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.benchmarks.installation import (  # noqa: E402  # the tree is not installed
    PROCESSING_SECONDS,
    REQUESTS_PER_SECOND,
    document_of,
    installation,
    perform,
    write_profiles_apart,
)
from tests.benchmarks.measure import report  # noqa: E402
from tests.kit.house import LIST_ID  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--profiles", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_profiles_apart(Path(folder) / "source", options.profiles)
        rounds = [
            one_run(Path(folder), options.profiles, number) for number in range(options.repeats)
        ]
    median = statistics.median(each["ratio_to_floor"] for each in rounds)
    result = {"profiles": options.profiles, "median_ratio_to_floor": median, "rounds": rounds}
    report(result, options.output)


def one_run(folder: Path, profiles: int, number: int) -> dict[str, Any]:
    """Set up by commands, run by the worker's command, measured from outside."""
    with installation(folder / f"round{number}", folder / "source") as commands:
        performed = perform(commands)
        document = document_of(commands, 1)
        members = len(commands.ask(f"/_sandbox/members?list={LIST_ID}&format=emails"))
    if members != profiles or document["state"] != "succeeded":
        raise SystemExit(f"the run did not arrive: {members} members, {document['state']}")
    floor = len(performed.requests) / REQUESTS_PER_SECOND + PROCESSING_SECONDS
    return {
        "seconds": performed.seconds,
        "floor_seconds": floor,
        "ratio_to_floor": round(performed.seconds / floor, 3),
        "processor_seconds": performed.processor_seconds,
        "requests": len(performed.requests),
        "refused": sum(each["status"] == 429 for each in performed.requests),
        "files": len(document["batches"]),
        "worker_peak_mb": performed.peak_mb,
        "timings": document["timings"],
    }


if __name__ == "__main__":
    main()
