"""How soon commands answer: processor time of help, wrong usage and lists, beside importing typer and rich alone.

    python -m tests.benchmarks.commands [--repeats 9] [--earlier FOLDER] [--output FILE]

`--earlier` is a checkout of another commit, measured in the same turns. JSON: medians in seconds, and their ratios.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.benchmarks.measure import Measured, in_turns, machine, medians, report, run_program

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {  # arguments, and what the command ends with
    "--help": (("--help",), 0),
    "exports --help": (("exports", "--help"), 0),
    "wrong usage": (("exports", "run"), 2),
    "exports list": (("exports", "list"), 0),
    "runs list": (("runs", "list"), 0),
}
IMPORTS = "import typer, typer.rich_utils, rich.console, rich.table, rich.text, rich.progress"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--earlier", type=Path)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    trees = {"now": ROOT} | ({"earlier": options.earlier.resolve()} if options.earlier else {})
    with tempfile.TemporaryDirectory() as folder:
        programs: dict[str, Callable[[], Measured]] = {
            "typer and rich": partial(run_program, [sys.executable, "-c", IMPORTS], quiet=True)
        }
        for tree, root in trees.items():
            here = {"CCEXPORT_DATA_DIR": f"{folder}/{tree}"}
            _prepare(root, here)
            for name, (arguments, code) in COMMANDS.items():
                command = [sys.executable, "-m", "ccexport", *arguments]
                programs[f"{tree}: {name}"] = partial(
                    run_program, command, here, folder=root, ends_with=code, quiet=True
                )
        runs = in_turns(programs, options.repeats)
    seconds = {name: medians(found)["processor_seconds"] for name, found in runs.items()}
    base = seconds["typer and rich"]
    report(
        {
            "machine": machine(),
            "repeats": options.repeats,
            "processor_seconds": seconds,
            "times_typer_and_rich": {name: round(each / base, 2) for name, each in seconds.items()},
        },
        options.output,
    )


def _prepare(root: Path, environment: dict[str, str]) -> None:
    """The store is made, and modules compiled, before anything is measured."""
    command = [sys.executable, "-m", "ccexport", "exports", "list"]
    run_program(command, environment, folder=root, quiet=True)


if __name__ == "__main__":
    main()
