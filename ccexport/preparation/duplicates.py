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
    """The sendable profiles of a part, in the order of their keys."""

    keys: pa.Array
    emails: pa.Array


@dataclass(frozen=True)
class _Hashed(Addresses):
    hashes: np.ndarray  # uint64


class DuplicateFinder:
    """Remembers the addresses of the parts before; costs some 50 bytes each."""

    def __init__(self) -> None:
        self._earlier: list[_Hashed] = []
        self._winners: dict[str, str] = {}  # of addresses that may be contested: the smallest key

    def find(self, addresses: Addresses, *, is_last: bool) -> tuple[np.ndarray, list[str]]:
        """(which rows of the part are duplicates, the key that is sent instead of each).

        Each part's keys are above those of the parts before.
        """
        part = _Hashed(addresses.keys, addresses.emails, text_hashes(addresses.emails))
        order = np.argsort(part.hashes, kind="stable")
        ordered = part.hashes[order]
        is_suspect = np.zeros(len(order), dtype=bool)
        repeats = ordered[1:] == ordered[:-1]
        is_suspect[1:] |= repeats
        is_suspect[:-1] |= repeats
        for earlier in self._earlier:
            known = np.flatnonzero(_is_among(earlier.hashes, ordered))
            self._learn(earlier, known)
            is_suspect |= _is_among(ordered, np.sort(earlier.hashes[known]))
        if not is_last:
            self._earlier.append(part)
        return self._learn(part, np.sort(order[is_suspect]))

    def _learn(self, part: Addresses, rows: np.ndarray) -> tuple[np.ndarray, list[str]]:
        """Take the rows, by ascending key, as winners of their addresses; say which come too late for that."""
        late, instead = [], []
        chosen = index_array(rows)
        emails, keys = part.emails.take(chosen).to_pylist(), part.keys.take(chosen).to_pylist()
        for row, email, key in zip(rows.tolist(), emails, keys, strict=True):
            winner = self._winners.setdefault(email, key)
            if winner != key:
                late.append(row)
                instead.append(winner)
        return np.array(late, dtype=np.int64), instead


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
