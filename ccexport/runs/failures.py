"""Which rows of a run failed at Constant Contact, as far as it said so, and how many more did. Pure.

It names a row by the line of its file. Where its counters tell of more rows than its words do, nobody knows which they
are: they are counted, shown as unnamed, and cannot be sent again by themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ccexport.states import BatchState
from ccexport.store.database.tables import Batch, FailedRow


@dataclass(frozen=True)
class FailedRows:
    """Rows of a run's contacts that failed, as ranges (first, count); `unnamed_by_file`: how many more of each file."""

    ranges: tuple[tuple[int, int], ...]
    unnamed_by_file: Mapping[int, int]

    @property
    def count(self) -> int:
        return sum(count for _, count in self.ranges)

    @property
    def unnamed(self) -> int:
        return sum(self.unnamed_by_file.values())


def failed_rows(batches: Iterable[Batch], named: Iterable[tuple[Batch, FailedRow]]) -> FailedRows:
    """All rows of the files of which every row failed, and of the others the rows that were named."""
    rows_of: dict[int, list[int]] = {}
    for batch, row in named:
        rows_of.setdefault(batch.number, []).append(row.row)
    ranges: list[tuple[int, int]] = []
    unnamed: Counter[int] = Counter()
    for batch in batches:
        rows = rows_of.get(batch.number, [])
        if batch.state not in (BatchState.COMPLETED, BatchState.FAILED):
            continue
        if batch.first_row < 0:  # the run was prepared again without its rows
            unnamed[batch.number] = batch.failed_rows
        elif batch.state is BatchState.FAILED or batch.failed_rows >= batch.rows:
            ranges.append((batch.first_row, batch.rows))
        else:
            ranges += [(batch.first_row + row, 1) for row in rows]
            unnamed[batch.number] = batch.failed_rows - len(rows)
    return FailedRows(tuple(sorted(ranges)), +unnamed)
