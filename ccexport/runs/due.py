"""What is queued: a run's row with its copy of the export, exports whose own time has come, and refreshes.

What is due is a row, and taking it is one compare-and-set with what it leads to: several workers do it once, and a
worker that was down does a missed time once, late. A worker calls `queue_due_exports`, `begin_due` and `perform`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

from ccexport.clock import Now
from ccexport.errors import Conflict, SetupError, StoreError
from ccexport.schedules import Recurrence, is_late, next_times
from ccexport.states import RunState, Trigger
from ccexport.store.connections import ConnectionStore
from ccexport.store.database.tables import Connection, Refresh, Run
from ccexport.store.exports import ExportStore, ExportView
from ccexport.store.pauses import PauseStore
from ccexport.store.refreshes import NOT_QUEUED, RefreshStore
from ccexport.store.runs import RunStore
from ccexport.words import moment

if TYPE_CHECKING:
    from ccexport.segments.source import Source
    from ccexport.store.api_tokens import StartOnce

log = logging.getLogger(__name__)

SCHEDULER = "schedule"  # who asked for a run that was queued by its time
INTERRUPTED_AFTER = timedelta(minutes=30)  # a reading of segments takes seconds to minutes
INTERRUPTED = "It was interrupted and has been begun again."
_NAMED = 3  # exports named in one line


@dataclass(frozen=True)
class ExportCopy:
    """What a run keeps of its export, whatever becomes of the export later. Names are the run's columns."""

    export_id: int | None
    connection_id: int | None
    export_name: str
    connection_name: str
    account_id: str
    list_id: str
    list_name: str
    segments: list[str]
    mapping: list[list[str]]
    mode: str
    guard: int | None

    @classmethod
    def of_export(cls, view: ExportView, connection: Connection) -> ExportCopy:
        """The copy of an export as it is now."""
        export = view.export
        return cls(
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
            guard=export.guard,
        )

    @classmethod
    def of_run(cls, run: Run) -> ExportCopy:
        """The copy that an earlier run has."""
        return cls(**{column.name: getattr(run, column.name) for column in fields(cls)})


@dataclass(frozen=True)
class Begun:
    """A refresh that this process has to perform. `since`: exports queued by it from then on are not queued twice."""

    refresh: Refresh
    since: datetime


@dataclass(frozen=True)
class RefreshResult:
    """What a refresh did: members by segment, the runs queued, and the exports left out with the reason."""

    refresh: Refresh
    sizes: Mapping[str, int] = field(default_factory=dict)
    runs: Sequence[Run] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)


class Due:
    """Queues runs: those that are asked for, and those whose time has come."""

    def __init__(
        self,
        runs: RunStore,
        exports: ExportStore,
        connections: ConnectionStore,
        refreshes: RefreshStore,
        pauses: PauseStore,
        open_source: Callable[[], Source],
        now: Now,
    ) -> None:
        self._runs = runs
        self._exports = exports
        self._connections = connections
        self._refreshes = refreshes
        self._pauses = pauses
        self._open_source = open_source
        self._now = now

    def queue(
        self,
        view: ExportView,
        trigger: Trigger,
        *,
        requested_by: str,
        due_at: datetime | None = None,
        resync: bool = False,
        once: StartOnce | None = None,
    ) -> Run:
        """Queue a run of an export.

        Raises `Conflict` while one is live or everything is paused, `SetupError` where it is detached.
        """
        self._pauses.check()
        run = self._new_run(view, trigger, requested_by, due_at)
        run.resync = resync
        return self._runs.queue(run, once)

    def queue_again(self, run: Run, *, requested_by: str) -> Run:
        """Queue the run that sends again what failed in an earlier one. Raises `Conflict` in a pause."""
        self._pauses.check()
        export, now = ExportCopy.of_run(run), self._now()
        return self._runs.queue(
            queued_run(export, Trigger.RETRY, requested_by=requested_by, at=now, retry_of=run.id)
        )

    # --- exports on their own schedule -----------------------------------------------------------

    def queue_due_exports(self) -> list[Run]:
        """Queue a run of every export whose own time has come; one that cannot be queued holds up no other.

        In a pause none is queued: what came due runs once, late, after its end.
        """
        queued: list[Run] = []
        if self._pauses.get() is not None:
            return queued
        for view in self._exports.due():
            try:
                run = self.queue_due(view)
            except StoreError:
                raise  # it is still due when the store is back
            except SetupError as error:
                log.error('"%s" is not run by its schedule: %s', view.export.name, error)
                self._exports.take_due(view.export, None, None)  # until it is saved again
                continue
            if run is not None:
                queued.append(run)
                late = ", late" if is_late(run.due_at, run.queued_at) else ""
                log.info("run %d: queued by its schedule%s", run.id, late)
        return queued

    def queue_due(self, view: ExportView) -> Run | None:
        """Queue the run whose time has come and move on to the first time from now: missed times are run once.

        None when another worker did, or when a run of the export is live: then the history has it as skipped.
        """
        export = view.export
        then = next(iter(next_times(export.schedule, self._now(), 1)), None)
        run = self._new_run(view, Trigger.SCHEDULE, SCHEDULER, export.next_run_at)
        try:
            return run if self._exports.take_due(export, then, run) else None
        except Conflict:
            self._skip_due(view, then)
            return None

    def _skip_due(self, view: ExportView, then: datetime | None) -> None:
        """A time at which an earlier run is still live is left out, and the next one comes as usual."""
        export, live = view.export, self._runs.live_of(view.export.id)
        before = f"Run {live.id}" if live else "An earlier run"
        why = f"{before} was still live at {moment(export.next_run_at)}, so this time is left out."
        run = self._new_run(view, Trigger.SCHEDULE, SCHEDULER, export.next_run_at)
        if self._exports.take_due(export, then, run, skipped=why):
            log.warning('"%s": %s', export.name, why)

    def _new_run(
        self, view: ExportView, trigger: Trigger, requested_by: str, due_at: datetime | None
    ) -> Run:
        if view.export.connection_id is None:
            raise SetupError(
                f'"{view.export.name}" is detached: its connection was removed. Give it another connection first.'
            )
        copy = ExportCopy.of_export(view, self._connections.get(view.export.connection_id))
        return queued_run(copy, trigger, requested_by=requested_by, at=self._now(), due_at=due_at)

    # --- refreshes -------------------------------------------------------------------------------

    def recurrence(self) -> Recurrence | None:
        """Days, times and zone as they were set last, also while it is off."""
        row = self._refreshes.schedule()
        if row is None:
            return None
        times = tuple(time.fromisoformat(text) for text in row.times)
        return Recurrence(tuple(row.weekdays), times, row.zone)

    def begin_due(self) -> Begun | None:
        """The refresh to perform now, if any: due, asked for, or left unfinished by a worker that died."""
        if self._pauses.get() is not None:
            return None
        store, row, recurrence = self._refreshes, self._refreshes.schedule(), self.recurrence()
        now = self._now()
        if row is not None and recurrence and row.next_at is not None and row.next_at <= now:
            then = recurrence.next_times(now, 1)[0]
            refresh = store.begin_due(row.next_at, then, by=SCHEDULER)
            if refresh is not None:
                return Begun(refresh, now)
        if not store.has_unfinished():
            return None
        asked = store.begin_asked()
        if asked is not None:
            return Begun(asked, now)
        again = store.begin_again(INTERRUPTED_AFTER, INTERRUPTED)
        return Begun(*again) if again else None

    def perform(self, begun: Begun) -> RefreshResult:
        """Count, queue, record. Raises nothing that a person can mend: that is the refresh's `error`."""
        refresh = begun.refresh
        try:
            sizes = self._sizes_now()
            runs, left_out = self._queue_exports(begun)
        except SetupError as error:
            log.error("refresh %d: %s", refresh.id, error)
            return self._end(begun, RefreshResult(refresh), str(error), failed=True)
        except Exception:
            words = "An error of ccexport's own; its log has it."
            self._end(begun, RefreshResult(refresh), words, failed=True)
            raise
        result = RefreshResult(refresh, sizes, runs, left_out)
        return self._end(begun, result, _say_left_out(left_out))

    def exports_on_refresh(self) -> list[ExportView]:
        """The exports that run with each refresh, by name."""
        return [
            view
            for view in self._exports.views()
            if view.state == "active" and view.export.schedule == "refresh"
        ]

    def _sizes_now(self) -> dict[str, int]:
        with self._open_source() as source:
            return {segment.name: segment.members for segment in source.segments()}

    def _queue_exports(self, begun: Begun) -> tuple[list[Run], dict[str, str]]:
        last = self._runs.last_of_each_export()
        by, due_at = begun.refresh.requested_by, begun.refresh.due_at
        runs: list[Run] = []
        left_out: dict[str, str] = {}
        for view in self.exports_on_refresh():
            newest = last.get(view.export.id)
            if newest and newest.trigger is Trigger.REFRESH and newest.queued_at > begun.since:
                continue  # queued before the interruption
            name = view.export.name
            try:
                runs.append(self.queue(view, Trigger.REFRESH, requested_by=by, due_at=due_at))
            except Conflict:
                left_out[name] = "still runs"
            except StoreError:
                raise
            except SetupError as error:  # removed or detached just now
                left_out[name] = str(error)
        return runs, left_out

    def _end(
        self, begun: Begun, result: RefreshResult, error: str | None, *, failed: bool = False
    ) -> RefreshResult:
        store = self._refreshes
        store.finish(
            begun.refresh.id,
            sizes=result.sizes,
            runs_queued=len(result.runs),
            error=error,
            failed=failed,
        )
        log.info(
            "refresh %d: %d segments read, %d runs queued, %d exports left out",
            begun.refresh.id,
            len(result.sizes),
            len(result.runs),
            len(result.left_out),
        )
        return RefreshResult(
            store.get(begun.refresh.id), result.sizes, result.runs, result.left_out
        )


def queued_run(
    export: ExportCopy,
    trigger: Trigger,
    *,
    requested_by: str,
    at: datetime,
    due_at: datetime | None = None,
    retry_of: int | None = None,
) -> Run:
    """The row of a new run, not stored yet."""
    return Run(
        **asdict(export),
        trigger=trigger,
        requested_by=requested_by,
        state=RunState.QUEUED,
        due_at=due_at,
        retry_of=retry_of,
        queued_at=at,
    )


def _say_left_out(left_out: Mapping[str, str]) -> str | None:
    """One line, or None."""
    if not left_out:
        return None
    named = [f'"{name}" ({reason})' for name, reason in list(left_out.items())[:_NAMED]]
    more = f" and {len(left_out) - _NAMED} more" if len(left_out) > _NAMED else ""
    return f"{NOT_QUEUED}{', '.join(named)}{more}."
