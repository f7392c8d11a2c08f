"""The commands: `python -m ccexport …`. An error is one line on standard error; no traceback reaches a person.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done with errors. A command's module is imported when it is called, and
what it needs when it does its work, so that help and wrong usage are answered at once.
"""

from __future__ import annotations

import logging
import os
import sys
import uuid
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from ccexport import __version__
from ccexport.commands.console import print_text, say
from ccexport.errors import CcexportError, QuotaExceeded, RetryableError, UsageError
from ccexport.redaction import redact, with_their_words

log = logging.getLogger(__name__)

PROGRAM = "python -m ccexport"
# command → its module here, what is there, and its line in the help
COMMANDS: dict[str, tuple[str, str, str]] = {
    "connections": ("connections", "app", "Constant Contact accounts that exports may use."),
    "segments": ("segments", "app", "The segments of the source."),
    "sources": ("sources", "app", "Where profiles and segments are."),
    "exports": ("exports", "app", "Which segments go to which list."),
    "runs": ("runs", "app", "What was sent, and what became of it."),
    "people": ("people", "app", "What became of a person in every export and run."),
    "keys": ("keys", "app", "The keys that encrypt sign-ins and run files."),
    "notifications": (
        "notifications",
        "app",
        "People who are told when an export needs them: mail, Slack, Teams and others.",
    ),
    "webhooks": ("webhooks", "app", "Addresses that are told when an export's state changes."),
    "api-tokens": ("api_tokens", "app", "Programs that may start exports and ask about runs."),
    "users": ("users", "app", "People who may sign in to the dashboard, and their roles."),
    "audit": ("audit", "app", "Who did what to what, when and from where."),
    "refresh": (
        "refresh",
        "refresh",
        "Read the segments again and queue every export due on a refresh.",
    ),
    "backup": (
        "backups",
        "backup",
        "Write the store and its keys to a file, encrypted; nothing has to be stopped.",
    ),
    "restore": (
        "backups",
        "restore",
        "Put a backup in place of the store; stop the workers first.",
    ),
    "worker": ("worker", "worker", "Perform runs, several at once, until stopped."),
    "sandbox": (
        "sandbox",
        "sandbox",
        "Serve a local stand-in for Constant Contact: sign-in, lists, imports, faults on demand.",
    ),
    "demo": ("demo", "demo", "Everything on this machine, without an account."),
    "serve": ("serve", "serve", "Serve the dashboard and work, until stopped."),
    "doctor": (
        "doctor",
        "doctor",
        "Print the settings, secrets masked, and check everything the installation relies on.",
    ),
}


class _Commands(Mapping[str, Any]):
    """The commands by name; looking one up imports it."""

    def __getitem__(self, name: str) -> Any:
        module, attribute, _ = COMMANDS[name]
        found = getattr(import_module(f"ccexport.commands.{module}"), attribute)
        if isinstance(found, typer.Typer):
            return typer.main.get_command(found)
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        alone.command(name)(found)
        return typer.main.get_command(alone)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class _Group(TyperGroup):
    """The program: lists its commands without importing them."""

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.commands = _Commands()  # type: ignore[assignment]  # nothing is added to it

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in COMMANDS.items()])


app = typer.Typer(
    name=PROGRAM,
    cls=_Group,
    help="Sends segments of customer profiles to Constant Contact lists, and accounts for every profile.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def start(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        print_text(f"ccexport {__version__}")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        ctx.fail("Missing command.")


def main() -> NoReturn:
    """Run a command and exit with its code."""
    try:
        code = _run(sys.argv[1:])
        sys.stdout.flush()
    except (UsageError, typer.TyperException) as error:
        _end(2, str(error) if isinstance(error, UsageError) else _wrong_usage(error))
    except (typer.Abort, KeyboardInterrupt):
        _end(1, "Interrupted.")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has had enough
        sys.exit(1)
    except RetryableError as error:
        _end(1, _later(error))
    except CcexportError as error:
        _end(1, with_their_words(str(error), error.detail))
    except Exception:  # a bug of ours: a person gets one line with a number, the log has the rest
        number = uuid.uuid4().hex[:8]
        log.exception("error %s", number)
        _end(
            1, f"ccexport made an error of its own (number {number}); the lines above are its log."
        )
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    """The exit code. Typer's own `app()` is not used: it would answer Ctrl-C with a code of its own, and no word."""
    command = typer.main.get_command(app)
    try:
        with command.make_context(PROGRAM, arguments) as context:
            command.invoke(context)
    except typer.Exit as stop:
        return stop.exit_code
    return 0


def _wrong_usage(error: typer.TyperException) -> str:
    """What is wrong, what there is to choose from, and where to read more."""
    context = getattr(error, "ctx", None)
    if context is None:
        return error.format_message()
    text = error.format_message()
    text += "" if text.endswith((".", "?")) else "."
    names = ", ".join(getattr(context.command, "commands", ()))
    choice = f" There are: {names}." if names and "command" in text else ""
    return f"{text}{choice} See: {context.command_path} --help"


def _later(error: RetryableError) -> str:
    """What happened is the first sentence; the others say what a worker does then, and here is none."""
    when = "after 00:00 UTC" if isinstance(error, QuotaExceeded) else "in a few minutes"
    return f"{str(error).split('. ')[0].rstrip('.')}. Start the command again {when}."


def _end(code: int, text: str) -> NoReturn:
    """One line that says what happened and what to do."""
    say(redact(" ".join(text.split())))
    sys.exit(code)
