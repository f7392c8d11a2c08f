"""`people find`: what became of an address in every run whose files are kept."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from ccexport.errors import UsageError
from ccexport.preparation.files import cut_files
from ccexport.services.people.access import Person, Role
from ccexport.services.runs.people import Found, People
from tests.kit.house import ANA, House, people, write_source


def find(house: House, email: str) -> Found:
    return People(house.installation).find(email, by=ANA)


def fates(house: House, number: int) -> list[tuple[int, str]]:
    document: Any = find(house, f"person{number}@example.com").document
    return [(entry["run"], entry["outcome"]) for entry in document["runs"]]


def fault(house: House, do: str, **more: object) -> None:
    house.tell("/_sandbox/behaviour", faults=[{"on": "contactsCSVImport", "do": do, **more}])


def test_a_person_is_found_in_every_run_with_what_became_of_them(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = partial(cut_files, max_rows=5)
    monkeypatch.setattr("ccexport.preparation.contacts.cut_files", cut)
    fault(house, "reject_rows", lines=[3], messages=["no"])
    house.run()
    fault(house, "activity_failed", after=1, messages=["Too many."])
    house.run()
    assert fates(house, 1) == [(2, "accepted"), (1, "accepted")]
    assert fates(house, 2) == [(2, "accepted"), (1, "failed")]
    assert fates(house, 7) == [(2, "failed"), (1, "accepted")]
    found: Any = find(house, " PERSON2@example.com ").document
    assert (found["email"], found["customer_ids"]) == ("person2@example.com", ["0000002"])
    first = found["runs"][1]
    assert (first["export"], first["detail"]) == ("Newsletter", "no")
    assert first["at"].endswith("Z")
    assert "Too many." in find(house, "person7@example.com").document["runs"][0]["detail"]


def test_a_person_who_was_left_out_is_found_with_the_reason_and_the_one_sent_instead(
    house: House,
) -> None:
    profiles = people(4)
    profiles[1]["EMail"] = " Person1@Example.com"
    profiles[2]["EMail"] = "nobody@nowhere"
    write_source(house.source, profiles)
    house.run()
    found: Any = find(house, "person1@example.com").document
    assert found["customer_ids"] == ["0000001", "0000002"]
    assert [(each["customer_id"], each["outcome"]) for each in found["runs"]] == [
        ("0000001", "accepted"),
        ("0000002", "duplicate"),
    ]
    assert "0000001" in found["runs"][1]["detail"]
    invalid: Any = find(house, "nobody@nowhere").document
    assert [each["outcome"] for each in invalid["runs"]] == ["invalid_email"]


def test_where_the_service_names_nobody_the_outcome_says_so(house: House) -> None:
    house.tell("/_sandbox/unsubscribe", email="person3@example.com")
    house.run()
    assert fates(house, 4) == [(1, "unsubscribed?")]
    detail = find(house, "person4@example.com").document["runs"][0]["detail"]
    assert "1 had unsubscribed" in detail
    house.tell("/_sandbox/behaviour", unsubscribed=[])
    fault(house, "reject_rows_silently", lines=[2, 3])
    house.run()
    outcome = find(house, "person4@example.com").document["runs"][0]
    assert outcome["outcome"] in ("failed?", "unsubscribed?")
    assert "2 failed without being named" in outcome["detail"]


def test_a_run_that_has_not_ended_says_where_the_person_is(house: House) -> None:
    fault(house, "activity_stuck")
    run_id = house.queue()
    assert fates(house, 1) == []
    house.perform_until(run_id, "batches stored")
    assert fates(house, 1) == [(run_id, "pending")]
    house.perform_until(run_id, "outcome committed")
    assert fates(house, 1) == [(run_id, "sent")]


def test_a_run_whose_files_are_gone_is_said_and_the_others_are_searched(house: House) -> None:
    house.run()
    house.run()
    house.installation.run_files.delete(1)
    assert fates(house, 1) == [(2, "accepted")]
    (remark,) = find(house, "person1@example.com").remarks
    assert "1 runs could not be searched" in remark


def test_a_source_that_cannot_be_read_does_not_hide_the_past(house: House) -> None:
    house.run()
    (house.source / "Customer.csv").unlink()
    found = find(house, "person1@example.com")
    assert [entry["outcome"] for entry in found.document["runs"]] == ["accepted"]
    assert "The source was not searched" in found.remarks[0]


def test_a_stranger_is_in_no_run(house: House) -> None:
    house.run()
    document = find(house, "stranger@example.com").document
    nothing = {"customer_ids": [], "runs": [], "ledgers": []}
    assert document == {"email": "stranger@example.com", **nothing}


def test_what_is_no_address_is_refused(house: House) -> None:
    with pytest.raises(UsageError, match="not an email address"):
        find(house, "ana")


def test_those_who_may_not_see_values_may_not_look_for_people(house: House) -> None:
    with pytest.raises(Exception, match=r"may find what became of a person"):
        People(house.installation).find("a@example.com", by=Person("vera", Role.VIEWER))
