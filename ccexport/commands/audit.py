"""`audit …`: who did what, as JSON lines for another system."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated

import typer

from ccexport.commands.console import print_file
from ccexport.commands.session import open_installation
from ccexport.errors import UsageError

app = typer.Typer(help="Who did what to what, when and from where.", rich_markup_mode=None)


@app.callback()
def _group() -> None:
    """Keeps `export` a word of its own while it is the only command."""


@app.command()
def export(
    ctx: typer.Context,
    since: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="From this date (2026-01-31) or time (with zone) on."),
    ] = None,
) -> None:
    """Every row as a line of JSON on standard output, the oldest first."""
    from ccexport.services.people.access import local_administrator
    from ccexport.services.people.audit import Audit

    start = None if since is None else _moment(since)
    for document in Audit(open_installation(ctx)).documents(start, by=local_administrator()):
        print_file(json.dumps(document, ensure_ascii=False) + "\n")


def _moment(text: str) -> datetime:
    """Without a zone it is UTC."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(
            f'--since holds "{text[:60]}"; it should hold a date such as 2026-01-31, or 2026-01-31T08:00+01:00.'
        ) from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
