"""Who shares an address with a profile of a smaller key, and in which order contacts are sent: exactly, by numbers.

Hashes, and the first letters, say which few texts can be there twice; these alone are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ccexport.preparation.columns import numbers

_FIRST_BITS = 20  # a table of so many is at hand in a processor's cache
_SHIFT = np.uint64(64 - _FIRST_BITS)
_ROWS_AT_ONCE = 65_536
Column = Callable[[np.ndarray], pa.Array]  # the texts of some rows, by their numbers


def sent_instead(hashes: np.ndarray, keys: Column, addresses: Column) -> Mapping[int, str]:
    """For each row that is a duplicate the key that is sent instead: of one address the smallest by code point."""
    suspects = np.flatnonzero(_is_repeated(hashes))
    columns = (keys(suspects).to_pylist(), addresses(suspects).to_pylist())
    pairs = list(zip(*columns, strict=True))
    winners: dict[str, str] = {}
    for key, address in pairs:
        if key < winners.setdefault(address, key):
            winners[address] = key
    return {
        int(row): winners[address]
        for row, (key, address) in zip(suspects, pairs, strict=True)
        if winners[address] != key
    }


def order_by_key(words: np.ndarray, keys: Column) -> tuple[np.ndarray, str | None]:
    """(the rows by key, by code point; a key that is there twice or None). `words`: where two differ, so do the keys.

    That is, `first_words` of the keys: most are told apart by them, the others are compared as text.
    """
    order = np.argsort(words)
    equal = np.flatnonzero(_has_an_equal_neighbour(words[order]))
    if not len(equal):
        return order, None
    rows = order[equal]
    texts = keys(rows)
    by_text = pc.sort_indices(texts)
    order[equal] = rows[numbers(by_text, np.uint64)]
    ascending = texts.take(by_text)
    repeats = ascending.slice(1).filter(
        pc.equal(ascending.slice(1), ascending.slice(0, len(rows) - 1))
    )
    return order, str(repeats[0].as_py()) if len(repeats) else None


def is_among(values: np.ndarray, ascending: np.ndarray) -> np.ndarray:
    """For each value whether it is one of others that are sorted. Some at once: places of a million take 20 MB."""
    found = np.zeros(len(values), dtype=bool)
    if not len(ascending):
        return found
    for first in range(0, len(values), _ROWS_AT_ONCE):
        some = values[first : first + _ROWS_AT_ONCE]
        places = np.minimum(np.searchsorted(ascending, some), len(ascending) - 1)
        found[first : first + len(some)] = ascending[places] == some
    return found


def _is_repeated(hashes: np.ndarray) -> np.ndarray:
    """For each hash whether it is there twice. Most are told by a few of their bits alone, which is much faster."""
    ascending = np.sort(hashes)
    repeated = ascending[1:][ascending[1:] == ascending[:-1]]
    first_bits = np.zeros(2**_FIRST_BITS, dtype=bool)
    first_bits[repeated >> _SHIFT] = True
    found = first_bits[hashes >> _SHIFT]
    found[found] = is_among(hashes[found], repeated)
    return np.asarray(found)


def _has_an_equal_neighbour(ascending: np.ndarray) -> np.ndarray:
    found = np.zeros(len(ascending), dtype=bool)
    repeats = ascending[1:] == ascending[:-1]
    found[1:] |= repeats
    found[:-1] |= repeats
    return found
