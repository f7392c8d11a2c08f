"""The routes beside the pages, served for real in a thread of the test, over the same rooms as the tests of pages."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
import streamlit
import uvicorn
from starlette.applications import Starlette

from ccexport.installation import Installation
from ccexport.services.people.access import local_administrator
from ccexport.web.guard import guards
from ccexport.web.routes import routes
from tests.ui import conftest as pages

INDEX_HTML = Path(streamlit.__file__).parent / "static" / "index.html"

# the same rooms as the tests of pages have
source_folder = pages.source_folder
sandbox = pages.sandbox
data_dir = pages.data_dir
environment = pages.environment
installation = pages.installation
connection = pages.connection
export = pages.export


@pytest.fixture
def web(installation: Installation) -> Iterator[str]:
    """The address of the routes."""
    app = Starlette(
        routes=routes(lambda: installation, lambda _request: local_administrator()),
        middleware=guards(
            INDEX_HTML, open_to_others=False, public_url=installation.settings.public_url
        ),
    )
    with serving(app) as url:
        requests.get(f"{url}/healthz", timeout=60)  # the listener queues it until the server is up
        yield url


@contextmanager
def serving(app: Starlette) -> Iterator[str]:
    """The address of the application, served in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, log_config=None, ws="websockets-sansio", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def browser() -> Iterator[requests.Session]:
    """One that keeps cookies and is not taken along by redirects: `allow_redirects=False` is up to the test."""
    with requests.Session() as session:
        yield session
