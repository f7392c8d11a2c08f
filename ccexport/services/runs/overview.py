"""What the screens Home and Runs show: what runs, what needs a person, what comes next, and the history in sums."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ccexport.installation import Installation
from ccexport.services.connections.connections import is_idle, what_waits
from ccexport.services.operations.attendance import Attendance, attendance
from ccexport.services.runs.described import Progress
from ccexport.services.runs.progress import RunProgress
from ccexport.states import RunState, WaitingFor
from ccexport.store.budget import DayBudget
from ccexport.store.connections import ConnectionView
from ccexport.store.database.tables import Refresh, Run
from ccexport.store.history import DaySums, DueExport, HistoryStore, RunFilter, RunTime

SHOWN = 5  # runs named in each part of Home; the rest is a number
FAILING_FOR = timedelta(days=30)


@dataclass(frozen=True)
class Now:
    """What happens at this moment."""

    live: tuple[Progress, ...]  # the first of them
    live_total: int
    attendance: Attendance

    @property
    def workers(self) -> int:
        """How many are alive."""
        return self.attendance.alive


@dataclass(frozen=True)
class ToDo:
    """What goes on only after a person did something."""

    sign_ins: tuple[ConnectionView, ...]
    idle: tuple[ConnectionView, ...]  # sign-ins that will end for want of use
    waiting_for_sign_in: int  # runs
    approvals: tuple[Run, ...]  # of an administrator
    held: tuple[Run, ...]  # by the guard
    waiting_connections: tuple[
        str, ...
    ]  # a sentence for each thing that an administrator has to do
    failing: tuple[Run, ...]  # the last run of each of these exports did not end well
    failing_total: int
    detached: int  # exports without a connection
    refresh_error: Refresh | None  # the last refresh, where it failed

    @property
    def is_empty(self) -> bool:
        return not (
            self.sign_ins
            or self.idle
            or self.approvals
            or self.held
            or self.waiting_connections
            or self.failing
            or self.detached
            or self.refresh_error
        )


@dataclass(frozen=True)
class Coming:
    """What will happen by itself."""

    refresh_at: datetime | None  # None: no refresh by itself
    refresh_exports: int  # that run with it
    exports: tuple[DueExport, ...]


@dataclass(frozen=True)
class FirstSteps:
    """What an installation has so far."""

    has_connection: bool
    has_export: bool
    has_run: bool


class Overview:
    """What Home asks."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._history = HistoryStore(installation.engine, installation.now)

    def first_steps(self) -> FirstSteps:
        counts = self._history.export_counts()
        return FirstSteps(
            has_connection=bool(self._installation.connections.views()),
            has_export=counts["all"] > 0,
            has_run=self._history.has_runs(),
        )

    def is_live(self) -> bool:
        """Whether any run has not ended."""
        return self._history.has_live()

    def now(self) -> Now:
        runs = self._installation.runs.unfinished()
        progress = RunProgress(self._installation)
        first = sorted(runs, key=_liveliest_first)[:SHOWN]
        present = attendance(self._installation)
        return Now(
            live=tuple(progress.of_run(run, workers=present.alive) for run in first),
            live_total=len(runs),
            attendance=present,
        )

    def to_do(self) -> ToDo:
        waiting = self._history.waiting_for_a_person()
        failing, failing_total = self._history.failing(FAILING_FOR, limit=SHOWN)
        views = self._installation.connections.views()
        last = self._installation.refreshes.latest(1)
        return ToDo(
            sign_ins=tuple(view for view in views if view.connection.needs_sign_in),
            idle=tuple(view for view in views if is_idle(view, self._installation.now())),
            waiting_for_sign_in=sum(run.waiting_for is WaitingFor.SIGN_IN for run in waiting),
            approvals=tuple(
                run
                for run in waiting
                if run.waiting_for is WaitingFor.APPROVAL and run.question is None
            ),
            held=tuple(run for run in waiting if run.is_held),
            waiting_connections=tuple(words for view in views for words in what_waits(view)),
            failing=tuple(failing),
            failing_total=failing_total,
            detached=self._history.export_counts()["detached"],
            refresh_error=last[0].refresh if last and last[0].state == "failed" else None,
        )

    def budget(self) -> DayBudget:
        return self._installation.budget.today()

    def coming(self) -> Coming:
        schedule = self._installation.refreshes.schedule()
        return Coming(
            refresh_at=schedule.next_at if schedule else None,
            refresh_exports=self._history.export_counts()["refresh"],
            exports=tuple(self._history.next_due(limit=SHOWN)),
        )

    def daily(self, days: int) -> list[DaySums]:
        """Sums of the last so many days, today included."""
        return self._history.daily(RunFilter(since=since_days(days, self._installation.now())))


class History:
    """What the screen Runs asks."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._history = HistoryStore(installation.engine, installation.now)

    def page(self, wanted: RunFilter, number: int, size: int) -> list[Run]:
        """Page `number`, from 1; the newest run is the first of page 1."""
        return self._history.page(wanted, offset=(number - 1) * size, limit=size)

    def count(self, wanted: RunFilter) -> int:
        """Runs on all pages together."""
        return self._history.count(wanted)

    def export_names(self) -> list[str]:
        return self._history.export_names()

    def daily(self, wanted: RunFilter) -> list[DaySums]:
        return self._history.daily(wanted)

    def times(self, wanted: RunFilter) -> list[RunTime]:
        return self._history.times(wanted)

    def since_days(self, days: int | None) -> datetime | None:
        """The beginning of the UTC day so many days ago, today counted; None for all time."""
        return since_days(days, self._installation.now()) if days else None


def since_days(days: int, now: datetime) -> datetime:
    """The first moment of the last so many UTC days, today included."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=days - 1)


def _liveliest_first(run: Run) -> tuple[bool, bool, int]:
    return run.state is RunState.QUEUED, run.state is RunState.WAITING, run.id
