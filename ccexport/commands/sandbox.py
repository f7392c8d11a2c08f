"""`sandbox`: the local stand-in for Constant Contact alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ccexport.commands.session import open_installation
from ccexport.errors import SettingError, SetupError


def sandbox(
    ctx: typer.Context,
    port: Annotated[
        int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.", min=0, max=65535)
    ] = 8790,
    behaviour: Annotated[
        Path | None, typer.Option(help="A YAML file with faults, lists, limits …")
    ] = None,
) -> None:
    """Serve a local stand-in for Constant Contact: sign-in, lists, imports, faults on demand."""
    from ccexport.sandbox.behaviour import load_behaviour
    from ccexport.sandbox.server import serve

    settings = open_installation(ctx).settings
    secret = settings.cc_client_secret
    try:
        loaded = load_behaviour(behaviour) if behaviour else None
        serve(
            port,
            loaded,
            settings.cc_client_id or None,
            secret.get_secret_value() if secret else None,
        )
    except ValueError as error:
        raise SettingError(str(error)) from error
    except OSError as error:
        raise SetupError(
            f"Port {port} cannot be used ({error.strerror or error}). Choose another with --port."
        ) from error
