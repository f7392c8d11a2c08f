"""Health, for those who watch and those who balance: numbers and words, never a secret.

`/livez`: this process answers. `/readyz`: it can show pages, so requests may be sent here. `/healthz`: all is well, the
work included; a dashboard whose worker is away is ready, and not to be taken away from those who would see it there.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ccexport import __version__
from ccexport.clock import iso
from ccexport.errors import CcexportError
from ccexport.installation import Installation
from ccexport.services.operations.attendance import attendance
from ccexport.web.guard import HEALTH_PATH, LIVE_PATH, READY_PATH


def health_routes(get_parts: Callable[[], Installation], base_path: str = "") -> list[Route]:
    """Whatever goes wrong in the store is 503 without its text, which can name the store's address: that is for the
    log and the page System.
    """

    async def livez(_request: Request) -> Response:
        """Beside all threads, so that it answers while they are busy."""
        return _answer(200, status="alive")

    def readyz(_request: Request) -> Response:
        try:
            alive = len(get_parts().workers.alive())
        except CcexportError:
            return _answer(503, status="not ready", store="unreachable", workers_alive=None)
        return _answer(200, status="ready", store="ok", workers_alive=alive)

    def healthz(_request: Request) -> Response:
        """200 while the store answers and nothing is overdue. A worker that is not there is not yet 503."""
        try:
            found = attendance(get_parts())
        except CcexportError:
            return _answer(503, status="unwell", store="unreachable", workers_alive=None)
        status = "overdue" if found.is_overdue else "ok" if found.alive else "no worker"
        return _answer(
            503 if found.is_overdue else 200,
            status=status,
            store="ok",
            workers_alive=found.alive,
            worker_last_seen_at=iso(found.last_seen_at),
            exports_overdue=len(found.overdue_exports),
            overdue_since=iso(found.overdue_since),
        )

    return [
        Route(f"{base_path}{LIVE_PATH}", livez, methods=["GET"]),
        Route(f"{base_path}{READY_PATH}", readyz, methods=["GET"]),
        Route(f"{base_path}{HEALTH_PATH}", healthz, methods=["GET"]),
    ]


def _answer(code: int, **content: object) -> Response:
    return JSONResponse(content | {"version": __version__}, code, {"Cache-Control": "no-store"})
