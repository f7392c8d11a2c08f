"""How each profile of a run would be judged, and what it would take in a file: a preview, without the values.

The rows are those of `prepare`; of a profile only its verdict and its size are kept, which is a third of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ccexport.preparation.columns import (
    Pieces,
    index_array,
    is_null,
    is_true,
    numbers,
    text_array,
)
from ccexport.preparation.duplicates import DuplicateFinder
from ccexport.preparation.expression import checked, places, prepare
from ccexport.preparation.files import MAX_PLAIN_EMAIL, is_long_address, row_sizes
from ccexport.preparation.mapping import FieldMapping
from ccexport.preparation.parts import Engine, between, hashed, key_ranges, late_rows
from ccexport.states import Rejection

ROWS_PER_PART = 12_000_000  # some 200 bytes each, of which smaller parts would save little: members are kept for them
VERDICTS: tuple[str | None, ...] = (None, *(reason.value for reason in Rejection))  # None: is sent


@dataclass(frozen=True)
class Judged:
    """How each profile read was judged, by key (by code point); every array has an entry a profile.

    `verdicts` are places in `VERDICTS`; `bytes` is what its values take in a file, and bit n of `filled` says whether
    the n-th field has one; `is_apart`: its long address goes into a file of its own kind. `sent_instead` has the key
    that is sent in a duplicate's stead, by the duplicate's row.
    """

    keys: pa.Array
    verdicts: np.ndarray
    is_cut: np.ndarray
    is_apart: np.ndarray
    bytes: np.ndarray
    filled: np.ndarray
    sent_instead: Mapping[int, str]

    def in_order(self, order: np.ndarray) -> Judged:
        """The same rows in the order of these row numbers."""
        places = np.empty(len(order), dtype=np.int64)
        places[order] = np.arange(len(order))
        return Judged(
            keys=self.keys.take(index_array(order)),
            verdicts=self.verdicts[order],
            is_cut=self.is_cut[order],
            is_apart=self.is_apart[order],
            bytes=self.bytes[order],
            filled=self.filled[order],
            sent_instead={int(places[row]): key for row, key in self.sent_instead.items()},
        )


def judge(
    source: Engine,
    segments: Sequence[str],
    mapping: FieldMapping,
    custom_field_types: Mapping[str, str] | None = None,
    rows_per_part: int = ROWS_PER_PART,
) -> Judged:
    """Judge each profile of the segments as a run does. Raises what `prepare` and the source raise."""
    types = dict(custom_field_types or {})
    if source.is_sorted_outside:
        return _joined(list(_in_parts(source, segments, mapping, types, rows_per_part)))
    judged = _joined(list(_in_one(source, segments, mapping, types)))
    return judged.in_order(numbers(pc.sort_indices(judged.keys), np.uint64).astype(np.int64))


def _in_parts(
    source: Engine,
    segments: Sequence[str],
    mapping: FieldMapping,
    types: Mapping[str, str],
    rows_per_part: int,
) -> Iterator[Judged]:
    chosen, ranges = _keys(source, segments, rows_per_part)
    finder = DuplicateFinder()
    for number, (low, high) in enumerate(ranges, start=1):
        profiles, keys = between(source.customers, low, high), between(chosen, low, high)
        rows = _sized(source, checked(profiles, keys, mapping, types), mapping)
        found, order = source.fetch_by_key(hashed(source, rows))
        if len(order):
            pieces = Pieces(found)
            late = late_rows(pieces, order, finder, is_last=number == len(ranges))
            sent_instead = dict(zip(late.rows.tolist(), late.instead, strict=True))
            yield _judged(found, pieces, sent_instead).in_order(order)


def _judged(rows: pa.Table, pieces: Pieces, sent_instead: Mapping[int, str]) -> Judged:
    """The rows as the engine gave them; `pieces` are their pieces."""
    verdicts = pieces.each("reason", _verdicts)
    verdicts[list(sent_instead)] = VERDICTS.index(Rejection.DUPLICATE)
    return Judged(
        keys=pa.concat_arrays(rows.column("customer_id").chunks),
        verdicts=verdicts,
        is_cut=pieces.each("truncated", is_true),
        is_apart=pieces.each("is_apart", is_true),
        bytes=pieces.each("bytes", lambda column: numbers(column, np.int64)),
        filled=pieces.each("filled", lambda column: numbers(column, np.int64)),
        sent_instead=sent_instead,
    )


def _in_one(
    source: Engine, segments: Sequence[str], mapping: FieldMapping, types: Mapping[str, str]
) -> Iterator[Judged]:
    """A database finds duplicates itself; its text is measured here, as not every engine counts bytes."""
    rows = prepare(source.customers, source.memberships, segments, mapping, types)
    for batch in source.stream(rows):
        row_bytes, filled = row_sizes(batch, mapping.fields)
        late = np.flatnonzero(~is_null(batch.column("sent_instead")))
        instead = batch.column("sent_instead").take(index_array(late)).to_pylist()
        yield Judged(
            keys=batch.column("customer_id"),
            verdicts=_verdicts(batch.column("reason")),
            is_cut=is_true(batch.column("truncated")),
            is_apart=is_long_address(batch.column("email")),
            bytes=row_bytes,
            filled=filled,
            sent_instead=dict(zip(late.tolist(), instead, strict=True)),
        )


def _verdicts(reasons: pa.Array) -> np.ndarray:
    encoded = reasons.dictionary_encode()
    known = [VERDICTS.index(reason) for reason in encoded.dictionary.to_pylist()] or [0]
    found = np.array(known, dtype=np.int8)[numbers(encoded.indices, np.int32)]
    return np.where(is_null(reasons), np.int8(0), found)


def _joined(parts: Sequence[Judged]) -> Judged:
    """The parts one after the other."""
    starts = np.cumsum([0, *(len(part.keys) for part in parts)]).tolist()
    return Judged(
        keys=pa.concat_arrays([text_array([]), *(part.keys for part in parts)]),
        verdicts=_end_to_end([part.verdicts for part in parts], np.int8),
        is_cut=_end_to_end([part.is_cut for part in parts], np.bool_),
        is_apart=_end_to_end([part.is_apart for part in parts], np.bool_),
        bytes=_end_to_end([part.bytes for part in parts], np.int64),
        filled=_end_to_end([part.filled for part in parts], np.int64),
        sent_instead={
            start + row: key
            for start, part in zip(starts, parts, strict=False)
            for row, key in part.sent_instead.items()
        },
    )


def _end_to_end(arrays: Sequence[np.ndarray], kind: type[np.generic]) -> np.ndarray:
    return np.concatenate([np.empty(0, dtype=kind), *arrays])


def _keys(
    source: Engine, segments: Sequence[str], rows_per_part: int
) -> tuple[ir.Table, list[tuple[str | None, str | None]]]:
    """Keys of the members, and their ranges. Where one part will do, nothing is worked out beforehand."""
    all_places = places(source.memberships, segments)
    if source.count(all_places) <= rows_per_part:
        return all_places, [(None, None)]
    chosen = source.keep(all_places.distinct())
    return chosen, key_ranges(source, chosen, rows_per_part)


def _sized(source: Engine, rows: ir.Table, mapping: FieldMapping) -> ir.Table:
    values = [rows[field] for field in mapping.fields]
    octets = [source.octets(value).fill_null(0) for value in values]
    quotes = reduce(add, [_quotes(source, value) for value in values])
    filled = [(octet > 0).cast("int64") * 2**bit for bit, octet in enumerate(octets)]
    return rows.select(
        "customer_id",
        "email",
        "reason",
        "truncated",
        is_apart=(rows.email.length() > MAX_PLAIN_EMAIL).fill_null(False),
        bytes=(reduce(add, octets) + rows.may_need_quotes.ifelse(quotes, 0)).cast("int64"),
        filled=reduce(add, filled),
    )


def _quotes(source: Engine, value: ir.StringValue) -> ir.IntegerValue:
    """The bytes that quoting a value takes, by `files`: a cleaned value has no line ends that would ask for it too."""
    is_quoted = value.contains(",") | value.contains('"')
    doubled = source.octets(value) - source.octets(value.replace('"', ""))
    return is_quoted.ifelse(doubled + 2, 0).fill_null(0)
