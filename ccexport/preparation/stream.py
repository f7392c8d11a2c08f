"""The prepared rows of a run as a stream, in the order of its files, within little memory.

`prepare` says it all in one expression, and a database is asked just that. The engine that reads files would have to
keep all rows to sort them, and all addresses to find duplicates, at several times their size. So it is asked for ranges
of keys, checked but in no order; they are sorted here, and the duplicates found here. The rows and their order are
those of `prepare`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ccexport.preparation.ahead import work_ahead
from ccexport.preparation.columns import Pieces, is_null, mask_array, text_array, text_scalar
from ccexport.preparation.duplicates import Addresses, DuplicateFinder
from ccexport.preparation.expression import ROW_COLUMNS, checked, members, prepare
from ccexport.preparation.files import is_long_address
from ccexport.preparation.mapping import FieldMapping
from ccexport.states import Rejection

ROWS_PER_PART = 400_000  # some 65 MB of ten attributes
ROWS_PER_BATCH = 16_384
BATCHES_AHEAD = 2  # made while earlier ones are written

_DUPLICATE = text_scalar(Rejection.DUPLICATE.value)


class Engine(Protocol):
    """Where expressions are executed: a source of profiles (this room does not know which)."""

    customers: ir.Table
    memberships: ir.Table

    @property
    def is_sorted_outside(self) -> bool: ...
    def keep(self, expression: ir.Table) -> ir.Table: ...
    def key_bounds(self, keys: ir.Table, rows_per_part: int) -> list[str]: ...
    def fetch_by_key(self, expression: ir.Table) -> tuple[pa.Table, np.ndarray]: ...
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
    ranges = list(pairwise([None, *source.key_bounds(chosen, rows_per_part), None]))
    finder = DuplicateFinder()
    far: list[pa.RecordBatch] = []
    for number, (low, high) in enumerate(ranges, start=1):
        profiles, keys = _between(source.customers, low, high), _between(chosen, low, high)
        rows = checked(profiles, keys, mapping, types)
        yield from _part(source, rows, finder, far, is_last=number == len(ranges))
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
    late = _late(rows, order, finder, is_last=is_last)
    _give_back()
    is_far = _is_sendable(rows) & rows.each("email", is_long_address)
    is_far[late.rows] = False
    far += _taken(rows, late, order[is_far[order]])
    yield from _taken(rows, late, order[~is_far[order]])


def _between(table: ir.Table, low: str | None, high: str | None) -> ir.Table:
    if low is not None:
        table = table.filter(table.CustomerId >= low)
    if high is not None:
        table = table.filter(table.CustomerId < high)
    return table


@dataclass(frozen=True)
class _Late:
    """Which rows come too late for their address, ascending, and the key that is sent instead of each."""

    rows: np.ndarray
    instead: Sequence[str]

    def mark(self, batch: pa.RecordBatch, numbers: np.ndarray) -> pa.RecordBatch:
        """The batch, whose rows have these numbers, with `reason` and `sent_instead` of duplicates."""
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        instead = pa.nulls(len(numbers), pa.string())
        places = np.searchsorted(self.rows, numbers)
        is_late = np.zeros(len(numbers), dtype=bool)
        known = np.flatnonzero(places < len(self.rows))
        is_late[known] = self.rows[places[known]] == numbers[known]
        if is_late.any():
            mask = mask_array(is_late)
            keys = text_array([self.instead[place] for place in places[is_late].tolist()])
            columns["reason"] = pc.if_else(mask, _DUPLICATE, columns["reason"])
            instead = pc.replace_with_mask(instead, mask, keys)
        columns["sent_instead"] = instead
        names = [*ROW_COLUMNS, *(name for name in columns if name not in ROW_COLUMNS)]
        return pa.RecordBatch.from_arrays([columns[name] for name in names], names=names)


def _late(rows: Pieces, order: np.ndarray, finder: DuplicateFinder, *, is_last: bool) -> _Late:
    sendable = order[_is_sendable(rows)[order]]
    addresses = Addresses(rows, sendable)
    places, winners = finder.find(addresses, is_last=is_last)
    late = sendable[places]
    by_row = np.argsort(late)
    return _Late(late[by_row], [winners[index] for index in by_row.tolist()])


def _is_sendable(rows: Pieces) -> np.ndarray:
    return rows.each("reason", is_null)


def _give_back() -> None:
    """Give memory that is free again back to the system, where the next step's comes from another allocator."""
    pa.default_memory_pool().release_unused()


def _taken(rows: Pieces, late: _Late, order: np.ndarray) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(order), ROWS_PER_BATCH):
        numbers = order[start : start + ROWS_PER_BATCH]
        yield late.mark(rows.take(numbers), numbers)
