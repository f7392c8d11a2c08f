"""A stand-in that runs for all tests of commands, and installations beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ccexport.sandbox.server import RunningSandbox, running_sandbox
from tests.commands.running import Here
from tests.kit.house import House, behaviour, furnished, people

DELETED_LIST_ID = "5f0c1e70-9d7a-4a52-8f43-0d1b6a3c2e99"


@contextmanager
def impatient_sandbox() -> Iterator[RunningSandbox]:
    """A stand-in with a deleted list and a custom field; one may sign in as often as one likes."""
    lists = behaviour().model_dump(mode="json")["lists"]
    lists.append({"list_id": DELETED_LIST_ID, "name": "Old list", "deleted": True})
    with (
        running_sandbox(behaviour(custom_fields=["Shop"], lists=lists)) as running,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(running.state.limits, "admits_token", lambda: True)
        yield running


@pytest.fixture(scope="session")
def stand_in() -> Iterator[RunningSandbox]:
    """One stand-in for all; a test that gives it faults takes `sandbox`."""
    with impatient_sandbox() as running:
        yield running


@pytest.fixture
def sandbox(stand_in: RunningSandbox) -> Iterator[RunningSandbox]:
    """The stand-in, which behaves again when the test ends."""
    yield stand_in
    stand_in.state.change({"faults": [], "sign_in_as": "owner@example.com"})


@pytest.fixture
def house(tmp_path: Path, sandbox: RunningSandbox) -> Iterator[House]:
    """Ten people in one segment, a connection, an export; nothing has run."""
    with furnished(tmp_path, sandbox, people(10)) as house:
        yield house


@pytest.fixture
def lone_house(tmp_path: Path) -> Iterator[House]:
    """The same beside a stand-in of its own, where all sign-ins may be revoked."""
    with impatient_sandbox() as sandbox, furnished(tmp_path, sandbox, people(10)) as house:
        yield house


@pytest.fixture(scope="session")
def quiet_house(
    tmp_path_factory: pytest.TempPathFactory, stand_in: RunningSandbox
) -> Iterator[House]:
    """The same for all tests that only ask, or that must change nothing."""
    with furnished(tmp_path_factory.mktemp("quiet"), stand_in, people(10)) as house:
        yield house


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Here:
    return Here(capsys, monkeypatch)
