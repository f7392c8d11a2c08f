"""Lines cut into CSV files within both limits, and files made of lines."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccexport.preparation.files import (
    MAX_BODY_BYTES,
    MAX_CONTACTS_PER_FILE,
    MAX_FILE_BYTES,
    cut_files,
    file_of,
    header,
    line_of,
    values_of,
)

FIELDS = ("email", "first_name", "city", 'cf:a "b", c')
value = st.one_of(st.none(), st.just(""), st.text(st.sampled_from("ab ,\"'é👩;"), max_size=9))
contact = st.tuples(
    st.text("abc@.", min_size=1, max_size=50),
    value,
    st.one_of(st.none(), st.none(), value),
    st.one_of(st.none(), st.none(), st.none(), value),
)


def column(contacts: Sequence[Sequence[str | None]]) -> pa.Array:
    return pa.array([line_of(contact) for contact in contacts], pa.string())


@settings(deadline=None)
@given(st.lists(contact, min_size=1, max_size=20))
def test_a_file_read_back_is_its_contacts_without_the_columns_that_nobody_fills(
    contacts: list[tuple[str | None, ...]],
) -> None:
    data = file_of(column(contacts), FIELDS)
    first, *rows = csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True)
    kept = [n for n in range(len(FIELDS)) if n == 0 or any(contact[n] for contact in contacts)]
    assert first == [FIELDS[n] for n in kept]
    assert rows == [[contact[n] or "" for n in kept] for contact in contacts]


@settings(deadline=None)
@given(contact)
def test_a_line_read_back_is_its_values(values: tuple[str | None, ...]) -> None:
    assert values_of(line_of(values)) == [value or "" for value in values]


@settings(deadline=None)
@given(
    st.lists(st.integers(8, 60), max_size=40),
    st.integers(0, 40),
    st.integers(1, 9),
    st.integers(100, 400),
)
def test_files_cover_all_lines_in_order_each_as_full_as_both_limits_allow(
    sizes: list[int], plain: int, max_rows: int, max_bytes: int
) -> None:
    plain = min(plain, len(sizes))
    fields = ("email", "city")
    cuts = list(cut_files(np.array(sizes), plain, fields, max_rows=max_rows, max_bytes=max_bytes))
    assert [first for first, _ in cuts] == [sum(n for _, n in cuts[:i]) for i in range(len(cuts))]
    assert sum(rows for _, rows in cuts) == len(sizes)
    used = [len(header(fields)) + sum(sizes[first : first + rows]) for first, rows in cuts]
    for (first, rows), taken in zip(cuts, used, strict=True):
        assert rows <= max_rows
        assert taken <= max_bytes
        assert first + rows <= plain or first >= plain, "plain and long addresses in one file"
    for (first, rows), (after, _), taken in zip(cuts, cuts[1:], used, strict=False):
        assert rows == max_rows or after == plain or taken + sizes[first + rows] > max_bytes
    assert all(a < b for a, b in pairwise(first for first, _ in cuts))


@pytest.mark.parametrize(
    ("contacts", "rows"),
    [(39_998, [39_998]), (39_999, [39_999]), (40_000, [39_999, 1]), (79_999, [39_999, 39_999, 1])],
)
def test_a_file_has_39999_contacts_at_most(contacts: int, rows: list[int]) -> None:
    cuts = cut_files(np.full(contacts, 30), contacts, ("email", "city"))
    assert [count for _, count in cuts] == rows
    assert MAX_CONTACTS_PER_FILE == 39_999


def test_a_line_that_would_pass_the_byte_limit_starts_the_next_file() -> None:
    fields = ("email", "city")
    fitting, spare = divmod(MAX_FILE_BYTES - len("email,city\r\n"), 400)
    sizes = np.full(fitting + 1, 400)
    sizes[0] += spare  # fills the first file to the last byte
    assert list(cut_files(sizes, len(sizes), fields)) == [(0, fitting), (fitting, 1)]
    sizes[0] += 1
    assert list(cut_files(sizes, len(sizes), fields)) == [(0, fitting - 1), (fitting - 1, 2)]
    assert MAX_FILE_BYTES < MAX_BODY_BYTES == 3_900_000


def test_a_line_that_is_larger_than_a_file_is_a_bug_that_is_seen() -> None:
    with pytest.raises(ValueError, match="larger than a file"):
        list(cut_files(np.array([10, MAX_FILE_BYTES]), 2, ("email",)))


def test_a_file_begins_without_a_byte_order_mark_and_quotes_only_where_needed() -> None:
    contacts = [
        ("a@b.de", "O'Brien", 'Say "hi", Ana', None),
        ("c@d.de", "王", None, None),
    ]
    assert file_of(column(contacts), FIELDS) == (
        'email,first_name,city\r\na@b.de,O\'Brien,"Say ""hi"", Ana"\r\nc@d.de,王,\r\n'.encode()
    )


def test_a_file_of_addresses_alone() -> None:
    assert (
        file_of(column([("a@b.de",), ("c@d.de",)]), ("email",)) == b"email\r\na@b.de\r\nc@d.de\r\n"
    )
