"""Runs from places as people have them: what is at the stand-in afterwards is who is in the segment, no more and no less."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ccexport.sandbox.server import RunningSandbox, running_sandbox
from tests.cli.running import command
from tests.house import House, behaviour

COUNT = 3_000


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox(behaviour()) as sandbox:
        yield sandbox
