"""`keys …`: the keys that encrypt sign-ins and run files, and changing them while everything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ccexport.commands.console import print_table, say
from ccexport.commands.session import open_installation
from ccexport.words import counted

if TYPE_CHECKING:
    from ccexport.services.operations.keys import KeyRotation

app = typer.Typer(help="The keys that encrypt sign-ins and run files.", rich_markup_mode=None)


@app.command("list")
def list_keys(ctx: typer.Context) -> None:
    """Each key by its name, the newest first, and how much it encrypts."""
    from ccexport.services.operations.keys import KeyRotation

    rows = [
        [
            use.name or "(none of these)",
            "encrypts and decrypts"
            if use.encrypts
            else "decrypts"
            if use.name
            else "cannot be read",
            use.secrets,
            use.run_files,
        ]
        for use in KeyRotation(open_installation(ctx)).uses()
    ]
    print_table(["key", "use", "secrets of the store", "run files"], rows, empty="There is no key.")


@app.command()
def rotate(
    ctx: typer.Context,
    drop_old: Annotated[
        bool,
        typer.Option(
            "--drop-old", help="Encrypt everything with the newest key and take the old ones away."
        ),
    ] = False,
) -> None:
    """Make a new key; the old ones still decrypt until `--drop-old`. Nothing has to be stopped."""
    from ccexport.services.operations.keys import KeyRotation
    from ccexport.services.people.access import local_administrator

    rotation, by = KeyRotation(open_installation(ctx)), local_administrator()
    done = rotation.drop_old(by=by) if drop_old else rotation.rotate(by=by)
    say(
        f"{counted(done.secrets, 'secret')} and {counted(done.run_files, 'run file')} encrypted anew."
    )
    if done.unreadable_files:
        say(
            f"{counted(done.unreadable_files, 'run file')} cannot be read with any key; "
            "they are deleted with their runs' other files (CCEXPORT_RETENTION_DAYS)."
        )
    say(_next_step(rotation, drop_old))


def _next_step(rotation: KeyRotation, dropped: bool) -> str:
    if dropped and rotation.is_set:
        return "Take the old keys out of CCEXPORT_SECRET_KEY wherever ccexport runs, and start it anew there."
    if dropped:
        return "Only the newest key is left. Make a backup: it holds the key."
    if hosts := rotation.other_hosts():
        where = ", ".join(hosts)
        return f"Workers run on other machines too ({where}): each needs these keys, newest first."
    return "Old keys still decrypt. When you no longer want them: keys rotate --drop-old"
