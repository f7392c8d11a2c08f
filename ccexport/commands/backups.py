"""`backup` and `restore`: the store and its keys in one file under a passphrase."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ccexport.clock import iso
from ccexport.commands.console import say, shown_time
from ccexport.commands.session import open_installation
from ccexport.errors import UsageError
from ccexport.words import counted

if TYPE_CHECKING:
    from ccexport.installation import Installation

File = Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")]


def backup(ctx: typer.Context, file: File) -> None:
    """Write the store and its keys to a file, encrypted; nothing has to be stopped.

    Run files are not in it.

    The passphrase is CCEXPORT_BACKUP_PASSPHRASE, else it is asked for.
    """
    from ccexport.services.operations.backups import Backups
    from ccexport.services.people.access import local_administrator

    done = Backups(open_installation(ctx)).make(
        file, _passphrase(open_installation(ctx), confirm=True), by=local_administrator()
    )
    say(
        f"Backup written to {file}: {counted(done.rows, 'row')}, {counted(done.bytes, 'byte')}. It holds the keys too: "
        "keep its passphrase elsewhere."
    )


def restore(
    ctx: typer.Context,
    file: File,
    replace: Annotated[
        bool, typer.Option("--replace", help="Even if the store holds something, which is lost.")
    ] = False,
) -> None:
    """Put a backup in place of the store; stop the workers first.

    While a worker is alive, it refuses.
    """
    from ccexport.services.operations.backups import Backups
    from ccexport.services.people.access import local_administrator

    passphrase = _passphrase(open_installation(ctx), confirm=False)
    done = Backups(open_installation(ctx)).restore(
        file, passphrase, replace=replace, by=local_administrator()
    )
    say(
        f"The store is as it was at {shown_time(iso(done.made_at))}: {counted(done.rows, 'row')}. Run files are not "
        "in a backup: runs that go on prepare them again."
    )
    say(
        "A sign-in that was renewed after the backup is spent: its connection then asks to sign in again. "
        "Start dashboard and worker anew."
    )
    if done.canceled_runs:
        runs = ", ".join(map(str, done.canceled_runs))
        say(
            f"Canceled, since what they did after the backup cannot be known: run {runs}. Run those exports again."
        )


def _passphrase(installation: Installation, *, confirm: bool) -> str:
    """From the setting, or asked for without an echo; never from the command line, where others could read it."""
    from ccexport.settings import LEAST_PASSPHRASE

    if installation.settings.backup_passphrase is not None:
        return installation.settings.backup_passphrase.get_secret_value()
    if not sys.stdin.isatty():
        raise UsageError(
            "There is nobody to ask for the passphrase. Set CCEXPORT_BACKUP_PASSPHRASE."
        )
    text = str(typer.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm, err=True))
    if len(text) < LEAST_PASSPHRASE:
        raise UsageError(f"A passphrase has at least {LEAST_PASSPHRASE} characters.")
    return text
