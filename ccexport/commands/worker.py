"""`worker`: the worker alone."""

from __future__ import annotations

import signal
import threading
from typing import Annotated

import typer

from ccexport.commands.session import open_installation


def worker(
    ctx: typer.Context,
    until_idle: Annotated[
        bool, typer.Option("--until-idle", help="Exit once nothing is queued or running.")
    ] = False,
) -> None:
    """Perform runs, several at once, until stopped.

    SIGTERM or Ctrl-C finish the step in hand.
    """
    from ccexport.worker import Worker

    installation = open_installation(ctx)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    Worker(installation, stop).work(until_idle=until_idle)
