"""Refreshes of the source's segments as people set, ask for and look at them; `runs/due.py` performs them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ccexport.clock import iso
from ccexport.installation import Installation
from ccexport.runs.due import Begun, RefreshResult
from ccexport.schedules import Recurrence, check_recurrence
from ccexport.services.people.access import Person
from ccexport.services.people.permission import acting
from ccexport.services.people.roles import Action
from ccexport.states import Trigger
from ccexport.store.database.tables import Refresh, RefreshSchedule
from ccexport.store.exports import ExportView
from ccexport.store.refreshes import RefreshView, SizeAt

__all__ = ["RefreshResult", "Refreshes", "refresh_document"]  # a result is what `refresh` gives

log = logging.getLogger(__name__)

_SCHEDULE, _SEGMENTS = "schedule", "segments"  # what the audit calls them


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
        return self._installation.due.recurrence()

    def exports(self) -> list[ExportView]:
        """The exports that run with each refresh, by name."""
        return self._installation.due.exports_on_refresh()

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

    # --- doing it --------------------------------------------------------------------------------

    def ask(self, *, by: Person) -> Refresh:
        """Let a worker do it soon: what a page's button does."""
        action = Action.ASK_FOR_REFRESH
        with acting(self._installation, by, action, "refresh", _SEGMENTS) as by:
            self._installation.pauses.check()
            return self._installation.refreshes.ask(by=by.name)

    def refresh(
        self, *, by: Person, trigger: Trigger = Trigger.MANUAL, due_at: datetime | None = None
    ) -> RefreshResult:
        """Do it now: count the members of every segment, then queue every active export due on it.

        A source that cannot be read is recorded in the refresh's `error`, and nothing is queued.
        """
        action, after = Action.ASK_FOR_REFRESH, {"trigger": trigger.value}
        with acting(self._installation, by, action, "refresh", _SEGMENTS, after=after) as by:
            self._installation.pauses.check()
            begun = self._installation.refreshes.begin(trigger, by=by.name, due_at=due_at)
        return self._installation.due.perform(Begun(begun, begun.started_at))

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

    # --- helpers ---------------------------------------------------------------------------------

    def _schedule_values(self) -> dict[str, Any] | None:
        """What the audit keeps of the schedule."""
        row = self.schedule()
        if row is None:
            return None
        is_on = row.next_at is not None
        return {"weekdays": row.weekdays, "times": row.times, "zone": row.zone, "is_on": is_on}


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
