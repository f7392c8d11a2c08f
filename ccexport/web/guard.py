"""What every request passes: without sign-in this machine alone is answered, and browsers are told to be strict."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ccexport.errors import SettingError

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_ELSEWHERE = (
    "Nobody signs in to this dashboard, so it answers on its own machine alone, as http://localhost. "
    "Set up OpenID Connect (CCEXPORT_OIDC_ISSUER) to open it to others.\n"
)
_INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def guards(index_html: Path, *, open_to_others: bool) -> list[Middleware]:
    """The middleware of the dashboard; `index_html` is the page whose own scripts browsers may run."""
    headers = security_headers(index_html)
    return [Middleware(_Guard, headers=headers, open_to_others=open_to_others)]


def check_bind_address(address: str | None, *, open_to_others: bool) -> None:
    """Raises `SettingError` where the dashboard would answer others although nobody signs in; None is every address."""
    if not open_to_others and not is_loopback(address or ""):
        raise SettingError(
            f"The dashboard would answer on {address or 'every address'} although nobody signs in. Leave "
            "server.address at 127.0.0.1, or set up OpenID Connect (CCEXPORT_OIDC_ISSUER)."
        )


def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine and no other can reach it."""
    if host in LOOPBACK_NAMES:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def security_headers(index_html: Path) -> dict[str, str]:
    """No framing, no foreign script, style, font, picture or request; charts need `unsafe-eval`, styles are inline."""
    scripts = _INLINE_SCRIPT.findall(index_html.read_bytes())
    digests = (base64.b64encode(hashlib.sha256(script).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    policy = (
        "default-src 'self'",
        f"script-src 'self' 'unsafe-eval' {allowed}".rstrip(),
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
    return {
        "Content-Security-Policy": "; ".join(policy),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    }


class _Guard:
    """Plain ASGI, so that websockets pass it too and nothing is buffered."""

    def __init__(self, app: ASGIApp, *, headers: dict[str, str], open_to_others: bool) -> None:
        self._app = app
        self._headers = headers
        self._open_to_others = open_to_others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        async def send_strictly(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    given.setdefault(name, value)
            await send(message)

        if self._open_to_others or _is_from_here(scope):
            await self._app(scope, receive, send_strictly)
        elif scope["type"] == "http":
            await PlainTextResponse(_ELSEWHERE, 403)(scope, receive, send_strictly)
        else:
            await send({"type": "websocket.close", "code": 1008})


def _is_from_here(scope: Scope) -> bool:
    """Both the peer and the name it asked for: a foreign name that leads here is a page that rebinds its DNS."""
    client = scope.get("client")
    asked_for = urlsplit(f"//{Headers(scope=scope).get('host', '')}").hostname or ""
    return (client is None or is_loopback(client[0])) and is_loopback(asked_for)
