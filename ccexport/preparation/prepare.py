"""Preparing in one pass: members of the segments → lines and rejections → one winner an address → contacts in order.

One way for every engine. One that reads files makes the lines itself; rows of any other stream into one that does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ccexport.preparation.careful import careful_lines
from ccexport.preparation.columns import (
    Pieces,
    common_prefix,
    first_words,
    index_array,
    is_null,
    is_true,
    numbers,
    text_array,
)
from ccexport.preparation.contacts import REJECTIONS_SCHEMA, Prepared, in_file_order
from ccexport.preparation.duplicates import Column, order_by_key, sent_instead
from ccexport.preparation.hashes import text_hashes
from ccexport.preparation.line import RAW, lines, members
from ccexport.preparation.mapping import FieldMapping
from ccexport.states import Rejection

Way = Callable[[ir.Table, FieldMapping, Mapping[str, str]], ir.Table]


class Engine(Protocol):
    """Where expressions are executed: a source of profiles (this room does not know which)."""

    customers: ir.Table
    memberships: ir.Table

    def nearby(self, expression: ir.Table) -> AbstractContextManager[ir.Table]: ...
    def lent(self, rows: pa.Table) -> AbstractContextManager[ir.Table]: ...
    def fetch(self, expression: ir.Table) -> pa.Table: ...
    def repeated(self, customer_id: str) -> Exception: ...


def prepare(
    source: Engine,
    segments: Sequence[str],
    mapping: FieldMapping,
    custom_field_types: Mapping[str, str] | None = None,
) -> Prepared:
    """Everything a run sends and leaves out; `read = contacts + rejections` by construction.

    Contacts of plain addresses come first, then those of 51-80 characters, both by key: the same profiles come in the
    same order, whatever they came as. Raises what the source raises, and `MappingError`.
    """
    types = dict(custom_field_types or {})
    return _put_together(source, *both_ways(source, segments, mapping, types, lines, careful_lines))


def both_ways(
    source: Engine,
    segments: Sequence[str],
    mapping: FieldMapping,
    types: Mapping[str, str],
    fast: Way,
    careful: Way,
) -> tuple[list[pa.RecordBatch], list[pa.RecordBatch]]:
    """(what the fast way makes of the members, what the careful one makes of those that it leaves as they are)."""
    profiles = members(source.customers, source.memberships, segments, mapping)
    with source.nearby(profiles) as rows:
        found = source.fetch(fast(rows, mapping, types)).to_batches()
    odd = pa.Table.from_batches(
        [_odd_rows(batch, mapping) for batch in found], _odd_schema(mapping)
    )
    found = [batch.drop_columns(["odd"]) for batch in found]
    if not odd.num_rows:
        return found, []
    with source.lent(odd) as rows:
        return found, source.fetch(careful(rows, mapping, types)).to_batches()


def _odd_schema(mapping: FieldMapping) -> pa.Schema:
    names = ["customer_id", *(RAW + name for name in mapping.attributes_used)]
    return pa.schema([(name, pa.string()) for name in names])


def _odd_rows(batch: pa.RecordBatch, mapping: FieldMapping) -> pa.RecordBatch:
    """The rows with attributes as they are; a column each of them, out of the list that they left the engine as."""
    odd = batch.column("odd")
    rows = np.flatnonzero(~is_null(odd))
    values, schema = odd.flatten(), _odd_schema(mapping)
    columns = [batch.column("customer_id").take(index_array(rows))]
    width = len(schema) - 1
    for place in range(width):
        columns.append(values.take(index_array(np.arange(place, len(rows) * width, width))))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _put_together(
    source: Engine, fast: Sequence[pa.RecordBatch], careful: Sequence[pa.RecordBatch]
) -> Prepared:
    rows = Pieces([*fast, *careful])
    first_careful = sum(batch.num_rows for batch in fast)
    sizes = rows.each(_address_bytes, np.uint8)
    hashes = rows.each(_address_hashes, np.uint64)
    is_read = sizes > 0
    is_read[first_careful:] = True  # rows of the fast way without a line are here once more
    found = rows.column("line")
    order, late = settled(
        source,
        rows,
        np.flatnonzero(is_read),
        sizes > 0,
        hashes,
        lambda some: text_array([_address(line) for line in found(some).to_pylist()]),
    )
    sizes[list(late)] = 0
    contacts = in_file_order(rows, order[sizes[order] > 0], sizes)
    is_cut = np.zeros(rows.rows, dtype=bool)
    careful_rows = Pieces(careful)
    is_cut[first_careful:] = careful_rows.each(
        lambda piece: is_true(piece.column("truncated")), np.bool_
    )
    return Prepared(
        contacts,
        _rejections(rows, late, careful),
        read=len(order),
        truncated=int(np.count_nonzero(is_cut & (sizes > 0))),
    )


def _address_hashes(piece: pa.RecordBatch) -> np.ndarray:
    return text_hashes(piece.column("line"), _address_bytes(piece))


def _address_bytes(piece: pa.RecordBatch) -> np.ndarray:
    return numbers(piece.column("address_bytes"), np.uint8)


def settled(
    source: Engine,
    rows: Pieces,
    read: np.ndarray,
    is_sent: np.ndarray,
    hashes: np.ndarray,
    addresses: Column,
) -> tuple[np.ndarray, Mapping[int, str]]:
    """(the rows that were read, by key, by code point; of those that come too late the key that is sent instead).

    `is_sent` and `hashes`, of the address, are of every row. Raises what the source says of a key that is there twice.
    """
    keys = rows.column("customer_id")
    skipped = common_prefix([piece.column("customer_id") for piece in rows.batches])
    words = rows.each(lambda piece: first_words(piece.column("customer_id"), skipped), np.uint64)
    places, repeated = order_by_key(words[read], lambda some: keys(read[some]))
    if repeated is not None:
        raise source.repeated(repeated)
    order = read[places]
    sent = order[is_sent[order]]
    late = sent_instead(
        hashes[sent], lambda some: keys(sent[some]), lambda some: addresses(sent[some])
    )
    return order, {int(sent[row]): key for row, key in late.items()}


def _address(line: str) -> str:
    return line.partition(",")[0].rstrip()


def _rejections(
    rows: Pieces, late: Mapping[int, str], careful: Sequence[pa.RecordBatch]
) -> pa.Table:
    """The profiles left out, each with its address as it stood in the source, by key."""
    found = [_left_out(batch) for batch in careful]
    if late:
        found.append(_duplicates(rows, late))
    table = pa.Table.from_batches(found, REJECTIONS_SCHEMA)
    return table.take(pc.sort_indices(table.column("customer_id"))).combine_chunks()


def _left_out(batch: pa.RecordBatch) -> pa.RecordBatch:
    out = batch.filter(batch.column("reason").is_valid())
    columns = [out.column(name) for name in ("customer_id", "cell", "reason")]
    return pa.RecordBatch.from_arrays(
        [*columns, pa.nulls(out.num_rows, pa.string())], schema=REJECTIONS_SCHEMA
    )


def _duplicates(rows: Pieces, late: Mapping[int, str]) -> pa.RecordBatch:
    found = rows.take(np.array(list(late), dtype=np.int64), ("customer_id", "cell", "line"))
    cells, lines = found.column("cell").to_pylist(), found.column("line").to_pylist()
    as_they_were = [cell or _address(line) for cell, line in zip(cells, lines, strict=True)]
    reasons = [Rejection.DUPLICATE.value] * len(late)
    others = [text_array(each) for each in (as_they_were, reasons, list(late.values()))]
    return pa.RecordBatch.from_arrays(
        [found.column("customer_id"), *others], schema=REJECTIONS_SCHEMA
    )
