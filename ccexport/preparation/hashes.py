"""A hash of a text that stays the same for ever: of an address, a key, or a line as it was sent. 64 bits, not secret.

Our own, so that no version of a library changes it: what is kept of people for months is compared by it.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ccexport.preparation.columns import BYTES, longest_first, words_of

_ROWS_AT_ONCE = 16_384  # what a processor's cache holds
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)


def text_hashes(column: pa.Array, lengths: np.ndarray | None = None) -> np.ndarray:
    """A hash (uint64) of each value; with `lengths`, of so many of its first bytes.

    A word of eight bytes after the other is mixed in, the last one filled up with zeros; the length comes first.
    """
    found = np.empty(len(column), dtype=np.uint64)
    for start in range(0, len(column), _ROWS_AT_ONCE):
        some = column.slice(start, _ROWS_AT_ONCE)
        words, edges = words_of(some)
        sizes = np.diff(edges) if lengths is None else lengths[start : start + _ROWS_AT_ONCE]
        found[start : start + len(some)] = _mixed(words, edges[:-1], sizes)
    return found


def _mixed(words: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Longest first, so that those that a further word is mixed into lie at the front: nothing is picked or copied."""
    order = longest_first(sizes)
    places, sizes = starts[order], sizes[order].astype(np.int64)
    mixed = sizes.astype(np.uint64) * _FACTOR
    done = np.arange(0, sizes.max(initial=0), 8)
    with_more = np.searchsorted(-sizes, -done).tolist()  # rows, of each word
    with_all_of_it = np.searchsorted(-sizes, -done - 8, "right").tolist()
    for start, further, whole in zip(done.tolist(), with_more, with_all_of_it, strict=True):
        word = words[start:][places[:further]]
        word[whole:] &= BYTES[sizes[whole:further] - start]
        some = mixed[:further]
        some ^= word
        some *= _FACTOR
        some ^= some >> _SHIFT
    hashes = np.empty_like(mixed)
    hashes[order] = mixed
    return hashes
