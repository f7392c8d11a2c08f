"""What an export holds: as a person filled it in, as it was checked, and as the audit keeps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ccexport.errors import UsageError
from ccexport.preparation.mapping import FieldMapping
from ccexport.states import DEFAULT_GUARD, Mode
from ccexport.store.database.tables import Export
from ccexport.store.exports import ExportView, Pairs

OFF, MOST_PERCENT = "off", 100


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
    guard: str = str(DEFAULT_GUARD)  # percent, or "off"
    ping: str | None = None  # an address; empty: none; None, or as it is shown: as it is


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
    guard: int | None
    ping: str | None = None


def checked_values(checked: CheckedDraft) -> dict[str, Any]:
    """What the audit keeps of an export that is saved. Attributes and segments have names, not values."""
    from ccexport.telling.pings import mask_ping  # brings an HTTP client along

    ping = {} if checked.ping is None else {"ping": checked.ping and mask_ping(checked.ping)}
    chosen = _chosen(checked, checked.segments, checked.mapping.pairs)
    return {"name": checked.name, "connection_id": checked.connection_id, **chosen, **ping}


def view_values(view: ExportView) -> dict[str, Any]:
    """The same of one that is stored."""
    return {
        "name": view.export.name,
        "connection_id": view.export.connection_id,
        **_chosen(view.export, view.segments, view.mapping),
        "ping": view.export.ping_shown or "",
    }


def view_document(view: ExportView) -> dict[str, Any]:
    """What somebody chose for an export, the connection by its name: as files and documents begin."""
    return {
        "name": view.export.name,
        "connection": view.connection_name,
        **_chosen(view.export, view.segments, view.mapping),
    }


def _chosen(
    export: CheckedDraft | Export, segments: Sequence[str], mapping: Pairs
) -> dict[str, Any]:
    return {
        "list_id": export.list_id,
        "segments": list(segments),
        "mapping": dict(mapping),
        "mode": str(export.mode),
        "schedule": export.schedule,
        "guard": guard_text(export.guard),
    }


def check_guard(text: str) -> int | None:
    """A share in percent; None where it is off. Raises `UsageError`."""
    wanted = text.strip().removesuffix("%").strip()
    if wanted.casefold() == OFF:
        return None
    if not (wanted.isascii() and wanted.isdigit() and int(wanted) <= MOST_PERCENT):
        raise UsageError(
            f'"{text[:40]}" cannot be the guard: give a whole number of percent from 0 to {MOST_PERCENT}, or off.'
        )
    return int(wanted)


def guard_text(guard: int | None) -> str:
    """As `check_guard` reads it."""
    return OFF if guard is None else str(guard)


def differences(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both without what stayed the same."""
    changed = [key for key in after if before.get(key) != after[key]]
    return {key: before.get(key) for key in changed}, {key: after[key] for key in changed}
