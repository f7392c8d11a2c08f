"""Bulk activities: their life by the clock, what is shown of them, and the thread that does them.

Every activity lives on its own: `initialized` for the first quarter of its time, then `processing`,
and at its end the work is done in one background thread, due ones in order. It is `completed`
once that is so, therefore a request never waits for a big file.
"""

import threading
import uuid
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ccexport.sandbox.api.answers import iso_time
from ccexport.sandbox.faults import Fault

MAX_QUEUED = 1_000  # per account (vendor contract)
KEPT_SECONDS = 10 * 86_400
MAX_MESSAGES = 1_000  # the vendor states no bound; ours keeps answers readable
SMALL = 5_000  # rows: work that a look at the activity waits for
MOST_TO_WAIT_SECONDS = 60
MAX_AHEAD = 8  # activities whose files are read before their time
_INITIALIZED_SHARE = 0.25


@dataclass
class Report:
    """What became of an activity: counters under the API's names, texts, and an export's rows."""

    counters: dict[str, int] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    exported: "array[int] | None" = None
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Troubles:
    """The faults an activity was born with, by group."""

    by_group: dict[str, Fault] = field(default_factory=dict)

    def get(self, group: str) -> Fault | None:
        return self.by_group.get(group)


@dataclass
class Activity:
    """One bulk job. `work` does it and is dropped when done; `size` is about how many rows.

    `prepare` is the part of the work that may be done before its time, such as reading a file.
    """

    kind: str
    created_at: float
    due_at: float
    first_counters: dict[str, int]
    work: Callable[[], Report] | None
    prepare: Callable[[], object] | None = None
    size: int = 0
    file_name: str | None = None
    troubles: Troubles = field(default_factory=Troubles)
    activity_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    report: Report | None = None

    @property
    def started_at(self) -> float:
        return self.created_at + (self.due_at - self.created_at) * _INITIALIZED_SHARE

    def state(self, now: float) -> str:
        """The state the API shows at this time."""
        end = self.troubles.get("end")
        if self.report is None or (end and end.do == "activity_stuck"):
            return "initialized" if now < self.started_at else "processing"
        if end is None:
            return "completed"
        if end.do == "activity_weird_state":
            return end.state
        return end.do.removeprefix("activity_")

    def is_open(self) -> bool:
        return self.report is None

    def as_json(self, now: float) -> dict[str, Any]:
        state = self.state(now)
        shown: dict[str, Any] = {
            "activity_id": self.activity_id,
            "state": state,
            "created_at": iso_time(self.created_at),
            "updated_at": iso_time(min(now, self.due_at)),
            "percent_done": self._percent(now, state),
            "activity_errors": self._messages(),
            "status": self._status(state),
            "_links": {"self": {"href": f"/v3/activities/{self.activity_id}"}},
        }
        if state != "initialized":
            shown["started_at"] = iso_time(self.started_at)
        if state == "completed":
            shown["completed_at"] = iso_time(self.due_at)
        if self.file_name and not self.troubles.get("no_file_name"):
            shown["source_file_name"] = self.file_name
        if state == "completed" and self.kind == "contact_export":
            # the contract's own example spells this path with an s too many
            href = f"/v3/contacts_exports/{self.activity_id}"
            shown["_links"]["results"] = {"href": href}
        if self._lacks("no_counters"):
            del shown["status"]
        return shown

    def _percent(self, now: float, state: str) -> int:
        if state == "completed":
            return 100
        span = max(self.due_at - self.created_at, 0.001)
        return max(1, min(99, int(100 * (now - self.created_at) / span)))

    def _messages(self) -> list[str] | list[dict[str, str]]:
        end = self.troubles.get("end")
        if self.report is None:
            return []
        texts = [*(end.messages if end else ()), *self.report.messages[:MAX_MESSAGES]]
        if self.troubles.get("object_messages"):
            return [{"message": text} for text in texts]
        return texts

    def _status(self, state: str) -> dict[str, int | None]:
        finished = self.report is not None and state != "processing"
        counters = self.report.counters if self.report and finished else self.first_counters
        if self._lacks("null_counters"):
            return dict.fromkeys(counters)
        if self._lacks("no_person_count"):
            return {name: count for name, count in counters.items() if name != "person_count"}
        return dict(counters)

    def _lacks(self, what: str) -> bool:
        fault = self.troubles.get("counters")
        return fault is not None and fault.do == what


class ActivityBook:
    """The account's activities of the last ten days, and the thread that works them off."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._activities: dict[str, Activity] = {}
        self._open: list[Activity] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False

    def add(self, activity: Activity) -> None:
        with self._changed:
            self._activities[activity.activity_id] = activity
            self._open.append(activity)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work_off, name="sandbox activities", daemon=True
                )
                self._thread.start()
            self._changed.notify_all()

    def is_full(self) -> bool:
        return len(self._open) >= MAX_QUEUED

    def get(self, activity_id: str) -> Activity | None:
        """The activity, None when unknown or older than ten days."""
        found = self._activities.get(activity_id)
        return found if found and self._is_shown(found) else None

    def newest_first(self) -> list[Activity]:
        return [one for one in reversed(self._activities.values()) if self._is_shown(one)]

    def has_small_work(self) -> bool:
        """Whether work is due that takes but an instant, and nothing big before it."""
        due = self._due()
        return bool(due) and all(one.size <= SMALL for one in due)

    def catch_up(self, with_big_work: bool) -> None:
        """Wait until due work is done; big work only if it is asked for."""
        with self._changed:
            self._changed.notify_all()
            done = (
                (lambda: not self._due()) if with_big_work else (lambda: not self.has_small_work())
            )
            self._changed.wait_for(done, timeout=MOST_TO_WAIT_SECONDS)

    def close(self) -> None:
        """Stop the thread; work that is not done stays so."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=30)

    def _is_shown(self, activity: Activity) -> bool:
        is_gone = activity.troubles.get("activity_gone") is not None
        return not is_gone and self._clock() - activity.created_at < KEPT_SECONDS

    def _due(self) -> list[Activity]:
        now = self._clock()
        return [one for one in list(self._open) if one.due_at <= now and not self._closing]

    def _work_off(self) -> None:
        while True:
            with self._changed:
                while not (self._closing or self._due() or self._to_prepare()):
                    self._changed.wait(self._seconds_to_next())
                if self._closing:
                    return
                due, early = self._due(), self._to_prepare()
            if due:
                self._finish(min(due, key=lambda one: one.due_at))
            elif early and early.prepare:
                early.prepare()
                early.prepare = None

    def _finish(self, activity: Activity) -> None:
        report = activity.work() if activity.work else Report()
        with self._changed:
            activity.report, activity.work, activity.prepare = report, None, None
            self._open.remove(activity)
            self._changed.notify_all()

    def _to_prepare(self) -> Activity | None:
        """The next activity to work ahead for; never many, since what is read takes memory."""
        ahead = self._open[:MAX_AHEAD]
        return next((one for one in ahead if one.prepare is not None), None)

    def _seconds_to_next(self) -> float | None:
        if not self._open:
            return None
        return max(0.005, min(one.due_at for one in self._open) - self._clock())
