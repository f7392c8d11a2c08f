"""SipHash-2-4 of texts, many at once: who does not have the key learns nothing of an address from its hash.

64 bits: two of a million addresses share one in one of 37 million ledgers, and would not be told from each other.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ccexport.preparation.columns import BYTES, longest_first, words_of

KEY_BYTES = 16
_ROWS_AT_ONCE = 16_384  # what a processor's cache holds
_START = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
_MARK = np.uint64(0xFF)
State = list[np.ndarray]


def keyed_hashes(column: pa.Array, key: bytes, lengths: np.ndarray | None = None) -> np.ndarray:
    """A hash (uint64) of each value; with `lengths`, of so many of its first bytes."""
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key has {KEY_BYTES} bytes")
    found = np.empty(len(column), dtype=np.uint64)
    for start in range(0, len(column), _ROWS_AT_ONCE):
        some = column.slice(start, _ROWS_AT_ONCE)
        words, edges = words_of(some)
        sizes = np.diff(edges) if lengths is None else lengths[start : start + _ROWS_AT_ONCE]
        found[start : start + len(some)] = _hashed(words, edges[:-1], sizes.astype(np.int64), key)
    return found


def _hashed(words: np.ndarray, starts: np.ndarray, sizes: np.ndarray, key: bytes) -> np.ndarray:
    """Longest first, so that those that a further word is mixed into lie at the front: nothing is picked or copied."""
    order = longest_first(sizes)
    starts, sizes = starts[order], sizes[order]
    halves = [int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")] * 2
    state = [
        np.full(len(sizes), start ^ half, dtype=np.uint64)
        for start, half in zip(_START, halves, strict=True)
    ]
    spare = np.empty(len(sizes), dtype=np.uint64)
    # the last word of a text, which may be empty but for it, has the text's length in its last byte
    lengths = (sizes.astype(np.uint64) & _MARK) << np.uint64(56)
    for done in range(0, int(sizes.max(initial=0)) + 1, 8):
        further = int(np.searchsorted(-sizes, -done, "right"))
        left = sizes[:further] - done
        word = words[done:][starts[:further]]
        whole = int(np.searchsorted(-left, -8, "right"))
        word[whole:] &= BYTES[left[whole:]]
        word[whole:] |= lengths[whole:further]
        some = [part[:further] for part in state]
        some[3] ^= word
        _mix(some, spare[:further], 2)
        some[0] ^= word
    state[2] ^= _MARK
    _mix(state, spare, 4)
    found = np.empty(len(sizes), dtype=np.uint64)
    found[order] = state[0] ^ state[1] ^ state[2] ^ state[3]
    return found


def _mix(state: State, spare: np.ndarray, rounds: int) -> None:
    """In place: every array that is made here would be made hundreds of times."""
    a, b, c, d = state
    for _ in range(rounds):
        a += b
        c += d
        _turn(b, 13, spare)
        b ^= a
        _turn(d, 16, spare)
        d ^= c
        _turn(a, 32, spare)
        c += b
        a += d
        _turn(b, 17, spare)
        b ^= c
        _turn(d, 21, spare)
        d ^= a
        _turn(c, 32, spare)


def _turn(values: np.ndarray, by: int, spare: np.ndarray) -> None:
    np.left_shift(values, np.uint64(by), out=spare)
    values >>= np.uint64(64 - by)
    values |= spare
