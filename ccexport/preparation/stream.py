"""The prepared rows of a run as a stream, in the order of its files, within little memory.

`prepare` says it all in one expression, but an engine has to keep all of its rows to sort them. Here the same
expression is asked in parts, each a range of keys, so that only one part is sorted at a time. The rows and their order
are those of `prepare`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import pairwise
from typing import Protocol

import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc

from ccexport.preparation.ahead import work_ahead
from ccexport.preparation.expression import members, prepared, winners
from ccexport.preparation.files import is_long_address
from ccexport.preparation.mapping import FieldMapping

ROWS_PER_PART = 250_000  # some 80 MB of an engine's memory while they are sorted
BATCHES_AHEAD = 4  # made while earlier ones are written


class Engine(Protocol):
    """Where expressions are executed: a source of profiles (this room does not know which)."""

    customers: ir.Table
    memberships: ir.Table

    def keep(self, expression: ir.Table) -> ir.Table: ...
    def key_bounds(self, keys: ir.Table, rows_per_part: int) -> list[str]: ...
    def stream(self, expression: ir.Table) -> Iterator[pa.RecordBatch]: ...


def prepared_rows(
    source: Engine,
    segments: Sequence[str],
    mapping: FieldMapping,
    custom_field_types: Mapping[str, str] | None = None,
    rows_per_part: int = ROWS_PER_PART,
) -> Iterator[pa.RecordBatch]:
    """Stream what `prepare` describes: the same rows, in the same order. Raises what it and the source raise.

    The source works in a thread of its own meanwhile: ask it nothing else before the stream is at its end or closed.
    """
    parts = _parts(source, segments, mapping, dict(custom_field_types or {}), rows_per_part)
    apart: list[pa.RecordBatch] = []  # contacts of long addresses, which come after all others
    with closing(work_ahead(parts, BATCHES_AHEAD)) as batches:
        for batch in batches:
            near, far = _split_apart(batch)
            if near.num_rows:
                yield near
            if far.num_rows:
                apart.append(far)
    yield from apart


def _parts(
    source: Engine,
    segments: Sequence[str],
    mapping: FieldMapping,
    types: Mapping[str, str],
    rows_per_part: int,
) -> Generator[pa.RecordBatch, None, None]:
    """The prepared rows, each part sorted by itself."""
    chosen = source.keep(members(source.memberships, segments))
    contested = source.keep(winners(source.customers, chosen, mapping, types))
    for low, high in _ranges(source.key_bounds(chosen, rows_per_part)):
        profiles, keys = _between(source.customers, low, high), _between(chosen, low, high)
        yield from source.stream(prepared(profiles, keys, contested, mapping, types))


def _ranges(bounds: Sequence[str]) -> Iterator[tuple[str | None, str | None]]:
    return pairwise([None, *bounds, None])


def _between(table: ir.Table, low: str | None, high: str | None) -> ir.Table:
    if low is not None:
        table = table.filter(table.CustomerId >= low)
    if high is not None:
        table = table.filter(table.CustomerId < high)
    return table


def _split_apart(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """(the rows before, the rows from the first contact of a long address); a part's rows end with these."""
    contacts = pc.indices_nonzero(pc.is_null(batch.column("reason")))
    is_long = is_long_address(batch.column("email").take(contacts))
    first = contacts[int(is_long.argmax())].as_py() if is_long.any() else batch.num_rows
    return batch.slice(0, first), batch.slice(first)
