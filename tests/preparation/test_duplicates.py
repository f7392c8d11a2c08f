"""Duplicates and order are found exactly, whatever the hashes."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccexport.preparation.columns import common_prefix, first_words
from ccexport.preparation.duplicates import Column, is_among, order_by_key, sent_instead
from ccexport.preparation.hashes import text_hashes

KEYS = [f"{number:03}" for number in range(40)]
EMAILS = st.lists(st.text("aé@", max_size=3), max_size=40)


def looked_up(texts: Sequence[str]) -> Column:
    return lambda rows: pa.array([texts[row] for row in rows.tolist()], pa.string())


def hashes_of(texts: Sequence[str], *, one_for_all: bool) -> np.ndarray:
    return (
        np.zeros(len(texts), np.uint64)
        if one_for_all
        else text_hashes(pa.array(texts, pa.string()))
    )


@settings(deadline=None)
@given(EMAILS, st.randoms(), st.booleans())
def test_the_smallest_key_of_an_address_is_sent(
    emails: list[str], random: Random, one_hash_for_all: bool
) -> None:
    keys = random.sample(KEYS, len(emails))
    smallest = {
        email: min(k for k, e in zip(keys, emails, strict=True) if e == email) for email in emails
    }
    found = sent_instead(
        hashes_of(emails, one_for_all=one_hash_for_all), looked_up(keys), looked_up(emails)
    )
    assert found == {
        row: smallest[email]
        for row, (key, email) in enumerate(zip(keys, emails, strict=True))
        if key != smallest[email]
    }


@settings(deadline=None)
@given(st.lists(st.text("a\x00bé👩", max_size=11), unique=True), st.integers(0, 3), st.randoms())
def test_rows_are_ordered_by_key_by_code_point(
    keys: list[str], prefix: int, random: Random
) -> None:
    keys = [prefix * "é" + key for key in random.sample(keys, len(keys))]
    column = pa.array(keys, pa.string())
    words = first_words(column, common_prefix([column.slice(0, 3), column.slice(3)]))
    order, repeated = order_by_key(words, looked_up(keys))
    assert [keys[row] for row in order] == sorted(keys)
    assert repeated is None


@pytest.mark.parametrize("rest", ["", "a long rest that is the same"])
def test_a_key_that_is_there_twice_is_named(rest: str) -> None:
    keys = [letter + rest for letter in "abcb"] + ["b" + rest + "x"]
    column = pa.array(keys, pa.string())
    _, repeated = order_by_key(first_words(column, common_prefix([column])), looked_up(keys))
    assert repeated == "b" + rest


def test_values_are_found_among_sorted_ones() -> None:
    ascending = np.array([3, 5, 9], dtype=np.uint64)
    assert is_among(np.array([1, 3, 9, 10], dtype=np.uint64), ascending).tolist() == [0, 1, 1, 0]
    assert is_among(np.array([1], dtype=np.uint64), ascending[:0]).tolist() == [False]
