"""Wrong usage: one line that says what is wrong and where to read more, exit code 2."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from ccexport.commands.main import app
from tests.commands.running import ROOT, Here, assert_one_line, run_process
from tests.kit.house import House

HEAVY = ("ibis", "pandas", "pyarrow", "duckdb", "streamlit")


def all_commands() -> Iterator[tuple[str, ...]]:
    """The words of every command and group, the program itself first."""

    def walk(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        yield words
        for name, below in getattr(command, "commands", {}).items():
            yield from walk(below, (*words, name))

    yield from walk(typer.main.get_command(app), ())


def groups() -> list[tuple[str, ...]]:
    words = list(all_commands())
    return [each for each in words if any(other[:-1] == each for other in words if other)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("nope", "'nope'"),
        ("runs nope", "'nope'"),
        ("runs shwo 1", "Did you mean 'show'?"),
        ("--nope", "--nope"),
        ("runs list --nope", "--nope"),
        ("runs show", "'ID'"),
        ("runs show seven", "'ID'"),
        ("runs show 1 2", "2"),
        ("runs list --limit", "--limit"),
        ("runs list --limit 0", "--limit"),
        ("exports preview", "'NAME'"),
        ("exports preview Newsletter --samples 101", "--samples"),
        ("exports add New", "--connection"),
        ("exports add New --connection Marketing", "--list-id"),
        ("exports add New --connection Marketing --list-id x", "--segment"),
        ("exports add New --connection Marketing --list-id x --segment All", "--map"),
        ("connections add", "'NAME'"),
        ("connections add New --timeout 0", "--timeout"),
        ("connections add New --callback-port 70000", "--callback-port"),
        ("sandbox --port 70000", "--port"),
        ("demo --once --profiles 0", "--profiles"),
    ],
)
def test_wrong_usage_is_one_line(here: Here, quiet_house: House, words: str, said: str) -> None:
    outcome = here(*words.split(), environment=quiet_house.environment())
    assert_one_line(outcome, said, code=2)


@pytest.mark.parametrize("words", groups(), ids=" ".join)
def test_a_group_alone_says_which_commands_it_has(
    here: Here, quiet_house: House, words: tuple[str, ...]
) -> None:
    outcome = here(*words, environment=quiet_house.environment())
    assert_one_line(outcome, "Missing command", "--help", code=2)


def test_wrong_usage_is_one_line_in_a_narrow_terminal(quiet_house: House) -> None:
    environment = quiet_house.environment() | {"COLUMNS": "20", "TERM": "xterm-256color"}
    outcome = run_process("exports", "add", "New", environment=environment)
    assert_one_line(outcome, "Missing option '--connection'", "exports add --help", code=2)


@pytest.mark.parametrize("words", list(all_commands()), ids=" ".join)
def test_every_command_has_help_even_where_settings_are_wrong(
    here: Here, words: tuple[str, ...]
) -> None:
    outcome = here(*words, "--help", environment={"CCEXPORT_POLL_SECONDS": "never"})
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith(f"Usage: python -m ccexport {' '.join(words)}".rstrip())
    assert "\n  " in outcome.out
    assert max(map(len, outcome.out.splitlines())) <= 80


def test_the_version_is_printed(here: Here) -> None:
    outcome = here("--version", environment={})
    assert outcome.code == 0
    assert outcome.out.startswith("ccexport ")


def test_a_command_that_reads_no_profiles_loads_nothing_heavy(quiet_house: House) -> None:
    commands = ["--help", "runs list --json", "connections list --json", "exports list --json"]
    look = (
        "import sys\nfrom ccexport.commands.main import main\n"
        f"for words in {commands!r}:\n"
        "    sys.argv = ['ccexport', *words.split()]\n"
        "    try:\n        main()\n    except SystemExit as end:\n"
        f"        heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "        print(words, end.code, heavy, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", look],
        env=quiet_house.environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.splitlines() == [f"{words} 0 []" for words in commands]
