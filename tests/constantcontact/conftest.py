"""A client and the API it speaks to, both made up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import responses

from tests.constantcontact.samples import World


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.client.close()


@pytest.fixture
def api() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock
