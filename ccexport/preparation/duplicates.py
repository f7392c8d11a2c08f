"""Who shares an address with a profile of a smaller key, found part by part, exactly, without a table of all addresses.

Hashes say which addresses can be there twice, some of a hundred; these alone are compared as text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pyarrow as pa

from ccexport.preparation.columns import Pieces, numbers, text_data, text_edges

_ROWS_AT_ONCE = 2_048  # of which 8 bytes are needed for each byte of their text: what a cache holds
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, so that it has an inverse modulo 2**64
_INVERSE = np.uint64(pow(0x9E3779B97F4A7C15, -1, 2**64))


HASH = "address_hash"
_KEY, _EMAIL = "customer_id", "email"
_ROWS_COPIED_AT_ONCE = 65_536


@dataclass(frozen=True)
class Addresses:
    """The sendable profiles of a part: of `rows` those of the numbers in `order`, by key (by code point).

    `rows` has columns `customer_id`, `email`, and a hash of the address, the same for the same address.
    """

    rows: Pieces
    order: np.ndarray

    def hashes(self) -> np.ndarray:
        """Of the addresses, in their order."""
        hashes = self.rows.each(HASH, lambda column: numbers(column, np.uint64))
        return np.asarray(hashes[self.order])

    def alone(self) -> pa.Table:
        """A copy, in the order of the keys, that needs the rest of the part no longer."""
        return pa.Table.from_batches(list(_picked(self.rows, self.order)))


class DuplicateFinder:
    """Remembers the addresses of the parts before; costs some 60 bytes each."""

    def __init__(self) -> None:
        self._earlier: list[pa.Table] = []
        self._hashes = np.empty(0, dtype=np.uint64)  # of all addresses before, ascending
        self._rows = np.empty(0, dtype=np.int64)  # which address of all before each of them is of
        self._winners: dict[str, str] = {}  # of addresses that may be contested: the smallest key

    def find(self, part: Addresses, *, is_last: bool) -> tuple[np.ndarray, list[str]]:
        """(which of the part's `order` are duplicates, the key that is sent instead of each).

        Each part's keys are above those of the parts before.
        """
        hashes = part.hashes()
        order = np.argsort(hashes)
        hashes = hashes[order]
        is_suspect = np.zeros(len(order), dtype=bool)
        repeats = hashes[1:] == hashes[:-1]
        is_suspect[1:] |= repeats
        is_suspect[:-1] |= repeats
        if self._earlier:
            is_known = is_among(hashes, self._hashes)
            is_suspect |= is_known
            self._learn_earlier(np.unique(hashes[is_known]))
        suspects = np.sort(order[is_suspect])
        found = self._learn(part.rows, part.order[suspects], suspects)
        if len(order) and not is_last:
            self._remember(part, hashes, order)
        return found

    def _learn_earlier(self, hashes: np.ndarray) -> None:
        """Learn who of the parts before has an address of one of the hashes."""
        first = np.searchsorted(self._hashes, hashes, "left")
        counts = np.searchsorted(self._hashes, hashes, "right") - first
        places = np.arange(counts.sum()) + np.repeat(first - counts.cumsum() + counts, counts)
        rows = np.sort(self._rows[places])
        self._learn(Pieces(pa.concat_tables(self._earlier)), rows, rows)

    def _learn(
        self, addresses: Pieces, rows: np.ndarray, places: np.ndarray
    ) -> tuple[np.ndarray, list[str]]:
        """Take the rows, by ascending key, as winners of their addresses; say at which places one comes too late."""
        late, instead = [], []
        pairs = chain.from_iterable(
            zip(batch.column(_EMAIL).to_pylist(), batch.column(_KEY).to_pylist(), strict=True)
            for batch in _picked(addresses, rows)
        )
        for place, (email, key) in zip(places.tolist(), pairs, strict=True):
            winner = self._winners.setdefault(email, key)
            if winner != key:
                late.append(place)
                instead.append(winner)
        return np.array(late, dtype=np.int64), instead

    def _remember(self, part: Addresses, hashes: np.ndarray, order: np.ndarray) -> None:
        rows = np.concatenate([self._rows, order + len(self._rows)])
        both = np.concatenate([self._hashes, hashes])
        merged = np.argsort(both, kind="stable")  # of two ascending stretches: they are merged
        self._hashes, self._rows = both[merged], rows[merged]
        self._earlier.append(part.alone())


def _picked(rows: Pieces, numbers: np.ndarray) -> Iterator[pa.RecordBatch]:
    """Key and address of some rows, copied a stretch at a time: to copy them takes as much again."""
    for start in range(0, len(numbers), _ROWS_COPIED_AT_ONCE):
        yield rows.take(numbers[start : start + _ROWS_COPIED_AT_ONCE], (_KEY, _EMAIL))


def is_among(values: np.ndarray, ascending: np.ndarray) -> np.ndarray:
    """For each value whether it is one of others that are sorted."""
    if len(ascending) == 0:
        return np.zeros(len(values), dtype=bool)
    places = np.searchsorted(ascending, values)
    return np.asarray(ascending[np.minimum(places, len(ascending) - 1)] == values)


def text_hashes(column: pa.Array) -> np.ndarray:
    """A hash (uint64) of each value: the same for the same text, hardly ever so for another.

    The sum of byte times factor to the power of its place, modulo 2**64: a difference of two running sums.
    """
    hashes = np.empty(len(column), dtype=np.uint64)
    powers = inverse = np.empty(0, dtype=np.uint64)
    for start in range(0, len(column), _ROWS_AT_ONCE):
        some = column.slice(start, _ROWS_AT_ONCE)
        data = np.frombuffer(text_data(some), dtype=np.uint8)
        edges = text_edges(some) - text_edges(some)[0]
        if len(data) >= len(powers):
            powers, inverse = (_powers(each, 2 * len(data) + 1) for each in (_FACTOR, _INVERSE))
        sums = np.zeros(len(data) + 1, dtype=np.uint64)
        np.cumsum((data + np.uint64(1)) * powers[: len(data)], out=sums[1:])
        own = sums[edges[1:]] - sums[edges[:-1]]
        hashes[start : start + len(some)] = own * inverse[edges[:-1]]
    return hashes


def _powers(base: np.uint64, count: int) -> np.ndarray:
    """The first powers, from the zeroth on, modulo 2**64."""
    factors = np.full(count, base, dtype=np.uint64)
    factors[:1] = 1
    return np.asarray(np.cumprod(factors))
