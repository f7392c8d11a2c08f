"""What tests of sources share: commands in this process, and an installation whose source a test names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ccexport.sandbox.server import running_sandbox
from tests.commands.running import Here
from tests.kit.house import House, behaviour
from tests.segments.cases import Content, write


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Here:
    return Here(capsys, monkeypatch)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with running_sandbox(behaviour()) as sandbox:
        house = House(tmp_path, sandbox)
        house.connect()
        yield house
        house.close()


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """A source folder whose files have lain there for an hour."""

    def make(customers: Content, memberships: Content | None = None, **files: Content) -> Path:
        path = tmp_path / "source"
        path.mkdir(exist_ok=True)
        if memberships is None:
            memberships = "CustomerId,Segment\n" + "".join(f"{n},News\n" for n in (1, 2, 3))
        for name, content in {
            "Customer": customers,
            "SegmentMembership": memberships,
            **files,
        }.items():
            write(path / name, content)
        return path

    return make
