"""Ledgers and those around them: a person found or forgotten, keys changed, a backup, another host, the preview."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from sqlmodel import select

from ccexport.errors import Conflict, SetupError, UsageError
from ccexport.sandbox.server import running_sandbox
from ccexport.services.exports.exports import Exports
from ccexport.services.operations.backups import Backups
from ccexport.services.operations.keys import KeyRotation
from ccexport.services.preview.previews import preview_document
from ccexport.services.runs.forgetting import Forgetting
from ccexport.services.runs.people import People
from ccexport.services.runs.putting_back import PuttingBack
from ccexport.services.runs.runs import Runs
from ccexport.store import ledger_rows, ledgers
from ccexport.store.audit import AuditFilter
from ccexport.store.database.engine import reading
from ccexport.store.database.ledger_tables import LedgerPart
from ccexport.store.database.tables import RunAddresses
from ccexport.store.vault.keys import write_key_file
from tests.kit.house import ANA, LIST_ID, House, behaviour, furnished, people, write_source
from tests.runs.changing import change, counts, put_on_by_hand, renamed, said

pytestmark = pytest.mark.one_store
TEN = people(10)
SECOND = "person2@example.com"


@pytest.fixture
def house(tmp_path: Path, database_url: str) -> Iterator[House]:
    """Ten people on the list by a first run of an export in mode `changes`; the second left since."""
    with (
        running_sandbox(behaviour()) as sandbox,
        furnished(
            tmp_path / "one", sandbox, TEN, database_url=database_url, mode="changes"
        ) as house,
    ):
        house.run()
        house.take_off(SECOND)
        house.run()
        yield house


def stands(house: House, email: str) -> list[tuple[str, str]]:
    found = People(house.installation).find(email, by=ANA).document
    return [(each["export"], each["state"]) for each in found["ledgers"]]


@pytest.mark.each_store
def test_a_person_is_found_in_the_ledgers_and_in_the_runs_that_left_them_away(house: House) -> None:
    assert stands(house, " Person1@example.com") == [("Newsletter", "placed")]
    assert stands(house, SECOND) == [("Newsletter", "left")]
    assert stands(house, "nobody@example.com") == []
    found = People(house.installation).find(SECOND, by=ANA).document
    assert [(each["run"], each["outcome"]) for each in found["runs"]] == [
        (2, "suppressed"),
        (1, "accepted"),
    ]


def test_all_of_a_ledger_of_many_parts_is_written(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_rows, "PART_ROWS", 2)
    monkeypatch.setattr(ledgers, "PARTS_AT_ONCE", 2)
    write_source(house.source, people(60))
    assert counts(house.run())["new"] == 50
    with reading(house.installation.engine) as session:
        parts = session.exec(select(LedgerPart)).all()
    assert len(parts) > 16
    assert sum(part.placed for part in parts) == 59
    assert counts(house.run()) == {"new": 0, "changed": 0, "unchanged": 59, "suppressed": 1}


@pytest.mark.each_store
def test_whoever_is_forgotten_leaves_the_ledgers_and_who_had_left_the_list_stays_away(
    house: House,
) -> None:
    forgetting = Forgetting(house.installation)
    assert forgetting.forget("person1@example.com", by=ANA).ledgers == 1
    assert forgetting.forget(SECOND, by=ANA).ledgers == 1
    assert stands(house, "person1@example.com") == []
    assert [row[:2] for row in Runs(house.installation).rejected(2, by=ANA)] == [("", "")]
    document = house.run()
    assert counts(document) == {"new": 1, "changed": 0, "unchanged": 8, "suppressed": 1}
    assert SECOND not in house.members()


def test_no_list_lies_about_once_a_run_has_ended(house: House) -> None:
    assert "on_list" not in {name for _, name in house.installation.run_files.all()}
    with reading(house.installation.engine) as session:
        assert session.exec(select(RunAddresses)).all() == []


def test_the_ledger_holds_no_address_key_or_name_in_the_clear(house: House) -> None:
    house.installation.ledgers.hash_key()
    with reading(house.installation.engine) as session:
        parts = session.exec(select(LedgerPart.sealed)).all()
    opened = b"".join(house.installation.keys.decrypt(part) for part in parts)
    assert parts
    for needle in (b"person", b"example.com", b"0000002", b"First"):
        assert needle not in opened + b"".join(parts)


@pytest.mark.each_store
def test_the_ledger_goes_along_when_keys_are_changed_and_the_old_ones_dropped(house: House) -> None:
    rotation = KeyRotation(house.installation)
    rotation.rotate(by=ANA)
    rotation.drop_old(by=ANA)
    assert [use.secrets for use in rotation.uses()] == [3]
    assert counts(house.run()) == {"new": 0, "changed": 0, "unchanged": 9, "suppressed": 1}


def test_a_ledger_that_no_key_opens_stops_changes_and_is_begun_anew_by_a_full_run(
    house: House,
) -> None:
    write_key_file(house.settings.data_dir, [Fernet.generate_key().decode()])
    house.connect()
    document = house.run()
    assert document["state"] == "failed"
    assert "run the export once in mode full" in document["error"]
    change(house, "Newsletter", mode="full")
    document = house.run()
    assert counts(document)["new"] == 10
    assert said(house, document["id"], "ledger begun anew")
    change(house, "Newsletter", mode="changes")
    assert counts(house.run())["unchanged"] == 10


@pytest.mark.each_store
def test_a_backup_brings_the_ledger_to_another_machine(
    house: House, tmp_path: Path, empty_database_url: str
) -> None:
    path = tmp_path / "store.backup"
    Backups(house.installation).make(path, "a long passphrase", by=ANA)
    elsewhere = House(tmp_path / "two", house.sandbox, database_url=empty_database_url)
    write_source(elsewhere.source, TEN)
    Backups(elsewhere.installation).restore(path, "a long passphrase", replace=False, by=ANA)
    assert counts(elsewhere.run()) == {"new": 0, "changed": 0, "unchanged": 9, "suppressed": 1}
    elsewhere.close()


@pytest.mark.each_store
@pytest.mark.parametrize("point", ["list asked for", "batches stored", "outcome committed"])
def test_a_run_that_moves_to_another_host_half_way_leaves_the_ledger_exact(
    house: House, point: str
) -> None:
    """The other host has none of the run's files, and meanwhile somebody has changed in the source."""
    write_source(house.source, [*renamed(TEN, 3), *people(2, first=11)])
    run_id = house.queue()
    house.perform_until(run_id, point)
    house.installation.run_files.delete(run_id)
    write_source(house.source, [*renamed(TEN, 3, 4), *people(2, first=11)])
    house.work()
    assert house.document(run_id)["state"] == "succeeded", house.document(run_id)["error"]
    counts(house.document(run_id))
    write_source(house.source, [*renamed(TEN, 3, 4), *people(2, first=11)])
    house.run()
    last = counts(house.run())
    assert last == {"new": 0, "changed": 0, "unchanged": 11, "suppressed": 1}
    assert SECOND not in house.members()


@pytest.mark.each_store
def test_a_removed_connection_leaves_what_was_confirmed_and_what_may_have_arrived(
    house: House,
) -> None:
    write_source(house.source, [*TEN, *people(2, first=11)])
    run_id = house.queue()
    house.perform_until(run_id, "outcome committed")
    house.installation.connections.remove(1, by="ana")
    assert house.document(run_id)["state"] == "canceled"
    assert stands(house, "person11@example.com") == [("Newsletter", "unsure")]
    house.connect()
    Exports(house.installation)
    change(house, "Newsletter")
    document = house.run()
    assert counts(document) == {"new": 0, "changed": 2, "unchanged": 9, "suppressed": 1}


def test_the_preview_says_who_would_be_sent_and_that_a_mapping_changed(house: House) -> None:
    def preview() -> dict[str, int]:
        found = Exports(house.installation).preview("Newsletter", by=ANA)
        document = preview_document(
            found, export="Newsletter", list_id=LIST_ID, requests_per_second=4
        )
        kinds = ("new", "changed", "unchanged", "suppressed")
        told = {kind: document["counts"][kind] for kind in kinds}
        assert sum(told.values()) == document["counts"]["prepared"]
        return {**told, "files": document["files"], "mapping_changed": document["mapping_changed"]}

    assert preview() == {
        "new": 0,
        "changed": 0,
        "unchanged": 9,
        "suppressed": 1,
        "files": 0,
        "mapping_changed": False,
    }
    write_source(house.source, [*renamed(TEN, 3), *people(2, first=11)])
    assert preview() == {
        "new": 2,
        "changed": 1,
        "unchanged": 8,
        "suppressed": 1,
        "files": 1,
        "mapping_changed": False,
    }
    change(house, "Newsletter", mapping="first_name=LastName")
    found = preview()
    assert (found["changed"], found["mapping_changed"]) == (9, True)
    beside = Exports(house.installation).preview("Newsletter", by=ANA).beside
    assert beside.said() == "Everybody is sent again, since the mapping changed after the last run."
    document = house.run()
    assert counts(document) == {"new": 2, "changed": 9, "unchanged": 0, "suppressed": 1}
    assert said(house, document["id"], "mapping changed")


def test_who_may_be_put_back_is_new_in_the_next_run(house: House) -> None:
    putting_back = PuttingBack(house.installation)
    for email in ("person1@example.com", "nobody@example.com"):
        with pytest.raises(Conflict, match="does not know this person as one who left its list"):
            putting_back.restore(email, "Newsletter", by=ANA)
    with pytest.raises(UsageError, match="not an email address"):
        putting_back.restore("person2", "Newsletter", by=ANA)
    putting_back.restore(f" {SECOND.upper()} ", "Newsletter", by=ANA)
    assert counts(house.run())["new"] == 1
    assert SECOND in house.members()
    assert stands(house, SECOND) == [("Newsletter", "placed")]
    rows = house.installation.audit.page(AuditFilter(action="profile.restore"))
    assert [(row.target_name, row.outcome) for row in rows] == [("Newsletter", "done")]


def test_whoever_left_by_what_another_export_knows_may_be_put_back_as_well(house: House) -> None:
    write_source(house.source, TEN[2:])
    house.add_export("Other", mode="changes")
    house.run("Other")
    write_source(house.source, TEN)
    assert counts(house.run("Other")) == {"new": 1, "changed": 0, "unchanged": 8, "suppressed": 1}
    PuttingBack(house.installation).restore(SECOND, "Other", by=ANA)
    assert counts(house.run("Other"))["new"] == 1
    assert SECOND in house.members()


def test_seen_on_the_list_again_somebody_is_placed_again(house: House) -> None:
    put_on_by_hand(house, SECOND)
    house.run()
    assert stands(house, SECOND) == [("Newsletter", "placed")]


@pytest.mark.each_store
def test_an_export_that_is_removed_takes_its_ledger_along(house: House) -> None:
    Exports(house.installation).remove("Newsletter", by=ANA)
    with reading(house.installation.engine) as session:
        assert session.exec(select(LedgerPart.part)).all() == []


def test_the_mode_of_an_export_that_needs_its_ledger_says_what_to_do(house: House) -> None:
    with pytest.raises(SetupError, match="no mode"):
        change(house, "Newsletter", mode="some")
