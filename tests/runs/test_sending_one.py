"""One profile sent as a test: the file of a run, the service's answer, and what the next runs make of it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ccexport.errors import CcexportError, Conflict, NotAllowed, NotFound
from ccexport.sandbox.server import running_sandbox
from ccexport.services.connections.connections import Connections
from ccexport.services.exports import sending_one
from ccexport.services.exports.sending_one import Ended, SendingOne
from ccexport.services.operations.pauses import Pauses
from ccexport.services.people.access import Person, Role
from ccexport.services.runs.people import People
from ccexport.services.runs.putting_back import PuttingBack
from ccexport.store.audit import AuditFilter
from tests.kit.house import ANA, House, behaviour, furnished, people, write_source
from tests.runs.changing import change, counts, put_on_by_hand, renamed

pytestmark = pytest.mark.one_store
TEN = people(10)
IMPORT = "contactsCSVImport"
FIVE = "0000005", "person5@example.com"


@pytest.fixture
def house(tmp_path: Path, database_url: str) -> Iterator[House]:
    """Ten people in one segment, an export in mode `mirror`; nothing has run."""
    with (
        running_sandbox(behaviour()) as sandbox,
        furnished(tmp_path, sandbox, TEN, database_url=database_url, mode="mirror") as house,
    ):
        yield house


def send(house: House, customer_id: str = FIVE[0]) -> Ended:
    sending = SendingOne(house.installation)
    ready = sending.prepare("Newsletter", customer_id, by=ANA)
    return sending.follow(sending.send(ready, by=ANA))


def standing(house: House, email: str = FIVE[1]) -> str | None:
    found: Any = People(house.installation).find(email, by=ANA).document["ledgers"]
    return found[0]["state"] if found else None


def fault(house: House, do: str, **more: Any) -> None:
    house.tell("/_sandbox/behaviour", faults=[{"on": IMPORT, "do": do, **more}])


def imports(house: House) -> int:
    return len(house.requests(IMPORT))


@pytest.mark.each_store
def test_the_very_file_goes_and_the_next_runs_know_the_person_as_placed(house: House) -> None:
    ended = send(house)
    assert ended.sent.ready.shown == (
        "email,first_name,last_name\r\nperson5@example.com,First5,Last5\r\n"
    )
    assert (ended.outcome, ended.on_list, ended.errors) == ("accepted", True, [])
    assert list(house.members()) == [FIVE[1]]
    assert standing(house) == "placed"
    assert house.installation.runs.latest(limit=None) == [], "it is not a run"

    document = house.run()
    assert counts(document) == {"new": 9, "changed": 0, "unchanged": 1, "suppressed": 0}
    write_source(
        house.source, [each for each in renamed(TEN, 5) if each["CustomerId"] != "0000007"]
    )
    assert send(house).outcome == "accepted"
    assert house.members()[FIVE[1]]["first_name"] == "Other5"
    document = house.run()
    assert counts(document) == {"new": 0, "changed": 0, "unchanged": 9, "suppressed": 0}
    assert document["counts"]["removed"] == 1
    write_source(house.source, [each for each in TEN if each["CustomerId"] != FIVE[0]])
    assert house.run()["counts"]["removed"] == 1, "whom a test placed is taken off like everybody"
    assert FIVE[1] not in house.members()


def test_the_file_is_that_of_a_run_of_everybody(house: House) -> None:
    odd = {**TEN[4], "FirstName": ' Ana "Bo", ', "EMail": " Person5@Example.COM", "LastName": ""}
    write_source(house.source, [*TEN[:4], odd, *TEN[5:]])
    ready = SendingOne(house.installation).prepare("Newsletter", FIVE[0], by=ANA)
    assert ready.shown == 'email,first_name\r\nperson5@example.com,"Ana ""Bo"","\r\n'
    house.run()
    assert send(house).outcome == "accepted"
    assert counts(house.run())["unchanged"] == 10, "its line is the one that the run sent"


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ({"EMail": ""}, "left out of every run"),
        ({"EMail": "nowhere"}, "left out of every run"),
        ({"EMail": "PERSON2@example.com "}, "profile 0000002 is sent instead"),
    ],
)
def test_who_would_be_left_out_is_refused_with_the_reason(
    house: House, profile: dict[str, str], words: str
) -> None:
    write_source(house.source, [*TEN[:4], {**TEN[4], **profile}, *TEN[5:]])
    with pytest.raises(Conflict, match=words):
        send(house)
    assert imports(house) == 0


def test_a_duplicate_is_found_where_the_address_is_made_of_two_attributes(house: House) -> None:
    house.add_export("Made", mapping=("email={FirstName}@example.com",))
    another = {**TEN[0], "CustomerId": "0", "FirstName": "Other5"}
    write_source(house.source, [*renamed(TEN, 5), another])
    with pytest.raises(Conflict, match="profile 0 is sent instead"):
        SendingOne(house.installation).prepare("Made", FIVE[0], by=ANA)


def test_one_who_is_in_none_of_the_segments_is_refused(house: House) -> None:
    write_source(house.source, TEN, [(each["CustomerId"], "All") for each in TEN[:4]])
    with pytest.raises(NotFound, match='has the CustomerId "0000005"'):
        send(house)


def test_who_left_the_list_is_not_put_back_unless_they_are_allowed(house: House) -> None:
    house.run()
    house.take_off(FIVE[1])
    with pytest.raises(Conflict, match="has left the list"):
        send(house)  # no run has seen it
    assert counts(house.run())["suppressed"] == 1
    with pytest.raises(Conflict, match="has left the list"):
        send(house)
    assert FIVE[1] not in house.members()
    assert standing(house) == "left"
    PuttingBack(house.installation).restore(FIVE[1], "Newsletter", by=ANA)
    assert send(house).on_list
    assert counts(house.run())["unchanged"] == 10


def test_who_left_the_list_of_another_export_is_not_put_back_either(house: House) -> None:
    house.run()
    house.take_off(FIVE[1])
    house.add_export("Second")
    with pytest.raises(Conflict, match="has left the list"):
        SendingOne(house.installation).send(
            SendingOne(house.installation).prepare("Second", FIVE[0], by=ANA), by=ANA
        )
    put_on_by_hand(house, FIVE[1])
    assert send(house).outcome == "accepted", "they are on it again"


def test_who_opted_out_is_refused(house: House) -> None:
    house.run()
    house.tell("/_sandbox/unsubscribe", email=FIVE[1])
    before = imports(house)
    with pytest.raises(Conflict, match="has opted out"):
        send(house)
    assert imports(house) == before
    assert FIVE[1] not in house.members()


def test_one_whose_opt_out_only_the_import_knows_is_in_no_ledger(house: House) -> None:
    house.tell("/_sandbox/unsubscribe", email=FIVE[1])
    house.tell(
        "/_sandbox/behaviour",
        faults=[{"on": "getContacts", "do": "answer", "status": 200, "body": {"contacts": []}}],
    )
    assert send(house).outcome == "unsubscribed"
    assert FIVE[1] not in house.members()
    assert standing(house) is None


@pytest.mark.parametrize("placed", [False, True])
@pytest.mark.parametrize(
    ("do", "more", "outcome"),
    [
        ("reject_rows", {"lines": [2], "messages": ["Invalid"]}, "failed"),
        ("validation_error", {}, None),
        ("queue_full", {"times": -1}, None),
    ],
)
def test_what_certainly_failed_leaves_the_ledger_as_it_was(
    house: House, do: str, more: dict[str, Any], outcome: str | None, placed: bool
) -> None:
    if placed:
        house.run()
    fault(house, do, **more)
    if outcome is None:
        with pytest.raises(CcexportError):
            send(house)
    else:
        ended = send(house)
        assert (ended.outcome, ended.errors) == (outcome, ["Line 2: Invalid"])
    house.tell("/_sandbox/behaviour", faults=[])
    assert standing(house) == ("placed" if placed else None)
    document = house.run()
    assert counts(document)["unchanged" if placed else "new"] == 10


@pytest.mark.parametrize(
    ("do", "outcome", "is_placed"),
    [("drop_after", "accepted", True), ("activity_failed", "failed", False)],
)
def test_a_lost_answer_is_looked_up_and_what_is_not_known_is_sent_again(
    house: House, do: str, outcome: str, is_placed: bool
) -> None:
    fault(house, do)
    assert send(house).outcome == outcome
    assert standing(house) == ("placed" if is_placed else "unsure")
    assert counts(house.run())["unchanged"] == int(is_placed)
    assert len(house.members()) == 10


@pytest.mark.parametrize(
    ("do", "words"),
    [("activity_gone", "does not show what became"), ("activity_stuck", "has not ended it within")],
)
def test_one_of_whom_nothing_is_heard_is_given_up(
    house: House, do: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LONGEST", "LOOKED_UP_FOR"):
        monkeypatch.setattr(sending_one, name, timedelta(0))
    fault(house, do)
    ended = send(house)
    assert ended.outcome == "unknown"
    assert words in ended.says
    assert standing(house) == "unsure"


@pytest.mark.each_store
def test_one_who_ends_half_way_is_sent_again_by_the_next_run(house: House) -> None:
    sending = SendingOne(house.installation)
    sending.send(sending.prepare("Newsletter", FIVE[0], by=ANA), by=ANA)  # nobody looks any more
    assert standing(house) == "unsure"
    document = house.run()
    assert counts(document)["unchanged"] == 0
    assert standing(house) == "placed"


def test_what_is_in_the_way_is_said_and_nothing_is_sent(house: House) -> None:
    sending = SendingOne(house.installation)
    ready = sending.prepare("Newsletter", FIVE[0], by=ANA)
    run_id = house.queue()
    with pytest.raises(Conflict, match=rf"Run {run_id} .* is still live"):
        sending.send(ready, by=ANA)
    house.work()
    Pauses(house.installation).begin("Moving house", by=ANA)
    with pytest.raises(Conflict, match=r"Moving house\. Nothing was sent"):
        sending.send(ready, by=ANA)
    Pauses(house.installation).end(by=ANA)
    change(house, "Newsletter", mode="changes")
    before = imports(house)
    with pytest.raises(Conflict, match="was changed meanwhile"):
        sending.send(ready, by=ANA)
    assert imports(house) == before


def test_while_people_are_taken_off_the_list_nobody_is_tested(house: House) -> None:
    house.run()
    write_source(house.source, TEN[:8])
    run_id = house.queue()
    house.perform_until(run_id, "removal intended")
    house.add_export("Second")
    sending = SendingOne(house.installation)
    ready = sending.prepare("Second", FIVE[0], by=ANA)
    with pytest.raises(Conflict, match="taking people off"):
        sending.send(ready, by=ANA)


def test_roles_and_what_is_written_of_it(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(NotAllowed):
        SendingOne(house.installation).prepare("Newsletter", FIVE[0], by=Person("v", Role.VIEWER))
    send(house)
    events = house.installation.audit.page(AuditFilter(action="export.test"))
    assert [(each.outcome, each.target_name) for each in events] == [
        ("done", "Newsletter"),
        ("refused", "Newsletter"),
    ]
    written = caplog.text + json.dumps([[each.before, each.after] for each in events])
    assert "person5" not in written
    assert FIVE[0] not in written


def test_those_who_may_not_see_values_see_a_masked_file(house: House) -> None:
    by = Person("carl", Role.CONTRIBUTOR)
    Connections(house.installation).share("Marketing", contributors=True, by=ANA)
    ready = SendingOne(house.installation).prepare("Newsletter", FIVE[0], by=by)
    assert "person5" not in ready.shown
    assert ready.shown.startswith("email,first_name,last_name\r\np••")
