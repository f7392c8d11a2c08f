"""A source of files, part by part: ranges of keys, and which rows of a part come too late for their address."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ccexport.preparation.columns import Pieces, is_null, mask_array, text_array, text_scalar
from ccexport.preparation.duplicates import HASH, Addresses, DuplicateFinder
from ccexport.preparation.expression import ROW_COLUMNS
from ccexport.states import Rejection

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
    def octets(self, value: ir.StringValue) -> ir.IntegerValue: ...
    def hash(self, value: ir.StringValue) -> ir.IntegerValue: ...
    def count(self, expression: ir.Table) -> int: ...
    def stream(self, expression: ir.Table) -> Iterator[pa.RecordBatch]: ...


def key_ranges(
    source: Engine, keys: ir.Table, rows_per_part: int
) -> list[tuple[str | None, str | None]]:
    """(from, below) of each part of the keys, ascending; None where the part has no such end."""
    return list(pairwise([None, *source.key_bounds(keys, rows_per_part), None]))


def between(table: ir.Table, low: str | None, high: str | None) -> ir.Table:
    """The rows of a table whose keys are from `low` on and below `high`."""
    if low is not None:
        table = table.filter(table.CustomerId >= low)
    if high is not None:
        table = table.filter(table.CustomerId < high)
    return table


def hashed(source: Engine, rows: ir.Table) -> ir.Table:
    """The rows, and in a column more a hash of each address, by which those that are there twice are found."""
    return rows.mutate(**{HASH: source.hash(rows.email)})


@dataclass(frozen=True)
class Late:
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
        first = [name for name in ROW_COLUMNS if name in columns]
        names = [*first, *(name for name in columns if name not in ROW_COLUMNS)]
        return pa.RecordBatch.from_arrays([columns[name] for name in names], names=names)


def late_rows(rows: Pieces, order: np.ndarray, finder: DuplicateFinder, *, is_last: bool) -> Late:
    """Which rows of a part come too late. `order`: the row numbers in the order of the keys."""
    sendable = order[is_sendable(rows)[order]]
    addresses = Addresses(rows, sendable)
    places, winners = finder.find(addresses, is_last=is_last)
    late = sendable[places]
    by_row = np.argsort(late)
    return Late(late[by_row], [winners[index] for index in by_row.tolist()])


def is_sendable(rows: Pieces) -> np.ndarray:
    """For each row whether it is sent, were it not for duplicates."""
    return rows.each("reason", is_null)
