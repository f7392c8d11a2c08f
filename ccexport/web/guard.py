"""What every answer passes: headers that keep browsers strict."""

from __future__ import annotations

from starlette.middleware import Middleware


def guards() -> list[Middleware]:
    return []
