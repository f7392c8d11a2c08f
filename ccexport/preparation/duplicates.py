"""Who shares an address with a profile of a smaller key, found part by part, exactly, without a table of all addresses.

Hashes say which addresses can be there twice, some of a hundred; these alone are compared as text.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ccexport.preparation.columns import index_array, text_data, text_edges

_ROWS_AT_ONCE = 16_384  # 8 bytes are needed for each byte of their text
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, so that it has an inverse modulo 2**64
_INVERSE = np.uint64(pow(0x9E3779B97F4A7C15, -1, 2**64))


@dataclass(frozen=True)
class Addresses:
    """The sendable profiles of a part, in the order of their keys (by code point)."""

    keys: pa.Array
    emails: pa.Array


class DuplicateFinder:
    """Remembers the addresses of the parts before; costs some 60 bytes each."""

    def __init__(self) -> None:
        self._earlier: list[Addresses] = []
        self._hashes = np.empty(0, dtype=np.uint64)  # of all addresses before, ascending
        self._rows = np.empty(0, dtype=np.int64)  # which address of all before each of them is of
        self._winners: dict[str, str] = {}  # of addresses that may be contested: the smallest key

    def find(self, part: Addresses, *, is_last: bool) -> tuple[np.ndarray, list[str]]:
        """(which rows of the part are duplicates, the key that is sent instead of each).

        Each part's keys are above those of the parts before.
        """
        hashes = text_hashes(part.emails)
        order = np.argsort(hashes, kind="stable")
        hashes = hashes[order]
        is_suspect = np.zeros(len(order), dtype=bool)
        repeats = hashes[1:] == hashes[:-1]
        is_suspect[1:] |= repeats
        is_suspect[:-1] |= repeats
        if self._earlier:
            is_known = _is_among(hashes, self._hashes)
            is_suspect |= is_known
            self._learn_earlier(np.unique(hashes[is_known]))
        found = self._learn(part.keys, part.emails, np.sort(order[is_suspect]))
        if not is_last:
            self._remember(part, hashes, order)
        return found

    def _learn_earlier(self, hashes: np.ndarray) -> None:
        """Learn who of the parts before has an address of one of the hashes."""
        first = np.searchsorted(self._hashes, hashes, "left")
        counts = np.searchsorted(self._hashes, hashes, "right") - first
        places = np.arange(counts.sum()) + np.repeat(first - counts.cumsum() + counts, counts)
        keys = pa.chunked_array([part.keys for part in self._earlier])
        emails = pa.chunked_array([part.emails for part in self._earlier])
        self._learn(keys, emails, np.sort(self._rows[places]))

    def _learn(
        self, keys: pa.Array | pa.ChunkedArray, emails: pa.Array | pa.ChunkedArray, rows: np.ndarray
    ) -> tuple[np.ndarray, list[str]]:
        """Take the rows, by ascending key, as winners of their addresses; say which come too late for that."""
        late, instead = [], []
        chosen = index_array(rows)
        pairs = zip(emails.take(chosen).to_pylist(), keys.take(chosen).to_pylist(), strict=True)
        for row, (email, key) in zip(rows.tolist(), pairs, strict=True):
            winner = self._winners.setdefault(email, key)
            if winner != key:
                late.append(row)
                instead.append(winner)
        return np.array(late, dtype=np.int64), instead

    def _remember(self, part: Addresses, hashes: np.ndarray, order: np.ndarray) -> None:
        rows = np.concatenate([self._rows, order + len(self._rows)])
        both = np.concatenate([self._hashes, hashes])
        merged = np.argsort(both, kind="stable")  # of two ascending stretches: they are merged
        self._hashes, self._rows = both[merged], rows[merged]
        self._earlier.append(part)


def _is_among(values: np.ndarray, ascending: np.ndarray) -> np.ndarray:
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
