"""One expression: members → mapped and cleaned → checked → one winner an email."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccexport.errors import MappingError
from ccexport.preparation.expression import prepare
from ccexport.preparation.mapping import parse_mapping
from ccexport.preparation.stream import prepared_rows
from tests.unit.preparation import oracle
from tests.unit.preparation.conftest import Memory

FIELDS = {
    "email": "EMail",
    "first_name": "First",
    "phone": "Phone",
    "street": "Street",
    "zip": "Zip",
    "birthday_month": "Month",
    "birthday_day": "Day",
    "anniversary": "Anniversary",
    "cf:amount": "Amount",
    "cf:member": "Member",
    "cf:note": "Note",
    "cf:tier": "Tier",
}
TYPES = {"amount": "number", "member": "boolean", "note": "text_area", "tier": "single_select"}
MAPPING = parse_mapping([f"{field}={attribute}" for field, attribute in FIELDS.items()])

# Text that looks for trouble: white space and control characters of all kinds, quotes, emoji, other scripts.
odd = st.text(
    st.sampled_from(
        "aB1 .@|,;'\"\\{}\n\r\t\x00\x1f\x7f\x85\u00a0\u2003\u2028\u3000é\u212aİß王👩\u200d"
    ),
    max_size=6,
)
plain_email = st.from_regex(r"\A[ab]{1,2}(\.[ab])?@[ab]{1,2}\.(com|net)\Z")
long_email = st.builds(
    lambda n, m: "a" * n + "@" + "b" * m + ".org", st.integers(1, 60), st.integers(30, 70)
)
email = st.one_of(
    plain_email,
    plain_email.map(lambda e: f" {e.upper()}\n"),
    long_email,
    odd,
    st.sampled_from(
        [
            None,
            "",
            "a@b",
            "a..b@c.de",
            ".a@b.de",
            "a.@b.de",
            "a@-b.de",
            "a@b-.de",
            "a@b..de",
            "a@b.de.",
        ]
    ),
)
name = st.one_of(odd, st.none(), st.integers(48, 53).map(lambda n: "x " * (n // 2) + "y" * (n % 2)))
small = st.one_of(st.integers(-1, 32).map(str), st.sampled_from(["", "02", "007", "2.0", "٣"]))
date = st.one_of(
    st.builds(
        lambda y, m, d, form: form.format(y=y, m=m, d=d),
        st.sampled_from(["1900", "2000", "2023", "2024", "0000", "24"]),
        st.one_of(st.integers(0, 13).map(str), st.sampled_from(["02", "09"])),
        st.one_of(st.integers(0, 32).map(str), st.sampled_from(["09", "29"])),
        st.sampled_from(
            ["{y}-{m}-{d}", "{m}/{d}/{y}", "{y}/{m}/{d}", "{m}-{d}-{y}", "{y}/{m}-{d}"]
        ),
    ),
    st.just(""),
    odd,
)
number = st.one_of(
    st.floats(-1e9, 1e9).map(str), st.integers().map(str), st.sampled_from(["", "1,000", ".5"]), odd
)


def rarely(values: st.SearchStrategy[Any], usual: Any) -> st.SearchStrategy[Any]:
    return st.one_of(st.just(usual), st.just(usual), st.just(usual), values)


profile = st.fixed_dictionaries(
    {
        "EMail": email,
        "First": name,
        "Phone": rarely(st.one_of(odd, st.integers(24, 27).map(lambda n: "5" * n)), "+1 5"),
        "Street": rarely(st.integers(253, 258).map(lambda n: "é" * n), "Main St 1"),
        "Zip": rarely(st.integers(24, 27).map(lambda n: "9" * n), "98101"),
        "Month": rarely(small, "2"),
        "Day": rarely(small, "29"),
        "Anniversary": rarely(date, "2024-02-29"),
        "Amount": rarely(number, "1.5"),
        "Member": rarely(st.sampled_from(["TRUE", "no", "maybe", "", "1"]), "yes"),
        "Note": rarely(st.integers(254, 257).map(lambda n: "n" * n), "-"),
        "Tier": rarely(st.integers(254, 257).map(lambda n: "t" * n), "Gold"),
    }
)
key = st.text(st.sampled_from("012aZé王👩-"), min_size=1, max_size=5)
profiles = st.dictionaries(key, profile, min_size=1, max_size=60).map(
    lambda found: [{"CustomerId": key, **values} for key, values in found.items()]
)


# Few examples of many profiles each: what takes the time is to build an expression of so many fields.
@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(profiles, st.integers(15, 40))
def test_any_profiles_are_prepared_as_the_rules_say_in_one_piece_and_in_parts(
    memory: Callable[..., Memory], profiles: list[dict[str, str | None]], rows_per_part: int
) -> None:
    source = memory(profiles)
    expected = [
        {
            "customer_id": row.customer_id,
            "email": row.email if row.reason is None else None,
            "reason": row.reason,
            "sent_instead": row.sent_instead,
            **(row.values | {"truncated": row.truncated} if row.reason is None else {}),
        }
        for row in oracle.prepare(profiles, {str(p["CustomerId"]) for p in profiles}, FIELDS, TYPES)
    ]
    whole = prepare(source.customers, source.memberships, ["S"], MAPPING, TYPES)
    assert _comparable(source.rows(whole)) == expected
    for source.sorts_outside in (True, False):
        parts = prepared_rows(source, ["S"], MAPPING, TYPES, rows_per_part=rows_per_part)
        assert _comparable([row for batch in parts for row in batch.to_pylist()]) == expected


def _comparable(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of a rejected profile only what is told of it."""
    told = ("customer_id", "reason", "sent_instead")
    return [
        row if row["reason"] is None else {"email": None} | {name: row[name] for name in told}
        for row in rows
    ]


@pytest.mark.parametrize(
    ("email", "reason"),
    [
        (None, "missing_email"),
        (" \u2003\t", "missing_email"),
        ("Ana@Example.com", None),
        ("ana@example.com\r\n", None),
        ("ana@example", "invalid_email"),
        ("ana@exam ple.com", "invalid_email"),
        ("anä@example.com", "invalid_email"),
        ("ana@example.com, bo@example.com", "invalid_email"),
        ("o'brien+tag@example.co.uk", None),
        ("a@" + "b" * 63 + ".com", None),
        ("a@" + "b" * 64 + ".com", "invalid_email"),
        ("a" * 75 + "@b.de", None),
        ("a" * 76 + "@b.de", "email_too_long"),
        ("ä" * 81, "email_too_long"),
    ],
)
def test_an_email_is_judged_by_the_rule(
    memory: Callable[..., Memory], email: str | None, reason: str | None
) -> None:
    source = memory([{"CustomerId": "1", "EMail": email}])
    mapping = parse_mapping(["email=EMail"])
    [row] = source.rows(prepare(source.customers, source.memberships, ["S"], mapping))
    assert row["reason"] == reason


def test_duplicates_compete_only_where_nothing_else_is_wrong(memory: Callable[..., Memory]) -> None:
    source = memory(
        [
            {"CustomerId": "10", "EMail": "a@b.de", "Phone": "1"},
            {"CustomerId": "9", "EMail": "A@b.de", "Phone": "1"},
            {"CustomerId": "1", "EMail": "a@b.de", "Phone": "1" * 26},
        ]
    )
    mapping = parse_mapping(["email=EMail", "phone=Phone"])
    rows = source.rows(prepare(source.customers, source.memberships, ["S"], mapping))
    assert [(row["customer_id"], row["reason"], row["sent_instead"]) for row in rows] == [
        ("1", "value_too_long", None),
        ("10", None, None),
        ("9", "duplicate", "10"),
    ]


def test_a_profile_in_several_segments_is_read_once_and_others_not_at_all(
    memory: Callable[..., Memory],
) -> None:
    people = [{"CustomerId": key, "EMail": f"{key}@b.de"} for key in "abcd"]
    pairs = [("a", "S"), ("a", "T"), ("a", "S"), ("b", "T"), ("c", "U"), ("nobody", "S")]
    source = memory(people, pairs)
    mapping = parse_mapping(["email=EMail"])
    rows = source.rows(prepare(source.customers, source.memberships, ["S", "T"], mapping))
    assert [row["customer_id"] for row in rows] == ["a", "b"]


@pytest.mark.parametrize(
    ("value", "profile", "sent"),
    [
        ("=Customer", {}, "Customer"),
        ("= 10 % off\n", {}, "10 % off"),
        ("{First} {Last}", {"First": " Ana ", "Last": "Sø\n"}, "Ana Sø"),
        ("{First} {Last}", {"First": None, "Last": "Sø"}, "Sø"),
        ("Dear {First}!", {"First": " "}, None),
        ("{{{First}}}", {"First": "Ana"}, "{Ana}"),
        ("First", {"First": 'O\'Brien, "Ana"'}, 'O\'Brien, "Ana"'),
    ],
)
def test_constants_and_templates_fill_a_field(
    memory: Callable[..., Memory], value: str, profile: dict[str, str | None], sent: str | None
) -> None:
    source = memory([{"CustomerId": "1", "EMail": "a@b.de", "First": None, "Last": None} | profile])
    mapping = parse_mapping(["email=EMail", f"cf:full={value}"])
    [row] = source.rows(prepare(source.customers, source.memberships, ["S"], mapping))
    assert row["cf:full"] == sent


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("2024-02-29", "2024-02-29T00:00:00Z"),
        ("2024-02-29T07:08", "2024-02-29T07:08:00Z"),
        ("2024-02-29 07:08:09.123", "2024-02-29T07:08:09Z"),
        ("2024-02-29T07:08:09Z", "2024-02-29T07:08:09Z"),
        ("2023-02-29T07:08:09Z", None),
        ("2024-02-29T24:00", None),
        ("2024-02-29T07:08:09+02:00", None),
    ],
)
def test_a_custom_field_of_type_datetime_is_sent_in_utc(
    memory: Callable[..., Memory], value: str, sent: str | None
) -> None:
    source = memory([{"CustomerId": "1", "EMail": "a@b.de", "At": value}])
    mapping = parse_mapping(["email=EMail", "cf:at=At"])
    [row] = source.rows(
        prepare(source.customers, source.memberships, ["S"], mapping, {"at": "datetime"})
    )
    assert (row["reason"], sent) in [(None, row["cf:at"]), ("invalid_value", None)]


def test_a_multi_select_is_refused(memory: Callable[..., Memory]) -> None:
    source = memory([{"CustomerId": "1", "EMail": "a@b.de"}])
    mapping = parse_mapping(["email=EMail", "cf:tags=EMail"])
    with pytest.raises(MappingError, match='"tags" is a multi select'):
        prepare(source.customers, source.memberships, ["S"], mapping, {"tags": "multi_select"})
