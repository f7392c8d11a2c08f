"""What a command imports: help and wrong usage are answered at once, and the table of commands tells the truth."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest
import typer

from ccexport.commands.main import COMMANDS, app
from tests.commands.running import Here

HEAVY = (
    *("sqlalchemy", "sqlmodel", "pydantic_settings", "cryptography", "requests", "oauthlib"),
    *("ibis", "duckdb", "pyarrow", "numpy", "pandas", "streamlit", "starlette", "alembic"),
)
SOURCE = (
    "ibis",
    "duckdb",
    "pyarrow",
    "numpy",
    "pandas",
    "streamlit",
    "requests",
    "oauthlib",
    "cryptography",
)
REPORT = """
import atexit, sys
atexit.register(lambda: print("loaded:", *sorted({name.partition(".")[0] for name in sys.modules})))
from ccexport.commands.main import main
main()
"""


def loaded(tmp_path: object, *arguments: str) -> set[str]:
    """The top-level modules that a command has imported by its end."""
    done = subprocess.run(
        [sys.executable, "-c", REPORT, *arguments],
        capture_output=True,
        text=True,
        env={"CCEXPORT_DATA_DIR": f"{tmp_path}/var", "PATH": ""},
        timeout=60,
        check=False,
    )
    *_, last = done.stdout.splitlines()
    return set(last.removeprefix("loaded:").split())


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        *((name, "--help") for name in COMMANDS),
        ("exports", "run", "--help"),
        ("expots",),
        ("exports", "run"),
        ("exports", "run", "A", "--no-such-option"),
    ],
    ids=" ".join,
)
def test_help_and_wrong_usage_need_neither_store_nor_source(
    tmp_path: object, arguments: tuple[str, ...]
) -> None:
    assert loaded(tmp_path, *arguments).isdisjoint(HEAVY)


@pytest.mark.parametrize("noun", ["exports", "runs", "connections", "users"])
def test_lists_need_the_store_alone(tmp_path: object, noun: str) -> None:
    assert loaded(tmp_path, noun, "list").isdisjoint(SOURCE)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_of_commands_says_what_a_command_says_of_itself(name: str) -> None:
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]  # a group
    assert COMMANDS[name][2] == (command.help or "").split("\n\n")[0].replace("\n", " ")


@pytest.mark.parametrize(
    ("arguments", "collects"),
    [(("exports", "list"), True), (("--version",), False)],
    ids=["what works long", "what only answers"],
)
def test_garbage_is_collected_again_once_a_command_works(
    tmp_path: object, arguments: tuple[str, ...], collects: bool
) -> None:
    look = (
        "import atexit, gc, runpy\n"
        "atexit.register(lambda: print('collects:', gc.isenabled()))\n"
        "runpy.run_module('ccexport', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", look, *arguments],
        capture_output=True,
        text=True,
        env={"CCEXPORT_DATA_DIR": f"{tmp_path}/var", "PATH": ""},
        timeout=60,
        check=False,
    )
    assert done.stdout.splitlines()[-1] == f"collects: {collects}"


def test_a_program_that_calls_main_itself_keeps_its_collector(here: Here) -> None:
    assert here("nope", environment={}).code == 2
    assert gc.isenabled()
