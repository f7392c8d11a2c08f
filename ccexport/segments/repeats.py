"""Finds a key that comes twice in a stream, exactly, at the price of keeping the keys (some 20 MB a million)."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def order_of(keys: pa.ChunkedArray) -> tuple[np.ndarray, str | None]:
    """(the row numbers in the order of the keys by code point, a key that is there twice or None)."""
    whole = keys.chunk(0) if keys.num_chunks == 1 else keys.combine_chunks()
    order = pc.sort_indices(whole)
    ascending = whole.take(order)
    before, after = ascending.slice(0, max(len(keys) - 1, 0)), ascending.slice(1)
    repeats = after.filter(pc.equal(before, after))
    numbers = np.frombuffer(order.buffers()[1], dtype=np.uint64)[: len(order)].astype(np.int64)
    return numbers, str(repeats[0].as_py()) if len(repeats) else None


class RepeatFinder:
    """Watches keys stream by: compares neighbours in each ascending stretch, and at the end the stretches."""

    def __init__(self) -> None:
        self._stretches: list[list[pa.Array]] = []
        self._last: str | None = None

    def add(self, keys: pa.Array) -> str | None:
        """Take the next keys; return one that was seen to repeat, or None."""
        if len(keys) == 0:
            return None
        before, after = keys.slice(0, len(keys) - 1), keys.slice(1)
        repeats = after.filter(pc.equal(before, after))
        if len(repeats):
            return str(repeats[0].as_py())
        if self._last is not None and keys[0].as_py() == self._last:
            return self._last
        for part in _ascending_parts(keys):
            first = part[0].as_py()
            if not self._stretches or self._last is None or _key(first) < _key(self._last):
                self._stretches.append([])
            # A copy: a slice would keep the whole batch that it is part of.
            self._stretches[-1].append(pa.concat_arrays([part.slice(0, 0), part]))
            self._last = part[-1].as_py()
        return None

    def finish(self) -> str | None:
        """At the end of the stream: return a key that is in two stretches, or None."""
        if len(self._stretches) < 2:
            return None
        if len(self._stretches) > 8:
            return _repeat_of_all([part for stretch in self._stretches for part in stretch])
        by_size = sorted(self._stretches, key=lambda stretch: sum(map(len, stretch)))
        for index, stretch in enumerate(by_size[:-1]):
            smaller = pa.chunked_array(stretch)
            for part in (part for other in by_size[index + 1 :] for part in other):
                found = part.filter(pc.is_in(part, value_set=smaller.combine_chunks()))
                if len(found):
                    return str(found[0].as_py())
        return None


def _ascending_parts(keys: pa.Array) -> list[pa.Array]:
    before, after = keys.slice(0, len(keys) - 1), keys.slice(1)
    falls = pc.indices_nonzero(pc.less(after, before)).to_pylist()
    edges = [0, *(index + 1 for index in falls), len(keys)]
    return [keys.slice(start, stop - start) for start, stop in pairwise(edges)]


def _key(text: str) -> bytes:
    return text.encode()  # Arrow compares text by its bytes, which is the order of code points


def _repeat_of_all(parts: list[pa.Array]) -> str | None:
    counts = pc.value_counts(pa.chunked_array(parts))
    repeated = counts.filter(pc.greater(counts.field("counts"), 1))
    return str(repeated[0]["values"].as_py()) if len(repeated) else None
