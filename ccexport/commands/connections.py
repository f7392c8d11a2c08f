"""`connections …`: sign in at Constant Contact, list, check, remove."""

from __future__ import annotations

from typing import Annotated

import typer

from ccexport.assembly import Parts
from ccexport.commands.callback import CallbackServer
from ccexport.commands.console import (
    Json,
    counted,
    print_json,
    print_table,
    print_text,
    say,
    shown_time,
)
from ccexport.constantcontact.auth import read_callback
from ccexport.errors import UsageError
from ccexport.services.access import local_administrator
from ccexport.services.connections import Connections, check_name, connection_document
from ccexport.services.consent import CONSENT_TEXT

app = typer.Typer(help="Constant Contact accounts that exports may use.")
ConnectionName = Annotated[str, typer.Argument(metavar="NAME", help="The connection's name.")]


@app.command()
def add(
    ctx: typer.Context,
    name: ConnectionName,
    agree: Annotated[
        bool,
        typer.Option(
            "--agree", help="You agree to the transfer of data; without it the text is printed."
        ),
    ] = False,
    contributors: Annotated[
        bool,
        typer.Option("--contributors", help="Let contributors use it, not administrators alone."),
    ] = False,
    callback_port: Annotated[
        int,
        typer.Option(
            help="The sign-in returns to http://localhost:PORT/callback.", min=1, max=65535
        ),
    ] = 8765,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the sign-in.", min=1)] = 600,
) -> None:
    """Sign in at Constant Contact and store the connection; a name that exists is signed in again.

    Register http://localhost:PORT/callback as a redirect address of the application at Constant Contact first.
    """
    if not agree:
        raise UsageError(f"{CONSENT_TEXT} To agree, repeat the command with --agree.")
    connections = Connections(ctx.obj)
    name = check_name(name, "connection")
    with CallbackServer(callback_port) as server:
        sign_in = connections.begin(server.redirect_uri)
        say(f"Open this address: {sign_in.url}")
        params = server.wait(sign_in.state, timeout)
        code = read_callback(params, sign_in.state)
        connection = connections.finish(
            name,
            code,
            sign_in,
            server.redirect_uri,
            by=local_administrator(),
            contributors=contributors,
        )
    say(f'"{connection.name}" is connected to {connection.organization}.')


@app.command("list")
def list_connections(ctx: typer.Context, as_json: Json = False) -> None:
    """All connections, by name."""
    documents = [connection_document(view) for view in Connections(ctx.obj).views()]
    if as_json:
        print_json(documents)
        return
    print_table(
        ["name", "organization", "state", "contributors", "agreed by", "agreed at", "exports"],
        [
            [
                each["name"],
                each["organization"],
                each["state"].replace("_", " "),
                each["contributors"],
                each["agreed_by"],
                shown_time(each["agreed_at"]),
                each["exports"],
            ]
            for each in documents
        ],
        empty="There are no connections yet. Make one: connections add NAME --agree",
    )


@app.command()
def lists(ctx: typer.Context, name: ConnectionName, as_json: Json = False) -> None:
    """The account's lists with their ids, by name."""
    found = Connections(ctx.obj).lists(name, by=local_administrator())
    if as_json:
        print_json([{"list_id": each.list_id, "name": each.name} for each in found])
        return
    print_table(
        ["list", "list id"],
        [[each.name, each.list_id] for each in found],
        empty="The account has no lists. Make one at Constant Contact first.",
    )


@app.command()
def check(ctx: typer.Context, name: ConnectionName) -> None:
    """Ask Constant Contact whether the sign-in works and its privileges are enough."""
    found = Connections(ctx.obj).check(name, by=local_administrator())
    if found.missing_privileges:
        missing = ", ".join(found.missing_privileges)
        say(
            f'The user who signed in to "{name}" lacks {missing}. Sign in as the account\'s owner or a manager.'
        )
        raise typer.Exit(1)
    print_text(
        f'ok: "{name}" is signed in to {found.organization}; it has {counted(found.lists, "list")}.'
    )


@app.command()
def remove(ctx: typer.Context, name: ConnectionName) -> None:
    """Remove it with its sign-in; its exports stay, detached, until given another connection."""
    parts: Parts = ctx.obj
    exports = Connections(parts).remove(name, by=local_administrator())
    verb = "is" if exports == 1 else "are"
    kept = f" {counted(exports, 'export')} {verb} detached now." if exports else ""
    say(
        f'"{name}" is removed and its sign-in destroyed.{kept} Also remove the application\'s access in your '
        "Constant Contact account: only that ends the grant itself."
    )
