"""Prepared rows in two halves."""

from __future__ import annotations

from collections.abc import Callable

from ccexport.preparation.mapping import parse_mapping
from ccexport.preparation.preview import split
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


def test_a_split_loses_no_row(memory: Callable[..., Memory]) -> None:
    rejected, contacts = [], []
    for batch in prepared_rows(memory(PEOPLE), ["S"], MAPPING):
        some, others, _ = split(batch, MAPPING.fields)
        contacts += some.column("customer_id").to_pylist()
        rejected += others.column("customer_id").to_pylist()
    assert (contacts, rejected) == (["1", "5", "6"], ["2", "3", "4"])
