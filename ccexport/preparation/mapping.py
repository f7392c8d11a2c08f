"""The field mapping: which contact field is filled from which attribute, constant or template.

Pure. It knows nothing of where profiles come from, nor of the account that the custom fields belong to.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ccexport.errors import MappingError, UsageError

# The columns of the V3 import that are sent, in the order they have in a file (POST /activities/contacts_file_import).
CONTACT_FIELDS = (
    "email",
    "first_name",
    "last_name",
    "phone",
    "job_title",
    "company_name",
    "street",
    "city",
    "state",
    "zip",
    "country",
    "birthday_month",
    "birthday_day",
    "anniversary",
)
CUSTOM_PREFIX = "cf:"
MAX_CUSTOM_FIELDS = 25  # per contact in an import (V3 contract)
MAX_CUSTOM_FIELD_NAME = 50  # characters (V3 contract)

# A doubled brace, a placeholder with a name as it is or in quotation marks, or text without braces.
_PIECE = re.compile(
    r'(?P<brace>\{\{|\}\})|\{"(?P<quoted>(?:[^"]|"")+)"\}|\{(?P<name>[^{}]*[^{}\s][^{}]*)\}|(?P<text>[^{}]+)'
)
Part = tuple[str, str | None]  # literal text, then the attribute that follows it (None: none)

# What a source calls a field, letters and digits alone, lower case.
_KNOWN_NAMES: dict[str, tuple[str, ...]] = {
    "email": (
        "email",
        "emailaddress",
        "emailaddress1",
        "primaryemail",
        "email1",
        "mail",
        "contactemail",
        "epost",
        "correo",
    ),
    "first_name": ("firstname", "givenname", "forename", "vorname", "prenom", "fname"),
    "last_name": ("lastname", "surname", "familyname", "nachname", "nom", "lname"),
    "phone": (
        "phone",
        "phonenumber",
        "telephone",
        "telephone1",
        "mobile",
        "mobilephone",
        "telefon",
    ),
    "job_title": ("jobtitle", "title", "position", "role"),
    "company_name": ("company", "companyname", "organization", "organisation", "employer", "firma"),
    "street": (
        "street",
        "streetaddress",
        "address",
        "address1",
        "addressline1",
        "address1line1",
        "strasse",
    ),
    "city": ("city", "town", "address1city", "ort", "stadt"),
    "state": ("state", "province", "stateprovince", "stateorprovince", "region"),
    "zip": ("zip", "zipcode", "postalcode", "postcode", "plz", "address1postalcode"),
    "country": ("country", "countryregion", "countrycode", "land", "address1country"),
    "birthday_month": ("birthdaymonth", "birthmonth"),
    "birthday_day": ("birthdayday", "birthday_day", "birthdayofmonth"),
    "anniversary": ("anniversary", "anniversarydate", "weddinganniversary"),
}


@dataclass(frozen=True)
class FieldMapping:
    """Contact field → value, as pairs in file order: email first, custom fields last, by name.

    A value is an attribute's name, `=a constant`, or `text with {Attribute} placeholders` (`{{` stands for a brace).
    Any name can stand in a placeholder in quotation marks, `{"a }"}`; a mark within it is doubled.
    """

    pairs: tuple[tuple[str, str], ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """The contact fields in file order; `email` is the first."""
        return tuple(field for field, _ in self.pairs)

    @property
    def attributes_used(self) -> tuple[str, ...]:
        """Each attribute once, in the order of first use."""
        parts = (part for _, value in self.pairs for part in template_parts(value))
        return tuple(dict.fromkeys(name for _, name in parts if name is not None))

    @property
    def custom_fields(self) -> tuple[str, ...]:
        """The names of the custom fields, without `cf:`."""
        return tuple(
            field.removeprefix(CUSTOM_PREFIX)
            for field in self.fields
            if field.startswith(CUSTOM_PREFIX)
        )

    def as_dict(self) -> dict[str, str]:
        """The pairs as a dict, to be kept or shown; `mapping_from_dict` reads it back."""
        return dict(self.pairs)


def parse_mapping(arguments: Sequence[str]) -> FieldMapping:
    """Read `CONTACT_FIELD=VALUE` arguments. Raises `UsageError` (form) or `MappingError` (meaning)."""
    pairs: list[tuple[str, str]] = []
    for argument in arguments:
        field, equals, value = argument.partition("=")
        if not equals or not field.strip() or not value.strip():
            raise UsageError(
                f'"{argument}" is not CONTACT_FIELD=ATTRIBUTE; write for example email=EMail.'
            )
        pairs.append((field.strip(), value.strip()))
    return _checked(pairs)


def mapping_from_dict(values: Mapping[str, str]) -> FieldMapping:
    """The mapping kept as a dict (`FieldMapping.as_dict`), checked again. Raises `MappingError`."""
    return _checked([(field.strip(), value.strip()) for field, value in values.items()])


def check_mapping(mapping: FieldMapping, attribute_names: Iterable[str]) -> None:
    """Raise `MappingError` for the first attribute of the mapping that the source does not have."""
    known = tuple(attribute_names)
    for name in mapping.attributes_used:
        if name not in known:
            raise MappingError(
                f'The source has no attribute "{name}".{near_names(name, known, "It has")} '
                "Correct the field mapping."
            )


def suggest_mapping(attribute_names: Iterable[str]) -> dict[str, str]:
    """Contact field → attribute, for the attributes whose name says it; in file order."""
    by_plain_name: dict[str, str] = {}
    for name in attribute_names:
        by_plain_name.setdefault(_plain(name), name)
    suggestion = {}
    for field in CONTACT_FIELDS:
        found = next((by_plain_name[n] for n in _KNOWN_NAMES[field] if n in by_plain_name), None)
        if found is not None:
            suggestion[field] = mapped_attribute(found)
    if ("birthday_month" in suggestion) != ("birthday_day" in suggestion):
        suggestion.pop("birthday_month", None)
        suggestion.pop("birthday_day", None)
    return suggestion


def template_parts(value: str) -> tuple[Part, ...]:
    """Split a mapped value into literal text and attributes. Raises `MappingError` for a broken template."""
    if value.startswith("="):
        return ((value[1:], None),)
    if "{" not in value and "}" not in value:
        return (("", value),)
    parts: list[Part] = []
    literal, place = "", 0
    for piece in _PIECE.finditer(value):
        if piece.start() != place:
            break
        place = piece.end()
        literal += (piece["brace"] or "")[:1] + (piece["text"] or "")
        name = piece["name"] or (piece["quoted"] or "").replace('""', '"')
        if name:
            parts.append((literal, name))
            literal = ""
    if place != len(value):
        raise _broken_template(value)
    return (*parts, (literal, None)) if literal or not parts else tuple(parts)


def mapped_attribute(name: str) -> str:
    """The mapped value that stands for an attribute, whatever its name."""
    is_plain = name == name.strip() and not name.startswith("=") and not set("{}") & set(name)
    return name if is_plain else '{"' + name.replace('"', '""') + '"}'


def direct_attribute(value: str) -> str | None:
    """The attribute that a mapped value is, with nothing around it; None where it is something else, or broken."""
    try:
        parts = template_parts(value)
    except MappingError:
        return None
    return parts[0][1] if len(parts) == 1 and not parts[0][0] else None


def settled_mapping(mapping: FieldMapping, attribute_names: Iterable[str]) -> FieldMapping:
    """The mapping with each name as the source has it, where it was written with or without blanks around it.

    Raises `MappingError` for the first attribute that the source does not have.
    """
    names = tuple(attribute_names)
    by_stripped = {name.strip(): name for name in reversed(names)}
    pairs = []
    for field, value in mapping.pairs:
        is_direct = template_parts(value) == (("", value),)
        if is_direct and value not in names and value.strip() in by_stripped:
            value = mapped_attribute(by_stripped[value.strip()])
        pairs.append((field, value))
    settled = FieldMapping(tuple(pairs))
    check_mapping(settled, names)
    return settled


def near_names(name: str, known: Sequence[str], lead: str) -> str:
    """A sentence (with a blank before it) that names what comes near `name`, else the first of what there is."""
    plain = {_plain(k): k for k in known}
    near = [plain[n] for n in difflib.get_close_matches(_plain(name), plain, n=3, cutoff=0.6)]
    shown = near or list(known[:8])
    if not shown:
        return ""
    return f" {lead}: {', '.join(shown)}{'' if near or len(known) <= 8 else ', …'}."


def _checked(pairs: list[tuple[str, str]]) -> FieldMapping:
    values: dict[str, str] = {}
    for field, value in pairs:
        _check_field(field)
        if field in values:
            raise MappingError(
                f'The contact field "{field}" is mapped twice. Map each field to one attribute.'
            )
        template_parts(value)
        values[field] = value
    if "email" not in values:
        raise MappingError("The mapping has no email. Map it to an attribute, as in email=EMail.")
    if not any(name for _, name in template_parts(values["email"])):
        raise MappingError(
            "The contact field email cannot be a constant. Map it to an attribute of the profile."
        )
    if ("birthday_month" in values) != ("birthday_day" in values):
        raise MappingError(
            "birthday_month and birthday_day go together. Map both of them, or neither."
        )
    return FieldMapping(pairs=tuple(_in_file_order(values)))


def _check_field(field: str) -> None:
    if field.startswith(CUSTOM_PREFIX):
        name = field.removeprefix(CUSTOM_PREFIX)
        if not name.strip() or len(name) > MAX_CUSTOM_FIELD_NAME:
            raise MappingError(
                f'"{field}" names no custom field. Write cf:NAME, at most 50 characters.'
            )
    elif field not in CONTACT_FIELDS:
        near = near_names(field, CONTACT_FIELDS, "Did you mean")
        raise MappingError(
            f'Constant Contact has no contact field "{field}".{near} Custom fields are cf:NAME.'
        )


def _in_file_order(values: Mapping[str, str]) -> list[tuple[str, str]]:
    custom = sorted(field for field in values if field.startswith(CUSTOM_PREFIX))
    if len(custom) > MAX_CUSTOM_FIELDS:
        raise MappingError(
            f"The mapping has {len(custom)} custom fields; Constant Contact takes "
            f"{MAX_CUSTOM_FIELDS} at most. Leave some out."
        )
    ordered = [field for field in CONTACT_FIELDS if field in values] + custom
    return [(field, values[field]) for field in ordered]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _broken_template(value: str) -> MappingError:
    return MappingError(
        f'"{value}" is not a template: write {{Attribute}} for an attribute and {{{{ for a brace. An attribute with a '
        'brace in its name stands in quotation marks, as in {"a {"}.'
    )
