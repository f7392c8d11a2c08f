"""What every request passes: without sign-in this machine alone is answered, and browsers are told to be strict."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ccexport.errors import SettingError
from ccexport.processes import is_this_machine

READING = (
    "GET",
    "HEAD",
    "OPTIONS",
)  # nothing is uploaded here, and what people do goes over the websocket
HEALTH_PATH = "/healthz"
LIVE_PATH = "/livez"
READY_PATH = "/readyz"
API_PATH = "/api/v1"  # asks for a bearer token itself, which no page of another site has
METRICS_PATH = "/metrics"  # asks for its token itself
HSTS_SECONDS = 31_536_000  # a year
_BEGINNINGS = ("http.response.start", "websocket.accept", "websocket.http.response.start")
_PRIVATE_PATH = "/media/"  # downloads: they hold profiles
_READ_BY_SCRIPTS = (b"_streamlit_xsrf=",)
_ELSEWHERE = (
    "Nobody signs in to this dashboard, so it answers on its own machine alone, as http://localhost. "
    "Set up OpenID Connect (CCEXPORT_OIDC_ISSUER) to open it to others.\n"
)
_ANOTHER_NAME = (
    "The dashboard is not reached under this name. Open its public address; the people who run ccexport know which one "
    "that is with CCEXPORT_PUBLIC_URL.\n"
)
_FOREIGN_PAGE = "A page of another site may not open the dashboard.\n"
_NO_UPLOADS = "Nothing is uploaded or changed here; the dashboard does that from its pages.\n"
_OUR_FAULT = "Something went wrong on our side. The people who run ccexport find it in the log.\n"
_INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def guards(index_html: Path, *, open_to_others: bool, public_url: str) -> list[Middleware]:
    """The middleware of the dashboard; `index_html` is the page whose own scripts browsers may run."""
    address = urlsplit(public_url)
    headers = security_headers(index_html)
    if address.scheme == "https":
        headers["Strict-Transport-Security"] = f"max-age={HSTS_SECONDS}"
    return [
        Middleware(
            _Guard,
            headers=headers,
            open_to_others=open_to_others,
            public_origin=_origin_of(address),
            metrics_path=address.path.rstrip("/") + METRICS_PATH,
            api_path=f"{address.path.rstrip('/')}{API_PATH}/",
        )
    ]


def _origin_of(address: SplitResult) -> str:
    """As browsers write it: in small letters, without the port that goes without saying."""
    usual = {"http": ":80", "https": ":443"}.get(address.scheme, "")
    return f"{address.scheme}://{address.netloc.removesuffix(usual)}".lower()


def check_bind_address(address: str | None, *, open_to_others: bool) -> None:
    """Raises `SettingError` where the dashboard would answer others although nobody signs in; None is every address."""
    if not open_to_others and not is_this_machine(address or ""):
        raise SettingError(
            f"The dashboard would answer on {address or 'every address'} although nobody signs in. Leave "
            "server.address at 127.0.0.1, or set up OpenID Connect (CCEXPORT_OIDC_ISSUER)."
        )


def check_believed(wanted: str, believed: str | None) -> None:
    """Raises `SettingError` where the server believes other proxies than the setting says: it has read that by now."""
    if believed != wanted:
        raise SettingError(
            "CCEXPORT_TRUSTED_PROXIES is set, and the server was not started with it. Start the dashboard with "
            f"`python -m ccexport serve`, or set FORWARDED_ALLOW_IPS={wanted} beforehand."
        )


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
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    }


class _Guard:
    """Plain ASGI, so that websockets pass it too and nothing is buffered."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        headers: dict[str, str],
        open_to_others: bool,
        public_origin: str,
        metrics_path: str,
        api_path: str,
    ) -> None:
        self._app = app
        self._headers = headers
        self._open_to_others = open_to_others
        self._public_origin = public_origin
        self._metrics_path = metrics_path
        self._api_path = api_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        strictly = _Strictly(scope, send, self._headers, secure=self._is_https)
        if (refusal := self._refusal(scope)) is not None:
            await _refuse(refusal, scope, receive, strictly.send)
            return
        try:
            await self._app(scope, receive, strictly.send)
        except Exception:
            # the framework's own answer to this would lie outside of the guard, without the headers
            if scope["type"] == "http" and not strictly.has_begun:
                await PlainTextResponse(_OUR_FAULT, 500)(scope, receive, strictly.send)
            raise

    @property
    def _is_https(self) -> bool:
        return self._public_origin.startswith("https:")

    def _refusal(self, scope: Scope) -> Response | None:
        """What is answered instead, where the request may not come in."""
        if not self._is_name_of_ours(scope):
            return PlainTextResponse(
                _ANOTHER_NAME if self._open_to_others else _ELSEWHERE,
                403,
            )
        if scope["type"] == "websocket":
            own = self._is_origin_of_ours(Headers(scope=scope))
            return None if own else PlainTextResponse(_FOREIGN_PAGE, 403)
        if scope["method"] not in READING and not scope["path"].startswith(self._api_path):
            return PlainTextResponse(_NO_UPLOADS, 405, {"Allow": ", ".join(READING)})
        return None

    def _is_name_of_ours(self, scope: Scope) -> bool:
        """Without sign-in both the peer and the name it asks for are this machine: a foreign name that leads here is
        a page that rebinds its DNS; nor may a proxy of this machine bring others. With it, the public address is the
        only other name; health and metrics are asked for under any.
        """
        headers = Headers(scope=scope)
        client, name = scope.get("client"), host_name(headers.get("host", ""))
        if not self._open_to_others:
            callers = [client[0]] if client else []
            return all(map(is_this_machine, [name, *callers, *forwarded_for(headers)]))
        is_public = name == urlsplit(self._public_origin).hostname
        is_watched = (
            scope["path"].endswith((HEALTH_PATH, LIVE_PATH, READY_PATH))
            or scope["path"] == self._metrics_path
        )
        return is_public or is_this_machine(name) or is_watched

    def _is_origin_of_ours(self, headers: Headers) -> bool:
        """A page of another site, or of another port of this machine, may not speak for the person in front of it.

        Browsers always name the origin; what names none is not led here by a page.
        """
        origin = headers.get("origin")
        if origin is None:
            return True
        given, public = urlsplit(origin.lower()), urlsplit(self._public_origin)
        if self._open_to_others and given.netloc == public.netloc:
            return given.scheme == public.scheme  # also where a proxy asks under another name
        return given.scheme in ("http", "https") and given.netloc == headers.get("host", "").lower()


class _Strictly:
    """Sends an answer with the headers that it lacks, and with its cookies made strict."""

    def __init__(self, scope: Scope, send: Send, headers: dict[str, str], *, secure: bool) -> None:
        self._scope = scope
        self._send = send
        self._headers = headers
        self._secure = secure
        self.has_begun = False

    async def send(self, message: Message) -> None:
        if message["type"] == "websocket.close" and not self.has_begun:
            # before the handshake it means a refusal, which the server would say without the headers
            self.has_begun = True
            await _refuse(PlainTextResponse("", 403), self._scope, _nothing, self.send)
            return
        if message["type"] in _BEGINNINGS:
            self.has_begun = True
            given = MutableHeaders(scope=message)
            for name, value in self._headers.items():
                given[name] = value
            if _PRIVATE_PATH in self._scope["path"]:
                given["Cache-Control"] = "no-store"
            message["headers"] = [
                (
                    name,
                    _strict_cookie(value, secure=self._secure) if name == b"set-cookie" else value,
                )
                for name, value in message["headers"]
            ]
        await self._send(message)


async def _nothing() -> Message:
    return {"type": "websocket.disconnect", "code": 1006}


async def _refuse(answer: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """The answer as it is, to a websocket's handshake too."""
    if scope["type"] == "websocket" and "websocket.http.response" not in scope.get(
        "extensions", {}
    ):
        await send({"type": "websocket.close", "code": 1008})
        return
    await answer(scope, receive, send)


def _strict_cookie(value: bytes, *, secure: bool) -> bytes:
    """No script reads it, no other site sends it along, and behind HTTPS it stays there.

    Streamlit sets the last only where it serves HTTPS itself. Its token against forged requests is there to be read.
    """
    given = {part.strip().partition(b"=")[0].lower() for part in value.split(b";")[1:]}
    if not value.startswith(_READ_BY_SCRIPTS) and b"httponly" not in given:
        value += b"; HttpOnly"
    if b"samesite" not in given:
        value += b"; SameSite=Lax"
    if secure and b"secure" not in given:
        value += b"; Secure"
    return value


def forwarded_for(headers: Headers) -> list[str]:
    """Whom a proxy says that it asks for, believed or not."""
    found = ",".join(headers.getlist("x-forwarded-for")).split(",")
    return [each for each in map(str.strip, found) if each]


def host_name(host: str) -> str:
    """Of a Host header, without the port; nothing where it is not a name."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
