"""Plain HTTP beside the pages, put together."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from ccexport.installation import Installation
from ccexport.web.api import api_routes
from ccexport.web.attempts import FailedAttempts
from ccexport.web.health import health_routes
from ccexport.web.metrics import metrics_route
from ccexport.web.oauth import Who, oauth_routes


def routes(get_parts: Callable[[], Installation], who: Who, base_path: str = "") -> list[BaseRoute]:
    """All of them, below the path where the dashboard lies; `who` says whose request it is.

    The rooms are asked for with each request, so that a store that is away now may be back then.
    """

    def home(_request: Request) -> Response:
        """Home lies at the root; its name leads there."""
        return RedirectResponse(f"{base_path}/", 307)

    return [
        *oauth_routes(get_parts, who, FailedAttempts(), base_path),
        *health_routes(get_parts, base_path),
        metrics_route(get_parts, base_path),
        *api_routes(get_parts, base_path),
        Route(f"{base_path}/home", home),
    ]
