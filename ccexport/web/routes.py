"""Plain HTTP beside the pages, put together."""

from __future__ import annotations

from collections.abc import Callable

from starlette.routing import BaseRoute

from ccexport.assembly import Parts
from ccexport.web.health import health_route
from ccexport.web.oauth import oauth_routes


def routes(get_parts: Callable[[], Parts]) -> list[BaseRoute]:
    """All of them; the rooms are asked for with each request, so that a store that is away now may be back then."""
    return [*oauth_routes(get_parts), health_route(get_parts)]
