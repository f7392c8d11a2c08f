"""Runs: queue, lease, moves, counts and history. `moves.py` writes a run's state and says what a lease allows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, func
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select, update

from ccexport.clock import Now, utc_now
from ccexport.errors import Conflict, NotFound
from ccexport.states import EventKind, RunState, WaitingFor
from ccexport.store import approvals
from ccexport.store.approvals import Question
from ccexport.store.batches import PreparedCounts
from ccexport.store.database.engine import reading, writing
from ccexport.store.database.tables import Connection, Run, RunEvent
from ccexport.store.moves import (
    LEASE,
    Held,
    add_event,
    check_held,
    end_run,
    end_without_connection,
    held_run,
    move_run,
    queue_run,
    request_cancel,
    wake_runs,
)

if TYPE_CHECKING:
    from ccexport.store.api_tokens import StartOnce
    from ccexport.store.ledgers import LedgerStore


@dataclass(frozen=True)
class Wait:
    """Why a run waits, and until when; None: until a person acts."""

    reason: WaitingFor
    until: datetime | None
    detail: str


class RunStore:
    """Questions and changes about runs. `get_ledgers` gives where the end of a run is written down, if anywhere."""

    def __init__(
        self,
        engine: Engine,
        now: Now = utc_now,
        get_ledgers: Callable[[], LedgerStore | None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._now = now
        self._get_ledgers = get_ledgers  # brings Arrow along, so only where a run ends

    # --- queue ---------------------------------------------------------------------------------

    def queue(self, run: Run, once: StartOnce | None = None) -> Run:
        """Store a run in `queued`, and `once` with it. Raises `Conflict`, naming the other, while one is live."""
        try:
            with writing(self._engine) as session:
                queue_run(session, run)
                if once is not None:
                    from ccexport.store.api_tokens import (
                        start_once,
                    )  # a list of runs needs no table of it

                    start_once(session, once, run.id, self._now())
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
                add_event(
                    session, run.id, now, worker, EventKind.TAKEN_OVER, "its worker fell silent"
                )
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
        return check_held(run, held, self._now())

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

    def has_ended_well(self, export_id: int | None, account_id: str, list_id: str) -> bool:
        """Whether a run of the export to this list ended with everything sent and, but for one in ten, taken."""
        query = select(Run.id).where(
            Run.export_id == export_id,
            Run.account_id == account_id,
            Run.list_id == list_id,
            col(Run.retry_of).is_(None),
            col(Run.submitted_count) > 0,
            col(Run.submitted_count) == col(Run.new_count) + col(Run.changed_count),
            col(Run.failed_count) * 10 <= col(Run.submitted_count),
            col(Run.state).in_((RunState.SUCCEEDED, RunState.COMPLETED_WITH_ERRORS)),
        )
        with reading(self._engine) as session:
            return session.exec(query.limit(1)).first() is not None

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
        """The newest run of every export, or the one that is live, by the export's id."""
        newest = (
            select(col(Run.export_id), func.max(Run.id).label("run_id"))
            .group_by(col(Run.export_id))
            .subquery()
        )
        with reading(self._engine) as session:
            wanted = col(Run.id).in_(select(newest.c.run_id)) | col(Run.finished_at).is_(None)
            rows = session.exec(select(Run).where(wanted).order_by(col(Run.finished_at).is_(None)))
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
        now = self._now()
        with writing(self._engine) as session:
            run = held_run(session, held, now)
            move_run(session, run, to, who=held.worker, now=now, detail=detail, **values)
        return self.get(held.run_id)

    def wait(self, held: Held, wait: Wait) -> Run:
        """Into `waiting`; the worker lets the run go."""
        run = self.check_lease(held)
        resume = run.resume_state if run.state is RunState.WAITING else run.state
        resume = RunState.PREPARING if resume is RunState.QUEUED else resume
        return self.move(
            held,
            RunState.WAITING,
            detail=wait.detail,
            resume_state=resume,
            waiting_for=wait.reason,
            waiting_until=wait.until,
            waiting_detail=wait.detail,
            waits=run.waits + 1,
            lease_owner=None,
            lease_until=None,
        )

    def resume(self, held: Held) -> Run:
        """Out of `waiting`, back to where it was."""
        run = self.check_lease(held)
        to = run.resume_state or RunState.PREPARING
        # woken without an answer it is prepared anew, and asks again
        question = run.question if run.approved_by else None
        return self.move(
            held, to, question=question, waiting_for=None, waiting_until=None, waiting_detail=None
        )

    def ask(self, held: Held, question: Question, counts: PreparedCounts) -> None:
        """Into `waiting`, until somebody approves or declines what the run would change."""
        now = self._now()
        with writing(self._engine) as session:
            run = held_run(session, held, now, lapsed_too=True)
            approvals.ask(session, run, question, counts, held.worker, now)

    def approve(self, run_id: int, by: str, seen: Mapping[str, Any] | None = None) -> Run:
        """What the run asks is approved, this once. Raises `Conflict` where it asks nothing, or not what was `seen`."""
        with writing(self._engine) as session:
            return approvals.approve(session, run_id, by, self._now(), seen)

    def decline(self, run_id: int, by: str, seen: Mapping[str, Any] | None = None) -> Run:
        """The run ends, and sends nothing. Raises as `approve` does."""
        now, ledgers = self._now(), self._get_ledgers()
        with writing(self._engine) as session:
            return approvals.decline(session, run_id, by, now, seen, ledgers)

    def finish(self, held: Held, to: RunState, *, error: str | None = None) -> Run:
        """The end of a run."""
        now, ledgers = self._now(), self._get_ledgers()
        with writing(self._engine) as session:
            run = held_run(session, held, now)
            end_run(session, run, to, who=held.worker, now=now, error=error, ledgers=ledgers)
        return self.get(held.run_id)

    def stop(self, held: Held, reason: str) -> None:
        """Nothing more of the run is sent; what is sent is followed. `reason` is what its end will say."""
        now = self._now()
        with writing(self._engine) as session:
            run = held_run(session, held, now)
            if run.stop_reason is None:
                run.stop_reason = reason
                session.add(run)
                add_event(session, held.run_id, now, held.worker, EventKind.STOPPED, reason)

    def end_without_connection(self, held: Held) -> Run:
        """The end of a run whose connection was removed. Raises `LeaseLost`."""
        now, ledgers = self._now(), self._get_ledgers()
        with writing(self._engine) as session:
            run = held_run(session, held, now)
            end_without_connection(session, run, held.worker, now, ledgers)
        return self.get(held.run_id)

    def made_progress(self, held: Held) -> None:
        """The next wait begins small again."""
        with writing(self._engine) as session:
            held_run(session, held, self._now(), lapsed_too=True).waits = 0

    def add_seconds(self, held: Held, stage: RunState, seconds: float) -> None:
        """Add work time to a stage."""
        with writing(self._engine) as session:
            run = held_run(session, held, self._now())
            total = run.seconds.get(stage, 0.0) + seconds
            run.seconds = {**run.seconds, stage: round(total, 3)}
            session.add(run)

    def note(self, held: Held, what: EventKind, detail: str = "") -> None:
        """A line in the history that is not a move."""
        now = self._now()
        with writing(self._engine) as session:
            held_run(session, held, now, lapsed_too=True)
            add_event(session, held.run_id, now, held.worker, what, detail)

    def request_cancel(self, run_id: int, by: str) -> Run:
        """Ask for the run's end; its worker acts on it between two steps. Raises `Conflict` when it has ended."""
        with writing(self._engine) as session:
            run = session.get(Run, run_id, with_for_update=True)
            if run is None:
                raise NotFound(f"There is no run {run_id}. `runs list` shows those there are.")
            if run.state.is_final:
                raise Conflict(f"Run {run_id} has ended already ({run.state}).")
            request_cancel(session, run, by, self._now())
        return run

    def wake_waiting_for_sign_in(self, connection_id: int) -> int:
        """After a new sign-in: let the runs that waited for it go on. Gives how many."""
        waits = col(Run.waiting_for) == WaitingFor.SIGN_IN
        with writing(self._engine) as session:
            return wake_runs(
                session, (col(Run.connection_id) == connection_id) & waits, self._now()
            )

    def wake(self, run_id: int) -> None:
        """What a run has waited for is there: let it go on."""
        with writing(self._engine) as session:
            wake_runs(session, col(Run.id) == run_id, self._now())

    def mark_files_deleted(self, run_id: int) -> None:
        with writing(self._engine) as session:
            session.exec(
                update(Run).where(col(Run.id) == run_id).values(files_deleted_at=self._now())
            )
