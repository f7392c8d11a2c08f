"""`doctor`: looks at everything an installation relies on."""

from __future__ import annotations

import typer

from ccexport.commands.console import print_text
from ccexport.commands.session import open_installation
from ccexport.redaction import redact


def doctor(ctx: typer.Context) -> None:
    """Print the settings, secrets masked, and check everything the installation relies on.

    Store, source, Constant Contact, workers, clock and disk: each is a line, ok or what to do.
    """
    from ccexport.services.operations.health import examine, shown_settings

    installation = open_installation(ctx)
    for name, value in shown_settings(installation.settings):
        print_text(f"{name}={redact(value)}")
    healthy = True
    for finding in examine(installation):
        healthy &= finding.ok
        print_text(f"{'ok ' if finding.ok else 'BAD'} {finding.subject}: {finding.text}")
    raise typer.Exit(0 if healthy else 1)
