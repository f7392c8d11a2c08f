"""C35: browsers are asked not to translate the pages, which their translation would break."""

from __future__ import annotations

import gzip

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from ccexport.web.untranslated import untranslated
from tests.web.conftest import INDEX_HTML

MARKED = '<html lang="en" translate="no" class="notranslate">'
NAVIGATES = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def index(request: Request) -> Response:
    """Compressed where that is asked for, as the dashboard does with what is large."""
    page = INDEX_HTML.read_bytes()
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(
            gzip.compress(page), media_type="text/html", headers={"Content-Encoding": "gzip"}
        )
    return HTMLResponse(page)


def in_pieces(_request: Request) -> Response:
    pieces = (INDEX_HTML.read_bytes()[at : at + 100] for at in range(0, 100_000, 100))
    return StreamingResponse(pieces, media_type="text/html")


@pytest.fixture
def browser() -> TestClient:
    def text(_request: Request) -> Response:
        return PlainTextResponse('<html lang="en">')

    def gone(_request: Request) -> Response:
        return HTMLResponse('<html lang="en">', 404)

    routes = [
        Route("/", index),
        Route("/pieces", in_pieces),
        Route("/text", text),
        Route("/gone", gone),
    ]
    return TestClient(Starlette(routes=routes, middleware=[untranslated()]))


@pytest.mark.parametrize("path", ["/", "/pieces"])
def test_a_page_is_marked_and_otherwise_as_it_was(browser: TestClient, path: str) -> None:
    answer = browser.get(path, headers=NAVIGATES)
    assert MARKED in answer.text
    assert answer.text.replace(MARKED, '<html lang="en">') == INDEX_HTML.read_text("utf-8")
    assert int(answer.headers["Content-Length"]) == len(answer.content)


@pytest.mark.parametrize("path", ["/text", "/gone"])
def test_what_is_no_page_passes_as_it_is(browser: TestClient, path: str) -> None:
    assert browser.get(path, headers=NAVIGATES).text == '<html lang="en">'


def test_what_scripts_ask_for_passes_as_it_is(browser: TestClient) -> None:
    answer = browser.get("/", headers={"Accept": "*/*", "Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert MARKED not in answer.text
