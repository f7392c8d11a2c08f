"""A stand-in that runs for all tests of commands, and installations beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ccexport.sandbox.server import RunningSandbox, running_sandbox
from tests.cli.running import Here
from tests.house import House, behaviour, people, write_source

DELETED_LIST_ID = "5f0c1e70-9d7a-4a52-8f43-0d1b6a3c2e99"


@pytest.fixture(scope="session")
def stand_in() -> Iterator[RunningSandbox]:
    """One stand-in for all; a test that gives it faults takes `sandbox`."""
    known = behaviour(custom_fields=["Shop"])
    deleted = {"list_id": DELETED_LIST_ID, "name": "Old list", "deleted": True}
    lists = [*known.model_dump(mode="json")["lists"], deleted]
    with running_sandbox(behaviour(custom_fields=["Shop"], lists=lists)) as running:
        yield running


@pytest.fixture
def sandbox(stand_in: RunningSandbox) -> Iterator[RunningSandbox]:
    """The stand-in, which behaves again when the test ends."""
    before = stand_in.state.behaviour.model_dump(mode="json")
    yield stand_in
    stand_in.state.change(
        {"faults": (), **{key: before[key] for key in ("auto_approve", "sign_in_as")}}
    )


@pytest.fixture
def house(tmp_path: Path, sandbox: RunningSandbox) -> Iterator[House]:
    """Ten people in one segment, a connection, an export; nothing has run."""
    house = _furnished(tmp_path, sandbox)
    yield house
    house.close()


@pytest.fixture(scope="session")
def quiet_house(
    tmp_path_factory: pytest.TempPathFactory, stand_in: RunningSandbox
) -> Iterator[House]:
    """The same for all tests that only ask, or that must change nothing."""
    house = _furnished(tmp_path_factory.mktemp("quiet"), stand_in)
    yield house
    house.close()


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Here:
    return Here(capsys, monkeypatch)


def _furnished(folder: Path, sandbox: RunningSandbox) -> House:
    house = House(folder, sandbox)
    write_source(house.source, people(10))
    house.connect()
    house.add_export()
    return house
