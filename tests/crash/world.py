"""Two workers on two hosts and a service, all in this process, on a clock that is moved.

A worker that is killed is cut off from the store at once, so that nothing it would still do on its way out counts. One
that hangs stands still in the middle of a step while the other goes on, and wakes up afterwards.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import io
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from sqlalchemy import event
from sqlmodel import Session, select

from ccexport.constantcontact import keeper as tokens_module
from ccexport.constantcontact.auth import TokenPair
from ccexport.constantcontact.keeper import TokenKeeper
from ccexport.constantcontact.model import Account, Activity, ContactList
from ccexport.errors import (
    NotConnected,
    OutcomeUnknown,
    QueueFull,
    QuotaExceeded,
    RateLimited,
    ServiceTrouble,
)
from ccexport.installation import Installation
from ccexport.preparation import contacts
from ccexport.preparation.files import cut_files
from ccexport.runs.pipeline import execute_run
from ccexport.services.runs.runs import Runs
from ccexport.settings import Settings
from ccexport.store.database.tables import Batch, Run, RunEvent
from ccexport.store.moves import Held
from ccexport.store.tokens import TokenStore
from tests.kit.clocks import Clock
from tests.kit.house import people, write_source
from tests.kit.rows import connection_row, export_row, run_row

PEOPLE = people(5)
ROWS_PER_FILE = 2
PROCESSING = timedelta(seconds=7)
# a job is known by its id at once, but not yet in the collection
LISTED_AFTER = timedelta(seconds=20)
TOKEN_LIFE = timedelta(seconds=40)
BEYOND_A_LEASE = 61.0
ERRORS: dict[str, Callable[[], Exception]] = {
    "lost before": lambda: OutcomeUnknown("lost"),
    "lost after": lambda: OutcomeUnknown("lost"),
    "trouble": lambda: ServiceTrouble("down"),
    "busy": lambda: RateLimited("one too many"),
    "quota": lambda: QuotaExceeded("the day's requests are gone"),
    "queue": lambda: QueueFull("1,000 activities"),
    "signed out": lambda: NotConnected("sign in"),
}


class Killed(BaseException):
    """The process is no more."""


class Service:
    """Constant Contact as far as a run sees it. Answers as told, then all right; counts what must not happen."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.answers: deque[str] = deque()  # to calls that read
        self.imports: deque[str] = deque()  # to files that are sent
        self.renewals: deque[str] = deque()
        self.arrived: dict[str, tuple[datetime, list[str]]] = {}
        self.twice: list[str] = []
        self.calls = 0
        self.pairs = 0
        self.lost_pairs = 0
        self.spent_used = 0

    def call(self, answers: deque[str]) -> str:
        """Any call; raises what it is told to. Gives the word for a call that is carried out all the same."""
        self.calls += 1
        word = answers.popleft() if answers else "ok"
        if word in ERRORS and word != "lost after":
            raise ERRORS[word]()
        return word

    def take(self, file_name: str, content: bytes) -> None:
        if file_name in self.arrived:
            self.twice.append(file_name)
        emails = [row["email"] for row in csv.DictReader(io.StringIO(content.decode()))]
        self.arrived[file_name] = (self._clock(), emails)

    def activities(self, listed_after: timedelta = timedelta(0)) -> list[Activity]:
        return [
            Activity(
                activity_id=f"id of {name}",
                state="completed" if self._clock() >= at + PROCESSING else "processing",
                file_name=name,
                person_count=len(emails),
                error_count=0,
                correctable_count=0,
                cannot_add_count=0,
            )
            for name, (at, emails) in self.arrived.items()
            if self._clock() >= at + listed_after
        ]

    def new_pair(self) -> TokenPair:
        self.pairs += 1
        end = self._clock() + TOKEN_LIFE
        return TokenPair(f"access {self.pairs}", f"refresh {self.pairs}", end)

    def refresh(self, _url: str, _app: object, old: TokenPair, *, now: datetime) -> TokenPair:
        """In place of the token endpoint: each refresh token works once."""
        del now
        word = self.renewals.popleft() if self.renewals else "ok"
        if word == "lost before":
            raise OutcomeUnknown("lost")
        if old.refresh_token != f"refresh {self.pairs}":
            self.spent_used += 1
            raise NotConnected("spent")
        new = self.new_pair()
        self.lost_pairs += word in ("lost after", "killed after")
        if word == "lost after":
            raise OutcomeUnknown("lost")
        if word == "killed after":
            raise Killed
        return new


class FakeClient:
    """What the steps ask of a client, with its guard and its token."""

    def __init__(self, service: Service, guard: Callable[[], None], token: Callable[[], str]):
        self._service, self._guard, self._token = service, guard, token

    def close(self) -> None:
        """Nothing is open."""

    def account(self) -> Account:
        self._ask()
        return Account("acc", "Org")

    def list(self, list_id: str) -> ContactList:
        self._ask()
        return ContactList(list_id, "List")

    def import_contacts(self, file_name: str, content: bytes, _list_id: str) -> Activity:
        word = self._ask(self._service.imports)
        self._service.take(file_name, content)
        if word == "lost after":
            raise OutcomeUnknown("lost")
        return Activity(f"id of {file_name}", "initialized", file_name)

    def activities(self, until: object = None) -> list[Activity]:
        del until
        self._ask()
        return self._service.activities(LISTED_AFTER)

    def activity(self, activity_id: str) -> Activity:
        self._ask()
        return next(a for a in self._service.activities() if a.activity_id == activity_id)

    def _ask(self, answers: deque[str] | None = None) -> str:
        self._token()
        self._guard()
        return self._service.call(self._service.answers if answers is None else answers)


class World:
    """The store, two hosts, the service. `fates` say what befalls a worker at which of its steps."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self._set_by = timedelta(0)
        self.service = Service(self.clock)
        self._folder, self._key = folder, Fernet.generate_key().decode()
        self.incarnations = 0
        write_source(folder / "source", PEOPLE)
        self.office = self._installation("office")
        self._furnish()

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The service answers the renewals; files are small."""
        before = tokens_module.refresh, contacts.cut_files
        tokens_module.refresh = self.service.refresh  # type: ignore[assignment]
        contacts.cut_files = functools.partial(cut_files, max_rows=ROWS_PER_FILE)  # type: ignore[assignment]
        try:
            yield
        finally:
            tokens_module.refresh, contacts.cut_files = before
            self.office.close()

    def queue(self) -> Run:
        export = self.office.exports.by_name("Newsletter").export
        return self.office.runs.queue(
            run_row(
                export_id=export.id,
                connection_id=1,
                mapping=[["email", "EMail"], ["first_name", "FirstName"]],
                at=self.clock(),
            )
        )

    def sign_in(self) -> None:
        TokenKeeper.store(self.office.tokens, 1, self.service.new_pair())
        self.office.connections.set_needs_sign_in(1, needed=False)
        self.office.runs.wake_waiting_for_sign_in(1)

    def set_clocks(self, **by: float) -> None:
        """Both hosts' clocks are set forward or back: time itself, and the service's, go on as they were."""
        self.clock.move(**by)
        self._set_by += timedelta(**by)
        self.service.arrived = {
            name: (at + timedelta(**by), emails)
            for name, (at, emails) in self.service.arrived.items()
        }

    def work(self, host: str, fates: Sequence[tuple[int, str]] = ()) -> bool:
        """A worker of this host takes a run as far as it goes; whether there was one to take."""
        return Incarnation(self, host, deque(fates)).work()

    def snapshot(self) -> tuple[Any, ...]:
        """Everything about runs, and what has reached the service."""
        with Session(self.office.engine) as session:
            rows = [
                row.model_dump()
                for table in (Run, Batch, RunEvent)
                for row in session.exec(select(table)).all()
            ]
        return rows, self.service.calls, len(self.service.arrived)

    def document(self, run_id: int) -> dict[str, Any]:
        return Runs(self.office).document(run_id)

    def arrivals(self, run_id: int) -> Counter[str]:
        """How often each address of a run reached the service."""
        return Counter(
            email
            for name, (_, emails) in self.service.arrived.items()
            if name.startswith(f"ccexport-run{run_id}-")
            for email in emails
        )

    def new_parts(self, host: str) -> Installation:
        self.incarnations += 1
        return self._installation(host)

    def _installation(self, host: str) -> Installation:
        settings = Settings(
            _env_file=None,
            data_dir=self._folder / host,
            database_url=f"sqlite:///{self._folder / 'store.db'}",
            source_url=f"file:{self._folder / 'source'}",
            cc_client_id="app",
            secret_key=self._key,
        )
        return Installation(
            settings,
            self.clock,
            elapsed=lambda: (self.clock() - self._set_by).timestamp(),
            sleep=lambda seconds: self.clock.move(seconds=seconds),
        )

    def _furnish(self) -> None:
        now = self.clock()
        connection = connection_row(at=now)
        self.office.connections.add(connection, agreed_by="ana", text_version="1")
        export = export_row(connection_id=1, at=now)
        self.office.exports.add(export, ["All"], (("email", "EMail"),))
        self.sign_in()


class Incarnation:
    """One worker process, from its start to its death or until it has nothing to do."""

    def __init__(self, world: World, host: str, fates: deque[tuple[int, str]]) -> None:
        self._world, self._host, self._fates = world, host, fates
        self._installation = world.new_parts(host)
        self._is_dead = False
        self._at_waking: tuple[Any, ...] | None = None
        self._steps = 0
        self._name = f"{host}/{world.incarnations}"
        self._run_id = 0
        event.listen(self._installation.engine, "begin", self._refuse_the_dead)

    def work(self) -> bool:
        try:
            run = self._installation.runs.claim(self._name)
            if run is None:
                return False
            self._run_id = run.id
            execute_run(Held(run.id, self._name), self._tools())
        except Killed:
            self._is_dead = True
        finally:
            self._installation.close()
        if self._at_waking is not None:
            assert self._world.snapshot() == self._at_waking, "who lost the run touched something"
        return True

    def _tools(self):  # type: ignore[no-untyped-def]  # Tools
        service = self._world.service
        keeper = TokenKeeper(
            TokenStore(self._installation.engine, self._installation.keys, self._world.clock),
            self._installation.connections,
            "https://auth.example.com",
            self._installation.app,
            now=self._world.clock,
            sleep=lambda seconds: self._world.clock.move(seconds=max(seconds, 10.0)),
        )

        def client_for(connection_id: int, guard: Callable[[], None]) -> FakeClient:
            def guarded() -> None:
                guard()
                self._step("call")
                guard()

            return FakeClient(service, guarded, lambda: keeper.access_token(connection_id))

        tools = self._installation.tools(threading.Event())
        return dataclasses.replace(
            tools, client_for=client_for, reached=self._step, sleep=self._sleep
        )

    def _sleep(self, seconds: float) -> bool:
        self._world.clock.move(seconds=seconds)
        self._installation.runs.renew_leases(self._name, [self._run_id])  # the heartbeat
        return False

    def _step(self, _what: str) -> None:
        self._steps += 1
        if not self._fates or self._fates[0][0] > self._steps:
            return
        self._steps = 0
        _, fate = self._fates.popleft()
        if fate == "hang":
            self._hang()
        else:
            self._die()

    def _die(self) -> None:
        self._is_dead = True
        raise Killed

    def _hang(self) -> None:
        """The lease lapses and the other host goes on; the one that wakes up then has lost the run, and shows it."""
        world = self._world
        world.clock.move(seconds=BEYOND_A_LEASE)
        other = "b" if self._host == "a" else "a"
        if world.work(other):
            self._fates.clear()
            self._at_waking = world.snapshot()

    def _refuse_the_dead(self, _connection: object) -> None:
        if self._is_dead:
            raise Killed
