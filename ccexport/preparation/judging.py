"""How each profile of a run would be judged, and what it would take in a file: a preview, without the lines.

The rows are those of `prepare`, in its order; of a profile only its verdict and its size are kept.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ccexport.preparation.careful import careful_measures
from ccexport.preparation.columns import Pieces, is_null, is_true, numbers, text_data, text_edges
from ccexport.preparation.contacts import plain_reason
from ccexport.preparation.emails import MAX_PLAIN_EMAIL
from ccexport.preparation.files import cut_files, header
from ccexport.preparation.hashes import text_hashes
from ccexport.preparation.line import WORDS_FOR_NOTHING, measures
from ccexport.preparation.mapping import FieldMapping
from ccexport.preparation.prepare import Engine, both_ways, settled
from ccexport.states import Rejection

VERDICTS: tuple[str | None, ...] = (None, *(reason.value for reason in Rejection))  # None: is sent


@dataclass(frozen=True)
class Judged:
    """How each profile read was judged, in the order of a run; every array has an entry a profile.

    `verdicts` are places in `VERDICTS`; `bytes` is what its line takes, and bit n of `filled` says whether the n-th
    field has a value; `is_apart`: its long address goes into a file of its own kind. `sent_instead` has the key that is
    sent instead of a duplicate, by the duplicate's row. `words_for_nothing`: (field, word) → contacts with it.
    """

    keys: pa.Array
    verdicts: np.ndarray
    is_cut: np.ndarray
    is_apart: np.ndarray
    bytes: np.ndarray
    filled: np.ndarray
    sent_instead: Mapping[int, str]
    words_for_nothing: Mapping[tuple[str, str], int]


def judge(
    source: Engine,
    segments: Sequence[str],
    mapping: FieldMapping,
    custom_field_types: Mapping[str, str] | None = None,
) -> Judged:
    """Judge each profile of the segments as a run does. Raises what `prepare` and the source raise."""
    types = dict(custom_field_types or {})
    fast, careful = both_ways(source, segments, mapping, types, measures, careful_measures)
    rows = Pieces([*fast, *careful])
    first_careful = sum(batch.num_rows for batch in fast)
    verdicts = np.zeros(rows.rows, dtype=np.int8)
    verdicts[first_careful:] = Pieces(careful).each(
        lambda piece: _verdicts(piece.column("reason")), np.int8
    )
    is_cut = np.zeros(rows.rows, dtype=bool)
    is_cut[first_careful:] = Pieces(careful).each(
        lambda piece: is_true(piece.column("truncated")), np.bool_
    )
    is_sent = rows.each(lambda piece: ~is_null(piece.column("address")), np.bool_)
    is_read = is_sent.copy()
    is_read[first_careful:] = True
    hashes = rows.each(lambda piece: text_hashes(piece.column("address")), np.uint64)
    order, late = settled(
        source, rows, np.flatnonzero(is_read), is_sent, hashes, rows.column("address")
    )
    verdicts[list(late)] = VERDICTS.index(Rejection.DUPLICATE)
    sizes = rows.each(lambda piece: np.diff(text_edges(piece.column("address"))), np.int32)
    places = np.empty(rows.rows, dtype=np.int64)
    places[order] = np.arange(len(order))
    return Judged(
        keys=_keys(rows, order),
        verdicts=verdicts[order],
        is_cut=is_cut[order],
        is_apart=sizes[order] > MAX_PLAIN_EMAIL,
        bytes=rows.each(lambda piece: numbers(piece.column("line_bytes"), np.int64), np.int64)[
            order
        ],
        filled=rows.each(lambda piece: numbers(piece.column("filled"), np.int64), np.int64)[order],
        sent_instead={int(places[row]): key for row, key in late.items()},
        words_for_nothing=_words_for_nothing(rows, late, mapping.fields),
    )


def measure_files(row_bytes: np.ndarray, filled: np.ndarray, fields: Sequence[str]) -> list[int]:
    """The bytes of each file that contacts of one kind of address make, in their order."""
    return list(_measured(row_bytes, filled, fields))


def _measured(row_bytes: np.ndarray, filled: np.ndarray, fields: Sequence[str]) -> Iterator[int]:
    for first, rows in cut_files(row_bytes, len(row_bytes), fields):
        used = int(np.bitwise_or.reduce(filled[first : first + rows]))
        kept = [field for bit, field in enumerate(fields) if bit == 0 or used >> bit & 1]
        commas = (len(fields) - len(kept)) * rows
        yield int(row_bytes[first : first + rows].sum()) - commas + len(header(kept))


def _keys(rows: Pieces, order: np.ndarray) -> pa.Array:
    if not len(order):
        return pa.nulls(0, pa.string())
    return rows.take(order, ["customer_id"]).column(0)


def _verdicts(reasons: pa.Array) -> np.ndarray:
    encoded = reasons.dictionary_encode()
    known = [
        VERDICTS.index(reason and plain_reason(reason)) for reason in encoded.dictionary.to_pylist()
    ] or [0]
    found = np.array(known, dtype=np.int8)[numbers(encoded.indices, np.int32)]
    return np.where(is_null(reasons), np.int8(0), found)


def _words_for_nothing(
    rows: Pieces, late: Mapping[int, str], fields: Sequence[str]
) -> Mapping[tuple[str, str], int]:
    """(field, word) → how many contacts have it there, of the few whose lines came along for it."""
    is_sent = np.ones(rows.rows, dtype=bool)
    is_sent[list(late)] = False
    says_nothing = rows.each(lambda piece: ~is_null(piece.column("line")), np.bool_)
    places = np.flatnonzero(is_sent & says_nothing)
    if not len(places):
        return {}
    lines = io.StringIO(
        bytes(text_data(rows.take(places, ["line"]).column(0))).decode(), newline=""
    )
    counts = Counter(
        (field, value)
        for values in csv.reader(lines, strict=True)
        for field, value in zip(fields, values, strict=True)
        if value in WORDS_FOR_NOTHING
    )
    return dict(sorted(counts.items(), key=lambda item: (fields.index(item[0][0]), item[0][1])))
