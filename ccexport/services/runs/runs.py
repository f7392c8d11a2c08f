"""Runs: their documents, rejections, cancelling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from itertools import chain
from typing import Any

from ccexport.clock import iso
from ccexport.errors import NotFound
from ccexport.installation import Installation
from ccexport.runs.failures import FailedRows, failed_rows
from ccexport.segments.masking import mask_value
from ccexport.services.people.access import Person
from ccexport.services.people.permission import acting, may, require, why_not
from ccexport.services.people.roles import Action
from ccexport.states import Mode, RunFile, RunState
from ccexport.store.approvals import Question
from ccexport.store.database.ledger_tables import Removal
from ccexport.store.database.tables import Batch, Connection, Run, RunEvent

REJECTED_HEADER = ("customer_id", "email", "reason", "sent_instead")
_STAGES = (RunState.PREPARING, RunState.UPLOADING, RunState.CONFIRMING)


class Runs:
    """What people do with runs."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    def document(self, run_id: int) -> dict[str, Any]:
        """A run with its batches, as `runs show --json` prints it. Raises `NotFound`."""
        batches = self._installation.batches.of_run(run_id)
        run = self._installation.runs.get(run_id)
        unnamed = self.failures(run_id).unnamed_by_file if run.failed_count else {}
        return {
            **run_document(run),
            "batches": [batch_document(each, unnamed.get(each.number, 0)) for each in batches],
            **self._removals(run),
        }

    def _removals(self, run: Run) -> dict[str, Any]:
        """Of a run that takes nobody off its list, whatever happens, the document says nothing of that."""
        if run.mode != Mode.MIRROR:
            return {}
        found = self._installation.removals.of_run(run.id)
        return {"removals": [removal_document(each) for each in found]}

    def taken_off(self, run_id: int, *, by: Person) -> Iterator[str]:
        """The addresses of those who were to be taken off the list; masked for those who may not see values.

        Raises `NotFound` where the list of them is not kept any more.
        """
        by = require(self._installation, by, Action.SEE_EXPORTS, "run", str(run_id))
        sees_values = may(self._installation, by, Action.SEE_VALUES)
        run = self._installation.runs.get(run_id)
        if not run.to_remove_count:
            return iter(())
        if not self._installation.run_files.exists(run_id, RunFile.LEAVING):
            raise NotFound(f"The files of run {run_id} are not kept here; its counts are kept.")
        emails = (row[1] for row in self._rows_of(run_id, RunFile.LEAVING) if row[1])
        return emails if sees_values else map(mask_value, emails)

    def latest(self, *, export_name: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """Run documents without batches, the newest first. Raises `NotFound` for an export that never was."""
        if export_name is not None:
            export_name = self._name_as_kept(export_name)
        runs = self._installation.runs.latest(export_name=export_name, limit=limit)
        return [run_document(run) for run in runs]

    def _name_as_kept(self, name: str) -> str:
        """An export's name as runs have it; that of a removed one as it is given."""
        try:
            return self._installation.exports.by_name(name).export.name
        except NotFound:
            if self._installation.runs.latest(export_name=name, limit=1):
                return name
            raise

    def get(self, run_id: int) -> Run:
        return self._installation.runs.get(run_id)

    def failures(self, run_id: int) -> FailedRows:
        """Which rows failed at Constant Contact, and of how many more it did not say which they are."""
        batches = self._installation.batches
        return failed_rows(batches.of_run(run_id), batches.failed_rows(run_id))

    def events(self, run_id: int) -> list[RunEvent]:
        return self._installation.runs.events(run_id)

    def request_cancel(self, run_id: int, *, by: Person) -> Run:
        """Ask for the end of a run; its worker acts on it between two steps."""
        run = self._installation.runs.get(run_id)
        before = {"export": run.export_name, "state": run.state.value}
        with acting(
            self._installation,
            by,
            Action.CANCEL_RUN,
            "run",
            str(run_id),
            connection=self.connection_of(run),
            before=before,
        ) as by:
            return self._installation.runs.request_cancel(run_id, by.name)

    def approve(self, run_id: int, *, by: Person, seen: Mapping[str, Any] | None = None) -> Run:
        """Let a run that the guard holds go on, this once. Raises `Conflict` where it asks nothing, or not `seen`."""
        with self._answering(Action.APPROVE_RUN, run_id, by=by) as person:
            return self._installation.runs.approve(run_id, person.name, seen)

    def decline(self, run_id: int, *, by: Person, seen: Mapping[str, Any] | None = None) -> Run:
        """End a run that the guard holds; nothing of it is sent. Raises as `approve` does."""
        with self._answering(Action.DECLINE_RUN, run_id, by=by) as person:
            return self._installation.runs.decline(run_id, person.name, seen)

    def _answering(
        self, action: Action, run_id: int, *, by: Person
    ) -> AbstractContextManager[Person]:
        run = self._installation.runs.get(run_id)
        before = {"export": run.export_name, "asks": _guard(run)}
        return acting(
            self._installation,
            by,
            action,
            "run",
            str(run_id),
            connection=self.connection_of(run),
            before=before,
        )

    def why_not(self, action: Action, run: Run, *, by: Person) -> str | None:
        """Why nobody, or this person, may do this with the run; None where they may.

        Running it again goes over its export's connection of today, all else over that of the run.
        """
        if action is not Action.RUN_EXPORT:
            return why_not(self._installation, by, action, [self.connection_of(run)])
        if run.export_id is None:
            return "The export has been removed."
        connection_id = self._installation.exports.get(run.export_id).export.connection_id
        connection = self._installation.connections.get(connection_id) if connection_id else None
        return why_not(self._installation, by, action, [connection])

    def connection_of(self, run: Run) -> Connection | None:
        """The one that it went over; None when that was removed."""
        try:
            return (
                self._installation.connections.get(run.connection_id) if run.connection_id else None
            )
        except NotFound:
            return None

    def rejected(self, run_id: int, *, by: Person) -> Iterator[tuple[str, ...]]:
        """The profiles left out, and who had left the list: customer_id, email, reason, sent_instead.

        Raises `NotFound`.
        Addresses are masked for those who may not see values.
        """
        by = require(self._installation, by, Action.SEE_EXPORTS, "run", str(run_id))
        sees_values = may(self._installation, by, Action.SEE_VALUES)
        run = self._installation.runs.get(run_id)
        if run.rejected_count == run.suppressed_count == 0:
            return iter(())
        if run.files_deleted_at is not None or not self._installation.run_files.exists(
            run_id, RunFile.REJECTIONS
        ):
            raise NotFound(
                f"The files of run {run_id} are no longer kept (CCEXPORT_RETENTION_DAYS); its counts are kept."
            )
        files = [RunFile.REJECTIONS] + ([RunFile.SUPPRESSED] if run.suppressed_count else [])
        rows = chain.from_iterable(self._rows_of(run_id, file) for file in files)
        return rows if sees_values else map(_masked, rows)

    def _rows_of(self, run_id: int, file: str) -> Iterator[tuple[str, ...]]:
        for batch in self._installation.run_files.stream(run_id, file):
            columns = [batch[name].to_pylist() for name in REJECTED_HEADER]
            for row in zip(*columns, strict=True):
                yield tuple(value or "" for value in row)


def _masked(row: tuple[str, ...]) -> tuple[str, ...]:
    customer_id, email, *rest = row
    return customer_id, mask_value(email), *rest


def run_document(run: Run) -> dict[str, Any]:
    """A run as the documents show it."""
    return {
        "id": run.id,
        "export": run.export_name,
        "connection": run.connection_name,
        "list_id": run.list_id,
        "trigger": run.trigger.value,
        "retry_of": run.retry_of,
        "mode": run.mode,
        "resync": run.resync,
        "state": run.state.value,
        "error": run.error,
        "waiting_for": run.waiting_for.value if run.waiting_for else None,
        "guard": _guard(run),
        "waiting_until": iso(run.waiting_until),
        "requested_by": run.requested_by,
        "due_at": iso(run.due_at),
        "queued_at": iso(run.queued_at),
        "started_at": iso(run.started_at),
        "finished_at": iso(run.finished_at),
        "timings": {stage.value: run.seconds.get(stage.value, 0.0) for stage in _STAGES},
        "counts": counts(run),
        "not_sent": run.not_sent_count,
        "to_remove": run.to_remove_count,
        "rejections": dict(run.rejections),
    }


def _guard(run: Run) -> Mapping[str, Any] | None:
    """What the guard asked, and who approved it; null where it asked nothing."""
    asked = Question.of(run)
    if asked is None:
        return None
    return {
        "percent": asked.guard,
        "sent": asked.sent,
        "removed": asked.removed,
        "placed": asked.placed,
        "approved_by": run.approved_by,
    }


def counts(run: Run) -> Mapping[str, int]:
    """`read = rejected + prepared`, `prepared = new + changed + unchanged + suppressed`.

    `accepted = submitted - unsubscribed - failed`, which is an estimate.
    """
    return {
        "read": run.read_count,
        "rejected": run.rejected_count,
        "prepared": run.prepared_count,
        "new": run.new_count,
        "changed": run.changed_count,
        "unchanged": run.unchanged_count,
        "submitted": run.submitted_count,
        "accepted": run.accepted_count,
        "unsubscribed": run.unsubscribed_count,
        "failed": run.failed_count,
        "removed": run.removed_count,
        "suppressed": run.suppressed_count,
        "truncated": run.truncated_count,
    }


def removal_document(removal: Removal) -> dict[str, Any]:
    """One request that takes people off the list; `removed` is by Constant Contact's counters."""
    return {
        "number": removal.number,
        "people": removal.people,
        "state": removal.state.value,
        "activity_id": removal.activity_id,
        "attempts": removal.attempts,
        "removed": removal.removed,
        "errors": list(removal.errors),
    }


def batch_document(batch: Batch, unnamed: int) -> dict[str, Any]:
    """A batch as the documents show it, with Constant Contact's own counters; null is "not known".

    `unnamed`: of the rows that failed, those that it did not say which they are.
    """
    return {
        "number": batch.number,
        "rows": batch.rows,
        "bytes": batch.bytes,
        "state": batch.state.value,
        "activity_id": batch.activity_id,
        "file_name": batch.file_name,
        "attempts": batch.attempts,
        "person_count": batch.person_count,
        "error_count": batch.error_count,
        "correctable_count": batch.correctable_count,
        "unsubscribed_count": batch.unsubscribed_count,
        "failed": batch.failed_rows,
        "failed_unnamed": unnamed,
        "errors": list(batch.errors),
    }
