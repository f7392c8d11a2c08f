"""A sandbox and an installation beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ccexport.sandbox.server import running_sandbox
from tests.kit.house import House, behaviour, people, write_source


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Ten people in one segment, a connection, an export; nothing has run."""
    with running_sandbox(behaviour()) as sandbox:
        house = House(tmp_path, sandbox)
        write_source(house.source, people(10))
        house.connect()
        house.add_export()
        yield house
        house.close()
