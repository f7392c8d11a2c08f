"""What a retry sends: the rows of an earlier run that failed, as they stand in that run's own file, and no others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ccexport.preparation.columns import rows_where
from ccexport.states import BatchState
from ccexport.store.tables import Batch, FailedRow


@dataclass(frozen=True)
class FailedRows:
    """Rows of a run's contacts that failed, as ranges (first, count); `unnamed` more failed, nobody knows which."""

    ranges: tuple[tuple[int, int], ...]
    unnamed: int

    @property
    def count(self) -> int:
        return sum(count for _, count in self.ranges)


def failed_rows(batches: Iterable[Batch], named: Iterable[tuple[Batch, FailedRow]]) -> FailedRows:
    """All rows of the files that failed, and of those that were imported the rows that were named."""
    ranges: list[tuple[int, int]] = []
    unnamed = 0
    named = list(named)
    found = Counter(batch.number for batch, _ in named)
    for batch in batches:
        if batch.first_row < 0:  # the run was prepared again without its rows
            unnamed += batch.failed_rows
        elif batch.state is BatchState.FAILED:
            ranges.append((batch.first_row, batch.rows))
        elif batch.state is BatchState.COMPLETED:
            unnamed += max(0, batch.failed_rows - found[batch.number])
    ranges += [
        (batch.first_row + row.row, 1)
        for batch, row in named
        if batch.state is BatchState.COMPLETED and batch.first_row >= 0
    ]
    return FailedRows(tuple(sorted(ranges)), unnamed)


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
        mask &= np.asarray(
            batch.column("email").is_valid()
        )  # rows of people who were forgotten are blank
        start += batch.num_rows
        if mask.any():
            yield rows_where(batch, mask)
