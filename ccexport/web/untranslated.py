"""Pages ask browsers not to translate them.

A translation puts elements of its own around each text, beneath Streamlit's feet. By public reports
(streamlit/streamlit#7745) the next redraw of what was translated may then fail; it was not tried here.
"""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PAGE = b'<html lang="en">'
_MARKED = b'<html lang="en" translate="no" class="notranslate">'


def untranslated() -> Middleware:
    """Marks the page that all screens are drawn in."""
    return Middleware(_Untranslated)


class _Untranslated:
    """Plain ASGI: holds back an answer that is a page until it is whole, and lets all others pass."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _asks_for_a_page(scope):
            await self._app(scope, receive, send)
            return
        headers = MutableHeaders(scope=scope)
        del headers["accept-encoding"]  # so that it comes as it is; it is small
        await self._app({**scope, "headers": headers.raw}, receive, _Marking(send).send)


class _Marking:
    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._body = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_page(message):
            self._start = message
        elif self._start is None or message["type"] != "http.response.body":
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                await self._send_marked(self._start)

    async def _send_marked(self, start: Message) -> None:
        body = self._body.replace(_PAGE, _MARKED, 1)
        headers = MutableHeaders(raw=list(start["headers"]))
        headers["content-length"] = str(len(body))
        await self._send({**start, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": body})


def _asks_for_a_page(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "GET":
        return False
    return "text/html" in Headers(scope=scope).get("accept", "")


def _is_page(start: Message) -> bool:
    kind = Headers(raw=list(start["headers"])).get("content-type", "")
    return start["status"] == 200 and kind.startswith("text/html")
