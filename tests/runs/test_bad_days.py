"""What happens to lists, segments and exports between two runs: nobody comes back who left, and nobody is taken off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import Session, select

from ccexport.sandbox.account.jobs import Selection, delete_contacts
from ccexport.sandbox.server import running_sandbox
from ccexport.services.runs.putting_back import PuttingBack
from ccexport.store.database.ledger_tables import Ledger
from ccexport.store.ledgers import KEPT_AFTER_A_MOVE, Target
from tests.kit.house import ANA, OTHER_LIST_ID, House, behaviour, furnished, people, write_source
from tests.runs.changing import change, counts, put_on_by_hand, renamed

pytestmark = pytest.mark.one_store
TEN = people(10)
IMPORT = "contactsCSVImport"


@pytest.fixture(params=["changes", "mirror"])
def house(tmp_path: Path, database_url: str, request: pytest.FixtureRequest) -> Iterator[House]:
    """Ten people in a segment; the export has not run yet."""
    with (
        running_sandbox(behaviour()) as sandbox,
        furnished(tmp_path, sandbox, TEN, database_url=database_url, mode=request.param) as house,
    ):
        yield house


def mode_of(house: House) -> str:
    return str(house.installation.exports.by_name("Newsletter").export.mode)


def delete_at_the_account(house: House, email: str) -> None:
    """Somebody deletes the contact, and with it goes what it had opted out of."""
    state = house.sandbox.state
    with state.lock:
        number = state.contacts.find(email)
        assert number is not None
        delete_contacts(state, Selection((state.contacts.contact_id(number),)))
        del state.contacts.opted_out[number]


def sent(house: House) -> int:
    """Rows of files that were taken."""
    return sum(each["rows"] for each in house.requests(IMPORT) if each["activity_id"])


@pytest.mark.parametrize("opts_out", ["before the first run", "once placed", "and is looked for"])
def test_whom_the_account_deletes_after_they_opted_out_does_not_come_back(
    house: House, opts_out: str
) -> None:
    email = TEN[3]["EMail"]
    if opts_out == "before the first run":
        house.tell("/_sandbox/unsubscribe", email=email)
    house.run()
    if opts_out != "before the first run":
        house.tell("/_sandbox/unsubscribe", email=email)
    if opts_out == "and is looked for":
        assert counts(house.run())["suppressed"] == 1
    delete_at_the_account(house, email)
    write_source(house.source, renamed(TEN, 4))
    before = sent(house)
    for _ in range(2):
        assert counts(house.run())["suppressed"] == 1
    assert counts(house.run(resync=True))["suppressed"] == 1
    assert sent(house) == before + 9, "the others, by the resync"
    assert email not in house.members()


def test_a_segment_that_is_renamed_stops_the_run_and_takes_nobody_off(house: House) -> None:
    house.run()
    write_source(house.source, TEN, [(each["CustomerId"], "Everybody") for each in TEN])
    document = house.run()
    assert (document["state"], document["counts"]["removed"]) == ("failed", 0)
    assert "All" in document["error"]
    assert len(house.members()) == 10
    change(house, "Newsletter", mode=mode_of(house), segment="Everybody")
    document = house.run()
    assert counts(document) == {"new": 0, "changed": 0, "unchanged": 10, "suppressed": 0}
    assert document["counts"]["removed"] == 0


def test_of_two_segments_one_that_is_renamed_takes_nobody_off(house: House) -> None:
    """Else everybody of it would leave in a night."""
    halves = [(each["CustomerId"], "AB"[n % 2]) for n, each in enumerate(TEN)]
    write_source(house.source, TEN, halves)
    house.add_export("Both", segments=["A", "B"], mode=mode_of(house))
    house.run("Both")
    write_source(house.source, TEN, [(key, name.replace("B", "C")) for key, name in halves])
    document = house.run("Both")
    assert (document["state"], document["counts"]["removed"]) == ("failed", 0)
    assert len(house.members()) == 10


def test_an_export_that_moves_to_another_account_begins_another_ledger(house: House) -> None:
    house.run()
    house.tell("/_sandbox/behaviour", sign_in_as="other@example.com")
    house.connect("Another company")
    house.take_off(TEN[0]["EMail"])
    assert counts(house.run())["suppressed"] == 1
    change(house, "Newsletter", mode=mode_of(house), connection="Another company")
    assert counts(house.run()) == {"new": 10, "changed": 0, "unchanged": 0, "suppressed": 0}
    change(house, "Newsletter", mode=mode_of(house))
    back = counts(house.run())
    assert (back["new"], back["unchanged"] + back["changed"]) == (0, 10)


@pytest.mark.each_store
def test_where_an_export_has_moved_to_another_list_nobody_is_taken_off_the_old_one(
    house: House,
) -> None:
    house.run()
    change(house, "Newsletter", mode=mode_of(house), list_id=OTHER_LIST_ID)
    put_on_by_hand(house, "stranger@example.com")
    write_source(house.source, TEN[5:])
    document = house.run()
    assert (counts(document)["new"], document["counts"]["removed"]) == (5, 0)
    assert len(house.members()) == 11
    assert len(house.members(OTHER_LIST_ID)) == 5


@pytest.mark.each_store
@pytest.mark.parametrize("to", ["another list", "another account"])
def test_the_ledger_of_a_list_that_an_export_has_left_is_kept_for_a_year(
    house: House, to: str
) -> None:
    house.run()
    if to == "another list":
        change(house, "Newsletter", mode=mode_of(house), list_id=OTHER_LIST_ID)
    else:
        house.tell("/_sandbox/behaviour", sign_in_as="other@example.com")
        house.connect("Another company")
        change(house, "Newsletter", mode=mode_of(house), connection="Another company")
    house.run()
    ledgers = house.installation.ledgers
    assert [ledgers.sizes(each) for each in targets(house)] == [(10, 0), (10, 0)]
    age(house, KEPT_AFTER_A_MOVE - timedelta(days=1))
    assert ledgers.drop_old() == 0
    age(house, timedelta(days=2))
    assert ledgers.drop_old() == 1
    assert counts(house.run())["unchanged"] == 10, "that of the present list is kept however old"


def targets(house: House) -> list[Target]:
    with Session(house.installation.engine) as session:
        rows = session.exec(select(Ledger).order_by(Ledger.id)).all()
        return [Target(row.export_id, row.account_id, row.list_id) for row in rows]


def age(house: House, by: timedelta) -> None:
    """As if nothing had been written to any ledger for so much longer."""
    with Session(house.installation.engine) as session, closing(session):
        for row in session.exec(select(Ledger)).all():
            row.updated_at -= by
            session.add(row)
        session.commit()


def failed_run(house: House, name: str = "Newsletter") -> None:
    """The file of the run is taken, and then ends as failed: nobody knows who of it arrived."""
    fault = {"on": IMPORT, "do": "activity_failed", "times": 1}
    house.tell("/_sandbox/behaviour", faults=[fault])
    assert house.run(name)["state"] == "failed"


def test_who_left_stays_away_though_a_file_with_them_failed_in_a_full_run(house: House) -> None:
    house.run()
    house.take_off(TEN[2]["EMail"])
    mode = mode_of(house)
    assert counts(house.run())["suppressed"] == 1
    change(house, "Newsletter", mode="full")
    failed_run(house)
    change(house, "Newsletter", mode=mode)
    assert counts(house.run())["suppressed"] == 1
    assert TEN[2]["EMail"] not in house.members()


def test_who_left_stays_away_though_a_file_of_another_export_with_them_had_failed(
    house: House,
) -> None:
    house.add_export("Second", mode=mode_of(house))
    failed_run(house, "Second")
    house.run()
    house.take_off(TEN[2]["EMail"])
    assert counts(house.run("Second"))["suppressed"] == 1
    assert TEN[2]["EMail"] not in house.members()


def test_who_was_let_back_is_sent_again_where_the_first_file_with_them_failed(house: House) -> None:
    house.add_export("Second", mode=mode_of(house))
    house.run()
    house.run("Second")
    email = TEN[2]["EMail"]
    house.take_off(email)
    assert counts(house.run())["suppressed"] == counts(house.run("Second"))["suppressed"] == 1
    PuttingBack(house.installation).restore(email, "Newsletter", by=ANA)
    failed_run(house)
    assert counts(house.run())["new"] == 1
    assert email in house.members()
