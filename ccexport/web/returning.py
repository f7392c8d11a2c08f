"""After signing in, people are where they wanted to be: the address they asked for travels in a cookie.

Streamlit's own sign-in always returns to the root. The way there (`/auth/login?…&next=/run?run=42`) leaves the address
with the browser; the way back (`/oauth2callback`) is led there. Only an address of ours is ever gone to.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs, quote, unquote

from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "ccexport_next"
COOKIE_SECONDS = 600
MAX_CHARACTERS = 1_000
# below our root: one slash, then a page's name and its query; no second slash, no backslash, no scheme
_OURS = re.compile(r"/[a-z_]*(\?[^\s\\<>\"']*)?")


def returning(base_path: str, *, secure: bool) -> Middleware:
    """`base_path` is where the dashboard lies below its host; `secure`: people reach it by HTTPS."""
    return Middleware(_Returning, base_path=base_path, secure=secure)


def is_ours(address: str) -> bool:
    """Whether it is the address of a page, below our root, and of nothing else."""
    return len(address) <= MAX_CHARACTERS and _OURS.fullmatch(address) is not None


class _Returning:
    """Plain ASGI: looks at two addresses and lets the rest pass."""

    def __init__(self, app: ASGIApp, *, base_path: str, secure: bool) -> None:
        self._app = app
        self._login, self._callback = f"{base_path}/auth/login", f"{base_path}/oauth2callback"
        self._root = base_path
        self._attributes = f"Path={base_path or '/'}; HttpOnly; SameSite=Lax" + (
            "; Secure" if secure else ""
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or path not in (self._login, self._callback):
            await self._app(scope, receive, send)
            return

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if path == self._login:
                    self._leave(scope, headers)
                else:
                    self._arrive(scope, headers)
            await send(message)

        await self._app(scope, receive, send_on)

    def _leave(self, scope: Scope, headers: MutableHeaders) -> None:
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        wanted = query.get("next", [""])[0]
        if is_ours(wanted):
            value = quote(wanted, safe="")
            headers.append(
                "set-cookie", f"{COOKIE}={value}; Max-Age={COOKIE_SECONDS}; {self._attributes}"
            )

    def _arrive(self, scope: Scope, headers: MutableHeaders) -> None:
        wanted = _wanted_by(scope)
        if wanted is None:
            return
        headers.append("set-cookie", f"{COOKIE}=; Max-Age=0; {self._attributes}")
        leads_to_root = headers.get("location", "").rstrip("/") == self._root
        if leads_to_root and is_ours(wanted):
            headers["location"] = self._root + wanted


def _wanted_by(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"cookie":
            found = cookie_parser(value.decode("latin-1")).get(COOKIE)
            if found is not None:
                return unquote(found)
    return None
