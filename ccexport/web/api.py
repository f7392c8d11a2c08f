"""The API: what other programs call with a token. Each call stands once, in `CALLS`: routes and document come of it.

The token is a bearer token, and nothing else lets in: no cookie does, so a page of another site cannot call in
somebody's name. A token in an address is refused, since addresses end up in logs.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from ccexport.errors import (
    CcexportError,
    Conflict,
    NotAllowed,
    NotFound,
    RetryableError,
    StoreError,
    UsageError,
)
from ccexport.installation import Installation
from ccexport.redaction import redact
from ccexport.services.api.calls import Calls, KeyUsedBefore, StillLive
from ccexport.services.api.tokens import PREFIX, ApiTokens, WrongToken
from ccexport.web import api_models as models
from ccexport.web.attempts import FailedAttempts
from ccexport.web.guard import API_PATH

log = logging.getLogger(__name__)
Model = TypeVar("Model", bound=BaseModel)

MAX_BODY = 10_000  # bytes; the only body there is holds one word
HEAVY_AT_ONCE = 2  # previews and refreshes read the whole source
BUSY_SECONDS = 5
WRONG_TOKENS, WITHIN_SECONDS = 100, 60.0  # of one address, before it has to wait
_NOT_NOW = "The store cannot be read now. The people who run ccexport find why in the log."
_NO_TOKEN = "Send a token: Authorization: Bearer cce_… An administrator makes one under Settings > API tokens."  # noqa: S105  # a sentence
_IN_ADDRESS = (
    "A token in an address is refused: addresses end up in logs. Send it as Authorization: Bearer cce_…, and revoke "
    "this one."
)
_BEARER = {"WWW-Authenticate": "Bearer"}
_NO_STORE = {"Cache-Control": "no-store"}


@dataclass(frozen=True)
class Asked:
    """A request, read."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    key: str | None


@dataclass(frozen=True)
class Reply:
    """An answer to be written."""

    status: int
    content: object
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """One call: how it is asked, what does it, and what it may answer besides what any call may."""

    method: str
    path: str  # below API_PATH, in Starlette's words
    name: str
    says: str
    do: Callable[[Calls, Asked], Reply]
    answers: Mapping[int, tuple[str, type[BaseModel] | type[list[Any]]]]
    query: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # name → what it may hold
    body: type[BaseModel] | None = None
    takes_key: bool = False
    is_heavy: bool = False


def _start(calls: Calls, asked: Asked) -> Reply:
    wish = _body_of(asked.body, models.StartRun)
    run_id = calls.start(asked.path["name"], full=wish.full, key=asked.key)
    return Reply(202, {"run": run_id, "url": f"{API_PATH}/runs/{run_id}"})


def _outcome(calls: Calls, asked: Asked) -> Reply:
    found = calls.outcome(asked.path["id"], errors_allowed=asked.query.get("errors") == "allowed")
    if found.is_good or (not found.is_live and asked.query.get("end") == "any"):
        return Reply(200, {"run": found.run_id, "state": found.state})
    said = {"error": _line(found.why), "run": found.run_id, "state": found.state}
    return Reply(404 if found.is_live else 422, said)


CALLS = (
    Call(
        "POST",
        "/exports/{name:path}/runs",
        "startRun",
        "Queue a run of an export; a worker performs it.",
        _start,
        {
            202: ("The run is queued, or was by the same key.", models.Started),
            404: ("There is no such export.", models.Error),
            409: ("A run of the export is still live.", models.Live),
            422: ("It cannot run, or the key was used for something else.", models.Error),
        },
        body=models.StartRun,
        takes_key=True,
    ),
    Call(
        "GET",
        "/runs/{id}",
        "showRun",
        "A run and what became of it.",
        lambda calls, asked: Reply(200, calls.run(asked.path["id"])),
        {200: ("The run.", models.Run), 404: ("There is no such run.", models.Error)},
    ),
    Call(
        "GET",
        "/runs/{id}/outcome",
        "runOutcome",
        "404 while the run is live, 200 when it ended well, 422 otherwise; with end=any 200 at every end.",
        _outcome,
        {
            200: ("It ended well, or with end=any at all.", models.Ended),
            404: ("It is still live, or there is no such run.", models.NotEnded),
            422: ("It did not end well.", models.Ended422),
        },
        query={"errors": ("allowed",), "end": ("any",)},
    ),
    Call(
        "GET",
        "/exports",
        "listExports",
        "The exports that the token reaches, by name.",
        lambda calls, _asked: Reply(200, calls.exports()),
        {200: ("The exports.", list[models.Export])},
    ),
    Call(
        "GET",
        "/exports/{name:path}/preview",
        "previewExport",
        "What a run would send, counted; nothing is sent.",
        lambda calls, asked: Reply(200, calls.preview(asked.path["name"])),
        {
            200: ("The preview.", models.Preview),
            404: ("There is no such export.", models.Error),
            422: ("It cannot be previewed.", models.Error),
        },
        is_heavy=True,
    ),
    Call(
        "POST",
        "/refresh",
        "refresh",
        "Read the source's segments again, and queue every export due on it.",
        lambda calls, _asked: Reply(202, {"runs": calls.refresh()}),
        {
            202: ("It is done, and these runs are queued.", models.Refreshed),
            422: ("The source cannot be read.", models.Error),
        },
        is_heavy=True,
    ),
)


def api_routes(get_parts: Callable[[], Installation], base_path: str = "") -> list[BaseRoute]:
    """All calls, the document that describes them, and an answer in JSON to everything else below them."""
    from ccexport.web.api_document import document

    door = _Door(get_parts)
    base = f"{base_path}{API_PATH}"
    by_path: dict[str, dict[str, Call]] = {}
    for call in CALLS:
        by_path.setdefault(call.path, {})[call.method] = call

    async def describe(_request: Request) -> Response:
        return JSONResponse(document(base_path), headers=_NO_STORE)

    async def unknown(_request: Request) -> Response:
        return _written(Reply(404, {"error": "There is no such call. See /api/v1/openapi.json."}))

    return [
        Route(f"{base}/openapi.json", describe, methods=["GET"]),
        *(Route(f"{base}{path}", _Path(calls, door)) for path, calls in by_path.items()),
        Route(f"{base}/{{rest:path}}", _Any(unknown)),
    ]


class _Any:
    """Takes every method: a route over a function takes those it lists."""

    def __init__(self, answer: Callable[[Request], Any]) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await self._answer(Request(scope, receive))
        await answer(scope, receive, send)


class _Path:
    """One path, whatever the method."""

    def __init__(self, calls: Mapping[str, Call], door: _Door) -> None:
        self._calls = calls
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        call = self._calls.get("GET" if request.method == "HEAD" else request.method)
        if call is None:
            allowed = {"Allow": ", ".join(sorted(self._calls))}
            reply = Reply(405, {"error": f"This path takes {allowed['Allow']} alone."}, allowed)
        elif (body := await _body(request)) is None:
            reply = Reply(413, {"error": f"The body has more than {MAX_BODY:,} bytes."})
        else:
            reply = await run_in_threadpool(self._door.answer, call, request, body)
        await _written(reply)(scope, receive, send)


class _Door:
    """Lets programs in by their token, and turns what goes wrong into an answer."""

    def __init__(self, get_parts: Callable[[], Installation]) -> None:
        self._get_parts = get_parts
        self._attempts = FailedAttempts(most=WRONG_TOKENS, within_seconds=WITHIN_SECONDS)
        self._heavy = threading.BoundedSemaphore(HEAVY_AT_ONCE)

    def answer(self, call: Call, request: Request, body: bytes) -> Reply:
        try:
            return self._answer(call, request, body)
        except CcexportError as error:
            return _said(error)

    def _answer(self, call: Call, request: Request, body: bytes) -> Reply:
        installation = self._get_parts()
        came_from = request.client.host if request.client else ""
        try:
            caller = ApiTokens(installation).caller(_token_of(request), came_from)
        except _NoToken as error:
            return Reply(401, {"error": str(error)}, _BEARER)
        except WrongToken as error:
            return self._wrong(str(error), came_from)
        calls, asked = Calls(installation, caller), _asked(call, request, body)
        if not call.is_heavy:
            return call.do(calls, asked)
        if not self._heavy.acquire(blocking=False):
            wait = {"Retry-After": str(BUSY_SECONDS)}
            return Reply(429, {"error": "The source is being read already. Ask again."}, wait)
        try:
            return call.do(calls, asked)
        finally:
            self._heavy.release()

    def _wrong(self, said: str, came_from: str) -> Reply:
        """A right token is let in whatever else came from its address; guessing one is hopeless anyway."""
        seconds = self._attempts.seconds_to_wait(came_from)
        if seconds > 0:
            wait = {"Retry-After": str(int(seconds) + 1)} | _BEARER
            return Reply(
                429, {"error": "Too many wrong tokens. Wait, and send the right one."}, wait
            )
        self._attempts.failed(came_from)
        if self._attempts.seconds_to_wait(came_from) > 0:
            log.warning("API: too many wrong tokens from %s", came_from)
        return Reply(401, {"error": said}, _BEARER)


class _NoToken(WrongToken):
    """None was sent where it belongs: nobody guesses."""


def _token_of(request: Request) -> str:
    """Raises `_NoToken`."""
    if any(value.startswith(PREFIX) for value in request.query_params.values()):
        raise _NoToken(_IN_ADDRESS)
    if {"access_token", "token", "api_key"} & set(request.query_params):
        raise _NoToken(_IN_ADDRESS)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise _NoToken(_NO_TOKEN)
    return token.strip()


def _asked(call: Call, request: Request, body: bytes) -> Asked:
    """Raises `UsageError` where the query is not what the call takes."""
    for name, value in request.query_params.multi_items():
        if value not in call.query.get(name, ()):
            known = [f"{each}={'|'.join(values)}" for each, values in call.query.items()]
            raise UsageError(f"The address may ask for {' and '.join(known) or 'nothing'} alone.")
    key = request.headers.get("idempotency-key") if call.takes_key else None
    return Asked(request.path_params, dict(request.query_params), body, key)


async def _body(request: Request) -> bytes | None:
    """None where it is too long; no more than that is read."""
    found = b""
    async for piece in request.stream():
        found += piece
        if len(found) > MAX_BODY:
            return None
    return found


def _body_of(body: bytes, kind: type[Model]) -> Model:
    """Nothing is an empty object. Raises `UsageError`."""
    try:
        return kind.model_validate(json.loads(body) if body.strip() else {}, strict=True)
    except (ValueError, RecursionError) as error:
        where = ""
        if isinstance(error, ValidationError):
            first = error.errors(include_url=False, include_input=False)[0]
            where = f": {'.'.join(map(str, first['loc'])) or 'it'}, {first['msg'].lower()}"
        raise UsageError(
            f'The body is not JSON as {{"full": true}}{redact(where)[:200]}.'
        ) from None


def _said(error: CcexportError) -> Reply:
    """By what the reader should do about it."""
    if isinstance(error, StoreError):  # its text can name the store's address
        log.error("API: %s", error)
        return Reply(503, {"error": _NOT_NOW})
    said = {"error": _line(str(error))}
    if isinstance(error, StillLive):
        return Reply(409, said | ({"run": error.run_id} if error.run_id else {}))
    for kind, status in _STATUS.items():
        if isinstance(error, kind):
            return Reply(status, said)
    return Reply(422, said)


_STATUS: dict[type[CcexportError], int] = {
    KeyUsedBefore: 422,
    UsageError: 400,
    NotFound: 404,
    NotAllowed: 403,
    Conflict: 409,
    RetryableError: 503,
}


def _line(text: str) -> str:
    return redact(" ".join(text.split()))


def _written(reply: Reply) -> Response:
    return JSONResponse(reply.content, reply.status, dict(reply.headers) | _NO_STORE)
