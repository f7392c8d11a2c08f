"""Columns of Arrow by way of NumPy: what Arrow itself does only with pandas (time and 40 MB), or much more slowly."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

_FEW = 8  # a row in so many left out: cheaper to copy the stretches between them than to pick row by row


def text_scalar(value: str) -> pa.Scalar:
    """A text for Arrow's functions. They take Python's too, but import pandas to look at it."""
    return text_array([value])[0]


def text_array(values: Sequence[str]) -> pa.Array:
    """A text column of these values."""
    data = [value.encode() for value in values]
    offsets = np.zeros(len(data) + 1, dtype=np.int32)
    np.cumsum([len(each) for each in data], out=offsets[1:])
    return pa.StringArray.from_buffers(
        len(data), pa.py_buffer(offsets), pa.py_buffer(b"".join(data))
    )


def index_array(indices: np.ndarray) -> pa.Array:
    """Row numbers, for `take`."""
    whole = np.ascontiguousarray(indices, dtype=np.int64)
    return pa.Array.from_buffers(pa.int64(), len(whole), [None, pa.py_buffer(whole)])


def mask_array(mask: np.ndarray) -> pa.Array:
    """A yes or no a row."""
    bits = pa.py_buffer(np.packbits(mask, bitorder="little"))
    return pa.Array.from_buffers(pa.bool_(), len(mask), [None, bits])


def numbers(array: pa.Array, kind: type[np.generic]) -> np.ndarray:
    """The values of a column of numbers, whatever where it is null. Its own `to_numpy` imports pandas."""
    values = np.frombuffer(array.buffers()[1], dtype=kind)
    return np.asarray(values[array.offset : array.offset + len(array)])


def is_null(array: pa.Array) -> np.ndarray:
    """For each row whether it is null."""
    bits = array.buffers()[0]
    if bits is None or not array.null_count:
        return np.full(len(array), array.null_count > 0)
    return np.asarray(_bits(bits, array.offset, len(array)) == 0)


def is_true(array: pa.Array) -> np.ndarray:
    """For each row of a column of truth values whether it is true; a null is not."""
    return np.asarray((_bits(array.buffers()[1], array.offset, len(array)) == 1) & ~is_null(array))


def text_edges(column: pa.Array) -> np.ndarray:
    """Where each value of a text column starts in its data, in bytes, and where the last one ends."""
    if column.buffers()[1] is None:
        return np.zeros(len(column) + 1, dtype=np.int32)
    offsets = np.frombuffer(column.buffers()[1], dtype=np.int32)
    return np.asarray(offsets[column.offset : column.offset + len(column) + 1])


def text_data(column: pa.Array) -> memoryview:
    """All values of a text column one after the other."""
    buffer = column.buffers()[2]
    if buffer is None or len(column) == 0:
        return memoryview(b"")
    edges = text_edges(column)
    return memoryview(buffer)[int(edges[0]) : int(edges[-1])]


def rows_where(batch: pa.RecordBatch, mask: np.ndarray) -> pa.RecordBatch:
    """The rows of a batch of text columns for which the mask is true."""
    kept = int(np.count_nonzero(mask))
    if kept == len(mask):
        return batch
    if (len(mask) - kept) * _FEW > len(mask):
        return batch.take(index_array(np.flatnonzero(mask)))
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False))
    columns = [_stretches_of(column, mask, edges, kept) for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def _stretches_of(column: pa.Array, mask: np.ndarray, edges: np.ndarray, rows: int) -> pa.Array:
    """The rows of a text column between each first and second of the edges."""
    offsets = text_edges(column)
    buffer = column.buffers()[2]
    data = memoryview(buffer) if buffer is not None else memoryview(b"")
    places = offsets[edges].tolist()
    kept = b"".join([data[a:b] for a, b in zip(places[::2], places[1::2], strict=True)])
    new_offsets = np.zeros(rows + 1, dtype=np.int32)
    np.cumsum((offsets[1:] - offsets[:-1])[mask], out=new_offsets[1:])
    valid = None
    if column.null_count:
        valid = pa.py_buffer(np.packbits(~is_null(column)[mask], bitorder="little"))
    return pa.StringArray.from_buffers(rows, pa.py_buffer(new_offsets), pa.py_buffer(kept), valid)


def _bits(buffer: pa.Buffer, offset: int, count: int) -> np.ndarray:
    first = offset // 8
    packed = np.frombuffer(buffer, dtype=np.uint8)[first : (offset + count + 7) // 8]
    return np.unpackbits(packed, bitorder="little")[offset - 8 * first :][:count]


class Pieces:
    """Rows in the pieces in which an engine gave them, by number: to put them together would need them twice."""

    def __init__(self, rows: pa.Table) -> None:
        self.columns: list[str] = rows.column_names
        self._pieces = rows.to_batches()
        self._starts = np.cumsum([0, *(piece.num_rows for piece in self._pieces[:-1])])

    def each(self, column: str, look: Callable[[pa.Array], np.ndarray]) -> np.ndarray:
        """What `look` gives for a column's values, in the order of their numbers."""
        return np.concatenate([look(piece.column(column)) for piece in self._pieces])

    def take(self, rows: np.ndarray, columns: Sequence[str] | None = None) -> pa.RecordBatch:
        """The rows of these numbers, in this order."""
        pieces = [piece.select(columns) if columns else piece for piece in self._pieces]
        if len(pieces) == 1:
            return pieces[0].take(index_array(rows))
        piece_of = np.searchsorted(self._starts, rows, side="right") - 1
        by_piece = np.argsort(piece_of, kind="stable")
        found = [
            piece.take(index_array(rows[piece_of == number] - start))
            for number, (piece, start) in enumerate(zip(pieces, self._starts, strict=True))
        ]
        places = np.empty(len(rows), dtype=np.int64)
        places[by_piece] = np.arange(len(rows))
        return pa.concat_batches(found).take(index_array(places))
