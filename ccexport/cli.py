"""The commands: `python -m ccexport …`. An error is one line on standard error; no traceback reaches a person.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done with errors.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import uuid
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from ccexport import __version__
from ccexport.commands import (
    audit,
    backups,
    connections,
    exports,
    keys,
    people,
    refresh,
    runs,
    segments,
    users,
)
from ccexport.commands.console import print_text, say
from ccexport.errors import (
    CcexportError,
    QuotaExceeded,
    RetryableError,
    SettingError,
    SetupError,
    UsageError,
)
from ccexport.installation import Installation
from ccexport.processes import keep_memory_private
from ccexport.redaction import configure_logging, redact, with_their_words
from ccexport.settings import load_settings

log = logging.getLogger(__name__)

PROGRAM = "python -m ccexport"

app = typer.Typer(
    name=PROGRAM,
    help="Sends segments of customer profiles to Constant Contact lists, and accounts for every profile.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(connections.app, name="connections")
app.add_typer(segments.app, name="segments")
app.add_typer(exports.app, name="exports")
app.add_typer(runs.app, name="runs")
app.add_typer(people.app, name="people")
app.add_typer(keys.app, name="keys")
app.add_typer(users.app, name="users")
app.add_typer(audit.app, name="audit")
app.command()(refresh.refresh)
app.command()(backups.backup)
app.command()(backups.restore)


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


@app.callback(invoke_without_command=True)
def start(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Read the settings, except where only help is asked for."""
    if version:
        print_text(f"ccexport {__version__}")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        ctx.fail("Missing command.")
    if "--help" in sys.argv:
        return
    settings = load_settings()
    speaks_for_itself = ctx.invoked_subcommand not in ("worker", "serve", "sandbox")
    is_quiet = speaks_for_itself and settings.log_level == "info"
    configure_logging(
        "warning" if is_quiet else settings.log_level, settings.log_format, sys.stderr
    )
    keep_memory_private()
    ctx.obj = Installation(settings)
    ctx.call_on_close(ctx.obj.close)


@app.command()
def worker(
    ctx: typer.Context,
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="Exit once nothing is queued or running.")
    ] = False,
) -> None:
    """Perform runs, several at once, until stopped (SIGTERM or Ctrl-C finish the step in hand)."""
    from ccexport.worker import Worker

    installation: Installation = ctx.obj
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    Worker(installation, stop).work(until_idle=until_idle)


@app.command()
def sandbox(
    port: Annotated[
        int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.", min=0, max=65535)
    ] = 8790,
    behaviour: Annotated[
        Path | None, typer.Option(help="A YAML file with faults, lists, limits …")
    ] = None,
) -> None:
    """Serve a local stand-in for Constant Contact: sign-in, lists, imports, faults on demand."""
    from ccexport.sandbox.behaviour import load_behaviour
    from ccexport.sandbox.server import serve

    settings = load_settings()
    secret = settings.cc_client_secret
    try:
        loaded = load_behaviour(behaviour) if behaviour else None
        serve(
            port,
            loaded,
            settings.cc_client_id or None,
            secret.get_secret_value() if secret else None,
        )
    except ValueError as error:
        raise SettingError(str(error)) from error
    except OSError as error:
        raise SetupError(
            f"Port {port} cannot be used ({error.strerror or error}). Choose another with --port."
        ) from error


@app.command()
def demo(
    ctx: typer.Context,
    once: Annotated[
        bool, typer.Option("--once", help="Run the export to its end, print the summary and exit.")
    ] = False,
    profiles: Annotated[
        int | None, typer.Option(help="Make so many sample profiles.", min=1, max=10_000_000)
    ] = None,
    port: Annotated[int, typer.Option(help="Port of the dashboard.", min=1, max=65535)] = 8501,
) -> None:
    """Everything on this machine, without an account: stand-in, sample source, an export, worker and dashboard."""
    from ccexport.commands.demo import run_once, serve_demo

    if not once:
        serve_demo(ctx.obj.settings, profiles, port)
        return
    raise typer.Exit(run_once(ctx.obj.settings, profiles))


@app.command()
def serve(
    ctx: typer.Context,
    port: Annotated[int, typer.Option(help="Port on this machine.", min=1, max=65535)] = 8501,
    no_worker: Annotated[
        bool, typer.Option("--no-worker", help="The dashboard alone; a worker runs elsewhere.")
    ] = False,
    address: Annotated[
        str, typer.Option(help="Where to listen; others than this machine need OpenID Connect.")
    ] = "127.0.0.1",
) -> None:
    """Serve the dashboard and work, until stopped (SIGTERM or Ctrl-C end both in order)."""
    from ccexport.commands.serve import serve as serve_dashboard

    serve_dashboard(ctx.obj.settings, port, with_worker=not no_worker, address=address)


@app.command()
def doctor(ctx: typer.Context) -> None:
    """Print the settings, secrets masked, and check store, source, Constant Contact, clock and disk."""
    from ccexport.services.operations.health import examine, shown_settings

    installation: Installation = ctx.obj
    for name, value in shown_settings(installation.settings):
        print_text(f"{name}={redact(value)}")
    healthy = True
    for finding in examine(installation):
        healthy &= finding.ok
        print_text(f"{'ok ' if finding.ok else 'BAD'} {finding.subject}: {finding.text}")
    raise typer.Exit(0 if healthy else 1)
