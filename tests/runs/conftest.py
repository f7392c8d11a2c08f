"""A sandbox and an installation beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ccexport.sandbox.server import running_sandbox
from tests.kit.house import House, behaviour, furnished, people


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Ten people in one segment, a connection, an export; nothing has run."""
    with running_sandbox(behaviour()) as sandbox, furnished(tmp_path, sandbox, people(10)) as house:
        yield house
