"""CSV files within both limits, and the plan that says which rows make which."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Sequence
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccexport.preparation.files import (
    MAX_BODY_BYTES,
    MAX_CONTACTS_PER_FILE,
    MAX_FILE_BYTES,
    PlannedBatch,
    plan_batches,
    render_file,
)

FIELDS = ("email", "first_name", "city", 'cf:a "b", c')
value = st.one_of(
    st.none(),
    st.just(""),
    st.text(st.sampled_from("ab ,\"'é👩\r\n;"), max_size=9),
)
contact = st.fixed_dictionaries(
    {
        "email": st.one_of(
            st.text("abc@.", min_size=1, max_size=50), st.text("é", min_size=49, max_size=80)
        ),
        "first_name": value,
        "city": st.one_of(st.none(), st.none(), value),
        FIELDS[3]: st.one_of(st.none(), st.none(), st.none(), value),
    }
)


def table(contacts: Sequence[dict[str, str | None]], fields: Sequence[str] = FIELDS) -> pa.Table:
    return pa.table({f: pa.array([c.get(f) for c in contacts], pa.string()) for f in fields})


@given(st.lists(contact, min_size=1, max_size=20))
def test_a_file_read_back_is_its_contacts(contacts: list[dict[str, str | None]]) -> None:
    data = render_file(table(contacts), FIELDS)
    header, *rows = csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True)
    assert header[0] == "email"
    assert header == [f for f in FIELDS if f == "email" or any(c[f] for c in contacts)]
    assert rows == [[c[f] or "" for f in header] for c in contacts]


@settings(deadline=None)
@given(st.lists(contact, max_size=30), st.integers(1, 7), st.integers(1, 9), st.integers(400, 900))
def test_a_plan_covers_all_rows_in_order_within_both_limits_and_tells_each_file_exactly(
    contacts: list[dict[str, str | None]], rows_a_time: int, max_rows: int, max_bytes: int
) -> None:
    whole = table(contacts)
    batches = whole.to_batches(max_chunksize=rows_a_time)
    planned = list(plan_batches(batches, FIELDS, max_rows=max_rows, max_bytes=max_bytes))
    assert [batch.number for batch in planned] == list(range(1, len(planned) + 1))
    assert [batch.first_row for batch in planned] == _starts(planned)
    assert sum(batch.rows for batch in planned) == len(contacts)
    for batch in planned:
        data = render_file(whole.slice(batch.first_row, batch.rows), FIELDS)
        assert (batch.bytes, batch.digest) == (len(data), hashlib.sha256(data).hexdigest())
        assert batch.rows <= max_rows
        assert batch.bytes <= max_bytes
        rows = contacts[batch.first_row : batch.first_row + batch.rows]
        assert len({len(row["email"] or "") > 50 for row in rows}) == 1
    for batch, following in pairwise(planned):
        _assert_full(contacts, batch, following, max_rows, max_bytes)


def _starts(planned: Sequence[PlannedBatch]) -> list[int]:
    return [sum(b.rows for b in planned[:index]) for index in range(len(planned))]


def _assert_full(
    contacts: list[dict[str, str | None]],
    batch: PlannedBatch,
    following: PlannedBatch,
    max_rows: int,
    max_bytes: int,
) -> None:
    """The next row would have broken a limit, or is of the other kind."""
    rows = contacts[batch.first_row : following.first_row + 1]
    is_other_kind = (len(rows[0]["email"] or "") > 50) != (len(rows[-1]["email"] or "") > 50)
    too_large = len(render_file(table(rows), FIELDS)) > max_bytes
    assert len(rows) > max_rows or too_large or is_other_kind


def numbered(count: int, padding: str = "") -> pa.Table:
    return table(
        [{"email": f"{n:06}@example.com", "city": padding} for n in range(count)], ("email", "city")
    )


@pytest.mark.parametrize(
    ("contacts", "rows"),
    [(39_998, [39_998]), (39_999, [39_999]), (40_000, [39_999, 1]), (79_999, [39_999, 39_999, 1])],
)
def test_a_file_has_39999_contacts_at_most(contacts: int, rows: list[int]) -> None:
    planned = plan_batches(numbered(contacts).to_batches(max_chunksize=16_384), ("email", "city"))
    assert [batch.rows for batch in planned] == rows
    assert MAX_CONTACTS_PER_FILE == 39_999


def test_a_row_that_would_pass_the_byte_limit_starts_the_next_file() -> None:
    fields = ("email", "city")
    header, row = len("email,city\r\n"), len("000000@example.com,\r\n") + 380
    fitting = (MAX_FILE_BYTES - header) // row
    spare = MAX_FILE_BYTES - header - fitting * row
    exact = [{"email": f"{n:06}@example.com", "city": "x" * 380} for n in range(fitting + 1)]
    exact[0]["city"] = "x" * (380 + spare)  # fills the first file to the last byte
    first, second = plan_batches(table(exact, fields).to_batches(), fields)
    assert (first.rows, first.bytes, second.rows) == (fitting, MAX_FILE_BYTES, 1)
    exact[0]["city"] += "x"
    first, second = plan_batches(table(exact, fields).to_batches(), fields)
    assert (first.rows, second.rows) == (fitting - 1, 2)
    assert MAX_FILE_BYTES < MAX_BODY_BYTES == 3_900_000


def test_addresses_of_51_characters_start_a_file_of_their_own() -> None:
    emails = ["a" * 44 + "@b.com", "é" * 44 + "@b.com", "a" * 45 + "@b.com", "b" * 74 + "@b.com"]
    planned = plan_batches(
        table([{"email": e} for e in emails], ("email",)).to_batches(), ("email",)
    )
    assert [(batch.first_row, batch.rows) for batch in planned] == [(0, 2), (2, 2)]


def test_a_file_begins_without_a_byte_order_mark_and_quotes_only_where_needed() -> None:
    contacts = [
        {"email": "a@b.de", "first_name": "O'Brien", "city": 'Say "hi", Ana'},
        {"email": "c@d.de", "first_name": "王", "city": None},
    ]
    assert render_file(table(contacts), FIELDS) == (
        'email,first_name,city\r\na@b.de,O\'Brien,"Say ""hi"", Ana"\r\nc@d.de,王,\r\n'.encode()
    )
