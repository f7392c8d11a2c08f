"""`people …`: what became of a person in every run, and forgetting one."""

from __future__ import annotations

from typing import Annotated

import typer

from ccexport.commands.console import Json, print_json, print_table, say, shown_time
from ccexport.commands.session import open_installation
from ccexport.words import counted

app = typer.Typer(help="What became of a person in every export and run.", rich_markup_mode=None)
Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The person's address.")]


@app.command()
def find(ctx: typer.Context, email: Email, as_json: Json = False) -> None:
    """Every export and run that an address was in, and what became of it, the newest first."""
    from ccexport.services.people.access import local_administrator
    from ccexport.services.runs.people import STANDS, People

    found = People(open_installation(ctx)).find(email, by=local_administrator())
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
    for each in document["ledgers"]:
        say(
            f'In the ledger of "{each["export"]}": {STANDS[each["state"]]} since {shown_time(each["since"])}.'
        )


@app.command()
def forget(ctx: typer.Context, email: Email) -> None:
    """Take a person out of the files of ended runs; history keeps its counts. Refuses while they are in a live run."""
    from ccexport.services.people.access import local_administrator
    from ccexport.services.runs.forgetting import Forgetting

    done = Forgetting(open_installation(ctx)).forget(email, by=local_administrator())
    say(f"{counted(done.rows, 'row')} of {counted(done.runs, 'run')} are blank now.")
    if done.ledgers:
        say(
            f"They are taken out of {counted(done.ledgers, 'ledger')}; where they had left a list, a keyed hash stays, "
            "so that they are not put back."
        )
    if done.unreadable_runs:
        say(
            f"{counted(done.unreadable_runs, 'file')} of runs could not be read with any key; they go with their runs' "
            "other files (CCEXPORT_RETENTION_DAYS)."
        )
    if done.is_in_source:
        say(
            "The person is still in the source. Remove them there too, or the next run sends them again."
        )
    say(
        "Remove the contact at Constant Contact too. If other machines hold run files, run this command there as well."
    )


@app.command()
def restore(
    ctx: typer.Context,
    email: Email,
    export: Annotated[str, typer.Option(help="The export that may put them back.")],
) -> None:
    """Let an export put back a person who had left its list, since they asked for it; its next run sends them."""
    from ccexport.services.people.access import local_administrator
    from ccexport.services.runs.putting_back import PuttingBack

    view = PuttingBack(open_installation(ctx)).restore(email, export, by=local_administrator())
    say(
        f'The next run of "{view.export.name}" puts them back on "{view.export.list_name}", if they are in one of its '
        f'segments: exports run "{view.export.name}"'
    )
