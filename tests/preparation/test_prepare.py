"""Preparing: members → lines and rejections → one winner an address → contacts in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccexport.errors import MappingError, SourceError
from ccexport.preparation.contacts import Prepared
from ccexport.preparation.files import values_of
from ccexport.preparation.mapping import FieldMapping, parse_mapping
from ccexport.preparation.prepare import prepare
from tests.preparation import oracle
from tests.preparation.conftest import MakeSource, source_of

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
MAPPING_OF_TWO = parse_mapping(["email=EMail", "first_name=EMail"])
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


def contacts_of(prepared: Prepared, mapping: FieldMapping) -> dict[str, dict[str, str | None]]:
    """Key → the contact's fields, null where blank."""
    rows = (
        prepared.contacts.take(0, len(prepared.contacts)).to_pylist() if prepared.contacts else []
    )
    return {
        row["customer_id"]: {
            field: value or None
            for field, value in zip(mapping.fields, values_of(row["line"]), strict=True)
        }
        for row in rows
    }


# Few examples of many profiles each: what takes the time is to build an expression of so many fields.
@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(profiles, st.booleans())
def test_any_profiles_are_prepared_as_the_rules_say(
    profiles: list[dict[str, str | None]], as_database: bool
) -> None:
    rows = oracle.prepare(profiles, {str(p["CustomerId"]) for p in profiles}, FIELDS, TYPES)
    cells = {str(p["CustomerId"]): p["EMail"] for p in profiles}
    with source_of(profiles, as_database=as_database) as source:
        prepared = prepare(source, ["S"], MAPPING, TYPES)
    assert contacts_of(prepared, MAPPING) == {
        row.customer_id: {"email": row.email} | row.values for row in rows if row.reason is None
    }
    assert prepared.rejections.to_pylist() == [
        {
            "customer_id": row.customer_id,
            "email": cells[row.customer_id],
            "reason": row.reason,
            "sent_instead": row.sent_instead,
        }
        for row in rows
        if row.reason is not None
    ]
    assert prepared.read == len(rows)
    assert prepared.truncated == sum(row.truncated for row in rows if row.reason is None)


def only_one(
    make: MakeSource, profile: dict[str, str | None], *mapped: str, **types: str
) -> tuple[dict[str, str | None] | None, str | None]:
    """(the contact of this one profile, or why there is none)."""
    [found] = each_of(make, [profile], *mapped, **types)
    return found


def each_of(
    make: MakeSource, profiles: Sequence[Mapping[str, str | None]], *mapped: str, **types: str
) -> list[tuple[dict[str, str | None] | None, str | None]]:
    """The same of many, for the price of one."""
    mapping = parse_mapping(["email=EMail", *mapped])
    usual = [{"CustomerId": f"{n:02}", "EMail": f"a{n}@b.de"} for n, _ in enumerate(profiles)]
    people = [known | given for known, given in zip(usual, profiles, strict=True)]
    prepared = prepare(make(people), ["S"], mapping, types)
    contacts = contacts_of(prepared, mapping)
    reasons = {row["customer_id"]: row["reason"] for row in prepared.rejections.to_pylist()}
    return [(contacts.get(n["CustomerId"]), reasons.get(n["CustomerId"])) for n in usual]


# cell, what is sent, why nothing is
EMAILS: list[tuple[str | None, str | None, str | None]] = [
    (None, None, "missing_email"),
    (" \u2003\t", None, "missing_email"),
    ("\ufeff\u200b ", None, "missing_email"),
    ("Ana@Example.com", "ana@example.com", None),
    ("ana@example.com\r\n", "ana@example.com", None),
    ("ana@example.com\u00a0", "ana@example.com", None),
    ("\u200bana@example.com", "ana@example.com", None),
    ("\ufeff \u2060ana@example.com \u200d\u3000\u200c", "ana@example.com", None),
    ("ana@\u00adexample.com", None, "invalid_email"),
    ("an\u200ba@example.com", None, "invalid_email"),
    ("\u212aim@example.com", None, "invalid_email"),
    ("k\u212aim@example.com", None, "invalid_email"),
    ("\u0130nan@example.com", None, "invalid_email"),
    ("STRASSE@example.com", "strasse@example.com", None),
    ("stra\u00dfe@example.com", None, "invalid_email"),
    ("ana@example", None, "invalid_email"),
    ("ana@exam ple.com", None, "invalid_email"),
    ("an\u00e4@example.com", None, "invalid_email"),
    ("ana@example.com, bo@example.com", None, "invalid_email"),
    ('"Ana Diaz" <ana@example.com>', None, "invalid_email"),
    ("mailto:ben@example.com", None, "invalid_email"),
    ("cem@example.com; cem.k@example.org", None, "invalid_email"),
    ("n/a", None, "invalid_email"),
    ("dee@example.com,", None, "invalid_email"),
    ("fay@example.com.", None, "invalid_email"),
    ("gus.@example.com", None, "invalid_email"),
    ("hal@example..com", None, "invalid_email"),
    ("ida@localhost", None, "invalid_email"),
    ("jo@[192.0.2.1]", None, "invalid_email"),
    ("NULL", None, "invalid_email"),
    ("-", None, "invalid_email"),
    ("jo+shop@example.com", "jo+shop@example.com", None),
    ("o'brien+tag@example.co.uk", "o'brien+tag@example.co.uk", None),
    ("a@" + "b" * 63 + ".com", "a@" + "b" * 63 + ".com", None),
    ("a@" + "b" * 64 + ".com", None, "invalid_email"),
    ("a" * 75 + "@b.de", "a" * 75 + "@b.de", None),
    ("a" * 76 + "@b.de", None, "email_too_long"),
    ("\u00e4" * 81, None, "email_too_long"),
]


def test_an_email_is_judged_by_the_rule_and_kept_as_it_stood_where_it_is_left_out(
    make_source: MakeSource,
) -> None:
    """C11 (hidden characters), C12 (letters that lower case would make ASCII), C13 (cells as people fill them in)."""
    profiles = [{"CustomerId": f"{n:02}", "EMail": cell} for n, (cell, _, _) in enumerate(EMAILS)]
    mapping = parse_mapping(["email=EMail"])
    prepared = prepare(make_source(profiles), ["S"], mapping)
    contacts = contacts_of(prepared, mapping)
    left_out = {row["customer_id"]: row for row in prepared.rejections.to_pylist()}
    taken: set[str | None] = set()
    for n, (cell, sent, reason) in enumerate(EMAILS):
        expected = "duplicate" if sent in taken else reason
        if expected is None:
            assert contacts[f"{n:02}"] == {"email": sent}, cell
            taken.add(sent)
        else:
            assert (left_out[f"{n:02}"]["email"], left_out[f"{n:02}"]["reason"]) == (cell, expected)
    assert prepared.read == len(EMAILS) == len(contacts) + len(left_out)


def test_duplicates_compete_only_where_nothing_else_is_wrong(make_source: MakeSource) -> None:
    source = make_source(
        [
            {"CustomerId": "10", "EMail": "a@b.de", "Phone": "1"},
            {"CustomerId": "9", "EMail": " A@b.de", "Phone": "1"},
            {"CustomerId": "8", "EMail": "A@b.de", "Phone": "1"},
            {"CustomerId": "1", "EMail": "a@b.de", "Phone": "1" * 26},
        ]
    )
    prepared = prepare(source, ["S"], parse_mapping(["email=EMail", "phone=Phone"]))
    assert [tuple(row.values()) for row in prepared.rejections.to_pylist()] == [
        ("1", "a@b.de", "value_too_long: phone", None),
        ("8", "A@b.de", "duplicate", "10"),
        ("9", " A@b.de", "duplicate", "10"),
    ]
    assert dict(prepared.reasons()) == {"value_too_long": 1, "duplicate": 2}


def test_the_smallest_key_is_the_one_by_code_point(make_source: MakeSource) -> None:
    keys = ["b", "B", "\u00e9", "a\u0301", "Z", "\U0001f469", "\uffff"]
    source = make_source([{"CustomerId": key, "EMail": "a@b.de"} for key in keys])
    prepared = prepare(source, ["S"], parse_mapping(["email=EMail"]))
    assert set(prepared.rejections.column("sent_instead").to_pylist()) == {"B"}
    assert prepared.rejections.column("customer_id").to_pylist() == sorted(set(keys) - {"B"})


def test_a_profile_in_several_segments_is_read_once_and_others_not_at_all(
    make_source: MakeSource,
) -> None:
    people = [{"CustomerId": key, "EMail": f"{key}@b.de"} for key in "abcd"]
    pairs = [("a", "S"), ("a", "T"), ("a", "S"), ("b", "T"), ("c", "U"), ("nobody", "S")]
    source = make_source(people, pairs)
    prepared = prepare(source, ["S", "T"], parse_mapping(["email=EMail"]))
    assert (prepared.read, len(prepared.contacts), prepared.rejections.num_rows) == (2, 2, 0)


def test_nobody_in_the_segments_is_nobody_read(make_source: MakeSource) -> None:
    prepared = prepare(make_source([{"CustomerId": "1", "EMail": "a@b.de"}]), ["T"], MAPPING_OF_TWO)
    assert (prepared.read, len(prepared.contacts), prepared.rejections.num_rows) == (0, 0, 0)


@pytest.mark.parametrize("emails", [("a@b.de", "c@d.de"), ("a@b.de", "no address"), ("", "")])
def test_a_key_that_is_there_twice_is_named(
    make_source: MakeSource, emails: tuple[str, str]
) -> None:
    people = [{"CustomerId": str(number), "EMail": "x@y.de"} for number in range(50)]
    people += [{"CustomerId": "twice", "EMail": email} for email in emails]
    source = make_source(people, [("twice", "S"), ("7", "S")])
    with pytest.raises(SourceError, match='more than one profile with the CustomerId "twice"'):
        prepare(source, ["S"], parse_mapping(["email=EMail"]))


@pytest.mark.parametrize(
    ("value", "profile", "sent"),
    [
        ("=Customer", {}, "Customer"),
        ("= 10 % off\n", {}, "10 % off"),
        ("{First} {Last}", {"First": " Ana ", "Last": "S\u00f8\n"}, "Ana S\u00f8"),
        ("{First} {Last}", {"First": None, "Last": "S\u00f8"}, "S\u00f8"),
        ("Dear {First}!", {"First": " "}, None),
        ("Dear {First}!", {"First": " Ana "}, "Dear Ana!"),
        ("Dear {First}!", {"First": "Ana"}, "Dear Ana!"),
        ("{{{First}}}", {"First": "Ana"}, "{Ana}"),
        ("First", {"First": 'O\'Brien, "Ana"'}, 'O\'Brien, "Ana"'),
        ("{First}, {Last}", {"First": 'A"', "Last": "B"}, 'A", B'),
        ("{a!r} {a:b}", {"a!r": "x", "a:b": "y"}, "x y"),
        ('{"{"}', {"{": "brace"}, "brace"),
        ('{" lead"}-{"a }"}', {" lead": "x", "a }": "y"}, "x-y"),
    ],
)
def test_constants_and_templates_fill_a_field(
    make_source: MakeSource, value: str, profile: dict[str, str | None], sent: str | None
) -> None:
    contact, _ = only_one(make_source, {"First": None, "Last": None} | profile, f"cf:full={value}")
    assert contact is not None
    assert contact["cf:full"] == sent


# cell, what is sent
MOMENTS: list[tuple[str, str | None]] = [
    ("2024-02-29", "2024-02-29T00:00:00Z"),
    ("2024-02-29T07:08", "2024-02-29T07:08:00Z"),
    ("2024-02-29 07:08:09.123", "2024-02-29T07:08:09Z"),
    ("2024-02-29T07:08:09Z", "2024-02-29T07:08:09Z"),
    ("2023-02-29T07:08:09Z", None),
    ("2024-02-29T24:00", None),
    ("2024-02-29T07:08:09+02:00", None),
]


def test_a_custom_field_of_type_datetime_is_sent_in_utc(make_source: MakeSource) -> None:
    found = each_of(make_source, [{"At": value} for value, _ in MOMENTS], "cf:at=At", at="datetime")
    for (contact, reason), (value, sent) in zip(found, MOMENTS, strict=True):
        assert (contact and contact["cf:at"]) == sent, value
        assert reason == (None if sent else "invalid_value: cf:at"), value


# month, day, what is sent, the field that is none
BIRTHDAYS: list[tuple[str, str, tuple[str | None, str | None] | None, str | None]] = [
    ("07", "7", ("7", "7"), None),
    ("2", "29", ("2", "29"), None),
    ("", " ", (None, None), None),
    ("2", "30", None, "birthday_day"),
    ("7.0", "7", None, "birthday_month"),
    ("Jul", "7", None, "birthday_month"),
    ("0", "1", None, "birthday_month"),
    ("13", "1", None, "birthday_month"),
    ("", "9", None, "birthday_month"),
    ("9", "", None, "birthday_day"),
    ("1984-07-09", "1984-07-09", None, "birthday_month"),
]


def test_a_birthday_is_a_day_or_names_the_part_that_is_none(make_source: MakeSource) -> None:
    """C21."""
    cells = [{"M": month, "D": day} for month, day, _, _ in BIRTHDAYS]
    found = each_of(make_source, cells, "birthday_month=M", "birthday_day=D")
    for (contact, reason), (month, day, sent, field) in zip(found, BIRTHDAYS, strict=True):
        assert reason == (f"invalid_value: {field}" if field else None), (month, day)
        assert (contact and (contact["birthday_month"], contact["birthday_day"])) == sent


FAMILY = "\U0001f469\u200d\U0001f469\u200d\U0001f467"
FLAG = "\U0001f1e9\U0001f1ea"


# cell, what is sent
CUTS: list[tuple[str, str]] = [
    ("x" * 50, "x" * 50),
    ("x" * 51, "x" * 50),
    ("x" * 49 + "e\u0301", "x" * 49),
    ("x" * 48 + "e\u0301", "x" * 48 + "e\u0301"),
    ("x" * 48 + "e\u0301z", "x" * 48 + "e\u0301"),
    ("x" * 49 + "\u2764\ufe0f", "x" * 49),
    ("x" * 49 + "\U0001f44d\U0001f3fd", "x" * 49),
    ("x" * 47 + FAMILY, "x" * 47),
    ("x" * 45 + FAMILY + "z", "x" * 45 + FAMILY),
    ("x" * 49 + FLAG, "x" * 49),
    ("x" * 48 + FLAG + FLAG, "x" * 48 + FLAG),
    ("x" * 47 + FLAG + FLAG, "x" * 47 + FLAG),
    ("x" * 46 + FLAG + FLAG + FLAG, "x" * 46 + FLAG + FLAG),
    ("x" * 49 + "\u200d" + "y" * 3, "x" * 48),
    ("x" * 49 + " y", "x" * 49),
    ("x" * 47 + "\u1112\u1161\u11ab", "x" * 47 + "\u1112\u1161\u11ab"),
    ("x" * 48 + "\u1112\u1161\u11ab", "x" * 48),
    ("e" + "\u0301" * 80, "e" + "\u0301" * 49),  # nobody sees that as a letter
]


def test_a_cut_does_not_split_what_a_reader_sees_as_one(make_source: MakeSource) -> None:
    found = each_of(make_source, [{"First": value} for value, _ in CUTS], "first_name=First")
    for (contact, _), (value, sent) in zip(found, CUTS, strict=True):
        assert contact is not None
        assert contact["first_name"] == sent, value


def test_a_multi_select_is_refused(make_source: MakeSource) -> None:
    source = make_source([{"CustomerId": "1", "EMail": "a@b.de"}])
    mapping = parse_mapping(["email=EMail", "cf:tags=EMail"])
    with pytest.raises(MappingError, match='"tags" is a multi select'):
        prepare(source, ["S"], mapping, {"tags": "multi_select"})
