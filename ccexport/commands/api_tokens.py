"""`api-tokens …`: programs that may start exports and ask about runs."""

from __future__ import annotations

from typing import Annotated

import typer

from ccexport.commands.console import Json, print_json, print_table, print_text, say, shown_time
from ccexport.commands.session import open_installation
from ccexport.services.people.access import local_administrator

app = typer.Typer(help="Programs that may start exports and ask about runs.", rich_markup_mode=None)
Name = Annotated[
    str, typer.Argument(metavar="NAME", help="What the program is called in the history.")
]


@app.command()
def add(
    ctx: typer.Context,
    name: Name,
    export: Annotated[
        list[str] | None,
        typer.Option(
            "--export",
            metavar="EXPORT",
            help="An export that it may reach; repeat for more. Without: all, and refreshes.",
        ),
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="It may ask, and start nothing.")
    ] = False,
    days: Annotated[
        int | None,
        typer.Option(metavar="DAYS", help="Let it in for so long; without: until it is revoked."),
    ] = None,
) -> None:
    """Make a token; prints it, this once."""
    from ccexport.services.api.tokens import ApiTokens

    tokens = ApiTokens(open_installation(ctx))
    token = tokens.add(
        name, exports=export or [], read_only=read_only, days=days, by=local_administrator()
    )
    say("Keep this token where the program finds it, as a secret: it is shown this once.")
    print_text(token)


@app.command("list")
def list_tokens(ctx: typer.Context, as_json: Json = False) -> None:
    """All tokens, by name: what each may do, and when it was used last."""
    from ccexport.services.api.tokens import ApiTokens, token_document

    views = ApiTokens(open_installation(ctx)).all(by=local_administrator())
    documents = [token_document(view) for view in views]
    if as_json:
        print_json(documents)
        return
    print_table(
        ["name", "exports", "read only", "last used", "expires", "made by"],
        [
            [
                each["name"],
                "all" if each["exports"] is None else ", ".join(each["exports"]),
                each["read_only"],
                shown_time(each["last_used_at"]),
                shown_time(each["expires_at"]),
                each["created_by"],
            ]
            for each in documents
        ],
        empty="No program may call the API yet. Make a token: api-tokens add NAME",
    )


@app.command()
def revoke(ctx: typer.Context, name: Name) -> None:
    """Let a token in no more; what it started goes on."""
    from ccexport.services.api.tokens import ApiTokens

    ApiTokens(open_installation(ctx)).revoke(name, by=local_administrator())
    say(f'"{name}" is let in no more.')
