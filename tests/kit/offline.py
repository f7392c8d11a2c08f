"""An installation without a network: a small source, a store, and an account that answers at once."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from ccexport.clock import Now
from ccexport.constantcontact.client import Client
from ccexport.errors import NotFoundThere
from ccexport.installation import Installation
from ccexport.preparation.mapping import parse_mapping
from ccexport.services.exports.exports import ExportDraft
from ccexport.services.people.access import Person, Role
from ccexport.settings import Settings
from ccexport.states import RunState
from ccexport.store.database.tables import Connection, Run
from ccexport.store.moves import Held
from tests.kit.rows import LIST_ID, OTHER_LIST_ID, connection_row
from tests.kit.stores import ready_sqlite

ANA = Person("ana", Role.ADMINISTRATOR)
LISTS = {LIST_ID: "Spring buyers", OTHER_LIST_ID: "Customers"}
DAILY = "daily 06:30 Europe/Berlin"
ATTRIBUTES = ("EMail", "FirstName", "Größe")
PROFILES = 20


class OfflineClient:
    """An account with two lists and a custom field; `asked` is what was asked of it."""

    asked: list[str]

    def __init__(self, asked: list[str]) -> None:
        self.asked = asked

    def account(self) -> SimpleNamespace:
        self.asked.append("account")
        return SimpleNamespace(account_id="acc", organization="Contoso")

    def list(self, list_id: str) -> SimpleNamespace:
        self.asked.append("list")
        if list_id not in LISTS:
            raise NotFoundThere("no such list")
        return SimpleNamespace(name=LISTS[list_id], deleted=False)

    def custom_fields(self) -> list[SimpleNamespace]:
        self.asked.append("custom fields")
        return [SimpleNamespace(name="Größe", type="string")]

    def close(self) -> None:
        """As the real one."""


class OfflineParts(Installation):
    """The rooms as they are, beside that account."""

    @property
    def asked(self) -> list[str]:
        """What was asked of the account."""
        found: list[str] = self.__dict__.setdefault("_asked", [])
        return found

    def client_for(self, connection_id: int, guard: Callable[[], None] | None = None) -> Client:
        return OfflineClient(self.asked)  # type: ignore[return-value]  # all that setting up asks for


def offline_parts(folder: Path, now: Now, database_url: str = "") -> OfflineParts:
    """With segments A (3 members) and B (5), and a connection "Marketing"."""
    write_segments(folder / "source", {"A": 3, "B": 5})
    if not database_url:
        ready_sqlite(folder / "var" / "ccexport.db")
    installation = OfflineParts(
        Settings(
            _env_file=None,
            data_dir=folder / "var",
            source_url=f"file:{folder / 'source'}",
            cc_client_id="app",
            database_url=database_url,
        ),
        now,
    )
    connect(installation)
    return installation


def write_segments(folder: Path, sizes: dict[str, int]) -> None:
    """A source with segments of so many members."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "Customer.csv").open("w", encoding="utf-8", newline="") as file:
        people = [(f"{n}", f"p{n}@example.com", f"First{n}", "L") for n in range(PROFILES)]
        csv.writer(file).writerows([("CustomerId", *ATTRIBUTES), *people])
    with (folder / "SegmentMembership.csv").open("w", encoding="utf-8", newline="") as file:
        members = [(f"{n}", name) for name, size in sizes.items() for n in range(size)]
        csv.writer(file).writerows([("CustomerId", "Segment"), *members])


def connect(installation: Installation, name: str = "Marketing") -> Connection:
    """A connection, as if somebody had signed in."""
    connection = connection_row(name, organization="Contoso", at=installation.now())
    return installation.connections.add(connection, agreed_by="ana", text_version="1")


def draft(name: str = "Newsletter", **changes: object) -> ExportDraft:
    """An export of segment A with a daily time, changed as told."""
    values = {
        "name": name,
        "connection": "Marketing",
        "list_id": LIST_ID,
        "segments": ["A"],
        "mapping": parse_mapping(["email=EMail"]),
        "schedule": DAILY,
    }
    return ExportDraft(**(values | changes))  # type: ignore[arg-type]  # a test's changes


def finish(installation: Installation, run: Run) -> None:
    """A worker takes the run and ends it."""
    assert installation.runs.claim("w", run_id=run.id) is not None
    held = Held(run.id, "w")
    installation.runs.move(held, RunState.PREPARING)
    installation.runs.finish(held, RunState.SUCCEEDED)
