"""What a retry sends: the rows of an earlier run that failed, as they stand in that run's own file, and no others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from ccexport.preparation.columns import index_array, is_null


def pick_rows(
    contacts: Iterable[pa.RecordBatch], ranges: Sequence[tuple[int, int]]
) -> Iterator[pa.RecordBatch]:
    """The rows of the ranges, in their order, of contacts that stream by; without those that are blank."""
    wanted = np.zeros(max((first + count for first, count in ranges), default=0), dtype=bool)
    for first, count in ranges:
        wanted[first : first + count] = True
    start = 0
    for batch in contacts:
        mask = np.zeros(batch.num_rows, dtype=bool)
        part = wanted[start : start + batch.num_rows]
        mask[: len(part)] = part
        mask &= ~is_null(batch.column("line"))  # rows of people who were forgotten are blank
        start += batch.num_rows
        if mask.any():
            yield batch.take(index_array(np.flatnonzero(mask)))
