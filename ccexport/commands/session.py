"""The installation that a command works on: settings read and logging set up when it first asks for it.

So help and wrong usage are answered without either. A command imports what it needs before it asks: from then on
garbage is collected again.
"""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from ccexport.installation import Installation

# Commands that run for long and log what they do; the others speak for themselves.
LOGGING = ("worker", "serve", "sandbox")


def open_installation(ctx: typer.Context) -> Installation:
    """Built when a command first asks, closed when it ends. Raises `SettingError`."""
    root = ctx.find_root()
    if root.obj is None:
        root.obj = _open(root)
    made: Installation = root.obj
    return made


def _open(root: Any) -> Installation:
    from ccexport.installation import Installation
    from ccexport.processes import keep_memory_private
    from ccexport.redaction import configure_logging
    from ccexport.settings import load_settings

    settings = load_settings()
    is_quiet = root.invoked_subcommand not in LOGGING and settings.log_level == "info"
    level = "warning" if is_quiet else settings.log_level
    configure_logging(level, settings.log_format, sys.stderr)
    keep_memory_private()
    made = Installation(settings)
    if not gc.isenabled():  # as `__main__` left it
        gc.freeze()
        gc.enable()
    root.call_on_close(made.close)
    return made
