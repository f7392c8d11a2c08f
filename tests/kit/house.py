"""A whole installation for a test: source files, a store, a signed-in connection at the sandbox."""

from __future__ import annotations

import csv
import json
import os
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ccexport.clock import Now, utc_now
from ccexport.constantcontact.auth import read_callback
from ccexport.installation import Installation
from ccexport.preparation.mapping import parse_mapping
from ccexport.runs.pipeline import execute_run
from ccexport.sandbox.behaviour import Behaviour
from ccexport.sandbox.server import RunningSandbox
from ccexport.sandbox.visitor import sign_in_at_once
from ccexport.services.connections.connections import Connections
from ccexport.services.exports.export_values import (
    CheckedDraft,
    ExportDraft,
    checked_values,
)
from ccexport.services.exports.exports import Exports
from ccexport.services.people.access import Person, Role
from ccexport.services.people.permission import audited
from ccexport.services.people.roles import Action
from ccexport.services.runs.runs import Runs
from ccexport.settings import Settings
from ccexport.states import DEFAULT_GUARD, Mode, RunState
from ccexport.store.moves import Held
from ccexport.store.tokens import TokenStore
from ccexport.worker import Worker
from tests.kit.rows import LIST_ID, OTHER_LIST_ID
from tests.kit.stores import ready_sqlite
from tests.kit.waiting import wait_until

ANA = Person("ana", Role.ADMINISTRATOR)
MAPPING = ("email=EMail", "first_name=FirstName", "last_name=LastName")


def behaviour(**keys: object) -> Behaviour:
    """A quick sandbox with two lists, which signs in at once."""
    return Behaviour.model_validate(
        {
            "auto_approve": True,
            "processing_seconds": 0.05,
            "requests_per_second": 1000,
            "lists": [
                {"list_id": LIST_ID, "name": "Spring buyers"},
                {"list_id": OTHER_LIST_ID, "name": "Customers"},
            ],
            **keys,
        }
    )


def write_source(
    folder: Path,
    profiles: Sequence[Mapping[str, str]],
    memberships: Iterable[tuple[str, str]] | None = None,
) -> Path:
    """CSV tables; without `memberships` everybody is in segment "All"."""
    folder.mkdir(parents=True, exist_ok=True)
    names = list(profiles[0]) if profiles else ["CustomerId", "EMail"]
    with (folder / "Customer.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(profiles)
    if memberships is None:
        memberships = [(profile["CustomerId"], "All") for profile in profiles]
    with (folder / "SegmentMembership.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("CustomerId", "Segment"), *memberships])
    for table in ("Customer.csv", "SegmentMembership.csv"):
        grow_old(folder / table)
    return folder


def grow_old(path: Path) -> None:
    """Make a file one that has lain there for an hour: a run waits while somebody may still write to its source."""
    then = time.time() - 3_600
    os.utime(path, (then, then))


def people(count: int, *, first: int = 1) -> list[dict[str, str]]:
    """Profiles that are all right."""
    return [
        {
            "CustomerId": f"{number:07}",
            "FirstName": f"First{number}",
            "LastName": f"Last{number}",
            "EMail": f"person{number}@example.com",
        }
        for number in range(first, first + count)
    ]


class House:
    """An installation beside a running sandbox."""

    def __init__(
        self,
        folder: Path,
        sandbox: RunningSandbox,
        *,
        database_url: str | None = None,
        now: Now = utc_now,
        **settings: object,
    ) -> None:
        self.sandbox = sandbox
        self.source = folder / "source"
        self.settings = Settings(
            _env_file=None,
            **{
                "data_dir": folder / "var",
                "database_url": database_url or "",
                "source_url": f"file:{self.source}",
                "cc_client_id": "app",
                "cc_api_url": sandbox.api_url,
                "cc_auth_url": sandbox.auth_url,
                "cc_requests_per_second": 100,
                "poll_seconds": 0.05,
                **settings,
            },
        )
        self.now = now
        file = self.settings.data_dir / "ccexport.db"
        if database_url is None and not file.exists():
            ready_sqlite(file)
        self.installation = Installation(self.settings, now)

    def environment(self) -> dict[str, str]:
        """The environment of a process that is to use this installation."""
        settings = self.settings
        ours = {
            "CCEXPORT_DATA_DIR": settings.data_dir,
            "CCEXPORT_DATABASE_URL": settings.database_url,
            "CCEXPORT_SOURCE_URL": settings.source_url,
            "CCEXPORT_CC_CLIENT_ID": settings.cc_client_id,
            "CCEXPORT_CC_API_URL": settings.cc_api_url,
            "CCEXPORT_CC_AUTH_URL": settings.cc_auth_url,
            "CCEXPORT_CC_REQUESTS_PER_SECOND": settings.cc_requests_per_second,
            "CCEXPORT_POLL_SECONDS": settings.poll_seconds,
        }
        if settings.secret_key:
            ours["CCEXPORT_SECRET_KEY"] = settings.secret_key.get_secret_value()
        inherited = {key: value for key, value in os.environ.items() if "CCEXPORT" not in key}
        return inherited | {key: str(value) for key, value in ours.items()}

    def connect(self, name: str = "Marketing") -> None:
        """Sign in, as a new connection or again."""
        connections = Connections(self.installation)
        redirect_uri = self.settings.redirect_uri
        sign_in = connections.begin(redirect_uri)
        code = read_callback(sign_in_at_once(sign_in.url), sign_in.state)
        connections.finish(name, code, sign_in, redirect_uri, by=ANA)

    def add_export(
        self,
        name: str = "Newsletter",
        *,
        segments: Sequence[str] = ("All",),
        mapping: Sequence[str] = MAPPING,
        list_id: str = LIST_ID,
        connection: str = "Marketing",
        mode: str = "full",
    ) -> None:
        """As `Exports.add` does, but for what it asks source and account, where a run would find what is not there."""
        checked = CheckedDraft(
            name=name,
            connection_id=self.installation.connections.by_name(connection).id,
            list_id=list_id,
            list_name=self._list_name(list_id),
            segments=tuple(segments),
            mapping=parse_mapping(mapping),
            mode=Mode(mode),
            schedule="refresh",
            guard=DEFAULT_GUARD,
        )
        new, after = Exports(self.installation).as_new(checked, by=ANA), checked_values(checked)
        with audited(self.installation, ANA, Action.ADD_EXPORT, "export", name, after=after):
            self.installation.exports.save([new], [])

    def set_up_export(
        self,
        name: str = "Newsletter",
        *,
        segments: Sequence[str] = ("All",),
        mapping: Sequence[str] = MAPPING,
    ) -> None:
        """As a person does: source and account are asked."""
        draft = ExportDraft(name, "Marketing", LIST_ID, segments, parse_mapping(mapping))
        Exports(self.installation).add(draft, by=ANA)

    def _list_name(self, list_id: str) -> str:
        entry = self.sandbox.state.lists.get(list_id)
        if entry is None:
            raise AssertionError(f"the sandbox has no list {list_id}")
        return entry.name

    def queue(self, name: str = "Newsletter", *, resync: bool = False) -> int:
        return Exports(self.installation).queue(name, by=ANA, resync=resync).id

    def work(self) -> None:
        """A worker of this process until nothing is left to do."""
        Worker(self.installation).work(until_idle=True)

    def run(self, name: str = "Newsletter", *, resync: bool = False) -> dict[str, Any]:
        """Queue, work, and the document of the end."""
        run_id = self.queue(name, resync=resync)
        self.work()
        return self.document(run_id)

    def perform_until(self, run_id: int, point: str) -> None:
        """Perform a run up to a point (`Tools.reached`), where the worker dies."""

        def die(name: str) -> None:
            if name == point:
                raise SystemExit

        held = Held(run_id, "one that dies")
        if self.installation.runs.claim(held.worker, run_id=run_id) is None:
            raise AssertionError(f"run {run_id} cannot be claimed")
        tools = replace(Worker(self.installation).tools, reached=die)
        try:
            execute_run(held, tools)
        except SystemExit:
            self.installation.runs.release(held)
        else:
            raise AssertionError(f"run {run_id} did not come to {point!r}")

    @property
    def tokens(self) -> TokenStore:
        return TokenStore(self.installation.engine, self.installation.keys, self.now)

    def expire(self) -> None:
        """As if the life of the first connection's tokens were over."""
        stored = self.tokens.read(1)
        assert stored is not None
        self.tokens.write(1, stored.content, self.now())

    def document(self, run_id: int) -> dict[str, Any]:
        return Runs(self.installation).document(run_id)

    def members(self, list_id: str = LIST_ID) -> dict[str, dict[str, Any]]:
        """The list's members at the sandbox, by address."""
        found = self.ask(f"/_sandbox/members?list={list_id}")
        return {member["email_address"]: member for member in found}

    def take_off(self, *emails: str, list_id: str = LIST_ID) -> None:
        """Somebody takes people off the list, at Constant Contact."""
        connection = self.installation.connections.by_name("Marketing")
        with closing(self.installation.client_for(connection.id)) as client:
            ids = [found.contact_id for email in emails if (found := client.find_contact(email))]
            assert len(ids) == len(emails)
            client.remove_from_list(list_id, ids)
        wait_until(lambda: not set(emails) & set(self.members(list_id)), "they are off the list")

    def requests(self, operation: str | None = None) -> list[dict[str, Any]]:
        """What arrived at the sandbox, in order."""
        found = self.ask("/_sandbox/requests")
        return [each for each in found if operation in (None, each["operation"])]

    def ask(self, path: str) -> Any:
        with urllib.request.urlopen(self.sandbox.url + path, timeout=60) as answer:
            return json.load(answer)

    def tell(self, path: str, **keys: object) -> None:
        """Change the sandbox while it runs."""
        request = urllib.request.Request(
            self.sandbox.url + path,
            data=json.dumps(keys).encode(),
            headers={"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=60).close()

    def close(self) -> None:
        if "engine" in self.installation.__dict__:
            self.installation.engine.dispose()


@contextmanager
def furnished(
    folder: Path,
    sandbox: RunningSandbox,
    profiles: Sequence[Mapping[str, str]],
    *,
    database_url: str | None = None,
    mode: str = "full",
) -> Iterator[House]:
    """These people in one segment, a connection, an export in this mode; nothing has run."""
    house = House(folder, sandbox, database_url=database_url)
    write_source(house.source, profiles)
    house.connect()
    house.add_export(mode=mode)
    yield house
    house.close()


def check_sums(document: Mapping[str, Any]) -> None:
    """What always holds of a run that has ended without being canceled."""
    counts = document["counts"]
    assert counts["read"] == counts["rejected"] + counts["prepared"]
    assert counts["rejected"] == sum(document["rejections"].values())
    assert counts["submitted"] == counts["new"] + counts["changed"]
    assert counts["prepared"] == counts["unchanged"] + counts["suppressed"] + counts["submitted"]
    assert counts["accepted"] == counts["submitted"] - counts["unsubscribed"] - counts["failed"]
    assert RunState(document["state"]).is_final
