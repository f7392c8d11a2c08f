"""SipHash-2-4 of texts, many at once: who does not have the key learns nothing of an address from its hash.

64 bits: two of a million addresses share one in one of 37 million ledgers, and would not be told from each other.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ccexport.preparation.columns import BYTES, words_of

KEY_BYTES = 16
_ROWS_AT_ONCE = 8_192  # what a processor's cache holds
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
    halves = [int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")] * 2
    state = [
        np.full(len(sizes), start ^ half, dtype=np.uint64)
        for start, half in zip(_START, halves, strict=True)
    ]
    for done in range(0, int(sizes.max(initial=0)) + 1, 8):
        rows = np.flatnonzero(sizes >= done)
        left = sizes[rows] - done
        word = words[np.minimum(starts[rows] + done, len(words) - 1)] & BYTES[np.minimum(left, 8)]
        # the last word of a text, which may be empty but for it, has the text's length in its last byte
        length = (sizes[rows].astype(np.uint64) & _MARK) << np.uint64(56)
        word = np.where(left < 8, word | length, word)
        some = [part[rows] for part in state]
        some[3] ^= word
        _mix(some, 2)
        some[0] ^= word
        for part, mixed in zip(state, some, strict=True):
            part[rows] = mixed
    state[2] ^= _MARK
    _mix(state, 4)
    return np.asarray(state[0] ^ state[1] ^ state[2] ^ state[3])


def _mix(state: State, rounds: int) -> None:
    a, b, c, d = state
    for _ in range(rounds):
        a += b
        c += d
        b[:], d[:] = _turned(b, 13) ^ a, _turned(d, 16) ^ c
        a[:] = _turned(a, 32)
        c += b
        a += d
        b[:], d[:] = _turned(b, 17) ^ c, _turned(d, 21) ^ a
        c[:] = _turned(c, 32)


def _turned(values: np.ndarray, by: int) -> np.ndarray:
    return np.asarray((values << np.uint64(by)) | (values >> np.uint64(64 - by)))
