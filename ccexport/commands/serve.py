"""`serve`: the dashboard and a worker."""

from __future__ import annotations

from typing import Annotated

import typer

from ccexport.commands.console import print_text
from ccexport.commands.session import open_installation


def serve(
    ctx: typer.Context,
    port: Annotated[int, typer.Option(help="Port on this machine.", min=1, max=65535)] = 8501,
    no_worker: Annotated[
        bool, typer.Option("--no-worker", help="The dashboard alone; a worker runs elsewhere.")
    ] = False,
    address: Annotated[
        str, typer.Option(help="Where to listen; others than this machine need OpenID Connect.")
    ] = "127.0.0.1",
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Start nothing: exit 0 where the dashboard on this port is ready, else 1.",
        ),
    ] = False,
) -> None:
    """Serve the dashboard and work, until stopped.

    SIGTERM or Ctrl-C end both in order.
    """
    from ccexport.commands.serving import check_ready
    from ccexport.commands.serving import serve as serve_dashboard

    settings = open_installation(ctx).settings
    if check:
        print_text(check_ready(settings, port))
        return
    serve_dashboard(settings, port, with_worker=not no_worker, address=address)
