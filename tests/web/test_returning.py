"""The address that somebody wanted survives the sign-in; nothing else than an address of ours is ever gone to."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from ccexport.web.returning import COOKIE, is_ours, returning

OURS = ("/", "/runs", "/run?run=42", "/exports?search=a%20b&state=bad", "/runs?export=Zürich")
FOREIGN = (
    "",
    "runs",
    "//evil.example.com",
    "/\\evil.example.com",
    "https://evil.example.com/runs",
    "javascript:alert(1)",
    "/runs/../../evil",
    "/@evil.example.com",
    "/runs?a=\r\nSet-Cookie: x=1",
    "/runs#fragment",
    "/run?run=" + "4" * 1_000,
)


@pytest.mark.parametrize("address", OURS)
def test_returning_takes_the_address_of_a_page(address: str) -> None:
    assert is_ours(address)


@pytest.mark.parametrize("address", FOREIGN)
def test_returning_refuses_every_other_address(address: str) -> None:
    assert not is_ours(address)


def browser(base_path: str = "", *, secure: bool = False, back_to: str | None = None) -> TestClient:
    """One before a stand-in for Streamlit's two routes."""

    def login(_request: Request) -> Response:
        return RedirectResponse("https://login.example.com/authorize", 302)

    def callback(_request: Request) -> Response:
        return RedirectResponse(back_to if back_to is not None else f"{base_path}/", 302)

    app = Starlette(
        routes=[
            Route(f"{base_path}/auth/login", login),
            Route(f"{base_path}/oauth2callback", callback),
        ],
        middleware=[returning(base_path, secure=secure)],
    )
    scheme = "https" if secure else "http"
    return TestClient(app, base_url=f"{scheme}://localhost", follow_redirects=False)


@pytest.mark.parametrize("base_path", ["", "/crm/contacts"])
@pytest.mark.parametrize("secure", [False, True])
def test_returning_leads_to_the_address_once(base_path: str, secure: bool) -> None:
    with browser(base_path, secure=secure) as visitor:
        wanted = quote("/run?run=42&tab=a b", safe="")
        left = visitor.get(f"{base_path}/auth/login?provider=x&next={wanted.replace('%20', '+')}")
        assert COOKIE not in left.headers.get("set-cookie", "")  # a blank is no part of an address
        left = visitor.get(
            f"{base_path}/auth/login?provider=x&next={quote('/run?run=42', safe='')}"
        )
        cookie = left.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert ("Secure" in cookie) == secure
        assert f"Path={base_path or '/'};" in cookie
        back = visitor.get(f"{base_path}/oauth2callback?code=1&state=2")
        assert back.headers["location"] == f"{base_path}/run?run=42"
        again = visitor.get(f"{base_path}/oauth2callback?code=1&state=2")
        assert again.headers["location"] == f"{base_path}/"


@pytest.mark.parametrize("address", FOREIGN)
def test_returning_never_leads_elsewhere_even_when_the_cookie_says_so(address: str) -> None:
    with browser() as visitor:
        left = visitor.get("/auth/login", params={"next": address})
        assert "set-cookie" not in left.headers
        visitor.cookies.set(COOKIE, quote(address, safe=""))
        back = visitor.get("/oauth2callback?code=1&state=2")
        assert back.headers["location"] == "/"


def test_returning_leaves_other_redirects_alone() -> None:
    with browser(back_to="https://login.example.com/error") as visitor:
        visitor.cookies.set(COOKIE, quote("/runs", safe=""))
        back = visitor.get("/oauth2callback?error=1")
        assert back.headers["location"] == "https://login.example.com/error"
