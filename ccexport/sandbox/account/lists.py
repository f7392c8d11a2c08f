"""Contact lists and custom fields: what there is, by id and by name."""

import uuid
from dataclasses import dataclass, field
from typing import Any

from ccexport.sandbox.account.contacts import Members
from ccexport.sandbox.api.answers import iso_time, iso_time_with_offset
from ccexport.sandbox.behaviour import FieldSpec, ListSpec

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "sandbox.ccexport")


@dataclass
class ContactList:
    """One list and who is on it; times are epoch seconds."""

    list_id: str
    name: str
    created_at: float
    updated_at: float
    description: str = ""
    favorite: bool = False
    deleted_at: float | None = None
    members: Members = field(default_factory=Members)

    def as_json(self, with_count: bool = False) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "list_id": self.list_id,
            "name": self.name,
            "description": self.description,
            "favorite": self.favorite,
            "created_at": iso_time(self.created_at),
            "updated_at": iso_time_with_offset(self.updated_at),
        }
        if self.deleted_at is not None:
            shown["deleted_at"] = iso_time(self.deleted_at)
        if with_count:
            shown["membership_count"] = len(self.members)
        return shown


@dataclass(frozen=True)
class CustomField:
    """One custom field; `name` is what `cf:` takes in an import."""

    custom_field_id: str
    label: str
    name: str
    type: str
    choices: tuple[str, ...]
    created_at: float

    def as_json(self) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "custom_field_id": self.custom_field_id,
            "label": self.label,
            "name": self.name,
            "type": self.type,
            "metadata": {},
            "version": 2 if self.type in ("date", "datetime") else 1,
            "created_at": iso_time_with_offset(self.created_at),
            "updated_at": iso_time(self.created_at),
        }
        if self.choices:
            shown["choices"] = [
                {"choice_id": number, "choice_label": label, "display_order": number}
                for number, label in enumerate(self.choices, 1)
            ]
        return shown


def list_id_of(seed: int, name: str) -> str:
    """The id a list has from birth; the same for the same seed and name."""
    return str(uuid.uuid5(_NAMESPACE, f"{seed}:{name}"))


class ListBook:
    """The account's lists in order of creation, deleted ones too."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._lists: dict[str, ContactList] = {}

    def all(self) -> list[ContactList]:
        return list(self._lists.values())

    def get(self, list_id: str) -> ContactList | None:
        return self._lists.get(list_id.lower())

    def usable(self, list_id: str) -> ContactList | None:
        """The list, unless there is none or it was deleted."""
        found = self.get(list_id)
        return found if found and found.deleted_at is None else None

    def named(self, name: str) -> ContactList | None:
        """The list of this name, whatever its case, deleted ones left out."""
        wanted = name.casefold()
        for entry in self._lists.values():
            if entry.deleted_at is None and entry.name.casefold() == wanted:
                return entry
        return None

    def create(self, name: str, description: str, favorite: bool, now: float) -> ContactList:
        made = ContactList(str(uuid.uuid4()), name, now, now, description, favorite)
        self._lists[made.list_id] = made
        return made

    def put(self, spec: ListSpec, now: float) -> ContactList:
        """Make the list described, or make an existing one so."""
        list_id = str(spec.list_id or list_id_of(self._seed, spec.name))
        entry = self._lists.setdefault(list_id, ContactList(list_id, spec.name, now, now))
        entry.name, entry.description = spec.name, spec.description
        entry.favorite, entry.updated_at = spec.favorite, now
        entry.deleted_at = now if spec.deleted else None
        return entry


class FieldBook:
    """The account's custom fields, by name."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._fields: dict[str, CustomField] = {}

    def all(self) -> list[CustomField]:
        return list(self._fields.values())

    def names(self) -> set[str]:
        return set(self._fields)

    def get(self, name: str) -> CustomField | None:
        return self._fields.get(name)

    def put(self, spec: FieldSpec, now: float) -> None:
        label = spec.label or spec.name
        name = spec.name or "_".join(label.split())
        field_id = str(uuid.uuid5(_NAMESPACE, f"{self._seed}:field:{name}"))
        self._fields[name] = CustomField(field_id, label, name, spec.type, spec.choices, now)
