"""`webhooks …`: addresses that are told when an export's state changes."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ccexport.clock import iso
from ccexport.commands.console import Json, print_json, print_table, print_text, say, shown_time
from ccexport.commands.session import open_installation
from ccexport.services.people.access import local_administrator

app = typer.Typer(
    help="Addresses that are told when an export's state changes.", rich_markup_mode=None
)
Url = Annotated[str, typer.Argument(metavar="URL", help="The address that is called.")]
On = Annotated[
    list[str] | None,
    typer.Option("--on", metavar="EVENT", help="An event to tell; all but run.succeeded without."),
]


@app.command()
def add(ctx: typer.Context, url: Url, on: On = None) -> None:
    """Tell an address; prints the secret that signs the messages, this once."""
    from ccexport.services.telling.webhooks import Webhooks

    secret = Webhooks(open_installation(ctx)).add(url, on or [], by=local_administrator())
    say("Keep this secret where the messages are checked: it is shown this once.")
    print_text(secret)


@app.command("list")
def list_webhooks(ctx: typer.Context, as_json: Json = False) -> None:
    """Everybody who is told, by address."""
    from ccexport.services.telling.webhooks import Webhooks

    hooks = Webhooks(open_installation(ctx)).all(by=local_administrator())
    if as_json:
        print_json([{"url": each.url, "events": each.events, "on": each.is_on} for each in hooks])
        return
    print_table(
        ["address", "on", "events"],
        [[each.url, each.is_on, ", ".join(each.events)] for each in hooks],
        empty="There are no webhooks yet. Add one: webhooks add URL",
    )


@app.command()
def test(ctx: typer.Context, url: Url) -> None:
    """Send a message now, and say what the address answers."""
    from ccexport.services.telling.webhooks import Webhooks

    status = Webhooks(open_installation(ctx)).test(url, by=local_administrator())
    say(f"{url} answers {status}.")
    if not 200 <= status < 300:
        raise typer.Exit(1)


@app.command()
def rotate(ctx: typer.Context, url: Url) -> None:
    """Sign with a new secret, printed this once; for a day the one before it signs too."""
    from ccexport.services.telling.webhooks import Webhooks

    secret = Webhooks(open_installation(ctx)).rotate(url, by=local_administrator())
    say(
        "Keep this secret where the messages are checked: it is shown this once. For a day messages"
    )
    say("are signed with the one before it too.")
    print_text(secret)


@app.command()
def deliveries(ctx: typer.Context, url: Url, as_json: Json = False) -> None:
    """What went to an address, the newest first."""
    from ccexport.services.telling.webhooks import Webhooks

    documents: list[dict[str, Any]] = [
        {
            "id": each.message_id,
            "type": each.what,
            "at": iso(each.at),
            "attempts": each.attempts,
            "answer": each.answer,
            "delivered_at": iso(each.delivered_at),
            "next_at": iso(each.next_at),
        }
        for each in Webhooks(open_installation(ctx)).deliveries(url, by=local_administrator())
    ]
    if as_json:
        print_json(documents)
        return
    print_table(
        ["at", "event", "attempts", "answer", "delivered", "next attempt"],
        [
            [
                shown_time(each["at"]),
                each["type"],
                each["attempts"],
                each["answer"],
                shown_time(each["delivered_at"]),
                shown_time(each["next_at"]),
            ]
            for each in documents
        ],
        empty="Nothing was to be told yet.",
    )


@app.command()
def remove(ctx: typer.Context, url: Url) -> None:
    """Tell an address nothing more."""
    from ccexport.services.telling.webhooks import Webhooks

    Webhooks(open_installation(ctx)).remove(url, by=local_administrator())
    say(f"{url} is told nothing more.")
