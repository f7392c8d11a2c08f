"""`connections …`: sign in at Constant Contact, list, check, share, agree, lend one's right, remove."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from ccexport.commands.console import Json, print_json, print_table, print_text, say, shown_time
from ccexport.commands.session import open_installation
from ccexport.consent import CONSENT_TEXT
from ccexport.errors import UsageError
from ccexport.words import counted

app = typer.Typer(help="Constant Contact accounts that exports may use.", rich_markup_mode=None)
Agree = Annotated[
    bool,
    typer.Option(
        "--agree", help="You agree to the transfer of data; without it the text is printed."
    ),
]
ConnectionName = Annotated[str, typer.Argument(metavar="NAME", help="The connection's name.")]


@app.command()
def add(
    ctx: typer.Context,
    name: ConnectionName,
    agree: Agree = False,
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
    from ccexport.commands.callback import CallbackServer
    from ccexport.constantcontact.auth import read_callback
    from ccexport.services.connections.connections import Connections, shares_account
    from ccexport.services.names import check_name
    from ccexport.services.people.access import local_administrator

    _check_agreed(agree)
    connections = Connections(open_installation(ctx))
    name = check_name(name, "connection")
    with CallbackServer(callback_port) as server:
        sign_in = connections.begin(server.redirect_uri)
        server.expect(sign_in.state)
        say(f"Open this address: {sign_in.url}")
        params = server.wait(timeout)
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
    views = connections.views()
    view = next(each for each in views if each.connection.id == connection.id)
    if words := shares_account(view, views):
        say(f"Warning: {words}")


@app.command("list")
def list_connections(ctx: typer.Context, as_json: Json = False) -> None:
    """All connections, by name."""
    from ccexport.services.connections.connections import Connections, connection_document

    documents = [connection_document(view) for view in Connections(open_installation(ctx)).views()]
    if as_json:
        print_json(documents)
        return
    print_table(
        [
            "name",
            "organization",
            "state",
            "contributors",
            "agreed by",
            "agreed at",
            "export user",
            "exports",
        ],
        [
            [
                each["name"],
                each["organization"],
                _state(each),
                each["contributors"],
                each["agreed_by"],
                shown_time(each["agreed_at"]),
                each["export_user"],
                each["exports"],
            ]
            for each in documents
        ],
        empty="There are no connections yet. Make one: connections add NAME --agree",
    )


@app.command()
def lists(ctx: typer.Context, name: ConnectionName, as_json: Json = False) -> None:
    """The account's lists with their ids, by name."""
    from ccexport.services.connections.connections import Connections
    from ccexport.services.people.access import local_administrator

    found = Connections(open_installation(ctx)).lists(name, by=local_administrator())
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
    from ccexport.services.connections.connections import Connections
    from ccexport.services.people.access import local_administrator

    found = Connections(open_installation(ctx)).check(name, by=local_administrator())
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
def share(
    ctx: typer.Context,
    name: ConnectionName,
    administrators: Annotated[
        bool, typer.Option("--administrators", help="Administrators alone again.")
    ] = False,
) -> None:
    """Let contributors set up and run exports over it; nobody is shown its sign-in."""
    from ccexport.services.connections.connections import Connections
    from ccexport.services.people.access import local_administrator

    Connections(open_installation(ctx)).share(
        name, contributors=not administrators, by=local_administrator()
    )
    who = "Administrators alone" if administrators else "Contributors and administrators"
    say(f'{who} may use "{name}" from now on.')


@app.command()
def agree(ctx: typer.Context, name: ConnectionName, agree: Agree = False) -> None:
    """Agree again after the text has changed; runs that waited for it go on. Nobody has to sign in for it."""
    from ccexport.services.connections.connections import Connections
    from ccexport.services.people.access import local_administrator

    _check_agreed(agree)
    Connections(open_installation(ctx)).agree(name, by=local_administrator())
    say(f'You agreed for "{name}". Runs that waited for it go on.')


@app.command("export-user")
def export_user(ctx: typer.Context, name: ConnectionName) -> None:
    """Have its runs read the source by your right from now on; those that waited for that go on."""
    from ccexport.services.connections.connections import Connections
    from ccexport.services.people.access import local_administrator

    by = local_administrator()
    Connections(open_installation(ctx)).become_export_user(name, by=by)
    say(f'{by.name} is the export user of "{name}" now. Runs that waited for one go on.')


@app.command()
def remove(
    ctx: typer.Context,
    name: ConnectionName,
    exports_too: Annotated[
        bool,
        typer.Option(
            "--exports-too", help="Remove its exports with it; otherwise they stay, detached."
        ),
    ] = False,
) -> None:
    """Remove it with its sign-in, at any time: live runs are stopped. Its exports stay, detached."""
    from ccexport.services.connections.connections import GRANT_REMAINS, Connections
    from ccexport.services.people.access import local_administrator

    removed = Connections(open_installation(ctx)).remove(
        name, by=local_administrator(), exports_too=exports_too
    )
    words = (f'"{name}" is removed and its sign-in destroyed.', removed.in_words(), GRANT_REMAINS)
    say(" ".join(filter(None, words)))


def _check_agreed(agreed: bool) -> None:
    if not agreed:
        raise UsageError(f"{CONSENT_TEXT} To agree, repeat the command with --agree.")


def _state(document: Mapping[str, Any]) -> str:
    """As the table says it: "connected, waits for consent"."""
    state = str(document["state"]).replace("_", " ")
    missing = " and ".join(what.replace("_", " ") for what in document["waits_for"])
    return f"{state}, waits for {missing}" if missing else state
