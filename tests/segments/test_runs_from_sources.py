"""Runs and previews from other places than two files: what a company has lies there, and what is sent is the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ccexport.sandbox.server import RunningSandbox, running_sandbox
from tests.house import behaviour

COUNT = 3_000


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox(behaviour()) as sandbox:
        yield sandbox
