"""The hash that is kept for months: it never changes, whatever the versions of libraries."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from ccexport.preparation.contacts import address_bytes, address_hashes
from ccexport.preparation.hashes import text_hashes

GOLDEN = Path(__file__).with_name("hashes.json")


def by_the_definition(text: bytes) -> int:
    """The hash once more, a word at a time."""
    factor, every_bit = 0x9E3779B97F4A7C15, 2**64 - 1
    found = len(text) * factor & every_bit
    for start in range(0, len(text), 8):
        word = int.from_bytes(text[start : start + 8], "little")
        found = (found ^ word) * factor & every_bit
        found ^= found >> 29
    return found


def test_hashes_are_those_of_the_golden_file() -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert len(golden) > 10
    hashes = text_hashes(pa.array(list(golden), pa.string()))
    assert [f"{each:016x}" for each in hashes.tolist()] == list(golden.values())


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text(max_size=40), max_size=30), st.integers(0, 5))
def test_a_hash_is_of_the_text_alone_not_of_where_it_stands(texts: list[str], skipped: int) -> None:
    hashes = text_hashes(pa.array(texts, pa.string()).slice(skipped))
    assert hashes.tolist() == [by_the_definition(text.encode()) for text in texts[skipped:]]


def test_many_texts_have_as_many_hashes() -> None:
    emails = [f"person{number}@example.com" for number in range(100_000)]
    assert len(np.unique(text_hashes(pa.array(emails + emails[:70_000])))) == 100_000


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(["a@b.de\r\n", "a@b.de,\r\n", 'cc@d.de,"x, y",z\r\n', None]), max_size=9
    )
)
def test_the_address_is_what_a_line_begins_with(lines: list[str | None]) -> None:
    column = pa.array(lines, pa.string())
    addresses = [(line or "").split(",")[0].strip() for line in lines]
    assert address_bytes(column).tolist() == [len(address) for address in addresses]
    assert (address_hashes(column) == text_hashes(pa.array(addresses, pa.string()))).all()
