"""A source that is read by half: nobody is taken off the list, and the ledger is as it was once the source is whole."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ccexport.runs.pipeline import execute_run
from ccexport.sandbox.server import running_sandbox
from ccexport.segments.source import Source
from ccexport.services.exports.exports import Exports
from ccexport.services.runs.runs import Runs
from ccexport.store.moves import Held
from ccexport.worker import Worker
from tests.kit.dataverse import Fault, Organization, Table, running
from tests.kit.house import (
    ANA,
    LIST_ID,
    House,
    behaviour,
    furnished,
    grow_old,
    people,
    write_source,
)
from tests.kit.stores import empty_postgres
from tests.runs.changing import counts, said

pytestmark = pytest.mark.one_store
TEN = people(10)
ALL = [(each["CustomerId"], "All") for each in TEN]
MANY = 20_000  # more than one piece of a database's answer
BREAKS_OFF = "pg_terminate_backend(pg_backend_pid())::text"
FAILS = "(1 / (n - n))::text"
WHOLE = "'person' || n || '@example.com'"
MEMBERSHIPS = (
    """INSERT INTO "SegmentMembership" SELECT n::text, 'All' FROM generate_series(1, 20000) n"""
)
VIEW = """CREATE OR REPLACE VIEW "Customer" AS SELECT n::text AS "CustomerId", CASE WHEN n < 19900
THEN 'person' || n || '@example.com' ELSE LATER END AS "EMail" FROM generate_series(1, 20000) n"""

modes = pytest.mark.parametrize("mode", ["changes", "mirror"])


@pytest.fixture
def house(tmp_path: Path, database_url: str, mode: str) -> Iterator[House]:
    """Ten people on the list."""
    with (
        running_sandbox(behaviour()) as sandbox,
        furnished(tmp_path, sandbox, TEN, database_url=database_url, mode=mode) as house,
    ):
        assert counts(house.run())["new"] == 10
        yield house


def is_as_before(house: House, members: int = 10) -> None:
    """With the whole source nobody is new, changed, or away: neither list nor ledger has lost anybody."""
    document = house.run()
    assert document["state"] == "succeeded", document["error"]
    assert counts(document) == {"new": 0, "changed": 0, "unchanged": members, "suppressed": 0}
    assert document["counts"]["removed"] == 0
    assert len(house.ask(f"/_sandbox/members?list={LIST_ID}&format=emails")) == members


# --- files ------------------------------------------------------------------------------------------


def cut_row(house: House) -> None:
    path = house.source / "Customer.csv"
    path.write_bytes(path.read_bytes().partition(b"First6")[0])
    grow_old(path)


def cut_packed(house: House, table: str) -> None:
    path = house.source / f"{table}.csv"
    content = gzip.compress(path.read_bytes())
    path.unlink()
    path.with_suffix(".csv.gz").write_bytes(content[: len(content) // 2])
    grow_old(path.with_suffix(".csv.gz"))


BROKEN: dict[str, Callable[[House], None]] = {
    "a cut row": cut_row,
    "a cut packed file": lambda house: cut_packed(house, "Customer"),
    "cut packed memberships": lambda house: cut_packed(house, "SegmentMembership"),
}


@modes
@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_run_of_a_file_that_breaks_off_fails_and_changes_nothing(
    house: House, broken: Callable[[House], None]
) -> None:
    broken(house)
    document = house.run()
    assert (document["state"], document["batches"]) == ("failed", [])
    assert (document["counts"]["removed"], document["to_remove"]) == (0, 0)
    for path in house.source.glob("*.gz"):
        path.unlink()
    write_source(house.source, TEN)
    is_as_before(house)


@modes
def test_profiles_of_which_half_were_read_take_nobody_off_whose_membership_is_there(
    house: House,
) -> None:
    write_source(house.source, TEN[:5], ALL)
    preview = Exports(house.installation).preview("Newsletter", by=ANA)
    assert preview.beside.to_remove == 0
    document = house.run()
    assert counts(document) == {"new": 0, "changed": 0, "unchanged": 5, "suppressed": 0}
    assert (document["counts"]["removed"], document["to_remove"]) == (0, 0)
    [told] = said(house, document["id"], "members without a profile")
    assert told.startswith("5 members have no profile, of 10")
    assert ("stays there" in told) == (document["mode"] == "mirror")
    write_source(house.source, TEN)
    is_as_before(house)


def test_of_members_without_a_profile_those_go_who_are_in_no_segment_any_more(
    tmp_path: Path,
) -> None:
    with (
        running_sandbox(behaviour()) as sandbox,
        furnished(tmp_path, sandbox, TEN, mode="mirror") as house,
    ):
        house.run()
        write_source(house.source, TEN[:5], [*ALL[:7], (ALL[8][0], "Another")])
        preview = Exports(house.installation).preview("Newsletter", by=ANA)
        document = house.run()
        assert document["counts"]["removed"] == preview.beside.to_remove == 3
        assert set(house.members()) == {each["EMail"] for each in TEN[:7]}


@modes
def test_a_file_that_grows_while_half_of_it_is_read_is_read_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = Source.check_segments
    reads: list[int] = []

    def written_meanwhile(source: Source, names: list[str]) -> None:
        check(source, names)
        if not reads:
            write_source(house.source, TEN)
        reads.append(len(house.members()))

    monkeypatch.setattr(Source, "check_segments", written_meanwhile)
    write_source(house.source, TEN[:5])
    is_as_before(house)
    assert reads == [10, 10], "once the half, once the whole"


@modes
def test_half_of_the_memberships_of_a_large_list_wait_for_somebody(
    tmp_path: Path, mode: str
) -> None:
    """In mode `changes` nobody is taken off, so there is nothing to ask."""
    everybody = people(300)
    with (
        running_sandbox(behaviour()) as sandbox,
        furnished(tmp_path, sandbox, everybody, mode=mode) as house,
    ):
        house.run()
        write_source(house.source, everybody, [(each["CustomerId"], "All") for each in people(150)])
        document = house.run()
        if mode == "mirror":
            assert (document["state"], document["waiting_for"]) == ("waiting", "approval")
            assert document["guard"]["removed"] == 150
            Runs(house.installation).decline(document["id"], by=ANA)
        else:
            assert (document["state"], counts(document)["unchanged"]) == ("succeeded", 150)
        write_source(house.source, everybody)
        is_as_before(house, 300)


# --- databases and web services -----------------------------------------------------------------------


class Database:
    """Many profiles, of which the later half is what `later` says."""

    def __init__(self, server_url: str) -> None:
        self.url = empty_postgres(server_url).replace("postgresql+psycopg://", "postgres://")
        self._tell('CREATE TABLE "SegmentMembership" ("CustomerId" text, "Segment" text)')
        self._tell(MEMBERSHIPS)
        self.view(WHOLE)

    def view(self, later: str) -> None:
        self._tell(VIEW.replace("LATER", later))

    def _tell(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)


@modes
def test_a_database_that_breaks_off_or_fails_behind_the_first_rows_changes_nothing(
    tmp_path: Path, postgres_url: str, mode: str
) -> None:
    database = Database(postgres_url)
    with running_sandbox(behaviour()) as sandbox:
        house = House(tmp_path, sandbox, source_url=database.url)
        house.connect()
        house.add_export(mapping=("email=EMail",), mode=mode)
        assert counts(house.run())["new"] == MANY
        for later, waits in ((BREAKS_OFF, True), (FAILS, False)):
            database.view(later)
            document = waits_or_fails(house, waits=waits)
            assert (document["batches"], document["counts"]["removed"]) == ([], 0)
        database.view(WHOLE)
        is_as_before(house, MANY)
        house.close()


def waits_or_fails(house: House, *, waits: bool) -> dict[str, Any]:
    """A run that waits for its source is canceled: the next one is to begin anew."""
    run_id = house.queue()
    held = Held(run_id, "a worker")
    assert house.installation.runs.claim(held.worker, run_id=run_id) is not None
    execute_run(held, Worker(house.installation).tools)
    document = house.document(run_id)
    if not waits:
        assert document["state"] == "failed", document["error"]
        return document
    assert (document["state"], document["waiting_for"]) == ("waiting", "service")
    Runs(house.installation).request_cancel(run_id, by=ANA)
    house.work()
    return house.document(run_id)


def test_a_web_service_that_refuses_a_page_in_the_middle_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def person(number: int) -> dict[str, Any]:
        email = f"person{number}@example.com"
        return {"msdynci_customerid": f"{number:032x}", "msdynci_email": email}

    def member(number: int) -> dict[str, Any]:
        segments = {"msdynci_segments": '["All"]', "msdynci_segmentmembershiptype": "Customer"}
        return {"msdynci_customerid": f"{number:032x}", **segments}

    tables = {
        "msdynci_customerprofiles": Table(20, person),
        "msdynci_segmentmemberships": Table(20, member),
    }
    with running(Organization(tables, most=5)) as there, running_sandbox(behaviour()) as sandbox:
        for name, value in there.environment().items():
            monkeypatch.setenv(name, value)
        house = House(tmp_path, sandbox, source_url=f"dataverse:{there.url}")
        house.connect()
        house.add_export(mapping=("email=msdynci_email",), mode="mirror")
        assert counts(house.run())["new"] == 20
        for page in (3, 7):  # of the profiles, of the memberships
            there.faults[len(there.asked) + page] = Fault(403)
            document = house.run()
            assert (document["state"], document["batches"]) == ("failed", [])
            assert document["counts"]["removed"] == 0
        is_as_before(house, 20)
        house.close()
