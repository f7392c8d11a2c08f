"""`runs …`: history, one run, its rejections, cancelling, retrying."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, TextIO

import typer

from ccexport.commands.console import Json, print_json, print_table, say, shown_time
from ccexport.commands.session import open_installation
from ccexport.commands.summary import print_run
from ccexport.errors import SetupError
from ccexport.words import counted

app = typer.Typer(help="What was sent, and what became of it.", rich_markup_mode=None)
MAX_ID = 2**31 - 1  # what the store's column holds
RunId = Annotated[int, typer.Argument(metavar="ID", help="The run's number.", max=MAX_ID)]


@app.command("list")
def list_runs(
    ctx: typer.Context,
    export: Annotated[str | None, typer.Option(help="Only runs of this export.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1)] = 100,
    as_json: Json = False,
) -> None:
    """The history, the newest first."""
    from ccexport.services.runs.runs import Runs

    documents = Runs(open_installation(ctx)).latest(export_name=export, limit=limit)
    if as_json:
        print_json(documents)
        return
    rows = [
        [
            document["id"],
            document["export"],
            document["state"].replace("_", " "),
            document["trigger"],
            shown_time(document["queued_at"]),
            document["counts"]["read"],
            document["counts"]["rejected"],
            document["counts"]["accepted"],
        ]
        for document in documents
    ]
    columns = ["run", "export", "state", "trigger", "queued at", "read", "rejected", "accepted"]
    print_table(columns, rows, empty="There are no runs yet. Start one: exports run NAME")


@app.command()
def show(ctx: typer.Context, run_id: RunId, as_json: Json = False) -> None:
    """One run: counts, reasons, files."""
    from ccexport.services.runs.runs import Runs

    runs = Runs(open_installation(ctx))
    document = runs.document(run_id)
    if as_json:
        print_json(document)
    else:
        print_run(document, why_waiting=runs.get(run_id).waiting_detail)


@app.command()
def cancel(ctx: typer.Context, run_id: RunId) -> None:
    """End a run at the next safe point; what was sent is followed to its end."""
    from ccexport.services.people.access import local_administrator
    from ccexport.services.runs.runs import Runs

    Runs(open_installation(ctx)).request_cancel(run_id, by=local_administrator())
    say(
        f"Run {run_id} will end at its next safe point. What was sent already stays at Constant Contact."
    )


@app.command()
def approve(ctx: typer.Context, run_id: RunId) -> None:
    """Let a run go on that asks first, since it would change much of its list; this once."""
    from ccexport.services.people.access import local_administrator
    from ccexport.services.runs.runs import Runs

    run = Runs(open_installation(ctx)).approve(run_id, by=local_administrator())
    say(
        f'Run {run_id} of "{run.export_name}" is approved. A worker prepares it anew and sends it: python -m ccexport '
        "worker. Where its source has changed meanwhile, it asks again."
    )


@app.command()
def decline(ctx: typer.Context, run_id: RunId) -> None:
    """End a run that asks first; nothing of it is sent."""
    from ccexport.services.people.access import local_administrator
    from ccexport.services.runs.runs import Runs

    run = Runs(open_installation(ctx)).decline(run_id, by=local_administrator())
    say(f'Run {run_id} of "{run.export_name}" is canceled: nothing was sent.')


@app.command()
def retry(ctx: typer.Context, run_id: RunId, as_json: Json = False) -> None:
    """Queue a run of what failed in another, and only that; a worker performs it."""
    from ccexport.services.people.access import local_administrator
    from ccexport.services.runs.retries import Retries
    from ccexport.services.runs.runs import run_document

    queued = Retries(open_installation(ctx)).retry(run_id, by=local_administrator())
    if as_json:
        print_json(run_document(queued.run))
    unnamed = (
        f" {counted(queued.unnamed, 'more row')} failed without being named and cannot be among them."
        if queued.unnamed
        else ""
    )
    say(
        f"Run {queued.run.id} is queued: {counted(queued.rows, 'contact')} that failed in run {run_id}.{unnamed} "
        "A worker performs it: python -m ccexport worker"
    )


@app.command()
def rejected(
    ctx: typer.Context,
    run_id: RunId,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Write this CSV file (mode 0600) instead of standard output, for a spreadsheet: a cell that would be "
            "run as a formula gets one apostrophe in front; with a letter beyond ASCII in it, the file begins with a "
            "byte-order mark."
        ),
    ] = None,
) -> None:
    """The profiles left out, each with its reason, as CSV; standard output has each cell as it is."""
    from ccexport.services.people.access import local_administrator
    from ccexport.services.runs.runs import Runs
    from ccexport.services.runs.spreadsheets import disarmed, encoding_for_spreadsheets

    runs, by = Runs(open_installation(ctx)), local_administrator()
    rows = runs.rejected(run_id, by=by)
    if output is None:
        _write(sys.stdout, rows)
        return
    encoding = encoding_for_spreadsheets(runs.rejected(run_id, by=by))
    try:
        handle = os.open(output, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with open(handle, "w", encoding=encoding, newline="") as file:
            os.fchmod(handle, 0o600)  # it may have been there before, open to others
            count = _write(file, map(disarmed, rows))
    except OSError as error:
        raise SetupError(f"{output} cannot be written: {error.strerror}.") from error
    say(
        f"{counted(count, 'rejected profile')} written to {output}. The file holds addresses: "
        "delete it when done."
    )


def _write(file: TextIO, rows: Iterable[Sequence[str]]) -> int:
    from ccexport.services.runs.runs import REJECTED_HEADER

    # a carriage return within a cell is put in quotes only where it is part of a line's end
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(REJECTED_HEADER)
    count = 0
    for count, row in enumerate(rows, 1):  # noqa: B007  # the last one is the number of rows
        writer.writerow(row)
    return count
