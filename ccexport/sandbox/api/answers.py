"""The shapes of answers: the API's errors, the gateway's, the token endpoint's, and broken ones."""

import json
import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from socket import SO_LINGER, SOL_SOCKET
from typing import Any

from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from ccexport.sandbox.account.connections import transport_of
from ccexport.sandbox.faults import Fault

VALIDATION_ERROR = "contacts.api.validation.error"
_BAD_GATEWAY = (
    "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
)
_EASTERN = timezone(timedelta(hours=-5))


class Refused(Exception):
    """Carries the answer that ends a request early."""

    def __init__(self, answer: Response) -> None:
        self.answer = answer
        super().__init__(f"answered {answer.status_code}")


class CompactJSONResponse(JSONResponse):
    """JSON whose serializing is left to the caller's thread; `content` is ready text."""

    def render(self, content: Any) -> bytes:
        return content if isinstance(content, bytes) else super().render(content)


class DroppedConnection(Response):
    """No answer at all: the connection is reset."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del send
        transport = transport_of(scope)
        if transport is None:
            return
        socket = transport.get_extra_info("socket")
        socket.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
        while (await receive())["type"] != "http.disconnect":
            pass


class CutAnswer(Response):
    """An answer that promises its whole length, and stops half-way."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = self.raw_headers
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        half = bytes(self.body[: len(self.body) // 2])
        await send({"type": "http.response.body", "body": half, "more_body": True})


def several_errors(status: int, key: str, message: str) -> Response:
    """The array shape of contacts, lists and activities."""
    return JSONResponse([{"error_key": key, "error_message": message}], status)


def one_error(status: int, key: str, message: str) -> Response:
    """The object shape of 401, 403 and 429."""
    return JSONResponse({"error_key": key, "error_message": message}, status)


def gateway_error(status: int, message: str) -> Response:
    """What the gateway in front of the API says."""
    return JSONResponse({"message": message}, status)


def oauth_error(status: int, error: str, description: str) -> Response:
    """The token endpoint's own shape (RFC 6749, 5.2)."""
    return JSONResponse({"error": error, "error_description": description}, status)


def invalid(message: str) -> Refused:
    return Refused(several_errors(400, VALIDATION_ERROR, message))


def not_found() -> Response:
    return several_errors(404, "contacts.api.not_found", "The requested resource was not found.")


def conflict() -> Response:
    return several_errors(
        409,
        "contacts.api.conflict",
        "Conflict. The resource you are creating or updating conflicts with an existing resource.",
    )


def unauthorized() -> Response:
    answer = one_error(401, "unauthorized", "Unauthorized")
    answer.headers["www-authenticate"] = "Bearer realm=api.cc.email"
    return answer


def access_denied() -> Response:
    message = "Request forbidden due to insufficient user privileges."
    return one_error(403, "access_denied", message)


def throttled() -> Response:
    return one_error(429, "throttled", "Too Many Requests")


def quota_exceeded() -> Response:
    return one_error(429, "quota_exceeded", "Limit Exceeded")


def queue_full() -> Response:
    return several_errors(
        429,
        "contacts.api.activity.limit_exceeded",
        "Too many requests. You exceeded 1,000 queued activities for this user account.",
    )


def invalid_grant() -> Response:
    return oauth_error(400, "invalid_grant", "The refresh token is invalid or expired.")


def invalid_client() -> Response:
    return oauth_error(401, "invalid_client", "Client authentication failed.")


_NAMED = {
    "unauthorized": unauthorized,
    "access_denied": access_denied,
    "not_found": not_found,
    "validation_error": lambda: invalid("The request is not valid.").answer,
    "conflict": conflict,
    "throttled": throttled,
    "quota_exceeded": quota_exceeded,
    "queue_full": queue_full,
    "server_error": lambda: several_errors(
        500, "contacts.api.internal_error", "There was a problem with our internal service."
    ),
    "unavailable": lambda: gateway_error(503, "Service Unavailable"),
    "gateway_timeout": lambda: gateway_error(504, "Endpoint request timed out"),
    "too_large": lambda: gateway_error(413, "Request Entity Too Large"),
    "bad_gateway": lambda: HTMLResponse(_BAD_GATEWAY, 502),
    "invalid_grant": invalid_grant,
    "invalid_client": invalid_client,
    "drop_before": DroppedConnection,
    "drop_after": DroppedConnection,
}


def _wrong_types(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _wrong_types(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_wrong_types(inner) for inner in value]
    if isinstance(value, str):
        return len(value)
    return str(value)


def _unknown_fields(value: Any) -> Any:
    if isinstance(value, dict):
        more = {"not_documented": {"since": None}}
        return {key: _unknown_fields(inner) for key, inner in value.items()} | more
    return [_unknown_fields(inner) for inner in value] if isinstance(value, list) else value


DISTORTED = {"wrong_types": _wrong_types, "unknown_fields": _unknown_fields}


def distorted(body: bytes, status: int, how: str) -> Response:
    """A JSON answer with its values changed; what is not JSON stays as it is."""
    try:
        document = json.loads(body)
    except ValueError:
        return Response(body, status, media_type="text/csv")
    return JSONResponse(DISTORTED[how](document), status)


def answer_of(fault: Fault) -> Response:
    """The answer that a fault of the groups "instead" and "lost" gives."""
    if fault.do in _NAMED:
        return _NAMED[fault.do]()
    if fault.do == "empty":
        return Response(b"", fault.status or 500, dict(fault.headers))
    if fault.do == "truncated_json":
        return Response(b'{"activity_id": "0b', fault.status or 200, media_type="application/json")
    default = 504 if fault.do == "answer_after" else 500
    return _given(fault.status or default, fault.body, fault.headers)


def _given(status: int, body: Any, headers: Mapping[str, str]) -> Response:
    if body is None:
        return Response(b"", status, dict(headers))
    if isinstance(body, str):
        kind = "text/html" if body.lstrip().startswith("<") else "application/json"
        return Response(body, status, dict(headers), media_type=kind)
    return Response(json.dumps(body), status, dict(headers), media_type="application/json")


def iso_time(seconds: float) -> str:
    """`2026-01-05T10:00:00.000Z`: how most times are written."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def iso_time_with_offset(seconds: float) -> str:
    """`2026-01-05T05:00:00-05:00`: how the rest are written."""
    return datetime.fromtimestamp(seconds, _EASTERN).isoformat(timespec="seconds")


def iso_date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
