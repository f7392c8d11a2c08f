"""What tests of services share: an installation without a network, on each database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.clocks import Clock
from tests.kit.offline import OfflineParts, offline_parts
from tests.kit.stores import drop_database, ready_postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def installation(
    request: pytest.FixtureRequest, tmp_path: Path, clock: Clock
) -> Iterator[OfflineParts]:
    url = ""
    if request.param == "postgresql":
        url = ready_postgres(request.getfixturevalue("postgres_url"))
    found = offline_parts(tmp_path, clock, url)
    yield found
    found.engine.dispose()
    if url:
        drop_database(request.getfixturevalue("postgres_url"), url)
