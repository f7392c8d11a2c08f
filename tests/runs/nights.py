"""Nights on a clock that is moved: runs of exports to one list, each with what befalls it, in this process."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from ccexport.preparation.mapping import parse_mapping
from ccexport.runs.pipeline import execute_run
from ccexport.sandbox.account.jobs import Selection, delete_contacts
from ccexport.sandbox.server import running_sandbox
from ccexport.services.exports.exports import ExportDraft, Exports
from ccexport.services.runs.runs import Runs
from ccexport.states import RunState, WaitingFor
from ccexport.store.database.tables import Run
from ccexport.store.moves import Held
from tests.kit.clocks import MovedClock
from tests.kit.house import ANA, LIST_ID, MAPPING, House, behaviour, write_source
from tests.runs.members_model import Row

IMPORT = "contactsCSVImport"
MOST_TURNS = 60  # of the runs of a night
MOST_PAUSES = 60  # of a run that waits for what another does


class Killed(BaseException):
    """The worker is no more."""


class Nights:
    """An installation with some exports, each of the segment of its name, all to one list."""

    def __init__(self, closing: ExitStack, exports: Sequence[str]) -> None:
        folder = Path(closing.enter_context(tempfile.TemporaryDirectory()))
        self.clock = MovedClock()
        quick = behaviour(processing_seconds=0)
        sandbox = closing.enter_context(running_sandbox(quick, clock=self.clock.seconds))
        self.service = sandbox.state
        self.house = House(folder, sandbox, now=self.clock, poll_seconds=1)
        self.house.installation = replace(
            self.house.installation, sleep=self.clock.move, elapsed=self.clock.seconds
        )
        closing.callback(self.house.close)
        self._segments = exports
        self._performing: list[int] = []
        self.write({})
        self.house.connect()
        for name in exports:
            self.house.add_export(name, segments=[name])

    # --- what people do --------------------------------------------------------------------------

    def write(self, source: dict[str, Row]) -> None:
        """Every segment has a member without a profile, so that there is such a segment."""
        profiles = [
            {"CustomerId": key, "FirstName": row.name, "LastName": "Z", "EMail": row.email}
            for key, row in source.items()
        ]
        members = [(key, each) for key, row in source.items() for each in sorted(row.segments)]
        nobody = [("nobody", name) for name in self._segments]
        columns = {"CustomerId": "other", "FirstName": "", "LastName": "", "EMail": ""}
        write_source(self.house.source, [columns, *profiles], [*nobody, *members])

    def set_mode(self, export: str, mode: str, guard: str) -> None:
        mapping = parse_mapping(MAPPING)
        draft = ExportDraft(export, "Marketing", LIST_ID, [export], mapping, mode, guard=guard)
        Exports(self.house.installation).update(export, draft, by=ANA)

    def put_on(self, email: str) -> None:
        with self.service.lock:
            number = self.service.contacts.add(email, self.clock.seconds())
            self.service.contacts.deleted.pop(number, None)
            self.service.put_on_lists([number], [LIST_ID])

    def leave(self, email: str) -> None:
        self.service.leave(email, LIST_ID)

    def opt_out(self, email: str) -> None:
        self.service.unsubscribe(email)

    def delete(self, email: str) -> None:
        """The account deletes a contact, and forgets with it that they had opted out."""
        with self.service.lock:
            number = self.service.contacts.find(email)
            if number is not None:
                delete_contacts(
                    self.service, Selection((self.service.contacts.contact_id(number),))
                )
                self.service.contacts.opted_out.pop(number, None)

    # --- runs ------------------------------------------------------------------------------------

    def work(
        self,
        export: str,
        *,
        resync: bool = False,
        killed_at: str = "",
        meanwhile: tuple[str, str] | None = None,
        approves: bool = True,
    ) -> list[dict[str, Any]]:
        """A run to its end, which a worker dies in at a point.

        `meanwhile`: a point, and another export that runs while the first run stands still there.
        """
        runs = [self.house.queue(export, resync=resync)]

        def at_point(point: str) -> None:
            nonlocal killed_at, meanwhile
            if meanwhile and point == meanwhile[0]:
                runs.append(self.house.queue(meanwhile[1]))
                meanwhile = None
                self._turn(runs[-1], lambda _: None)
            if point == killed_at:
                killed_at = ""
                raise Killed

        self._turn(runs[0], at_point)
        if meanwhile:
            runs.append(self.house.queue(meanwhile[1]))
        for _ in range(MOST_TURNS):
            live = [
                run for run in map(self.house.installation.runs.get, runs) if not run.finished_at
            ]
            for run in live:
                self._wake(run, approves=approves)
                self._turn(run.id, lambda _: None)
            if not live:
                return [self.house.document(run_id) for run_id in runs]
        raise AssertionError("a run does not end")

    def _wake(self, run: Run, *, approves: bool) -> None:
        if run.state is not RunState.WAITING:
            return
        if run.waiting_for is WaitingFor.APPROVAL:
            answer = Runs(self.house.installation)
            (answer.approve if approves else answer.decline)(run.id, by=ANA)
        else:
            self.clock.move(60)
            self.house.installation.runs.wake(run.id)

    def _turn(self, run_id: int, reached: Callable[[str], None]) -> None:
        """A worker takes a run as far as it goes; one that waits for another's removal is stopped."""
        runs, worker, pauses = self.house.installation.runs, _worker_of(run_id), 0
        if runs.claim(worker, run_id=run_id) is None:
            return
        self._performing.append(run_id)

        def pause(seconds: float) -> bool:
            nonlocal pauses
            pauses += seconds > 0
            self.clock.move(seconds)
            for each in self._performing:  # as a heartbeat does: one that stands still has not died
                runs.renew_leases(_worker_of(each), [each])
            return pauses > MOST_PAUSES

        tools = self.house.installation.tools(threading.Event())
        held = Held(run_id, worker)
        try:
            execute_run(held, replace(tools, sleep=pause, reached=reached))
        except Killed:
            runs.release(held)
        finally:
            self._performing.remove(run_id)


def _worker_of(run_id: int) -> str:
    return f"of run {run_id}"
