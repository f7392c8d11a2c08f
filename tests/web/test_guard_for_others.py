"""The guard of a dashboard that people sign in to: which names and pages it answers, and what it makes of cookies."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from ccexport.web.guard import guards
from tests.web.conftest import INDEX_HTML, serving

TIMEOUT = 60
PUBLIC_URL = "https://Exports.example:443/tools"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The address of a small application behind the guard, open to others under its public address."""
    routes = [
        Route("/healthz", _hello),
        Route("/livez", _hello),
        Route("/readyz", _hello),
        Route("/", _hello),
        Route("/cookies", _set_cookies),
        Route("/broken", _fail),
        Route("/media/{name}", _download),
        WebSocketRoute("/channel", _open_channel),
    ]
    middleware = guards(INDEX_HTML, open_to_others=True, public_url=PUBLIC_URL)
    with serving(Starlette(routes=routes, middleware=middleware)) as url:
        yield url


@pytest.mark.parametrize(
    "host", ["exports.example", "EXPORTS.example:443", "localhost:8501", "127.0.0.1", "[::1]"]
)
def test_public_name_and_this_machine_are_answered(url: str, host: str) -> None:
    assert _get(url, "/", Host=host).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "exports.example.evil.example", "10.0.0.7:8501", "", "[", "a@b:x"]
)
def test_other_names_are_refused_and_told_of_the_public_one(url: str, host: str) -> None:
    answer = _get(url, "/", Host=host)
    assert answer.status_code == 403
    assert "CCEXPORT_PUBLIC_URL" in answer.text


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
def test_health_is_for_those_who_watch_under_any_name(url: str, path: str) -> None:
    assert _get(url, path, Host="10.0.0.7:8501").status_code == 200


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("exports.example", "https://exports.example"),
        ("127.0.0.1:8501", "https://exports.example"),  # a proxy that asks under another name
        ("localhost:8501", "http://localhost:8501"),
        ("exports.example", None),
    ],
)
def test_own_pages_open_the_channel(url: str, host: str, origin: str | None) -> None:
    with _connect(url, host, origin) as channel:
        assert channel.recv(TIMEOUT) == "hello"


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("exports.example", "http://exports.example"),  # somebody in between, without HTTPS
        ("exports.example", "https://evil.example"),
        ("exports.example", "https://exports.example:8443"),
        ("exports.example", "null"),
        ("localhost:8501", "http://localhost:8502"),
        ("evil.example", "https://evil.example"),
        ("evil.example", None),
    ],
)
def test_other_pages_do_not_open_the_channel(url: str, host: str, origin: str | None) -> None:
    with pytest.raises(InvalidStatus) as refused, _connect(url, host, origin):
        pass
    assert refused.value.response.status_code == 403
    assert refused.value.response.headers["X-Content-Type-Options"] == "nosniff"


def test_every_cookie_becomes_strict(url: str) -> None:
    answer = requests.get(f"{url}/cookies", timeout=TIMEOUT)
    assert answer.raw.headers.getlist("Set-Cookie") == [
        "bare=1; HttpOnly; SameSite=Lax; Secure",
        "own=2; Path=/; SameSite=Strict; secure; httponly",
        "_streamlit_xsrf=3; Path=/; SameSite=Lax; Secure",
    ]


def test_bug_of_a_route_is_a_plain_sentence_with_the_strict_headers(url: str) -> None:
    answer = requests.get(f"{url}/broken", timeout=TIMEOUT)
    assert answer.status_code == 500
    assert "Something went wrong on our side" in answer.text
    assert "secret" not in answer.text
    assert answer.headers["X-Frame-Options"] == "DENY"


def test_downloads_are_kept_by_no_cache(url: str) -> None:
    assert (
        requests.get(f"{url}/media/x.csv", timeout=TIMEOUT).headers["Cache-Control"] == "no-store"
    )


def _get(url: str, path: str, **headers: str) -> requests.Response:
    return requests.get(url + path, headers=headers, timeout=TIMEOUT)


def _connect(url: str, host: str, origin: str | None) -> ClientConnection:
    port = urlsplit(url).port
    assert port is not None
    channel = socket.create_connection(("127.0.0.1", port), TIMEOUT)
    given = None if origin is None else Origin(origin)
    return connect(f"ws://{host}/channel", origin=given, sock=channel, proxy=None)


async def _hello(_request: Request) -> Response:
    return PlainTextResponse("hello")


async def _set_cookies(_request: Request) -> Response:
    answer = PlainTextResponse("")
    for cookie in (
        "bare=1",
        "own=2; Path=/; SameSite=Strict; secure; httponly",
        "_streamlit_xsrf=3; Path=/; SameSite=Lax",
    ):
        answer.headers.append("Set-Cookie", cookie)
    return answer


async def _fail(_request: Request) -> Response:
    raise ValueError("a secret")


async def _download(_request: Request) -> Response:
    return PlainTextResponse("a,b", headers={"Cache-Control": "public"})


async def _open_channel(channel: WebSocket) -> None:
    await channel.accept()
    await channel.send_text("hello")
    await channel.close()
