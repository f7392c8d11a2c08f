"""What a run costs whose mail server and webhook are dead: nothing of it may wait for those who are told.

    python tests/benchmarks/telling.py [--profiles 200000] [--rounds 5] [--output FILE.json]

One export runs again and again, in turns: with nobody to tell; with a mail server and a webhook that *refuse* the
connection; and with two that take it and never answer (*hang*). Each end of a run is told, and what was not delivered
in earlier rounds is tried again. Quoted are ratios of medians to those of the first: of the run's own time, from its
queue to its end, against a stand-in as slow as Constant Contact; of the time of `exports run --wait`; of the
processors'; and of the least own times, which is what a machine that is busy with other things leaves to go by.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.benchmarks.installation import (  # noqa: E402  # the tree is not installed
    EXPORT,
    document_of,
    installation,
    write_profiles_apart,
)
from tests.benchmarks.measure import (  # noqa: E402
    Measured,
    in_turns,
    machine,
    medians,
    report,
    run_program,
)
from tests.kit.by_commands import Commands  # noqa: E402
from tests.kit.ports import free_port  # noqa: E402

GOAL_RATIO = 1.02
NOBODY = "nobody"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--profiles", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        write_profiles_apart(folder / "source", options.profiles)
        hanging = stack.enter_context(_takes_and_never_answers())
        told = {NOBODY: None, "refuse": free_port(), "hang": hanging}
        houses = {
            each: stack.enter_context(installation(folder / each, folder / "source"))
            for each in told
        }
        for each, port in told.items():
            if port is not None:
                _tell(houses[each], port)
        document = {"profiles": options.profiles, "goal_ratio": GOAL_RATIO, "machine": machine()}
        report(document | _compare(houses, options.rounds), options.output)


@contextmanager
def _takes_and_never_answers() -> Iterator[int]:
    """The port of one that the system connects and nobody serves."""
    with socket.create_server(("127.0.0.1", 0), backlog=1_000) as listener:
        yield listener.getsockname()[1]


def _tell(commands: Commands, port: int) -> None:
    """Both are told of every good end."""
    commands.environment["CCEXPORT_WEBHOOK_HOSTS"] = "127.0.0.1"
    on = ("--on", "run.succeeded")
    mail = f"mailto://127.0.0.1:{port}?mode=insecure&from=a@example.com&to=b@example.com"
    commands.run("webhooks", "add", f"http://127.0.0.1:{port}/hook", *on)
    commands.run("notifications", "add", "Team", mail, *on)


def _compare(houses: Mapping[str, Commands], rounds: int) -> dict[str, Any]:
    own: dict[str, list[float]] = {name: [] for name in houses}
    for commands in houses.values():
        _one_run(commands, [])  # the first one adds people, all others change them
    programs = {name: partial(_one_run, each, own[name]) for name, each in houses.items()}
    found = {name: medians(each) for name, each in in_turns(programs, rounds).items()}
    for name, seconds in own.items():
        found[name]["run_seconds"] = round(statistics.median(seconds), 3)
    keys = ("run_seconds", "wall_seconds", "processor_seconds")
    ratios = {
        name: {key: round(found[name][key] / found[NOBODY][key], 3) for key in keys}
        for name in houses
        if name != NOBODY
    }
    least = {name: round(min(own[name]) / min(own[NOBODY]), 3) for name in houses if name != NOBODY}
    return {
        "ratios": ratios,
        "ratio_of_the_least_run_seconds": least,
        "medians": found,
        "run_seconds": own,
    }


def _one_run(commands: Commands, own: list[float]) -> Measured:
    program: Sequence[str] = (sys.executable, "-m", "ccexport", "exports", "run", EXPORT, "--wait")
    measured = run_program(program, commands.environment, quiet=True)
    run_id = json.loads(commands.run("runs", "list", "--json"))[0]["id"]
    document = document_of(commands, run_id)
    queued, ended = (datetime.fromisoformat(document[at]) for at in ("queued_at", "finished_at"))
    own.append((ended - queued).total_seconds())
    return measured


if __name__ == "__main__":
    main()
