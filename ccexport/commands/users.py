"""`users …`: who may sign in to the dashboard, and as what; also the way back when no administrator is left."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ccexport.clock import iso
from ccexport.commands.console import Json, print_json, print_table, say, shown_time
from ccexport.commands.session import open_installation
from ccexport.services.people.access import Role, local_administrator

app = typer.Typer(
    help="People who may sign in to the dashboard, and their roles.", rich_markup_mode=None
)
Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The person's address.")]
RoleOption = Annotated[Role, typer.Option("--role", help="What the person may do.")]


@app.command("list")
def list_users(ctx: typer.Context, as_json: Json = False) -> None:
    """Everybody, by address."""
    from ccexport.services.people.users import Users

    documents: list[dict[str, Any]] = [
        {
            "email": view.user.email,
            "name": view.user.name,
            "role": view.role.value if view.role else None,
            "by_claim": view.by_claim,
            "added_by": view.user.added_by,
            "last_seen_at": iso(view.user.seen_at),
        }
        for view in Users(open_installation(ctx)).views(by=local_administrator())
    ]
    if as_json:
        print_json(documents)
        return
    print_table(
        ["email", "name", "role", "role by provider", "added by", "last seen"],
        [
            [
                each["email"],
                each["name"],
                each["role"],
                each["by_claim"],
                each["added_by"],
                shown_time(each["last_seen_at"]),
            ]
            for each in documents
        ],
        empty="Nobody has signed in yet. Add the first administrator: users add EMAIL --role administrator",
    )


@app.command()
def add(ctx: typer.Context, email: Email, role: RoleOption = Role.VIEWER) -> None:
    """Let somebody sign in, or again after being removed."""
    from ccexport.services.people.users import Users

    view = Users(open_installation(ctx)).add(email, role, by=local_administrator())
    say(f"{view.user.email} may sign in as {role.value}.")


@app.command("set")
def set_role(ctx: typer.Context, email: Email, role: RoleOption) -> None:
    """Give somebody another role; it counts from the next click on."""
    from ccexport.services.people.users import Users

    view = Users(open_installation(ctx)).change(email, role, by=local_administrator())
    say(f"{view.user.email} is {role.value} now.")
    _say_what_waits(ctx, view.user.email)


@app.command()
def remove(ctx: typer.Context, email: Email) -> None:
    """Take somebody's access away, in open sessions too."""
    from ccexport.services.people.users import Users

    Users(open_installation(ctx)).remove(email, by=local_administrator())
    say(f"{email} has no access any more.")
    _say_what_waits(ctx, email)


def _say_what_waits(ctx: typer.Context, email: str) -> None:
    """Exports that ran by the right of one who has just lost it."""
    from ccexport.services.connections.connections import Connections

    for name in Connections(open_installation(ctx)).without_export_user(email):
        say(
            f'The exports over "{name}" wait until another administrator steps in: '
            f'connections export-user "{name}"'
        )
