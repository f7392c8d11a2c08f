"""Looking into the stand-in and turning its knobs while it runs: `/_sandbox/…`.

Needs no token, counts against no limit, and is not logged.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ccexport.sandbox.account.contact_json import MemberWriter
from ccexport.sandbox.account.state import SandboxState

PREFIX = "/_sandbox"
_CHUNK = 5_000


def inspection_routes(state: SandboxState) -> list[Route]:
    inspection = _Inspection(state)
    return [
        Route(f"{PREFIX}/members", inspection.members, methods=["GET"]),
        Route(f"{PREFIX}/requests", inspection.requests, methods=["GET"]),
        Route(f"{PREFIX}/tokens", inspection.tokens, methods=["GET"]),
        Route(f"{PREFIX}/behaviour", inspection.behaviour, methods=["GET", "POST"]),
        Route(f"{PREFIX}/leave", inspection.leave, methods=["POST"]),
        Route(f"{PREFIX}/unsubscribe", inspection.unsubscribe, methods=["POST"]),
        Route(f"{PREFIX}/revoke", inspection.revoke, methods=["POST"]),
    ]


class _Inspection:
    def __init__(self, state: SandboxState) -> None:
        self._state = state

    async def members(self, request: Request) -> Response:
        """Who is on a list, by address; `format=emails` for the addresses alone."""
        entry = self._state.lists.get(request.query_params.get("list", ""))
        if entry is None:
            return _problem(404, "there is no such list; ask with ?list=<list_id>")
        numbers = await run_in_threadpool(self._sorted_members, entry.list_id)
        emails = self._state.contacts.emails
        if request.query_params.get("format") == "emails":
            body = await run_in_threadpool(json.dumps, [emails[number] for number in numbers])
            return Response(body, media_type="application/json")
        return StreamingResponse(self._as_json(numbers), media_type="application/json")

    async def requests(self, request: Request) -> Response:
        """Every request so far, `?operation=` for those of one operation."""
        wanted = request.query_params.get("operation")
        logged = [one for one in self._state.log if wanted in (None, one.operation)]
        return JSONResponse([asdict(one) for one in logged])

    async def tokens(self, request: Request) -> Response:
        del request
        return JSONResponse(self._state.tokens.counters)

    async def behaviour(self, request: Request) -> Response:
        """What is in force; POST merges the keys of its body."""
        if request.method == "POST":
            try:
                keys = await request.json()
                await run_in_threadpool(self._state.change, keys)
            except ValueError as error:
                return _problem(400, str(error))
        return JSONResponse(self._state.behaviour.model_dump(mode="json"))

    async def leave(self, request: Request) -> Response:
        """A person leaves one list: `{"email": …, "list_id": …}`."""
        asked = await _fields(request, "email", "list_id")
        if asked is None:
            return _problem(400, "email and list_id are needed")
        left = await run_in_threadpool(self._leave, asked["email"], asked["list_id"])
        return JSONResponse({"left": True}) if left else _problem(404, "is not on this list")

    async def unsubscribe(self, request: Request) -> Response:
        """A person opts out of everything: `{"email": …}`."""
        asked = await _fields(request, "email")
        if asked is None:
            return _problem(400, "email is needed")
        await run_in_threadpool(self._unsubscribe, asked["email"])
        return JSONResponse({"unsubscribed": True})

    async def revoke(self, request: Request) -> Response:
        """All codes and tokens stop working, as when a person removes the application's access."""
        del request
        self._state.tokens.revoke_all()
        return JSONResponse(self._state.tokens.counters)

    def _leave(self, email: str, list_id: str) -> bool:
        self._state.activities.catch_up(True)
        return self._state.leave(email, list_id)

    def _unsubscribe(self, email: str) -> None:
        self._state.activities.catch_up(True)
        self._state.unsubscribe(email)

    def _sorted_members(self, list_id: str) -> list[int]:
        self._state.activities.catch_up(True)
        with self._state.lock:
            entry = self._state.lists.get(list_id)
            return sorted(
                entry.members if entry else (), key=self._state.contacts.emails.__getitem__
            )

    def _as_json(self, numbers: list[int]) -> Iterator[str]:
        writer = MemberWriter(self._state.contacts)
        yield "["
        for first in range(0, len(numbers), _CHUNK):
            with self._state.lock:
                some = list(map(writer.write, numbers[first : first + _CHUNK]))
            yield (",\n" if first else "") + ",\n".join(some)
        yield "]"


async def _fields(request: Request, *names: str) -> dict[str, str] | None:
    try:
        body: Any = await request.json()
    except ValueError:
        return None
    if not isinstance(body, dict) or not all(isinstance(body.get(name), str) for name in names):
        return None
    return {name: body[name] for name in names}


def _problem(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status)
