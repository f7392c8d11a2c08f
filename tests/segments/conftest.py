"""What tests of sources share: commands in this process, and an installation whose source a test names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ccexport.sandbox.server import running_sandbox
from tests.commands.running import Here
from tests.kit.house import House, behaviour


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
