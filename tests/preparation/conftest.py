"""A small source in an engine's memory, made of Python rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import ibis
import pyarrow as pa
import pytest

from ccexport.segments.source import Source

Row = dict[str, Any]
MakeSource = Callable[..., Source]


def source_of(
    profiles: Sequence[Mapping[str, str | None]],
    members: Sequence[tuple[str, str]] | None = None,
    *,
    as_database: bool = False,
) -> Source:
    """All profiles are members of segment S unless said otherwise. As a database: its rows stream into an engine."""
    if members is None:
        members = [(str(profile["CustomerId"]), "S") for profile in profiles]
    names = list(dict.fromkeys(["CustomerId", *(name for p in profiles for name in p)]))
    customers = {name: [p.get(name) for p in profiles] for name in names}
    pairs = {"CustomerId": [key for key, _ in members], "Segment": [name for _, name in members]}
    backend = ibis.duckdb.connect(threads=2)
    for name, columns in (("Customer", customers), ("SegmentMembership", pairs)):
        arrays = {column: pa.array(values, pa.string()) for column, values in columns.items()}
        backend.con.register(f"arrow_{name}", pa.table(arrays))
        backend.raw_sql(f'CREATE TABLE "{name}" AS FROM "arrow_{name}"')
    tables = backend.table("Customer"), backend.table("SegmentMembership")
    source = Source(backend, *tables, {"customers": "Customer", "memberships": "Membership"})
    source._reads_files = not as_database
    return source


@pytest.fixture
def make_source() -> Iterator[MakeSource]:
    """`source_of`, closed afterwards."""
    made: list[Source] = []

    def make(*arguments: Any, **options: Any) -> Source:
        made.append(source_of(*arguments, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()
