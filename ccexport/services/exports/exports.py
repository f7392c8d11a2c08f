"""Exports: set up, preview, list, remove, run."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ccexport.clock import iso
from ccexport.errors import Conflict, MappingError, UsageError
from ccexport.installation import Installation
from ccexport.preparation.mapping import FieldMapping, check_mapping, settled_mapping
from ccexport.runs.preflight import check_account, check_custom_fields, check_list
from ccexport.schedules import check_schedule, next_times
from ccexport.services.exports.comparing import Comparing, LedgerOf
from ccexport.services.exports.export_values import (
    CheckedDraft,
    ExportDraft,
    check_guard,
    checked_values,
    differences,
    view_document,
    view_values,
)
from ccexport.services.names import check_name
from ccexport.services.people.access import Person
from ccexport.services.people.permission import audited, may, require, why_not
from ccexport.services.people.roles import Action
from ccexport.states import Mode, Trigger
from ccexport.store.database.tables import Connection, Export, Run
from ccexport.store.exports import ExportChange, ExportView, NewExport

if TYPE_CHECKING:
    from ccexport.constantcontact.client import Client
    from ccexport.segments.source import Source
    from ccexport.services.preview.previews import ExportPreview
    from ccexport.store.api_tokens import StartOnce

__all__ = [
    "CheckedDraft",
    "DraftChecks",
    "ExportDraft",
    "Exports",
]  # the first and third live next door

log = logging.getLogger(__name__)


class Exports:
    """What people do with exports, each by its name or, where a page showed it, by its id: names move on."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    def add(self, draft: ExportDraft, *, by: Person) -> ExportView:
        """Check everything, here and at Constant Contact, then store it. Saving runs nothing."""
        name, connection = (
            draft.name.strip(),
            self._installation.connections.by_name(draft.connection),
        )
        by = require(
            self._installation, by, Action.ADD_EXPORT, "export", name, connection=connection
        )
        self._check_free(draft.name)
        with DraftChecks(self._installation) as checks:
            checked = checks.check(draft)
        new, after = self.as_new(checked, by=by), checked_values(checked)
        with audited(self._installation, by, Action.ADD_EXPORT, "export", name, after=after):
            self._installation.exports.save([new], [])
        return self._installation.exports.by_name(new.export.name)

    def update(
        self, name: str | int, draft: ExportDraft, *, by: Person, revision: int | None = None
    ) -> ExportView:
        """Check everything as `add` does, then change it. Saving runs nothing.

        Raises `Conflict` when somebody changed it since `revision` (`ExportView.export.revision`); None does not ask.
        """
        view, by = self.for_change(name, Action.CHANGE_EXPORT, by=by)
        self.check_new_connection(view, draft.connection, by=by)
        if draft.name.strip().casefold() != view.export.name_key:
            self._check_free(draft.name)
        with DraftChecks(self._installation) as checks:
            checked = checks.check(draft, view)
        change = self.as_change(view, checked, revision=revision)
        before, after = differences(view_values(view), checked_values(checked))
        with audited(
            self._installation,
            by,
            Action.CHANGE_EXPORT,
            "export",
            view.export.name,
            before=before,
            after=after,
        ):
            self._installation.exports.update(change)
        return self._installation.exports.get(view.export.id)

    def duplicate(self, name: str | int, new_name: str, *, by: Person) -> ExportView:
        """A copy under another name. It is off until somebody turns it on: two alike would send twice."""
        view, by = self.for_change(name, Action.DUPLICATE_EXPORT, by=by)
        new_name = self._check_free(new_name)
        now = self._installation.now()
        copy = Export(
            name=new_name,
            name_key=new_name.casefold(),
            connection_id=view.export.connection_id,
            list_id=view.export.list_id,
            list_name=view.export.list_name,
            mode=view.export.mode,
            schedule="off",
            guard=view.export.guard,
            created_by=by.name,
            created_at=now,
            updated_at=now,
        )
        after = view_values(view) | {"name": new_name, "schedule": "off"}
        with audited(
            self._installation, by, Action.DUPLICATE_EXPORT, "export", view.export.name, after=after
        ):
            self._installation.exports.add(copy, view.segments, view.mapping)
        return self._installation.exports.by_name(new_name)

    def set_schedule(
        self, name: str | int, schedule: str, *, by: Person, revision: int | None = None
    ) -> ExportView:
        """Change only when it runs by itself. Raises `UsageError`, `Conflict`."""
        schedule = check_schedule(schedule)
        view, by = self.for_change(name, Action.SCHEDULE_EXPORT, by=by)
        values = {"schedule": schedule, "next_run_at": self._next_run_at(schedule, view)}
        before, after = {"schedule": view.export.schedule}, {"schedule": schedule}
        with audited(
            self._installation,
            by,
            Action.SCHEDULE_EXPORT,
            "export",
            view.export.name,
            before=before,
            after=after,
        ):
            change = ExportChange(view.export.id, view.export.name, revision, values)
            self._installation.exports.update(change)
        return self._installation.exports.get(view.export.id)

    def turn_off(self, name: str | int, *, by: Person) -> ExportView:
        """It runs only when asked to."""
        return self.set_schedule(name, "off", by=by)

    def turn_on(self, name: str | int, schedule: str, *, by: Person) -> ExportView:
        """It runs by itself again: with each refresh, or at times of its own."""
        return self.set_schedule(name, schedule, by=by)

    def as_new(self, checked: CheckedDraft, *, by: Person) -> NewExport:
        """What `add` stores of a checked draft."""
        now = self._installation.now()
        export = Export(
            **self._values(checked, None), created_by=by.name, created_at=now, updated_at=now
        )
        return NewExport(export, checked.segments, checked.mapping.pairs)

    def as_change(
        self, view: ExportView, checked: CheckedDraft, *, revision: int | None
    ) -> ExportChange:
        """What `update` stores of a checked draft."""
        return ExportChange(
            view.export.id,
            view.export.name,
            revision,
            self._values(checked, view),
            checked.segments,
            checked.mapping.pairs,
        )

    def for_change(
        self, name: str | int, action: Action, *, by: Person
    ) -> tuple[ExportView, Person]:
        """The export, once it is known that the person may do this with it. Raises `NotFound`, `NotAllowed`."""
        exports = self._installation.exports
        view = exports.get(name) if isinstance(name, int) else exports.by_name(name)
        connection = self._connection_of(view)
        by = require(
            self._installation, by, action, "export", view.export.name, connection=connection
        )
        return view, by

    def why_not(
        self, actions: Iterable[Action], views: Iterable[ExportView], *, by: Person
    ) -> Mapping[Action, str]:
        """Of these actions, those that the person may not do with one of the exports, each with the reason."""
        each_once = {view.export.connection_id: view for view in views}.values()
        connections = [self._connection_of(view) for view in each_once]
        found = {each: why_not(self._installation, by, each, connections) for each in actions}
        return {action: reason for action, reason in found.items() if reason is not None}

    def check_new_connection(self, view: ExportView, name: str, *, by: Person) -> None:
        """An export may move only to a connection that the person may use as well."""
        connection = self._installation.connections.by_name(name)
        if connection.id != view.export.connection_id:
            action = Action.CHANGE_EXPORT
            require(
                self._installation, by, action, "export", view.export.name, connection=connection
            )

    def _connection_of(self, view: ExportView) -> Connection | None:
        connection_id = view.export.connection_id
        return None if connection_id is None else self._installation.connections.get(connection_id)

    def _values(self, checked: CheckedDraft, before: ExportView | None) -> dict[str, Any]:
        return {
            "name": checked.name,
            "name_key": checked.name.casefold(),
            "connection_id": checked.connection_id,
            "list_id": checked.list_id,
            "list_name": checked.list_name,
            "mode": checked.mode,
            "schedule": checked.schedule,
            "guard": checked.guard,
            "next_run_at": self._next_run_at(checked.schedule, before),
            **self._ping_values(checked),
        }

    def _ping_values(self, checked: CheckedDraft) -> dict[str, Any]:
        if checked.ping is None:
            return {}
        if not checked.ping:
            return {"ping": None, "ping_shown": None}
        from ccexport.telling.pings import mask_ping  # brings an HTTP client along

        sealed = self._installation.keys.encrypt(checked.ping.encode())
        return {"ping": sealed, "ping_shown": mask_ping(checked.ping)}

    def _next_run_at(self, schedule: str, before: ExportView | None) -> datetime | None:
        """The first time from now on; an edit that leaves the schedule alone does not lose a time that is due."""
        if before and before.state == "active" and before.export.schedule == schedule:
            due_at = before.export.next_run_at
            if due_at is not None:
                return due_at
        return next(iter(next_times(schedule, self._installation.now(), 1)), None)

    def _check_free(self, name: str) -> str:
        name = check_name(name, "export")
        if self._installation.exports.is_taken(name):
            raise Conflict(f'There is an export "{name}" already. Choose another name.')
        return name

    def views(self) -> list[ExportView]:
        return self._installation.exports.views()

    def last_runs(self) -> dict[int, Run]:
        """The newest run of each export, by the export's id."""
        return self._installation.runs.last_of_each_export()

    def preview(self, name: str, samples: int = 5, *, by: Person) -> ExportPreview:
        """The real pipeline over the whole of the export's segments, nothing is sent; values are masked by role."""
        from ccexport.services.preview.preview_values import Question  # these bring Ibis along
        from ccexport.services.preview.previews import preview_mapping

        by = require(self._installation, by, Action.PREVIEW_EXPORT, "export", name)
        masked = not may(self._installation, by, Action.SEE_VALUES)
        view = self._installation.exports.by_name(name)
        mapping = FieldMapping(view.mapping)
        types = self._custom_field_types(view, mapping)
        with self._installation.open_source() as source:
            check_mapping(mapping, source.attribute_names)
            source.check_types(mapping.attributes_used)
            source.check_segments(view.segments)
            question = Question(tuple(view.segments), mapping, tuple(types.items()))
            mode, comparing = Mode(view.export.mode), Comparing(self._installation)
            found = preview_mapping(source, question, samples, mode)
            at = LedgerOf.saved(view, self._connection_of(view))
            if at is not None:
                work_out = comparing.beside(at, question, mode, samples=samples > 0)
                found = replace(found, beside=work_out(source)) if work_out else found
        return found.as_seen(masked=masked)

    def asks_first(self, found: ExportPreview, name: str) -> bool:
        """Whether a run of what the preview found would wait until somebody approves it."""
        view = self._installation.exports.by_name(name)
        at = LedgerOf.saved(view, self._connection_of(view))
        return at is not None and Comparing(self._installation).asks(
            found.beside, at, view.export.guard
        )

    def remove(self, name: str | int, *, by: Person) -> None:
        """Remove it; the history of its runs stays."""
        view, by = self.for_change(name, Action.REMOVE_EXPORT, by=by)
        name, before = view.export.name, view_values(view)
        with audited(self._installation, by, Action.REMOVE_EXPORT, "export", name, before=before):
            self._installation.exports.remove(view.export.id)

    def queue(
        self,
        name: str | int,
        *,
        by: Person,
        trigger: Trigger = Trigger.MANUAL,
        due_at: datetime | None = None,
        resync: bool = False,
        once: StartOnce | None = None,
    ) -> Run:
        """Queue a run; a worker performs it. Raises `Conflict` while one is live. `due_at`: when its schedule said.

        `resync`: whatever its mode it sends once more what was confirmed before; people who left the list stay away.
        `once`: kept with the run, so that a start that is asked for again is found.
        """
        view, by = self.for_change(name, Action.RUN_EXPORT, by=by)
        after: dict[str, Any] = {
            "trigger": trigger.value,
            "mode": view.export.mode,
            "list_id": view.export.list_id,
        }
        after |= {"resync": True} if resync else {}
        with audited(
            self._installation, by, Action.RUN_EXPORT, "export", view.export.name, after=after
        ):
            return self._installation.due.queue(
                view, trigger, requested_by=by.name, due_at=due_at, resync=resync, once=once
            )

    def _custom_field_types(self, view: ExportView, mapping: FieldMapping) -> Mapping[str, str]:
        if not mapping.custom_fields:
            return {}
        if view.export.connection_id is None:
            raise MappingError(
                f'"{view.export.name}" is detached; its custom fields are known only with a connection.'
            )
        with closing(self._installation.client_for(view.export.connection_id)) as client:
            return check_custom_fields(mapping, client)


class DraftChecks:
    """Checks drafts against the source and their accounts, and asks each thing once. Use it in a `with`."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._open = ExitStack()
        self._source: Source | None = None
        self._clients: dict[int, Client] = {}
        self._list_names: dict[tuple[int, str], str] = {}
        self._fields_known: set[tuple[int, tuple[str, ...]]] = set()

    def __enter__(self) -> DraftChecks:
        return self

    def __exit__(self, *_error: object) -> None:
        self._open.close()

    def check(self, draft: ExportDraft, before: ExportView | None = None) -> CheckedDraft:
        """Whether a run could use it. Raises `SetupError` naming what is wrong; stores nothing."""
        name = check_name(draft.name, "export")
        mode, schedule = check_mode(draft.mode), check_schedule(draft.schedule)
        guard = check_guard(draft.guard)
        list_id = check_list_id(draft.list_id)
        connection = self._installation.connections.by_name(draft.connection)
        mapping = self._settled_mapping(draft)
        client = self._client(connection)
        if (connection.id, list_id) not in self._list_names:
            self._list_names[connection.id, list_id] = check_list(list_id, "", client)
        if (connection.id, mapping.custom_fields) not in self._fields_known:
            check_custom_fields(mapping, client)
            self._fields_known.add((connection.id, mapping.custom_fields))
        return CheckedDraft(
            name=name,
            connection_id=connection.id,
            list_id=list_id,
            list_name=self._list_names[connection.id, list_id],
            segments=tuple(dict.fromkeys(draft.segments)),
            mapping=mapping,
            mode=mode,
            schedule=schedule,
            guard=guard,
            ping=_checked_ping(draft, before),
        )

    def _settled_mapping(self, draft: ExportDraft) -> FieldMapping:
        """The mapping with the attributes' names as the source has them, where it has the segments too."""
        if not draft.segments:
            raise UsageError("No segment was chosen. Name at least one with --segment.")
        if self._source is None:
            self._source = self._open.enter_context(self._installation.open_source())
        mapping = settled_mapping(draft.mapping, self._source.attribute_names)
        self._source.check_types(mapping.attributes_used)
        self._source.check_segments(draft.segments)
        return mapping

    def _client(self, connection: Connection) -> Client:
        """A client of the connection, whose account was found to be the one it was made for."""
        if connection.id not in self._clients:
            client = self._open.enter_context(closing(self._installation.client_for(connection.id)))
            check_account(connection, client)
            self._clients[connection.id] = client
        return self._clients[connection.id]


def _checked_ping(draft: ExportDraft, before: ExportView | None) -> str | None:
    """None where it stays as it is."""
    if draft.ping is None or (before and draft.ping.strip() == (before.export.ping_shown or "")):
        return None
    if draft.ping.strip() in ("", "off"):
        return ""
    from ccexport.telling.pings import check_ping  # brings an HTTP client along

    return check_ping(draft.ping)


def check_list_id(text: str) -> str:
    """A list's id, given as it is or within the address of the list's page. Raises `UsageError`."""
    from ccexport.constantcontact.protocol import find_list_id  # no list of exports asks for it

    found = find_list_id(text)
    if found is None:
        raise UsageError(
            f'"{text[:200]}" holds no list id. Give the id (36 characters such as '
            "0a1b2c3d-…) or the whole address of the list's page at Constant Contact."
        )
    return found


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
        **view_document(view),
        "ping": view.export.ping_shown,
        "next_run_at": iso(view.export.next_run_at),
        "state": view.state,
        "last_run": last_run,
    }
