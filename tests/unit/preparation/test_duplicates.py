"""Duplicates are found exactly, in a part and across parts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccexport.preparation import duplicates
from ccexport.preparation.columns import Pieces
from ccexport.preparation.duplicates import Addresses, DuplicateFinder, text_hashes

EMAILS = st.lists(st.text("aé@", max_size=3), max_size=40)


def found(emails: list[str], rows_per_part: int) -> dict[str, str]:
    """The key of each duplicate, and of what is sent instead."""
    keys = [f"{number:03}" for number in range(len(emails))]
    finder, late = DuplicateFinder(), {}
    for start in range(0, len(emails), rows_per_part):
        part = slice(start, start + rows_per_part)
        addresses = in_two_pieces(keys[part], emails[part])
        rows, winners = finder.find(addresses, is_last=start + rows_per_part >= len(emails))
        late |= dict(zip([keys[part][row] for row in rows], winners, strict=True))
    return late


def in_two_pieces(keys: list[str], emails: list[str]) -> Addresses:
    """The rows backwards, cut in two, and their order."""
    rows = pa.table({"customer_id": keys[::-1], "email": emails[::-1]})
    cut = len(keys) // 2
    pieces = Pieces(pa.concat_tables([rows.slice(0, cut), rows.slice(cut)]))
    return Addresses(pieces, np.arange(len(keys))[::-1])


def expected(emails: list[str]) -> dict[str, str]:
    first = {email: f"{n:03}" for n, email in reversed(list(enumerate(emails)))}
    return {f"{n:03}": first[e] for n, e in enumerate(emails) if first[e] != f"{n:03}"}


@given(EMAILS, st.integers(1, 50))
def test_the_smallest_key_of_an_address_wins_whatever_the_parts(
    emails: list[str], rows_per_part: int
) -> None:
    assert found(emails, rows_per_part) == expected(emails)


def test_addresses_of_one_hash_are_not_taken_for_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        duplicates, "text_hashes", lambda column: np.zeros(len(column), dtype=np.uint64)
    )
    emails = ["a", "b", "a", "c", "b"]
    for rows_per_part in (5, 2):
        assert found(emails, rows_per_part) == {"002": "000", "004": "001"}


def test_a_hash_is_of_the_text_alone_not_of_where_it_stands() -> None:
    emails = [f"person{number % 5_000}@example.com" for number in range(40_000)]
    hashes = text_hashes(pa.array(["", *emails]).slice(1))
    assert len(np.unique(hashes)) == 5_000
    assert (hashes[:5_000] == hashes[35_000:]).all()
