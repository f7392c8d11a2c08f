"""Columns of Arrow by way of NumPy: what Arrow itself does only with pandas (time and 40 MB), or much more slowly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

AT_ONCE = 2  # threads: NumPy and Arrow let others work meanwhile
BYTES = np.array([2 ** (8 * size) - 1 for size in range(9)], dtype=np.uint64)  # of a word, so many


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


def words_of(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """(eight bytes from each place of a text column's data on, little-endian; where each value starts in it)."""
    edges = text_edges(column).astype(np.int64)
    data = np.frombuffer(text_data(column), dtype=np.uint8)
    padded = np.empty(len(data) + 8, dtype=np.uint8)
    padded[: len(data)] = data
    padded[len(data) :] = 0
    return np.ndarray((len(data) + 1,), "<u8", padded, strides=(1,)), edges - edges[0]


def longest_first(sizes: np.ndarray) -> np.ndarray:
    """The order of rows by their sizes, none of them negative. NumPy sorts small numbers in a fraction of the time."""
    longest = sizes.max(initial=0)
    return np.argsort((longest - sizes).astype(np.min_scalar_type(longest)), kind="stable")


def first_words(column: pa.Array, skipped: int) -> np.ndarray:
    """Of each value eight bytes after the first `skipped`, zeros where it ends: numbers in the order of the texts."""
    words, edges = words_of(column)
    sizes = np.clip(np.diff(edges) - skipped, 0, 8)
    places = np.minimum(edges[:-1] + skipped, len(words) - 1)
    return np.asarray((words[places] & BYTES[sizes]).byteswap())


def common_prefix(columns: Sequence[pa.Array]) -> int:
    """How many bytes all values of text columns begin with in common."""
    ends = [pc.min_max(column).as_py() for column in columns if len(column)]
    if not ends:
        return 0
    low, high = min(each["min"] for each in ends), max(each["max"] for each in ends)
    pairs = zip(low.encode(), high.encode(), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _bits(buffer: pa.Buffer, offset: int, count: int) -> np.ndarray:
    first = offset // 8
    packed = np.frombuffer(buffer, dtype=np.uint8)[first : (offset + count + 7) // 8]
    return np.unpackbits(packed, bitorder="little")[offset - 8 * first :][:count]


class Pieces:
    """Rows in the pieces in which an engine gave them, by number: to put them together would need them twice."""

    def __init__(self, pieces: Sequence[pa.RecordBatch]) -> None:
        self.batches = [piece for piece in pieces if piece.num_rows]
        sizes = [piece.num_rows for piece in self.batches]
        self._starts = np.cumsum([0, *sizes[:-1]])
        self.rows = sum(sizes)

    def each(
        self, look: Callable[[pa.RecordBatch], np.ndarray], kind: type[np.generic]
    ) -> np.ndarray:
        """What `look` gives for each piece, in the order of their numbers; two pieces are looked at at once."""
        with ThreadPoolExecutor(AT_ONCE) as threads:
            found = list(threads.map(look, self.batches))
        return np.concatenate([np.empty(0, dtype=kind), *found])

    def take(self, rows: np.ndarray, columns: Sequence[str]) -> pa.RecordBatch:
        """The rows of these numbers, in this order. There is at least one piece."""
        pieces = [piece.select(list(columns)) for piece in self.batches]
        if len(pieces) == 1:
            return pieces[0].take(index_array(rows))
        piece_of = np.searchsorted(self._starts, rows, side="right") - 1
        by_piece = np.argsort(piece_of, kind="stable")
        edges = np.searchsorted(piece_of[by_piece], np.arange(len(pieces) + 1))
        found = [
            piece.take(index_array(rows[by_piece[first:last]] - start))
            for piece, start, first, last in zip(
                pieces, self._starts, edges[:-1], edges[1:], strict=True
            )
        ]
        places = np.empty(len(rows), dtype=np.int64)
        places[by_piece] = np.arange(len(rows))
        together = pa.concat_batches(found)
        found.clear()  # their memory, before more is taken
        return together.take(index_array(places))

    def column(self, name: str) -> Callable[[np.ndarray], pa.Array]:
        """A function that gives a text column of some rows, by their numbers."""

        def look(rows: np.ndarray) -> pa.Array:
            return self.take(rows, [name]).column(0) if len(rows) else text_array([])

        return look
