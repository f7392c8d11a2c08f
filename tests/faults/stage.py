"""Where the cells of the fault matrix are played: an installation beside the sandbox, in one time that can be moved.

Whatever waits here moves the clock, the sandbox's as well as ours: waits of minutes and days take no time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ccexport.constantcontact import answers, auth
from ccexport.constantcontact.auth import read_callback
from ccexport.constantcontact.client import Client
from ccexport.errors import CcexportError
from ccexport.redaction import with_their_words
from ccexport.runs.pipeline import execute_run
from ccexport.sandbox.account.state import LoggedRequest
from ccexport.sandbox.server import RunningSandbox
from ccexport.sandbox.visitor import sign_in_at_once
from ccexport.services.connections.connections import Connections
from ccexport.services.connections.lists import Lists
from ccexport.services.runs.runs import Runs
from ccexport.store.moves import Held
from tests.faults.calls import SILENT_SECONDS, Call, Fault
from tests.faults.outcomes import Outcome
from tests.kit.clocks import MovedClock
from tests.kit.house import ANA, LIST_ID, MAPPING, House, check_sums, people, write_source

WORKER = "w1"
PEOPLE = 3
PATIENCE_SECONDS = SILENT_SECONDS / 2  # before a request is given up, where the sandbox is silent
MOST_TURNS = 12  # of a run between its first wait and its end
MOST_ACTIVITIES = 60  # then the sandbox's memory of them is let lapse
SHOWN_DAYS = 11


class Stage:
    """An installation with three people, a signed-in connection and an export, for many cells after each other."""

    def __init__(self, folder: Path, sandbox: RunningSandbox, clock: MovedClock) -> None:
        self._clock = clock
        self._sandbox = sandbox.state
        self.house = House(folder, sandbox, now=clock, poll_seconds=1)
        self._usual = replace(self.house.installation, sleep=clock.move, elapsed=clock.seconds)
        self._impatient = replace(self._usual, timeout_seconds=(5.0, PATIENCE_SECONDS))
        self.house.installation = self._usual
        write_source(self.house.source, people(PEOPLE))
        self.house.connect()
        self.house.add_export(mapping=[*MAPPING, "cf:tier==Gold"])
        self._auth_timeout, self._repeated = auth.TIMEOUT_SECONDS, answers.MAX_REPEATED_SECONDS
        self._run_id = 0
        self._lists = 0
        self._send_everybody()

    def _send_everybody(self) -> None:
        """The list holds its people whichever cells are played."""
        self._run_id = self.house.queue()
        self._go_on()

    def close(self) -> None:
        auth.TIMEOUT_SECONDS, answers.MAX_REPEATED_SECONDS = self._auth_timeout, self._repeated
        self._usual.close()
        self._impatient.close()

    def play(self, call: Call, fault: Fault) -> Outcome:
        """Meet the fault, end it, and see what follows. Checks what holds of every cell on the way."""
        self._prepare(call, fault)
        seen = self._play_run(call) if call.is_of_a_run else self._play_command(call)
        if fault.scope is not None:
            self.house.connect()
        return seen

    def _prepare(self, call: Call, fault: Fault) -> None:
        self.house.installation = self._impatient if fault.is_silent else self._usual
        auth.TIMEOUT_SECONDS = (5.0, PATIENCE_SECONDS) if fault.is_silent else self._auth_timeout
        answers.MAX_REPEATED_SECONDS = PATIENCE_SECONDS / 2 if fault.is_silent else self._repeated
        if len(self._sandbox.activities.newest_first()) > MOST_ACTIVITIES:
            self._clock.move(SHOWN_DAYS * 86_400)
        self._clear_up()
        self._clock.move(2)  # the token endpoint takes one request a second
        self.house.installation.tokens.access_token(1)
        self._clock.move(2)
        if fault.scope is not None:
            self._grant_only(fault.scope)
        self._set_faults(*call.also, *fault.on(call))
        self._sandbox.log.clear()

    def _clear_up(self) -> None:
        """What a cell that failed has left must not fail the next one."""
        self._set_faults()
        for run in self.house.installation.runs.unfinished():
            self._run_id = run.id
            self.house.installation.runs.request_cancel(run.id, by="ana")
            self._go_on()
        if self.house.installation.connections.get(1).needs_sign_in:
            self._clock.move(2)
            self.house.connect()

    def _grant_only(self, scope: str) -> None:
        """As if the sign-in had granted no more than this."""
        store = self.house.tokens
        from ccexport.constantcontact import keeper as tokens

        stored = store.read(1)
        assert stored is not None
        pair = replace(tokens._from_bytes(stored.content), scope=scope)
        self.house.installation.tokens.store(1, pair)

    def _set_faults(self, *faults: dict[str, Any]) -> None:
        self._sandbox.change({"faults": []})
        if faults:
            self._sandbox.change({"faults": list(faults)})

    def _settle(self) -> None:
        """Until the sandbox has done with what nobody waited for: it can still spend a token or make a job."""
        give_up_at = time.monotonic() + 60
        while any(request.seconds is None for request in list(self._sandbox.log)):
            assert time.monotonic() < give_up_at, "the sandbox does not settle"
            time.sleep(0.01)

    # --- runs ------------------------------------------------------------------------------------

    def _play_run(self, call: Call) -> Outcome:
        if call.needs_renewal:
            self.house.expire()
        self._run_id = self.house.queue()
        self._go_on()
        document = self._document()
        requests, says = self._requests(call), self._says(document)
        self._settle()
        self._set_faults()
        then = self._until_its_end(document)
        return Outcome(document["state"], document["waiting_for"], requests, says, then)

    def _go_on(self) -> None:
        """One turn of the run, as a worker gives it."""
        runs = self.house.installation.runs
        assert runs.claim(WORKER, run_id=self._run_id), "the run cannot go on"

        def pause(seconds: float) -> bool:
            runs.renew_leases(WORKER, [self._run_id])
            self._clock.move(seconds)
            return False

        tools = replace(self.house.installation.tools(threading.Event()), sleep=pause)
        execute_run(Held(self._run_id, WORKER), tools)

    def _until_its_end(self, document: dict[str, Any]) -> str:
        """What it took to bring the run to its end once the fault was over."""
        ended, signed_in = document["state"] != "waiting", False
        for _ in range(MOST_TURNS):
            if document["state"] != "waiting":
                break
            if document["waiting_until"] is None:
                assert document["waiting_for"] == "sign_in"
                self._clock.move(2)
                self.house.connect()
                signed_in = True
            else:
                until = datetime.fromisoformat(document["waiting_until"])
                self._clock.move((until - self._clock()).total_seconds() + 1)
            self._go_on()
            document = self._document()
        if document["state"] == "failed":
            return "ended"
        check_sums(document)
        assert document["state"] == "succeeded", document
        self._check_sent_once(document)
        if ended:
            return "ended"
        return "goes on after a sign-in" if signed_in else "goes on by itself"

    def _check_sent_once(self, document: dict[str, Any]) -> None:
        names = {batch["file_name"] for batch in document["batches"]}
        jobs = [job for job in self._sandbox.activities.newest_first() if job.file_name in names]
        assert len(jobs) == len(names) == 1, "a file was made into two jobs"
        assert document["counts"]["accepted"] == PEOPLE

    def _document(self) -> dict[str, Any]:
        return Runs(self.house.installation).document(self._run_id)

    def _says(self, document: dict[str, Any]) -> str:
        """What the person reads of the run: its error, or why it waits."""
        if document["state"] != "waiting":
            return document["error"] or ""
        events = self.house.installation.runs.events(self._run_id)
        detail = [event.detail for event in events if event.what == "waiting"][-1]
        return detail.removeprefix(f"{document['waiting_for']}: ")

    # --- commands and pages ------------------------------------------------------------------------

    def _play_command(self, call: Call) -> Outcome:
        do = _COMMANDS[call.name]
        before = self._tokens_version()
        try:
            do(self)
        except CcexportError as error:
            assert not call.signs_in or self._tokens_version() == before, "something was stored"
            says = with_their_words(str(error), error.detail)
            state, says = "refused", says.replace(f'"New {self._lists}"', '"New"')
        else:
            state, says = "done", ""
        requests = self._requests(call)
        self._settle()
        self._set_faults(*call.also)
        self._clock.move(2 * 86_400 if "00:00 UTC" in says else 5)
        if self.house.installation.connections.get(1).needs_sign_in:
            self.house.connect()
            then = "done after a sign-in"
        else:
            then = "done when done again"
        self._clock.move(2)
        do(self)
        return Outcome(state, None, requests, says, "ended" if state == "done" else then)

    def _tokens_version(self) -> int:
        stored = self.house.tokens.read(1)
        return stored.version if stored else 0

    def _requests(self, call: Call) -> int:
        return sum(_is_of(call, each) for each in list(self._sandbox.log))

    def _with_client(self, ask: Callable[[Client], object]) -> None:
        with closing(self.house.installation.client_for(1)) as client:
            ask(client)

    def sign_in(self) -> None:
        connections = Connections(self.house.installation)
        redirect_uri = self.house.settings.redirect_uri
        sign_in = connections.begin(redirect_uri)
        code = read_callback(sign_in_at_once(sign_in.url), sign_in.state)
        connections.finish("Marketing", code, sign_in, redirect_uri, by=ANA)

    def show_lists(self) -> None:
        Lists(self.house.installation, by=ANA).refresh(1)

    def create_list(self) -> None:
        self._lists += 1
        Lists(self.house.installation, by=ANA).create(1, f"New {self._lists}")

    def check(self) -> None:
        Connections(self.house.installation).check("Marketing", by=ANA)

    def count(self) -> None:
        self._with_client(lambda client: client.contact_counts())

    def look_up(self) -> None:
        self._with_client(lambda client: client.find_contact("person1@example.com"))

    def remove(self) -> None:
        ids = ["5f0c1e70-9d7a-4a52-8f43-0d1b6a3c2e99"]
        self._with_client(lambda client: client.remove_from_list(LIST_ID, ids))

    def export(self) -> None:
        self._with_client(lambda client: client.export_list(LIST_ID))

    def download(self) -> None:
        def ask(client: Client) -> None:
            made = client.export_list(LIST_ID)
            self._clock.move(1)
            list(client.exported_emails(client.activity(made.activity_id)))

        self._with_client(ask)


_COMMANDS: dict[str, Callable[[Stage], None]] = {
    "sign in": Stage.sign_in,
    "whose sign-in it is": Stage.sign_in,
    "the account's lists": Stage.show_lists,
    "a new list": Stage.create_list,
    "the user's rights": Stage.check,
    "counts of contacts": Stage.count,
    "contacts": Stage.look_up,
    "off a list": Stage.remove,
    "export of a list": Stage.export,
    "download of an export": Stage.download,
}


def _is_of(call: Call, request: LoggedRequest) -> bool:
    name, _, grant = call.operation.partition(":")
    return request.operation == name and grant in ("", request.grant_type)
