"""What tests of pages share: a data folder of their own, a small source, a running stand-in, a connection, an export.

`installation` is the same store that the page opens; set up rows with it or with the services, then
`open_page("runs")`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import streamlit as st
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from ccexport.constantcontact.auth import read_callback
from ccexport.errors import SettingError
from ccexport.installation import Installation
from ccexport.preparation.mapping import parse_mapping
from ccexport.sample import write_sample
from ccexport.sandbox.behaviour import Behaviour, ListSpec
from ccexport.sandbox.server import RunningSandbox, running_sandbox
from ccexport.sandbox.visitor import sign_in_at_once
from ccexport.services.connections.connections import Connections
from ccexport.services.exports.exports import ExportDraft, Exports
from ccexport.services.people.access import local_administrator
from ccexport.settings import load_settings
from ccexport.store.database.tables import Connection
from ccexport.store.exports import ExportView
from ccexport.ui import page
from tests.kit.rows import LIST_ID
from tests.kit.stores import ready_sqlite

ROOT = Path(__file__).resolve().parents[2]
LIST_NAME = "Spring newsletter"
SEGMENTS = ("Newsletter subscribers", "Spring buyers")
MAPPING = ("email=EMail", "first_name=FirstName", "last_name=LastName")
OpenPage = Callable[..., AppTest]

# each run of a page would read the description of every installed package again, a third of what it computes
manifest_scanner.scan_component_manifests = functools.cache(
    manifest_scanner.scan_component_manifests
)


@pytest.fixture(scope="session")
def source_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 sample profiles; read only. A test that changes them copies the folder."""
    folder = tmp_path_factory.mktemp("source")
    write_sample(folder, 300, format="parquet")
    return folder


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    """A stand-in of this test's own that signs in at once; `sandbox.state` is its account."""
    behaviour = Behaviour(
        auto_approve=True,
        processing_seconds=0,
        requests_per_second=1_000,
        lists=(ListSpec.model_validate({"name": LIST_NAME, "list_id": LIST_ID}),),
    )
    with running_sandbox(behaviour) as running:
        yield running


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    ready_sqlite(folder / "ccexport.db")
    return folder


@pytest.fixture
def environment(
    data_dir: Path, source_folder: Path, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings of this test, as variables; whatever the caller's environment holds is gone."""
    for name in ("DATABASE_URL", "CC_CLIENT_SECRET", "SECRET_KEY", "PUBLIC_URL", "OIDC_ISSUER"):
        monkeypatch.delenv(f"CCEXPORT_{name}", raising=False)
    monkeypatch.setenv("CCEXPORT_DATA_DIR", str(data_dir))
    monkeypatch.setenv("CCEXPORT_SOURCE_URL", f"file:{source_folder}")
    monkeypatch.setenv("CCEXPORT_CC_CLIENT_ID", "test-application")
    monkeypatch.setenv("CCEXPORT_CC_API_URL", sandbox.api_url)
    monkeypatch.setenv("CCEXPORT_CC_AUTH_URL", sandbox.auth_url)
    monkeypatch.setenv("CCEXPORT_CC_REQUESTS_PER_SECOND", "100")
    monkeypatch.setenv("CCEXPORT_POLL_SECONDS", "0.05")


@pytest.fixture
def installation(environment: None) -> Iterator[Installation]:
    """The rooms, on an empty store; the page of this test opens the same store."""
    _close_parts_of_pages()
    made = Installation(load_settings())
    yield made
    if "engine" in vars(made):
        made.engine.dispose()
    _close_parts_of_pages()


@pytest.fixture
def connection(installation: Installation) -> Connection:
    """ "Marketing", signed in."""
    return connect(installation, "Marketing")


@pytest.fixture
def export(installation: Installation, connection: Connection) -> ExportView:
    """ "Newsletter" over "Marketing"; nothing has run."""
    draft = ExportDraft("Newsletter", connection.name, LIST_ID, SEGMENTS, parse_mapping(MAPPING))
    return Exports(installation).add(draft, by=local_administrator())


@pytest.fixture
def open_page(installation: Installation) -> OpenPage:
    """Run a page as a browser would: `open_page("run", run=42)` is the address /run?run=42."""

    def open_it(name: str, **query: object) -> AppTest:
        test = AppTest.from_file(str(ROOT / "pages" / f"{name}.py"), default_timeout=30)
        for key, value in query.items():
            test.query_params[key] = str(value)
        return test.run()

    return open_it


def connect(installation: Installation, name: str) -> Connection:
    """A connection signed in at the stand-in, or an existing one signed in again."""
    connections = Connections(installation)
    sign_in = connections.begin(installation.settings.redirect_uri)
    code = read_callback(sign_in_at_once(sign_in.url), sign_in.state)
    return connections.finish(
        name, code, sign_in, installation.settings.redirect_uri, by=local_administrator()
    )


def texts(test: AppTest) -> str:
    """Everything a person can read on the page, a line an element."""
    kinds = ("title", "header", "subheader", "markdown", "caption", "error", "warning", "info")
    shown = [str(each.value) for kind in kinds for each in getattr(test, kind)]
    return "\n".join([*shown, *(str(each.value) for each in test.success)])


def _close_parts_of_pages() -> None:
    """Pages keep their own Installation for the life of the process: end it with the test."""
    with suppress(SettingError):  # a test of wrong settings opened nothing
        opened = page.installation()
        if "engine" in vars(opened):
            opened.engine.dispose()
    st.cache_resource.clear()
