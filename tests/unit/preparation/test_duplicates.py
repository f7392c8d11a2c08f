"""Duplicates are found exactly, in a part and across parts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from ccexport.preparation.columns import Pieces
from ccexport.preparation.duplicates import HASH, Addresses, DuplicateFinder, text_hashes

EMAILS = st.lists(st.text("aé@", max_size=3), max_size=40)


Hashes = Callable[[pa.Array], np.ndarray]


def found(emails: list[str], rows_per_part: int, hashes: Hashes = text_hashes) -> dict[str, str]:
    """The key of each duplicate, and of what is sent instead."""
    keys = [f"{number:03}" for number in range(len(emails))]
    finder, late = DuplicateFinder(), {}
    for start in range(0, len(emails), rows_per_part):
        part = slice(start, start + rows_per_part)
        addresses = in_two_pieces(keys[part], emails[part], hashes)
        rows, winners = finder.find(addresses, is_last=start + rows_per_part >= len(emails))
        late |= dict(zip([keys[part][row] for row in rows], winners, strict=True))
    return late


def in_two_pieces(keys: list[str], emails: list[str], hashes: Hashes) -> Addresses:
    """The rows backwards, cut in two, and their order."""
    backwards = pa.array(emails[::-1], pa.string())
    rows = pa.table({"customer_id": keys[::-1], "email": backwards, HASH: hashes(backwards)})
    cut = len(keys) // 2
    pieces = Pieces(pa.concat_tables([rows.slice(0, cut), rows.slice(cut)]))
    return Addresses(pieces, np.arange(len(keys))[::-1])


def expected(emails: list[str]) -> dict[str, str]:
    first = {email: f"{n:03}" for n, email in reversed(list(enumerate(emails)))}
    return {f"{n:03}": first[e] for n, e in enumerate(emails) if first[e] != f"{n:03}"}


@settings(deadline=None)
@given(EMAILS, st.integers(1, 50))
def test_the_smallest_key_of_an_address_wins_whatever_the_parts(
    emails: list[str], rows_per_part: int
) -> None:
    assert found(emails, rows_per_part) == expected(emails)


def test_a_part_in_which_nobody_can_be_sent_changes_nothing() -> None:
    finder = DuplicateFinder()
    first, second = (in_two_pieces([key], ["a"], text_hashes) for key in ("1", "2"))
    nobody = Addresses(second.rows, np.empty(0, dtype=np.int64))
    for part in (first, nobody, second):
        late, instead = finder.find(part, is_last=False)
    assert (late.tolist(), instead) == ([0], ["1"])


def test_addresses_of_one_hash_are_not_taken_for_the_same() -> None:
    def same(column: pa.Array) -> np.ndarray:
        return np.zeros(len(column), dtype=np.uint64)

    emails = ["a", "b", "a", "c", "b"]
    for rows_per_part in (5, 2):
        assert found(emails, rows_per_part, same) == {"002": "000", "004": "001"}


def test_a_hash_is_of_the_text_alone_not_of_where_it_stands() -> None:
    emails = [f"person{number % 5_000}@example.com" for number in range(40_000)]
    hashes = text_hashes(pa.array(["", *emails]).slice(1))
    assert len(np.unique(hashes)) == 5_000
    assert (hashes[:5_000] == hashes[35_000:]).all()
