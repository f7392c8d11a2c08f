"""What a program does over the API. Its token's scope decides; each refusal and each change is a row of the audit."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from ccexport.errors import Conflict, NotAllowed, NotFound, SetupError, UsageError
from ccexport.installation import Installation
from ccexport.services.api.tokens import Caller
from ccexport.services.exports.exports import Exports, export_document
from ccexport.services.operations.refreshes import Refreshes
from ccexport.services.people.permission import REFUSED, event_of
from ccexport.services.people.roles import Action
from ccexport.services.runs.runs import Runs, run_document
from ccexport.states import RunState
from ccexport.store.api_tokens import StartOnce
from ccexport.store.database.tables import Run
from ccexport.store.exports import ExportView
from ccexport.words import counted

MAX_KEY = 255  # characters of an Idempotency-Key
LARGEST_ID = 2**31 - 1  # what every database takes as a whole number


class StillLive(Conflict):
    """A run of the export is live, so no other is queued. `run_id`: which, where it is still known."""

    def __init__(self, message: str, run_id: int | None) -> None:
        super().__init__(message)
        self.run_id = run_id


class KeyUsedBefore(SetupError):
    """The key has started something else."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended, or that it has not. `why`: one line, empty where all is well."""

    run_id: int
    state: str
    is_live: bool
    is_good: bool
    why: str


class Calls:
    """The calls of one program."""

    def __init__(self, installation: Installation, caller: Caller) -> None:
        self._installation = installation
        self._by = caller.person
        self._view = caller.view

    def start(self, name: str, *, full: bool = False, key: str | None = None) -> int:
        """Queue a run; gives its id. With `key` a start that is asked for again within a day is the same run.

        Raises `NotFound`, `NotAllowed`, `StillLive`, `KeyUsedBefore`, and `SetupError` where it cannot run at all.
        """
        view = self._export(name, Action.RUN_EXPORT)
        once = self._once(key, view, full=full) if key is not None else None
        if (before := self._started(once)) is not None:
            return before
        try:
            return self._queue(view, full, once)
        except Conflict:  # live, or the same key was faster
            if (before := self._started(once)) is not None:
                return before
        live = self._installation.runs.live_of(view.export.id)
        if live is None:  # it ended between the two looks
            return self._queue(view, full, once)
        raise StillLive(
            f'Run {live.id} of "{view.export.name}" is still live. Wait for its end, or cancel it.',
            live.id,
        )

    def run(self, run_id: str) -> dict[str, Any]:
        """The document of a run. Raises `NotFound`, `NotAllowed`."""
        return Runs(self._installation).document(self._run(run_id).id)

    def outcome(self, run_id: str, *, errors_allowed: bool = False) -> Outcome:
        """Whether a run has ended, and well. Raises `NotFound`, `NotAllowed`."""
        run = self._run(run_id)
        good = {RunState.SUCCEEDED} | (
            {RunState.COMPLETED_WITH_ERRORS} if errors_allowed else set()
        )
        is_good = run.state in good
        why = "" if is_good else _why(run)
        return Outcome(run.id, run.state.value, not run.state.is_final, is_good, why)

    def exports(self) -> list[dict[str, Any]]:
        """Those in reach, by name, as `exports list --json` prints them."""
        exports = Exports(self._installation)
        last = {export_id: run_document(run) for export_id, run in exports.last_runs().items()}
        return [
            dict(export_document(view, last.get(view.export.id)))
            for view in exports.views()
            if self._reaches(view.export.id)
        ]

    def preview(self, name: str) -> dict[str, Any]:
        """What a run would send, counted; nothing of a profile, not even a key of one."""
        from ccexport.services.preview.previews import preview_document

        view = self._export(name, Action.PREVIEW_EXPORT)
        exports = Exports(self._installation)
        found = exports.preview(view.export.name, 0, by=self._by)
        document = preview_document(
            found,
            export=view.export.name,
            list_id=view.export.list_id,
            requests_per_second=self._installation.settings.cc_requests_per_second,
            asks=exports.asks_first(found, view.export.name),
        )
        return {
            name: value
            for name, value in document.items()
            if name not in ("samples", "examples", "example_of_each_side")
        }

    def refresh(self) -> list[int]:
        """Read the segments again; gives the runs queued. Raises `NotAllowed`, `SetupError` where it fails."""
        action = Action.ASK_FOR_REFRESH
        if self._view.token.is_read_only:
            self._refuse(action, "refresh", "segments", "is read-only")
        if not self._view.token.all_exports:
            self._refuse(
                action, "refresh", "segments", "is for some exports, and a refresh runs all"
            )
        result = Refreshes(self._installation).refresh(by=self._by)
        if result.refresh.error and not result.sizes:
            raise SetupError(result.refresh.error)
        return [run.id for run in result.runs]

    # --- helpers ---------------------------------------------------------------------------------

    def _export(self, name: str, action: Action) -> ExportView:
        if "\x00" in name:  # PostgreSQL takes none
            raise NotFound("There is no export of that name.")
        view = self._installation.exports.by_name(name)
        if not self._reaches(view.export.id):
            self._refuse(action, "export", view.export.name, "does not reach this export")
        if action is Action.RUN_EXPORT and self._view.token.is_read_only:
            self._refuse(action, "export", view.export.name, "is read-only")
        return view

    def _run(self, run_id: str) -> Run:
        if not (run_id.isascii() and run_id.isdigit() and 0 < int(run_id[:20]) <= LARGEST_ID):
            raise NotFound("There is no run of that number.")
        run = self._installation.runs.get(int(run_id))
        if not self._reaches(run.export_id):
            self._refuse(Action.SEE_EXPORTS, "run", str(run.id), "does not reach this run's export")
        return run

    def _reaches(self, export_id: int | None) -> bool:
        """Runs whose export was removed belong to none: only a token for all sees them."""
        return self._view.token.all_exports or export_id in self._view.export_ids

    def _refuse(self, action: Action, kind: str, name: str, why: str) -> None:
        row = event_of(self._installation, self._by, self._by.role, action, REFUSED, kind, name)
        self._installation.audit.add(row)
        raise NotAllowed(
            f'The token "{self._by.name}" {why}. An administrator can make another one.'
        )

    def _once(self, key: str, view: ExportView, *, full: bool) -> StartOnce:
        if not 0 < len(key.strip()) <= MAX_KEY:
            raise UsageError(f"An Idempotency-Key has 1 to {MAX_KEY} characters.")
        digest = hashlib.sha256(key.encode()).hexdigest()
        asked = f"{view.export.id}{' full' if full else ''}"
        return StartOnce(self._view.token.id, digest, asked)

    def _started(self, once: StartOnce | None) -> int | None:
        found = self._installation.api_tokens.started(once) if once is not None else None
        if once is None or found is None:
            return None
        if found.asked != once.asked:
            raise KeyUsedBefore(
                f"This Idempotency-Key started run {found.run_id}, of something else. Use another key."
            )
        return found.run_id

    def _queue(self, view: ExportView, full: bool, once: StartOnce | None) -> int:
        exports = Exports(self._installation)
        return exports.queue(view.export.id, by=self._by, resync=full, once=once).id


def _why(run: Run) -> str:
    """Why a run has not ended well, in one line."""
    state = run.state.value.replace("_", " ")
    if not run.state.is_final:
        waits = f" for {run.waiting_for.value}" if run.waiting_for else ""
        return f"Run {run.id} is still live: {state}{waits}."
    if run.error:
        return f"Run {run.id} ended as {state}: {run.error}"
    if run.failed_count:
        failed = counted(run.failed_count, "contact")
        return f"Run {run.id} ended as {state}: {failed} of {run.submitted_count:,} not accepted."
    return f"Run {run.id} ended as {state}."
