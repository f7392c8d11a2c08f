"""`demo`: everything on this machine, without an account."""

from __future__ import annotations

from typing import Annotated

import typer

from ccexport.commands.session import open_installation


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
    """Everything on this machine, without an account.

    A stand-in for Constant Contact, a sample source, a connection, an export, worker and dashboard.
    """
    from ccexport.commands.demonstration import run_once, serve_demo

    settings = open_installation(ctx).settings
    if not once:
        serve_demo(settings, profiles, port)
        return
    raise typer.Exit(run_once(settings, profiles))
