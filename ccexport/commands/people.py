"""`people …`: what became of a person in every run."""

from __future__ import annotations

from typing import Annotated

import typer

from ccexport.commands.console import Json, print_json, print_table, say, shown_time
from ccexport.services.access import local_administrator
from ccexport.services.people import People

app = typer.Typer(help="What became of a person in every export and run.")
Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The person's address.")]


@app.callback()
def people() -> None:
    """Keep `find` a command of its own though it is the only one."""


@app.command()
def find(ctx: typer.Context, email: Email, as_json: Json = False) -> None:
    """Every export and run that an address was in, and what became of it, the newest first."""
    found = People(ctx.obj).find(email, by=local_administrator())
    for remark in found.remarks:
        say(remark)
    document = found.document
    if as_json:
        print_json(document)
        return
    print_table(
        ["run", "export", "at", "customer id", "outcome", "detail"],
        [
            [
                each["run"],
                each["export"],
                shown_time(each["at"]),
                each["customer_id"],
                each["outcome"],
                each["detail"],
            ]
            for each in document["runs"]
        ],
        empty="No run whose files are kept had this address.",
    )
