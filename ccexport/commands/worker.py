"""`worker`: the worker alone."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from ccexport.commands.console import print_text
from ccexport.commands.session import open_installation
from ccexport.errors import SetupError
from ccexport.processes import host_name

if TYPE_CHECKING:
    from ccexport.installation import Installation


def worker(
    ctx: typer.Context,
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="Exit once nothing is queued or running.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Start nothing: exit 0 where a worker of this machine is alive, else 1."
        ),
    ] = False,
) -> None:
    """Perform runs, several at once, until stopped.

    SIGTERM or Ctrl-C finish the step in hand.
    """
    if check:
        _check_alive(open_installation(ctx))
        return
    from ccexport.worker import Worker

    installation = open_installation(ctx)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    Worker(installation, stop).work(until_idle=until_idle)


def _check_alive(installation: Installation) -> None:
    """For health checks: by the heartbeats in the store. Raises `SetupError`."""
    here = [each for each in installation.workers.alive() if each.host == host_name()]
    if not here:
        raise SetupError(f"No worker is alive on {host_name()}. Start one with `worker`.")
    print_text(f"worker {here[0].id} is alive")
