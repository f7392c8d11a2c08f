"""Measuring for the benchmarks: a program's wall time, processor time and peak memory; medians; the machine; JSON.

Runs of the programs that are compared take turns, so that whatever else the machine does falls on all of them alike.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Measured:
    """One run of one program, from its start to its end, imports included."""

    wall_seconds: float
    processor_seconds: float
    peak_mb: float


def run_program(
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    *,
    folder: Path | None = None,
    ends_with: int = 0,
    quiet: bool = False,
) -> Measured:
    """Run a program to its end and measure it. Raises `RuntimeError` where it ends otherwise."""
    output = subprocess.DEVNULL if quiet else None
    started = time.perf_counter()
    process = subprocess.Popen(
        command,
        env=dict(os.environ) | dict(environment or {}),
        cwd=folder,
        stdout=output,
        stderr=output,
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != ends_with:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return Measured(
        wall_seconds=seconds,
        processor_seconds=usage.ru_utime + usage.ru_stime,
        peak_mb=usage.ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2),
    )


def apart(work: Callable[..., None], *arguments: Any, **more: Any) -> None:
    """In a process of its own: the system counts what this one has in memory to each program that it starts."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other:
        other.submit(work, *arguments, **more).result()


def in_turns(
    programs: Mapping[str, Callable[[], Measured]], repeats: int
) -> dict[str, list[Measured]]:
    """Run each program `repeats` times, taking turns."""
    runs: dict[str, list[Measured]] = {name: [] for name in programs}
    for number in range(1, repeats + 1):
        for name, run in programs.items():
            runs[name].append(run())
            latest = runs[name][-1]
            say(f"{number}/{repeats} {name}: {latest.wall_seconds:.2f} s, {latest.peak_mb:.0f} MB")
    return runs


def medians(runs: Sequence[Measured]) -> dict[str, float]:
    """The median of each figure."""
    return {
        key: round(statistics.median(asdict(run)[key] for run in runs), 3)
        for key in ("wall_seconds", "processor_seconds", "peak_mb")
    }


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    libraries = ("duckdb", "ibis-framework", "pyarrow", "pandas", "polars")
    return {
        "processors": len(os.sched_getaffinity(0)),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "system": platform.system(),
        "libraries": {name: version(name) for name in libraries},
    }


def report(document: Mapping[str, Any], output: Path | None) -> None:
    """Print the document as JSON, and write it to `output` too."""
    text = json.dumps(document, indent=2)
    sys.stdout.write(text + "\n")
    if output:
        output.write_text(text + "\n")


def say(line: str) -> None:
    """Progress, beside the JSON on standard output."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
