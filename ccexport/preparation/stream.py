"""The prepared rows of a run as a stream, in the order of its files, within little memory.

`prepare` says it all in one expression, and a database is asked just that. The engine that reads files would have to
keep all rows to sort them, and all addresses to find duplicates, at several times their size. So it is asked for ranges
of keys, checked but in no order; they are sorted here, and the duplicates found here. The rows and their order are
those of `prepare`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from ccexport.preparation.ahead import work_ahead
from ccexport.preparation.columns import Pieces
from ccexport.preparation.duplicates import HASH, DuplicateFinder
from ccexport.preparation.expression import checked, members, prepare
from ccexport.preparation.files import is_long_address
from ccexport.preparation.mapping import FieldMapping
from ccexport.preparation.parts import (
    Engine,
    Late,
    between,
    hashed,
    is_sendable,
    key_ranges,
    late_rows,
)

ROWS_PER_PART = 400_000  # some 65 MB of ten attributes
ROWS_PER_BATCH = 16_384
BATCHES_AHEAD = 2  # made while earlier ones are written


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
    types = dict(custom_field_types or {})
    if source.is_sorted_outside:
        rows = _in_parts(source, segments, mapping, types, rows_per_part)
    else:
        rows = _in_one(source, segments, mapping, types)
    with closing(work_ahead(rows, BATCHES_AHEAD)) as batches:
        yield from batches


def _in_one(
    source: Engine, segments: Sequence[str], mapping: FieldMapping, types: Mapping[str, str]
) -> Generator[pa.RecordBatch, None, None]:
    yield from source.stream(
        prepare(source.customers, source.memberships, segments, mapping, types)
    )


def _in_parts(
    source: Engine,
    segments: Sequence[str],
    mapping: FieldMapping,
    types: Mapping[str, str],
    rows_per_part: int,
) -> Generator[pa.RecordBatch, None, None]:
    """Part by part; contacts of long addresses, which come after all others, are kept until then."""
    chosen = source.keep(members(source.memberships, segments))
    ranges = key_ranges(source, chosen, rows_per_part)
    finder = DuplicateFinder()
    far: list[pa.RecordBatch] = []
    for number, (low, high) in enumerate(ranges, start=1):
        profiles, keys = between(source.customers, low, high), between(chosen, low, high)
        rows = checked(profiles, keys, mapping, types).drop("may_need_quotes")
        yield from _part(source, hashed(source, rows), finder, far, is_last=number == len(ranges))
        _give_back()
    yield from far


def _part(
    source: Engine,
    expression: ir.Table,
    finder: DuplicateFinder,
    far: list[pa.RecordBatch],
    *,
    is_last: bool,
) -> Iterator[pa.RecordBatch]:
    """The rows of a part, sorted; its contacts of long addresses are added to `far`. Keeps nothing at its end."""
    found, order = source.fetch_by_key(expression)
    if len(order) == 0:
        return
    rows = Pieces(found)
    del found
    late = late_rows(rows, order, finder, is_last=is_last)
    _give_back()
    is_far = is_sendable(rows) & rows.each("email", is_long_address)
    is_far[late.rows] = False
    far += _taken(rows, late, order[is_far[order]])
    yield from _taken(rows, late, order[~is_far[order]])


def _give_back() -> None:
    """Give memory that is free again back to the system, where the next step's comes from another allocator."""
    pa.default_memory_pool().release_unused()


def _taken(rows: Pieces, late: Late, order: np.ndarray) -> Iterator[pa.RecordBatch]:
    wanted = [name for name in rows.columns if name != HASH]
    for start in range(0, len(order), ROWS_PER_BATCH):
        numbers = order[start : start + ROWS_PER_BATCH]
        yield late.mark(rows.take(numbers, wanted), numbers)
