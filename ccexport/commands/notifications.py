"""`notifications …`: people who are told when an export needs them."""

from __future__ import annotations

from typing import Annotated

import typer

from ccexport.clock import iso
from ccexport.commands.console import Json, print_json, print_table, say, shown_time
from ccexport.commands.session import open_installation
from ccexport.services.people.access import local_administrator

app = typer.Typer(
    help="People who are told when an export needs them: mail, Slack, Teams and others.",
    rich_markup_mode=None,
)
Name = Annotated[str, typer.Argument(metavar="NAME", help="How it is called here.")]
Url = Annotated[
    str,
    typer.Argument(
        metavar="URL",
        help="Where messages go, as Apprise writes it: mailto://…, slack://…, workflows://… (Teams).",
    ),
]
On = Annotated[
    list[str] | None,
    typer.Option("--on", metavar="EVENT", help="An event to tell; all but run.succeeded without."),
]


@app.command()
def add(ctx: typer.Context, name: Name, url: Url, on: On = None) -> None:
    """Tell people by an address of Apprise; it is kept encrypted and shown masked."""
    from ccexport.services.telling.notifications import Notifications

    shown = Notifications(open_installation(ctx)).add(name, url, on or [], by=local_administrator())
    say(f'"{name}" is added: {shown}. See whether messages arrive: notifications test {name}')


@app.command("list")
def list_notifications(ctx: typer.Context, as_json: Json = False) -> None:
    """Who is told, what, and how the last message went."""
    from ccexport.services.telling.notifications import Notifications

    service, by = Notifications(open_installation(ctx)), local_administrator()
    channels, waiting = service.all(by=by), service.waiting(by=by)
    documents = [
        {
            "name": each.name,
            "address": each.shown,
            "events": each.events,
            "last_at": iso(each.last_at),
            "last_error": each.last_error or None,
            "waiting": waiting.get(each.id, 0),
        }
        for each in channels
    ]
    if as_json:
        print_json(documents)
        return
    print_table(
        ["name", "address", "events", "last message", "error", "waiting"],
        [
            [
                each.name,
                each.shown,
                ", ".join(each.events),
                shown_time(iso(each.last_at)),
                each.last_error,
                waiting.get(each.id, 0),
            ]
            for each in channels
        ],
        empty="Nobody is told yet. Add somebody: notifications add NAME URL",
    )


@app.command()
def test(ctx: typer.Context, name: Name) -> None:
    """Send a message now, and say whether it was taken."""
    from ccexport.services.telling.notifications import Notifications

    Notifications(open_installation(ctx)).test(name, by=local_administrator())
    say(f'"{name}" took the message.')


@app.command()
def remove(ctx: typer.Context, name: Name) -> None:
    """Tell them nothing more."""
    from ccexport.services.telling.notifications import Notifications

    Notifications(open_installation(ctx)).remove(name, by=local_administrator())
    say(f'"{name}" is told nothing more.')
