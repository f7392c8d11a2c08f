"""How a contact looks to a client of the API, and how a person reads one."""

from json.encoder import encode_basestring_ascii
from typing import Any

from ccexport.sandbox.account.contacts import SEPARATOR, ContactBook, Layout
from ccexport.sandbox.account.lists import FieldBook
from ccexport.sandbox.account.state import SandboxState
from ccexport.sandbox.api.answers import iso_date, iso_time, iso_time_with_offset

_PLAIN = ("first_name", "last_name", "job_title", "company_name", "anniversary")
_NUMBERS = ("birthday_month", "birthday_day")
_PHONES = {
    "phone": "other",
    "home_phone": "home",
    "work_phone": "work",
    "mobile_phone": "mobile",
    "other_phone": "other",
}
_PLACES = {"": "home", "home_": "home", "work_": "work", "other_": "other"}
_PLACE_PARTS = {
    "street": "street",
    "city": "city",
    "state": "state",
    "zip": "postal_code",
    "country": "country",
}
_ENCODED_SEPARATOR = "\\u001f"
_Keys = list[tuple[int, str]]


def contact_resource(state: SandboxState, number: int, include: set[str]) -> dict[str, Any]:
    """A contact in the form of `GET /contacts`; hold the lock."""
    book = state.contacts
    properties = book.properties(number)
    created, updated = book.created[number], book.updated[number]
    shown: dict[str, Any] = {"contact_id": book.contact_id(number)}
    if book.emails[number]:
        shown["email_address"] = _email_address(state, number)
    shown.update({name: properties[name] for name in _PLAIN if name in properties})
    shown.update({name: int(properties[name]) for name in _NUMBERS if name in properties})
    shown.update(update_source="Account", create_source="Account")
    shown.update(created_at=iso_time(created), updated_at=iso_time_with_offset(updated))
    if number in book.deleted:
        shown["deleted_at"] = iso_date(book.deleted[number])
    if "sms_number" in properties:
        shown["sms_channel"] = {"sms_address": properties["sms_number"], "country_code": "US"}
    if "custom_fields" in include:
        shown["custom_fields"] = _custom_fields(state.fields, properties)
    if "phone_numbers" in include:
        shown["phone_numbers"] = _phones(properties)
    if "street_addresses" in include:
        shown["street_addresses"] = _addresses(properties)
    if "list_memberships" in include:
        lists = state.lists.all()
        shown["list_memberships"] = [one.list_id for one in lists if number in one.members]
    for name in ("taggings", "notes"):
        if name in include:
            shown[name] = []
    return shown


def permission_of(state: SandboxState, number: int) -> str:
    return "unsubscribed" if number in state.contacts.opted_out else "implicit"


class MemberWriter:
    """Writes contacts as JSON, flat and under the import's names, for a person or a test to look at.

    A list has up to a million members: a contact's values are encoded in one go, joined as they
    are stored, and put behind keys that are prepared once for each layout.
    """

    def __init__(self, book: ContactBook) -> None:
        self._book = book
        self._keys: dict[Layout, tuple[_Keys, _Keys]] = {}

    def write(self, number: int) -> str:
        """One JSON object; hold the lock."""
        layout, joined = self._book.stored(number)
        keys = self._keys.get(layout)
        if keys is None:
            keys = self._keys[layout] = _keys_of(layout)
        if "\\" in joined:  # could look like the encoded separator
            values = [encode_basestring_ascii(value)[1:-1] for value in joined.split(SEPARATOR)]
        else:
            values = encode_basestring_ascii(joined)[1:-1].split(_ENCODED_SEPARATOR)
        plain = "".join([f'{key}{values[at]}", ' for at, key in keys[0] if values[at]])
        custom = ", ".join([f'{key}{values[at]}"' for at, key in keys[1] if values[at]])
        email = encode_basestring_ascii(self._book.emails[number])
        return (
            f'{{"email_address": {email}, {plain}"custom_fields": {{{custom}}}, '
            f'"contact_id": "{self._book.contact_id(number)}"}}'
        )


def _keys_of(layout: Layout) -> tuple[_Keys, _Keys]:
    """The JSON keys of plain and of custom fields, with where each one's value stands."""
    plain, custom = [], []
    for at, name in enumerate(layout):
        if name.startswith("cf:"):
            custom.append((at, f'{encode_basestring_ascii(name[3:])}: "'))
        else:
            plain.append((at, f'"{name}": "'))
    return plain, custom


def _email_address(state: SandboxState, number: int) -> dict[str, str]:
    book = state.contacts
    created = iso_time(book.created[number])
    shown = {
        "address": book.emails[number],
        "permission_to_send": permission_of(state, number),
        "created_at": created,
        "updated_at": iso_time(book.updated[number]),
        "opt_in_source": "Account",
        "opt_in_date": created,
        "confirm_status": "off",
    }
    if number in book.opted_out:
        shown["opt_out_source"] = "Contact"
        shown["opt_out_date"] = iso_time(book.opted_out[number])
        shown["opt_out_reason"] = "I am no longer interested."
    return shown


def _custom_fields(fields: FieldBook, properties: dict[str, str]) -> list[dict[str, str]]:
    shown = []
    for name, value in properties.items():
        field = fields.get(name[3:]) if name.startswith("cf:") else None
        if field is not None:
            shown.append({"custom_field_id": field.custom_field_id, "value": value})
    return shown


def _phones(properties: dict[str, str]) -> list[dict[str, str]]:
    return [
        {"phone_number": properties[name], "kind": kind}
        for name, kind in _PHONES.items()
        if name in properties
    ]


def _addresses(properties: dict[str, str]) -> list[dict[str, str]]:
    shown = []
    for prefix, kind in _PLACES.items():
        parts = {
            theirs: properties[prefix + ours]
            for ours, theirs in _PLACE_PARTS.items()
            if prefix + ours in properties
        }
        if parts:
            shown.append({"kind": kind, **parts})
    return shown
