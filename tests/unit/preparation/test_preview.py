"""The preview: the counts, files and samples of the stream that a run would read."""

from __future__ import annotations

from collections.abc import Callable

from ccexport.preparation.expression import prepare
from ccexport.preparation.mapping import parse_mapping
from ccexport.preparation.preview import read_samples, sample, split, summarise
from ccexport.preparation.stream import prepared_rows
from tests.unit.preparation.conftest import Memory

MAPPING = parse_mapping(["email=EMail", "first_name=First"])
PEOPLE = [
    {"CustomerId": "1", "EMail": "ana@example.com", "First": "Ana"},
    {"CustomerId": "2", "EMail": "ANA@example.com", "First": "Anna"},
    {"CustomerId": "3", "EMail": None, "First": "Bo"},
    {"CustomerId": "4", "EMail": "no address", "First": "C"},
    {"CustomerId": "5", "EMail": "d@example.com", "First": "D" * 51},
    {"CustomerId": "6", "EMail": "e" * 60 + "@example.com", "First": None},
]


def test_a_preview_adds_up_and_knows_the_files(memory: Callable[..., Memory]) -> None:
    preview = summarise(prepared_rows(memory(PEOPLE), ["S"], MAPPING), MAPPING.fields, samples=2)
    assert (preview.read, preview.rejected, preview.prepared, preview.truncated) == (6, 3, 3, 1)
    assert preview.rejections == {"duplicate": 1, "invalid_email": 1, "missing_email": 1}
    near = "email,first_name\r\nana@example.com,Ana\r\nd@example.com," + "D" * 50 + "\r\n"
    far = "email\r\n" + "e" * 60 + "@example.com\r\n"
    assert (preview.files, preview.bytes) == (2, len(near) + len(far))
    assert [(s.customer_id, s.rejection, s.sent_instead) for s in preview.samples] == [
        ("1", None, None),
        ("5", None, None),
        ("2", "duplicate", "1"),
        ("3", "missing_email", None),
        ("4", "invalid_email", None),
    ]
    assert preview.samples[0].contact == {"email": "ana@example.com", "first_name": "Ana"}


def test_a_split_loses_no_row(memory: Callable[..., Memory]) -> None:
    rejected, contacts = [], []
    for batch in prepared_rows(memory(PEOPLE), ["S"], MAPPING):
        some, others, _ = split(batch, MAPPING.fields)
        contacts += some.column("customer_id").to_pylist()
        rejected += others.column("customer_id").to_pylist()
    assert (contacts, rejected) == (["1", "5", "6"], ["2", "3", "4"])


def test_samples_are_found_by_reason_and_by_key(memory: Callable[..., Memory]) -> None:
    source = memory(PEOPLE)
    rows = prepare(source.customers, source.memberships, ["S"], MAPPING)
    for expression, found in (
        (sample(rows, 2), ["1", "2"]),
        (sample(rows, 9, reason="duplicate"), ["2"]),
        (sample(rows, 9, customer_id="4"), ["4"]),
    ):
        [batch] = source.stream(expression)
        assert [each.customer_id for each in read_samples(batch)] == found
