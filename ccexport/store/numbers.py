"""Columns of numbers of Arrow by way of NumPy. Arrow's own ways import pandas first: half a second, and 40 MB."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa


def number_array(values: np.ndarray) -> pa.Array:
    """A column of these numbers, of their type."""
    whole = np.ascontiguousarray(values)
    kind = pa.from_numpy_dtype(whole.dtype)
    return pa.Array.from_buffers(kind, len(whole), [None, pa.py_buffer(whole)])


def number_table(columns: Mapping[str, np.ndarray]) -> pa.Table:
    """Columns of numbers, by name."""
    return pa.table({name: number_array(values) for name, values in columns.items()})


def numbers_of(column: pa.ChunkedArray) -> np.ndarray:
    """The values of a column of numbers without nulls, of its type."""
    kind = column.type.to_pandas_dtype()
    pieces = [
        np.frombuffer(piece.buffers()[1], dtype=kind)[piece.offset : piece.offset + len(piece)]
        for piece in column.chunks
    ]
    return np.concatenate([np.empty(0, dtype=kind), *pieces])
