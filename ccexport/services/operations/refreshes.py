"""Work that happens by itself: refreshes of the source's segments, and exports whose own time has come.

What is due is a row, and taking it is one compare-and-set with what it leads to: several workers do it once, and a
worker that was down does a missed time once, late. A worker calls `queue_due_exports`, `begin_due` and `perform`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any

from ccexport.clock import iso
from ccexport.errors import Conflict, SetupError, StoreError
from ccexport.installation import Installation
from ccexport.services.exports.exports import Exports
from ccexport.services.exports.schedules import Recurrence, check_recurrence
from ccexport.services.operations.attendance import is_late
from ccexport.services.people.access import Person, Role
from ccexport.services.people.permission import acting
from ccexport.services.people.roles import Action
from ccexport.states import Trigger
from ccexport.store.database.tables import Refresh, RefreshSchedule, Run
from ccexport.store.exports import ExportView
from ccexport.store.refreshes import RefreshView, SizeAt

log = logging.getLogger(__name__)

SCHEDULER = Person("schedule", Role.ADMINISTRATOR)
INTERRUPTED_AFTER = timedelta(minutes=30)  # a reading of segments takes seconds to minutes
INTERRUPTED = "It was interrupted and has been begun again."
_SCHEDULE, _SEGMENTS = "schedule", "segments"  # what the audit calls them
_NAMED = 3  # exports named in one line


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


class Refreshes:
    """What people and workers do with refreshes."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    # --- the schedule ----------------------------------------------------------------------------

    def schedule(self) -> RefreshSchedule | None:
        """As it was set last; None when it never was. Without `next_at` it is off."""
        return self._installation.refreshes.schedule()

    def recurrence(self) -> Recurrence | None:
        """Days, times and zone as they were set last, also while it is off."""
        row = self.schedule()
        if row is None:
            return None
        times = tuple(time.fromisoformat(text) for text in row.times)
        return Recurrence(tuple(row.weekdays), times, row.zone)

    def set_schedule(
        self, weekdays: Sequence[int], times: Sequence[str], zone: str, *, by: Person
    ) -> RefreshSchedule:
        """Weekdays (0 is Monday), one to four times `HH:MM`, a zone. Raises `UsageError`."""
        found = check_recurrence(weekdays, times, zone)
        next_at = found.next_times(self._installation.now(), 1)[0]
        at = [f"{each:%H:%M}" for each in found.times]
        days = list(found.weekdays)
        action, before = Action.SCHEDULE_REFRESH, self._schedule_values()
        after = {"weekdays": days, "times": at, "zone": found.zone, "is_on": True}
        with acting(
            self._installation, by, action, "refresh", _SCHEDULE, before=before, after=after
        ) as by:
            return self._installation.refreshes.set_schedule(
                days, at, found.zone, next_at, by=by.name
            )

    def turn_off(self, *, by: Person) -> None:
        """No refresh by itself any more; days and times stay to be turned on again."""
        action, before = Action.TURN_OFF_REFRESH, self._schedule_values()
        with acting(self._installation, by, action, "refresh", _SCHEDULE, before=before) as by:
            self._installation.refreshes.turn_off(by=by.name)

    def would_be_next(
        self, weekdays: Sequence[int], times: Sequence[str], zone: str
    ) -> list[datetime]:
        """The next five times of a schedule that is not saved. Raises `UsageError`."""
        return check_recurrence(weekdays, times, zone).next_times(self._installation.now(), 5)

    def next_five(self) -> list[datetime]:
        """The next five times, the first of which may be over and due; none while it is off."""
        row, recurrence = self.schedule(), self.recurrence()
        if row is None or recurrence is None or row.next_at is None:
            return []
        return [row.next_at, *recurrence.next_times(max(row.next_at, self._installation.now()), 4)]

    def exports(self) -> list[ExportView]:
        """The exports that run with each refresh, by name."""
        return [
            view
            for view in self._installation.exports.views()
            if view.state == "active" and view.export.schedule == "refresh"
        ]

    # --- doing it --------------------------------------------------------------------------------

    def ask(self, *, by: Person) -> Refresh:
        """Let a worker do it soon: what a page's button does."""
        action = Action.ASK_FOR_REFRESH
        with acting(self._installation, by, action, "refresh", _SEGMENTS) as by:
            return self._installation.refreshes.ask(by=by.name)

    def refresh(
        self, *, by: Person, trigger: Trigger = Trigger.MANUAL, due_at: datetime | None = None
    ) -> RefreshResult:
        """Do it now: count the members of every segment, then queue every active export due on it.

        A source that cannot be read is recorded in the refresh's `error`, and nothing is queued.
        """
        action, after = Action.ASK_FOR_REFRESH, {"trigger": trigger.value}
        with acting(self._installation, by, action, "refresh", _SEGMENTS, after=after) as by:
            begun = self._installation.refreshes.begin(trigger, by=by.name, due_at=due_at)
        return self.perform(Begun(begun, begun.started_at))

    def begin_due(self) -> Begun | None:
        """The refresh to perform now, if any: due, asked for, or left unfinished by a worker that died."""
        store, row, recurrence = self._installation.refreshes, self.schedule(), self.recurrence()
        now = self._installation.now()
        if row is not None and recurrence and row.next_at is not None and row.next_at <= now:
            then = recurrence.next_times(now, 1)[0]
            refresh = store.begin_due(row.next_at, then, by=SCHEDULER.name)
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
            return self._end(begun, RefreshResult(refresh), str(error))
        except Exception:
            self._end(begun, RefreshResult(refresh), "An error of ccexport's own; its log has it.")
            raise
        result = RefreshResult(refresh, sizes, runs, left_out)
        return self._end(begun, result, _say_left_out(left_out))

    # --- questions -------------------------------------------------------------------------------

    def latest(self, limit: int = 20) -> list[RefreshView]:
        """The newest first."""
        return self._installation.refreshes.latest(limit)

    def sizes(self, segment: str, limit: int = 30) -> list[SizeAt]:
        """How large a segment was at the last refreshes, the oldest first."""
        return self._installation.refreshes.sizes(segment, limit)

    def all_sizes(self, refreshes: int = 12) -> dict[str, list[SizeAt]]:
        """The same of every segment, in one question."""
        return self._installation.refreshes.all_sizes(refreshes)

    def is_waited_for(self) -> bool:
        """Whether a refresh is asked for or running."""
        return self._installation.refreshes.has_unfinished()

    def is_worker_alive(self) -> bool:
        """Whether anybody is there to do it."""
        return bool(self._installation.workers.alive())

    # --- exports on their own schedule -----------------------------------------------------------

    def queue_due_exports(self) -> list[Run]:
        """Queue a run of every export whose own time has come; one that cannot be queued holds up no other."""
        exports, queued = Exports(self._installation), []
        for view in self._installation.exports.due():
            try:
                run = exports.queue_due(view, by=SCHEDULER)
            except StoreError:
                raise  # it is still due when the store is back
            except SetupError as error:
                log.error('"%s" is not run by its schedule: %s', view.export.name, error)
                self._installation.exports.take_due(
                    view.export, None, None
                )  # until it is saved again
                continue
            if run is not None:
                queued.append(run)
                late = ", late" if is_late(run.due_at, run.queued_at) else ""
                log.info("run %d: queued by its schedule%s", run.id, late)
        return queued

    # --- helpers ---------------------------------------------------------------------------------

    def _schedule_values(self) -> dict[str, Any] | None:
        """What the audit keeps of the schedule."""
        row = self.schedule()
        if row is None:
            return None
        is_on = row.next_at is not None
        return {"weekdays": row.weekdays, "times": row.times, "zone": row.zone, "is_on": is_on}

    def _sizes_now(self) -> dict[str, int]:
        with self._installation.open_source() as source:
            return {segment.name: segment.members for segment in source.segments()}

    def _queue_exports(self, begun: Begun) -> tuple[list[Run], dict[str, str]]:
        exports, last = Exports(self._installation), self._installation.runs.last_of_each_export()
        by, due_at = Person(begun.refresh.requested_by, Role.ADMINISTRATOR), begun.refresh.due_at
        runs: list[Run] = []
        left_out: dict[str, str] = {}
        for view in self.exports():
            newest = last.get(view.export.id)
            if newest and newest.trigger is Trigger.REFRESH and newest.queued_at > begun.since:
                continue  # queued before the interruption
            name = view.export.name
            try:
                runs.append(exports.queue_view(view, by=by, trigger=Trigger.REFRESH, due_at=due_at))
            except Conflict:
                left_out[name] = "still runs"
            except StoreError:
                raise
            except SetupError as error:  # removed or detached just now
                left_out[name] = str(error)
        return runs, left_out

    def _end(self, begun: Begun, result: RefreshResult, error: str | None) -> RefreshResult:
        store = self._installation.refreshes
        store.finish(
            begun.refresh.id, sizes=result.sizes, runs_queued=len(result.runs), error=error
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


def refresh_document(result: RefreshResult) -> dict[str, Any]:
    """A refresh as `refresh --json` prints it."""
    refresh = result.refresh
    return {
        "id": refresh.id,
        "trigger": refresh.trigger.value,
        "requested_by": refresh.requested_by,
        "due_at": iso(refresh.due_at),
        "started_at": iso(refresh.started_at),
        "finished_at": iso(refresh.finished_at),
        "segments": [{"name": name, "members": n} for name, n in sorted(result.sizes.items())],
        "runs": [{"id": run.id, "export": run.export_name} for run in result.runs],
        "left_out": dict(result.left_out),
        "error": refresh.error,
    }


def _say_left_out(left_out: Mapping[str, str]) -> str | None:
    """One line, or None."""
    if not left_out:
        return None
    named = [f'"{name}" ({reason})' for name, reason in list(left_out.items())[:_NAMED]]
    more = f" and {len(left_out) - _NAMED} more" if len(left_out) > _NAMED else ""
    return f"Not queued: {', '.join(named)}{more}."
