"""What an export holds: as a person filled it in, as it was checked, and as the audit keeps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ccexport.preparation.mapping import FieldMapping
from ccexport.states import Mode
from ccexport.store.exports import ExportView


@dataclass(frozen=True)
class ExportDraft:
    """What a person filled in: names as text, not yet checked."""

    name: str
    connection: str
    list_id: str  # or the list's whole address
    segments: Sequence[str]
    mapping: FieldMapping
    mode: str = Mode.FULL
    schedule: str = "refresh"


@dataclass(frozen=True)
class CheckedDraft:
    """A draft that was checked: names as the store and the account know them."""

    name: str
    connection_id: int
    list_id: str
    list_name: str
    segments: tuple[str, ...]
    mapping: FieldMapping
    mode: Mode
    schedule: str


def checked_values(checked: CheckedDraft) -> dict[str, Any]:
    """What the audit keeps of an export that is saved. Attributes and segments have names, not values."""
    return {
        "name": checked.name,
        "connection_id": checked.connection_id,
        "list_id": checked.list_id,
        "segments": list(checked.segments),
        "mapping": dict(checked.mapping.pairs),
        "mode": str(checked.mode),
        "schedule": checked.schedule,
    }


def view_values(view: ExportView) -> dict[str, Any]:
    """The same of one that is stored."""
    return {
        "name": view.export.name,
        "connection_id": view.export.connection_id,
        "list_id": view.export.list_id,
        "segments": list(view.segments),
        "mapping": dict(view.mapping),
        "mode": str(view.export.mode),
        "schedule": view.export.schedule,
    }


def differences(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both without what stayed the same."""
    changed = [key for key in after if before.get(key) != after[key]]
    return {key: before.get(key) for key in changed}, {key: after[key] for key in changed}
