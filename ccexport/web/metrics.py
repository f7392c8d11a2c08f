"""`/metrics`: for Prometheus; with a token for those who have it, without one for this machine alone."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ccexport.errors import CcexportError
from ccexport.installation import Installation
from ccexport.processes import is_this_machine
from ccexport.web.guard import METRICS_PATH, forwarded_for, host_name

_BEARER = {"WWW-Authenticate": "Bearer"}
_NO_STORE = {"Cache-Control": "no-store"}
_WRONG_TOKEN = "The bearer token is not the one that CCEXPORT_METRICS_TOKEN holds.\n"  # noqa: S105  # a sentence
_ELSEWHERE = (
    "Metrics answer this machine alone. Set CCEXPORT_METRICS_TOKEN to read them from another.\n"
)
_NOT_NOW = "The store cannot be read now. The people who run ccexport find why in the log.\n"


def metrics_route(get_parts: Callable[[], Installation], base_path: str = "") -> Route:
    def metrics(request: Request) -> Response:
        installation = get_parts()
        token = installation.settings.metrics_token
        if (refusal := _refusal(request, token)) is not None:
            return refusal
        from ccexport.services.operations.metrics import CONTENT_TYPE, metrics_text

        try:
            text = metrics_text(installation)
        except CcexportError:  # its text can name the store's address
            return PlainTextResponse(_NOT_NOW, 503, _NO_STORE)
        return Response(text, 200, {"Content-Type": CONTENT_TYPE} | _NO_STORE)

    return Route(f"{base_path}{METRICS_PATH}", metrics, methods=["GET"])


def _refusal(request: Request, token: SecretStr | None) -> Response | None:
    """What is answered instead; the names of exports are not for everybody."""
    if token is None:
        return None if _is_from_here(request) else PlainTextResponse(_ELSEWHERE, 403, _NO_STORE)
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    wanted = token.get_secret_value().encode()
    if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), wanted):
        return None
    return PlainTextResponse(_WRONG_TOKEN, 401, _BEARER | _NO_STORE)


def _is_from_here(request: Request) -> bool:
    """Peer, name and everybody that a proxy asks for are this machine; what bears other marks of a proxy is not."""
    if any(name in request.headers for name in ("forwarded", "via", "x-real-ip")):
        return False
    callers = [request.client.host if request.client else ""]
    names = [host_name(request.headers.get("host", "")), *forwarded_for(request.headers)]
    return all(map(is_this_machine, callers + names))
