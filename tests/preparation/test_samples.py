"""A few profiles as they would be sent."""

from __future__ import annotations

from ccexport.preparation.line import attributes
from ccexport.preparation.mapping import parse_mapping
from ccexport.preparation.samples import Sample, samples
from tests.preparation.conftest import MakeSource

MAPPING = parse_mapping(["email=EMail", "first_name=First", "phone=Phone"])
PEOPLE = [
    {"CustomerId": "1", "EMail": "Ana@example.com", "First": "Ana", "Phone": None},
    {"CustomerId": "2", "EMail": "ANA@example.com", "First": "Anna", "Phone": ""},
    {"CustomerId": "4", "EMail": "no address", "First": "C", "Phone": None},
    {"CustomerId": "5", "EMail": "d@example.com", "First": "D" * 51, "Phone": "5" * 26},
]


def test_samples_say_what_is_sent_and_why_not(make_source: MakeSource) -> None:
    source = make_source(PEOPLE)
    found = {
        each.customer_id: each
        for each in samples(source, attributes(source.customers, MAPPING), MAPPING, {})
    }
    assert found["1"] == Sample("1", {"email": "ana@example.com", "first_name": "Ana"}, None, None)
    assert (found["2"].rejection, found["2"].sent_instead) == ("duplicate", "1")
    assert (found["4"].rejection, found["4"].rejected_field) == ("invalid_email", None)
    assert (found["5"].rejection, found["5"].rejected_field) == ("value_too_long", "phone")
    assert found["5"].contact["first_name"] == "D" * 50
