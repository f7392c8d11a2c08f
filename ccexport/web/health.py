"""`/healthz`: for whoever watches the installation; numbers and words, never a secret."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ccexport import __version__
from ccexport.errors import CcexportError
from ccexport.installation import Installation


def health_route(get_parts: Callable[[], Installation], base_path: str = "") -> Route:
    """200 while the store answers (without a worker too: pages work then), 503 while it does not."""

    def healthz(_request: Request) -> Response:
        try:
            alive = len(get_parts().workers.alive())
        except (
            CcexportError
        ):  # its text can name the store's address: that is for the log and the page System
            return _answer(503, status="unwell", store="unreachable", workers_alive=None)
        return _answer(200, status="ok" if alive else "no worker", store="ok", workers_alive=alive)

    return Route(f"{base_path}/healthz", healthz, methods=["GET"])


def _answer(code: int, **content: object) -> Response:
    return JSONResponse(content | {"version": __version__}, code, {"Cache-Control": "no-store"})
