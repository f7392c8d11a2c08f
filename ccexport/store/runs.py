"""Runs: queue, lease, moves, counts and history.

One function, `_move`, writes a run's state: it checks the table of moves, updates where the state and the lease are
still what the caller saw, looks at the row count and adds the event, all in one transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, func
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, delete, select, update

from ccexport.clock import Now, utc_now
from ccexport.errors import CcexportError, Conflict, NotFound
from ccexport.states import RUN_MOVES, RunState, WaitingFor
from ccexport.store.database.engine import reading, writing
from ccexport.store.database.tables import Connection, Run, RunAddresses, RunEvent
from ccexport.store.stopping import end_without_connection

LEASE = timedelta(
    seconds=60
)  # renewed every 15 s; when it lapses, another worker takes the run over


class LeaseLost(CcexportError):
    """Another worker has the run, or it ended: whoever holds this touches nothing more."""


@dataclass(frozen=True)
class Held:
    """A run as its worker knows it: every change is made on behalf of `worker` and refused once it lost the lease."""

    run_id: int
    worker: str


@dataclass(frozen=True)
class Wait:
    """Why a run waits, and until when; None: until a person acts."""

    reason: WaitingFor
    until: datetime | None
    detail: str


class RunStore:
    """Questions and changes about runs."""

    def __init__(self, engine: Engine, now: Now = utc_now) -> None:
        self._engine = engine
        self._now = now

    # --- queue ---------------------------------------------------------------------------------

    def queue(self, run: Run) -> Run:
        """Store a run in `queued`. Raises `Conflict`, naming the other, while one of its export is live."""
        try:
            with writing(self._engine) as session:
                session.add(run)
                session.flush()
                _add_event(session, run.id, self._now(), run.requested_by, "queued", run.trigger)
        except IntegrityError:
            live = self.live_of(run.export_id)
            if live is None and run.connection_id is not None:
                self._check_connection(run.connection_id)
            number = f"Run {live.id}" if live else "A run"
            raise Conflict(
                f'{number} of "{run.export_name}" is still live. Wait for its end, or cancel it.'
            ) from None
        return run

    def _check_connection(self, connection_id: int) -> None:
        with reading(self._engine) as session:
            if session.get(Connection, connection_id) is None:
                raise NotFound("Its connection has been removed meanwhile; nothing was queued.")

    def claim(
        self,
        worker: str,
        *,
        run_id: int | None = None,
        not_of: Collection[int] = (),
        busy_with: Collection[int] = (),
    ) -> Run | None:
        """Take the oldest run that may go on now and that nobody holds; with `run_id`, that one alone.

        `not_of`: connections whose runs are left alone, unless a run of theirs is to be canceled.
        `busy_with`: runs that the worker still works on: it takes none a second time, though its lease has lapsed.
        """
        now = self._now()
        with writing(self._engine) as session:
            query = (
                select(Run)
                .where(
                    col(Run.finished_at).is_(None),
                    col(Run.lease_owner).is_(None)
                    | (col(Run.lease_until) < now)
                    | (col(Run.lease_until) > now + 2 * LEASE),  # the clock was set back
                    (col(Run.state) != RunState.WAITING)
                    | (col(Run.waiting_until) <= now)
                    | col(Run.cancel_requested_by).is_not(None),
                )
                .order_by(col(Run.id))
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            if run_id is not None:
                query = query.where(Run.id == run_id)
            if busy_with:
                query = query.where(col(Run.id).not_in(busy_with))
            if not_of:
                query = query.where(
                    col(Run.connection_id).is_(None)
                    | col(Run.connection_id).not_in(not_of)
                    | col(Run.cancel_requested_by).is_not(None)
                )
            run = session.exec(query).first()
            if run is None:
                return None
            if run.lease_owner is not None:
                _add_event(session, run.id, now, worker, "taken over", "its worker fell silent")
            run.lease_owner, run.lease_until = worker, now + LEASE
            session.add(run)
        return run

    def renew_leases(self, worker: str, run_ids: Collection[int]) -> None:
        """Keep those of the runs that this worker still holds; a lease once lapsed is not renewed."""
        now = self._now()
        with writing(self._engine) as session:
            session.exec(
                update(Run)
                .where(
                    col(Run.id).in_(run_ids),
                    col(Run.lease_owner) == worker,
                    col(Run.lease_until) >= now,
                )
                .values(lease_until=now + LEASE)
            )

    def release(self, held: Held) -> None:
        """Let others have the run at once."""
        with writing(self._engine) as session:
            session.exec(
                update(Run)
                .where(col(Run.id) == held.run_id, col(Run.lease_owner) == held.worker)
                .values(lease_owner=None, lease_until=None)
            )

    def check_lease(self, held: Held) -> Run:
        """The run as it is now. Raises `LeaseLost`."""
        with reading(self._engine) as session:
            run = session.get(Run, held.run_id)
        return _still_held(run, held, self._now())

    # --- questions -----------------------------------------------------------------------------

    def get(self, run_id: int) -> Run:
        """Raises `NotFound`."""
        with reading(self._engine) as session:
            run = session.get(Run, run_id)
        if run is None:
            raise NotFound(f"There is no run {run_id}. `runs list` shows those there are.")
        return run

    def live_of(self, export_id: int | None) -> Run | None:
        with reading(self._engine) as session:
            return session.exec(
                select(Run).where(Run.export_id == export_id, col(Run.finished_at).is_(None))
            ).first()

    def sent_before(self, run: Run) -> Run | None:
        """The latest earlier run of the same export that sent something of the source and whose files are kept."""
        query = (
            select(Run)
            .where(
                Run.export_id == run.export_id,
                col(Run.id) < run.id,
                col(Run.retry_of).is_(None),
                col(Run.submitted_count) > 0,
                col(Run.files_deleted_at).is_(None),
            )
            .order_by(col(Run.id).desc())
        )
        with reading(self._engine) as session:
            return session.exec(query.limit(1)).first()

    def retries_of(self, run_id: int) -> list[Run]:
        """Runs that sent again what failed of a run, the newest first."""
        with reading(self._engine) as session:
            query = select(Run).where(Run.retry_of == run_id).order_by(col(Run.id).desc())
            return list(session.exec(query))

    def latest(self, *, export_name: str | None = None, limit: int | None = 100) -> list[Run]:
        """The newest first; all of them without a limit."""
        query = select(Run).order_by(col(Run.id).desc()).limit(limit)
        if export_name is not None:
            query = query.where(Run.export_name == export_name)
        with reading(self._engine) as session:
            return list(session.exec(query))

    def last_of_each_export(self) -> dict[int, Run]:
        """The newest run of every export, by the export's id."""
        newest = (
            select(col(Run.export_id), func.max(Run.id).label("run_id"))
            .group_by(col(Run.export_id))
            .subquery()
        )
        with reading(self._engine) as session:
            rows = session.exec(select(Run).where(col(Run.id).in_(select(newest.c.run_id))))
            return {run.export_id: run for run in rows if run.export_id is not None}

    def unfinished(self) -> list[Run]:
        with reading(self._engine) as session:
            return list(
                session.exec(
                    select(Run).where(col(Run.finished_at).is_(None)).order_by(col(Run.id))
                )
            )

    def events(self, run_id: int) -> list[RunEvent]:
        with reading(self._engine) as session:
            return list(
                session.exec(
                    select(RunEvent).where(RunEvent.run_id == run_id).order_by(col(RunEvent.id))
                )
            )

    def why_waiting(self, run: Run) -> str | None:
        """The sentence with which a run began to wait; None for one that does not wait."""
        if run.state is not RunState.WAITING:
            return None
        query = (
            select(RunEvent.detail)
            .where(RunEvent.run_id == run.id, RunEvent.what == RunState.WAITING.value)
            .order_by(col(RunEvent.id).desc())
        )
        with reading(self._engine) as session:
            detail = session.exec(query).first() or ""
        return detail.removeprefix(f"{run.waiting_for}: ")

    def with_old_files(self, older_than: timedelta) -> list[int]:
        """Finished runs whose files are due for deletion."""
        with reading(self._engine) as session:
            return list(
                session.exec(
                    select(Run.id).where(
                        col(Run.finished_at) < self._now() - older_than,
                        col(Run.files_deleted_at).is_(None),
                    )
                )
            )

    # --- changes -------------------------------------------------------------------------------

    def move(self, held: Held, to: RunState, *, detail: str = "", **values: Any) -> Run:
        """One legal move by the run's worker. Raises `LeaseLost`."""
        return self._move(held, to, detail, values)

    def wait(self, held: Held, wait: Wait) -> Run:
        """Into `waiting`; the worker lets the run go."""
        run = self.check_lease(held)
        resume = run.resume_state if run.state is RunState.WAITING else run.state
        resume = RunState.PREPARING if resume is RunState.QUEUED else resume
        return self._move(
            held,
            RunState.WAITING,
            f"{wait.reason}: {wait.detail}",
            {
                "resume_state": resume,
                "waiting_for": wait.reason,
                "waiting_until": wait.until,
                "waits": run.waits + 1,
                "lease_owner": None,
                "lease_until": None,
            },
        )

    def resume(self, held: Held) -> Run:
        """Out of `waiting`, back to where it was."""
        run = self.check_lease(held)
        to = run.resume_state or RunState.PREPARING
        return self._move(held, to, "", {"waiting_for": None, "waiting_until": None})

    def finish(self, held: Held, to: RunState, *, error: str | None = None) -> Run:
        """The end of a run."""
        return self._move(
            held,
            to,
            error or "",
            {
                "error": error,
                "finished_at": self._now(),
                "waiting_for": None,
                "waiting_until": None,
                "lease_owner": None,
                "lease_until": None,
            },
        )

    def stop(self, held: Held, reason: str) -> None:
        """Nothing more of the run is sent; what is sent is followed. `reason` is what its end will say."""
        with writing(self._engine) as session:
            run = session.get(Run, held.run_id, with_for_update=True)
            run = _still_held(run, held, self._now())
            if run.stop_reason is None:
                run.stop_reason = reason
                session.add(run)
                _add_event(session, held.run_id, self._now(), held.worker, "stopped", reason)

    def end_without_connection(self, held: Held) -> Run:
        """The end of a run whose connection was removed. Raises `LeaseLost`."""
        with writing(self._engine) as session:
            run = session.get(Run, held.run_id, with_for_update=True)
            run = _still_held(run, held, self._now())
            end_without_connection(session, run, held.worker, self._now())
        return run

    def made_progress(self, held: Held) -> None:
        """The next wait begins small again."""
        self._update(held, {"waits": 0})

    def add_seconds(self, held: Held, stage: RunState, seconds: float) -> None:
        """Add work time to a stage."""
        with writing(self._engine) as session:
            run = _still_held(
                session.get(Run, held.run_id, with_for_update=True), held, self._now()
            )
            total = run.seconds.get(stage, 0.0) + seconds
            run.seconds = {**run.seconds, stage: round(total, 3)}
            session.add(run)

    def note(self, held: Held, what: str, detail: str = "") -> None:
        """A line in the history that is no move."""
        with writing(self._engine) as session:
            _add_event(session, held.run_id, self._now(), held.worker, what, detail)

    def request_cancel(self, run_id: int, by: str) -> Run:
        """Ask for the run's end; its worker acts on it between two steps. Raises `Conflict` when it has ended."""
        with writing(self._engine) as session:
            run = session.get(Run, run_id, with_for_update=True)
            if run is None:
                raise NotFound(f"There is no run {run_id}. `runs list` shows those there are.")
            if run.state.is_final:
                raise Conflict(f"Run {run_id} has ended already ({run.state}).")
            run.cancel_requested_by = by
            session.add(run)
            _add_event(session, run_id, self._now(), by, "cancel requested", "")
        return run

    def wake_waiting_for_sign_in(self, connection_id: int) -> int:
        """After a new sign-in: let the runs that waited for it go on. Returns how many."""
        with writing(self._engine) as session:
            result = session.exec(
                update(Run)
                .where(
                    col(Run.connection_id) == connection_id,
                    col(Run.state) == RunState.WAITING,
                    col(Run.waiting_for) == WaitingFor.SIGN_IN,
                )
                .values(waiting_until=self._now())
            )
            return int(result.rowcount)

    def wake(self, run_id: int) -> None:
        """What a run has waited for is there: let it go on."""
        with writing(self._engine) as session:
            session.exec(
                update(Run)
                .where(col(Run.id) == run_id, col(Run.state) == RunState.WAITING)
                .values(waiting_until=self._now())
            )

    def mark_files_deleted(self, run_id: int) -> None:
        with writing(self._engine) as session:
            session.exec(
                update(Run).where(col(Run.id) == run_id).values(files_deleted_at=self._now())
            )

    def _update(self, held: Held, values: Mapping[str, Any]) -> None:
        with writing(self._engine) as session:
            changed = session.exec(
                update(Run)
                .where(col(Run.id) == held.run_id, col(Run.lease_owner) == held.worker)
                .values(**values)
            )
            if not changed.rowcount:
                raise LeaseLost(f"run {held.run_id}")

    def _move(self, held: Held, to: RunState, detail: str, values: Mapping[str, Any]) -> Run:
        with writing(self._engine) as session:
            run = session.get(Run, held.run_id, with_for_update=True)
            run = _still_held(run, held, self._now())
            if to not in RUN_MOVES[run.state]:
                raise ValueError(f"a run does not move from {run.state} to {to}")
            changed = session.exec(
                update(Run)
                .where(
                    col(Run.id) == held.run_id,
                    col(Run.state) == run.state,
                    col(Run.lease_owner) == held.worker,
                )
                .values(state=to, **values)
            )
            if not changed.rowcount:
                raise LeaseLost(f"run {held.run_id}")
            if to.is_final:
                session.exec(delete(RunAddresses).where(col(RunAddresses.run_id) == held.run_id))
            _add_event(session, held.run_id, self._now(), held.worker, to.value, detail)
        return self.get(held.run_id)


def _still_held(run: Run | None, held: Held, now: datetime) -> Run:
    if run is None or run.lease_owner != held.worker or run.finished_at is not None:
        raise LeaseLost(f"run {held.run_id}")
    if run.lease_until is not None and run.lease_until < now:
        raise LeaseLost(f"run {held.run_id}")
    return run


def _add_event(
    session: Session, run_id: int, at: datetime, who: str, what: str, detail: str
) -> None:
    session.add(RunEvent(run_id=run_id, at=at, who=who, what=what, detail=detail))
