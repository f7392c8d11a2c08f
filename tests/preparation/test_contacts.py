"""Contacts as a run keeps them: read again, left out by address, found by person, blanked; and those of version 0.1."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa

from ccexport.preparation.blanking import Blanking, Person
from ccexport.preparation.contacts import (
    CONTACTS_SCHEMA,
    REJECTIONS_SCHEMA,
    as_they_stand,
    plan_files,
    with_lines,
)
from ccexport.preparation.files import line_of
from ccexport.preparation.keyed import keyed_hashes

FIELDS = ("email", "first_name", "city")
PEOPLE = [
    ("1", "ana@example.com", "Ana", None),
    ("2", "ana@example.com.au", 'O\'Hara, "Dee"', None),
    ("3", "bo@example.com", None, None),
    ("4", "b" * 45 + "@example.com", "Bo", None),
]


def contacts(people: list[tuple[str, ...]] = PEOPLE) -> pa.RecordBatch:  # type: ignore[assignment]
    columns = [[each[0] for each in people], [line_of(each[1:]) for each in people]]
    return pa.RecordBatch.from_arrays(
        [pa.array(column, pa.string()) for column in columns], schema=CONTACTS_SCHEMA
    )


def as_version_0_1_wrote_them() -> pa.RecordBatch:
    columns = zip(*PEOPLE, strict=True)
    names = ["customer_id", *FIELDS]
    return pa.RecordBatch.from_arrays(
        [pa.array(column, pa.string()) for column in columns], names=names
    )


def test_contacts_of_version_0_1_are_read_as_lines() -> None:
    assert with_lines(as_version_0_1_wrote_them()) == contacts()
    assert with_lines(contacts()) == contacts()


def test_files_of_contacts_are_planned_in_order_with_long_addresses_apart() -> None:
    [first, second, third] = plan_files(as_they_stand([contacts()]), FIELDS, max_rows=2)
    assert [batch.num_rows for batch, _ in (first, second, third)] == [2, 1, 1]
    plan = [planned for _, planned in (first, second, third)]
    assert [(each.number, each.first_row, each.rows) for each in plan] == [
        (1, 0, 2),
        (2, 2, 1),
        (3, 3, 1),
    ]
    content = (
        b'email,first_name\r\nana@example.com,Ana\r\nana@example.com.au,"O\'Hara, ""Dee"""\r\n'
    )
    assert (plan[0].bytes, plan[0].digest) == (len(content), hashlib.sha256(content).hexdigest())


def test_contacts_of_some_addresses_are_left_out() -> None:
    key = bytes(range(16))
    gone = np.sort(keyed_hashes(pa.array(["bo@example.com", "nobody@example.com"]), key))
    whole = as_they_stand([contacts()])
    who, profiles, lines = whole.hashes(key)
    left = whole.only(~np.isin(who, gone))
    assert len(set(profiles.tolist())) == len(set(lines.tolist())) == 4
    assert left.take(0, len(left)).column("customer_id").to_pylist() == ["1", "2", "4"]
    assert left.plain == 2


def test_the_rows_of_a_person_are_found_by_address_and_key_in_files_of_each_version() -> None:
    ana = Person("ana@example.com", ["3"])
    for batch in (contacts(), as_version_0_1_wrote_them()):
        assert ana.rows(batch).tolist() == [True, False, True, False]
    alone = pa.RecordBatch.from_arrays(
        [pa.array(["9"]), pa.array(["ana@example.com\r\n"])], schema=CONTACTS_SCHEMA
    )
    assert Person("ana@example.com").rows(alone).tolist() == [True]


def test_a_person_is_found_among_the_rejected_however_the_cell_was_written() -> None:
    cells = ["\u200b ANA@example.com\t", "ana@example.com", None, "\u212aim@example.com"]
    columns = [["1", "2", "3", "4"], cells, ["duplicate"] * 4, ["7", None, "1", None]]
    batch = pa.RecordBatch.from_arrays(
        [pa.array(column, pa.string()) for column in columns], schema=REJECTIONS_SCHEMA
    )
    assert Person("ana@example.com").rows(batch).tolist() == [True, True, False, False]
    assert not Person("kim@example.com").rows(batch).any()
    blanking = Blanking(Person("ana@example.com", ["1"]))
    assert blanking(batch).to_pylist() == [
        {"customer_id": None, "email": None, "reason": "duplicate", "sent_instead": None},
        {"customer_id": None, "email": None, "reason": "duplicate", "sent_instead": None},
        {"customer_id": "3", "email": None, "reason": "duplicate", "sent_instead": None},
        {"customer_id": "4", "email": cells[3], "reason": "duplicate", "sent_instead": None},
    ]
    assert blanking.rows == 2
