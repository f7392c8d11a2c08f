"""`/healthz`: for monitoring; numbers and words, never a secret."""

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


def health_route(get_parts: Callable[[], Installation], base_path: str = "") -> Route:
    """200 while the store answers and nothing is overdue, else 503. A worker that is not there is not yet 503."""

    def healthz(_request: Request) -> Response:
        try:
            found = attendance(get_parts())
        except (
            CcexportError
        ):  # its text can name the store's address: that is for the log and the page System
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

    return Route(f"{base_path}/healthz", healthz, methods=["GET"])


def _answer(code: int, **content: object) -> Response:
    return JSONResponse(content | {"version": __version__}, code, {"Cache-Control": "no-store"})
