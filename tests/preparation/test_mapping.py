"""The field mapping: arguments, checks, suggestions."""

from __future__ import annotations

import pytest

from ccexport.errors import MappingError, SetupError, UsageError
from ccexport.preparation.mapping import (
    CONTACT_FIELDS,
    check_mapping,
    direct_attribute,
    mapped_attribute,
    mapping_from_dict,
    parse_mapping,
    settled_mapping,
    suggest_mapping,
    template_parts,
)


def test_a_mapping_is_in_file_order_whatever_the_order_of_the_arguments() -> None:
    mapping = parse_mapping(
        ["cf:b=B", "zip=Plz", "first_name=First", "cf:a={A} {B}", "email=EMail"]
    )
    assert mapping.fields == ("email", "first_name", "zip", "cf:a", "cf:b")
    assert mapping.custom_fields == ("a", "b")
    assert mapping.attributes_used == ("EMail", "First", "Plz", "A", "B")
    assert mapping_from_dict(mapping.as_dict()) == mapping


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        (["email"], UsageError, "not CONTACT_FIELD=ATTRIBUTE"),
        (["email="], UsageError, "not CONTACT_FIELD=ATTRIBUTE"),
        (["=EMail"], UsageError, "not CONTACT_FIELD=ATTRIBUTE"),
        (["first_name=First"], MappingError, "no email"),
        (["email==a"], MappingError, "cannot be a constant"),
        (["email=A", "email=B"], MappingError, 'field "email" is mapped twice'),
        (["email=A", "firstname=B"], MappingError, "Did you mean: first_name"),
        (["email=A", "shoe_size=B"], MappingError, 'no contact field "shoe_size"'),
        (["email=A", "cf:=B"], MappingError, "names no custom field"),
        (["email=A", "birthday_day=B"], MappingError, "go together"),
        (["email=A", "cf:x={B"], MappingError, "is not a template"),
        (["email=A", "cf:x={}"], MappingError, "is not a template"),
        (["email=A", "cf:x={}}"], MappingError, "is not a template"),
        (["email=A", "cf:x={ }"], MappingError, "is not a template"),
        (["email={{no attribute}}"], MappingError, "cannot be a constant"),
        (["email=A", *(f"cf:{n}=B" for n in range(26))], MappingError, "26 custom fields"),
    ],
)
def test_a_wrong_mapping_is_refused_in_one_line(
    arguments: list[str], kind: type[SetupError], words: str
) -> None:
    with pytest.raises(kind, match=words) as caught:
        parse_mapping(arguments)
    assert "\n" not in str(caught.value)


def test_an_attribute_that_is_not_there_is_named_with_what_comes_near() -> None:
    mapping = parse_mapping(["email=EMail", "cf:full={FirstName} {LastNam}"])
    with pytest.raises(MappingError, match=r'no attribute "LastNam"\. It has: LastName'):
        check_mapping(mapping, ["EMail", "FirstName", "LastName", "City"])
    check_mapping(mapping, ["EMail", "FirstName", "LastNam"])


@pytest.mark.parametrize(
    ("names", "suggested"),
    [
        (
            ["EMail", "FirstName", "City"],
            {"email": "EMail", "first_name": "FirstName", "city": "City"},
        ),
        (["EmailAddress1", "last_name"], {"email": "EmailAddress1", "last_name": "last_name"}),
        (["Vorname", "PLZ", "e-mail"], {"email": "e-mail", "first_name": "Vorname", "zip": "PLZ"}),
        (["BirthMonth"], {}),
        (["ShoeSize"], {}),
    ],
)
def test_a_mapping_is_suggested_by_name(names: list[str], suggested: dict[str, str]) -> None:
    assert suggest_mapping(names) == suggested
    assert list(suggest_mapping(names)) == [f for f in CONTACT_FIELDS if f in suggested]


ODD_NAMES = [
    "a!r",
    "{",
    "}",
    "{}",
    "a:b",
    " lead",
    "trail ",
    "=x",
    'say "x"',
    '{"',
    '"',
    "{{x}}",
    "a b",
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_name_of_an_attribute_can_be_mapped_alone_and_within_a_template(name: str) -> None:
    value = mapped_attribute(name)
    assert direct_attribute(value) == name
    quoted = name.replace('"', '""')
    assert template_parts('x {"' + quoted + '"}!') == (("x ", name), ("!", None))
    mapping = parse_mapping(["email=EMail", f"cf:x={value}"])
    assert mapping_from_dict(mapping.as_dict()) == mapping
    assert settled_mapping(mapping, ["EMail", name]) == mapping


@pytest.mark.parametrize("name", ["a!r", "a:b", "a.b[0]", " lead"])
def test_a_name_without_braces_needs_no_marks_in_a_template(name: str) -> None:
    assert template_parts("{" + name + "}") == (("", name),)


def test_a_name_is_found_with_or_without_blanks_around_it() -> None:
    mapping = parse_mapping(["email=EMail", "first_name= lead", "city=City "])
    settled = settled_mapping(mapping, ["EMail", " lead", "City"])
    assert settled.attributes_used == ("EMail", " lead", "City")
    assert settled_mapping(mapping, ["EMail", "lead", " lead", "City"]).attributes_used[1] == "lead"
    with pytest.raises(MappingError, match='no attribute "lead"'):
        settled_mapping(mapping, ["EMail", "City"])
