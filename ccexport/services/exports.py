"""Exports: set up, preview, list, remove, run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from ccexport.assembly import Parts
from ccexport.clock import iso
from ccexport.errors import Conflict, MappingError, SetupError, UsageError
from ccexport.preparation.mapping import FieldMapping, check_mapping
from ccexport.services.access import Person
from ccexport.services.connections import check_name
from ccexport.services.previews import ExportPreview, preview_mapping
from ccexport.services.schedules import check_schedule
from ccexport.states import Mode, RunState, Trigger
from ccexport.steps.preflight import check_account, check_custom_fields, check_list
from ccexport.store.exports import ExportView
from ccexport.store.tables import Export, Run

_LIST_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.I)


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


class Exports:
    """What people do with exports."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def add(self, draft: ExportDraft, *, by: Person) -> ExportView:
        """Check everything, here and at Constant Contact, then store it. Saving runs nothing."""
        name = check_name(draft.name, "export")
        if self._parts.exports.is_taken(name):
            raise Conflict(f'There is an export "{name}" already. Choose another name.')
        mode, schedule = check_mode(draft.mode), check_schedule(draft.schedule)
        list_id = find_list_id(draft.list_id)
        connection = self._parts.connections.by_name(draft.connection)
        self._check_source(draft)
        with closing(self._parts.client_for(connection.id)) as client:
            check_account(connection, client)
            list_name = check_list(list_id, "", client)
            check_custom_fields(draft.mapping, client)
        now = self._parts.now()
        export = Export(
            name=name,
            name_key=name.casefold(),
            connection_id=connection.id,
            list_id=list_id,
            list_name=list_name,
            mode=mode,
            schedule=schedule,
            created_by=by.name,
            created_at=now,
            updated_at=now,
        )
        segments = list(dict.fromkeys(draft.segments))
        self._parts.exports.add(export, segments, draft.mapping.pairs)
        return self._parts.exports.by_name(name)

    def views(self) -> list[ExportView]:
        return self._parts.exports.views()

    def last_runs(self) -> dict[int, Run]:
        """The newest run of each export, by the export's id."""
        return self._parts.runs.last_of_each_export()

    def preview(self, name: str, samples: int = 5) -> ExportPreview:
        """The real pipeline over the whole of the export's segments, without sending."""
        view = self._parts.exports.by_name(name)
        mapping = FieldMapping(view.mapping)
        types = self._custom_field_types(view, mapping)
        with self._parts.open_source() as source:
            check_mapping(mapping, source.attribute_names)
            source.check_segments(view.segments)
            return preview_mapping(source, view.segments, mapping, types, samples)

    def remove(self, name: str) -> None:
        """Remove it; the history of its runs stays."""
        self._parts.exports.remove(self._parts.exports.by_name(name).export.id)

    def queue(self, name: str, *, by: Person, trigger: Trigger = Trigger.MANUAL) -> Run:
        """Queue a run; a worker performs it. Raises `Conflict` while one is live."""
        view = self._parts.exports.by_name(name)
        export = view.export
        if export.connection_id is None:
            raise SetupError(
                f'"{export.name}" is detached: its connection was removed. Give it another connection first.'
            )
        connection = self._parts.connections.get(export.connection_id)
        return self._parts.runs.queue(
            Run(
                export_id=export.id,
                connection_id=connection.id,
                export_name=export.name,
                connection_name=connection.name,
                account_id=connection.account_id,
                list_id=export.list_id,
                list_name=export.list_name,
                segments=list(view.segments),
                mapping=[list(pair) for pair in view.mapping],
                mode=export.mode,
                trigger=trigger,
                requested_by=by.name,
                state=RunState.QUEUED,
                queued_at=self._parts.now(),
            )
        )

    def _check_source(self, draft: ExportDraft) -> None:
        if not draft.segments:
            raise UsageError("No segment was chosen. Name at least one with --segment.")
        with self._parts.open_source() as source:
            check_mapping(draft.mapping, source.attribute_names)
            source.check_segments(draft.segments)

    def _custom_field_types(self, view: ExportView, mapping: FieldMapping) -> Mapping[str, str]:
        if not mapping.custom_fields:
            return {}
        if view.export.connection_id is None:
            raise MappingError(
                f'"{view.export.name}" is detached; its custom fields are known only with a connection.'
            )
        with closing(self._parts.client_for(view.export.connection_id)) as client:
            return check_custom_fields(mapping, client)


def find_list_id(text: str) -> str:
    """A list's id, given as it is or within the address of the list's page."""
    found = _LIST_ID.findall(text)
    if len(set(found)) != 1:
        raise UsageError(
            f'"{text[:200]}" holds no list id. Give the id (36 characters such as '
            "0a1b2c3d-…) or the whole address of the list's page at Constant Contact."
        )
    return str(found[0]).lower()


def check_mode(text: str) -> Mode:
    """Raises `UsageError` for a mode that is not built."""
    try:
        return Mode(text)
    except ValueError:
        known = ", ".join(mode.value for mode in Mode)
        raise UsageError(f'There is no mode "{text}" (there is: {known}).') from None


def export_document(view: ExportView, last_run: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """An export as `exports list --json` prints it."""
    return {
        "name": view.export.name,
        "connection": view.connection_name,
        "list_id": view.export.list_id,
        "segments": list(view.segments),
        "mapping": dict(view.mapping),
        "mode": view.export.mode,
        "schedule": view.export.schedule,
        "next_run_at": iso(view.export.next_run_at),
        "state": view.state,
        "last_run": last_run,
    }
