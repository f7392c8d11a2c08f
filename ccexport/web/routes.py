"""Plain HTTP beside the pages, put together."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from ccexport.assembly import Parts
from ccexport.web.attempts import FailedAttempts
from ccexport.web.health import health_route
from ccexport.web.oauth import oauth_routes


def routes(get_parts: Callable[[], Parts]) -> list[BaseRoute]:
    """All of them; the rooms are asked for with each request, so that a store that is away now may be back then."""
    return [
        *oauth_routes(get_parts, FailedAttempts()),
        health_route(get_parts),
        Route("/home", _home),
    ]


def _home(_request: Request) -> Response:
    """Home lies at the root; its name leads there."""
    return RedirectResponse("/", 307)
