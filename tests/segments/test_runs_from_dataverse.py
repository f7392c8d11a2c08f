"""Runs by commands from Dataverse: exactly who is in the segment is sent, whatever goes wrong on the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from ccexport.installation import Installation
from ccexport.runs.pipeline import execute_run
from ccexport.runs.questions import LOOK_SECONDS
from ccexport.services.exports.exports import Exports
from ccexport.services.runs.runs import Runs
from ccexport.store.moves import Held
from ccexport.worker import Worker
from tests.commands.running import Here
from tests.kit.dataverse import BROKEN, SECRET, Fault, Organization, Table, running
from tests.kit.house import ANA, LIST_ID, House

COUNT = 60
PAGES = 6  # of each table


def email(number: int) -> str:
    return f"person{number}@example.com"


EXPECTED = {email(number) for number in range(0, COUNT, 2)}


def person(number: int) -> dict[str, Any]:
    return {
        "msdynci_customerid": f"{number:032x}",
        "msdynci_email": email(number),
        "msdynci_firstname": f"First {number}",
    }


def member(number: int) -> dict[str, Any]:
    """Every second person is in News; the last row is of somebody who is not there."""
    key = "gone" if number == COUNT else f"{number:032x}"
    return {
        "msdynci_customerid": key,
        "msdynci_segments": json.dumps({"Segments": ["News"] if number % 2 == 0 else ["Others"]}),
        "msdynci_segmentmembershiptype": "Customer",
    }


@pytest.fixture
def organization() -> Iterator[Organization]:
    tables = {
        "msdynci_customerprofiles": Table(COUNT, person),
        "msdynci_segmentmemberships": Table(COUNT + 1, member),
    }
    with running(Organization(tables, most=COUNT // PAGES)) as organization:
        yield organization


@pytest.fixture
def environment(
    house: House, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    for name, value in organization.environment().items():
        monkeypatch.setenv(name, value)
    source = {"CCEXPORT_SOURCE_URL": f"dataverse:{organization.url}"}
    return house.environment() | source


def add_export(here: Here, environment: dict[str, str]) -> None:
    added = here(
        *("exports", "add", "News", "--connection", "Marketing", "--list-id", LIST_ID),
        *("--segment", "News", "--map", "email=msdynci_email"),
        *("--map", "first_name=msdynci_firstname"),
        environment=environment,
    )
    assert added.code == 0, added.err


def test_check_preview_and_run_agree(
    here: Here, house: House, environment: dict[str, str], organization: Organization
) -> None:
    checked = here("sources", "check", "--json", environment=environment).document
    assert checked["kind"] == "dataverse"
    assert checked["profiles"]["rows"] == COUNT
    assert checked["memberships"][0]["shape"] == "json"
    assert checked["members_without_profile"] == 1
    assert checked["example_of_each_side"] == ["gone", f"{0:032x}"]
    shown = here("sources", "check", environment=environment)
    assert f"{organization.url} was read 20" in shown.out

    add_export(here, environment)
    preview = here("exports", "preview", "News", "--json", environment=environment).document
    assert preview["counts"]["prepared"] == COUNT // 2

    ran = here("exports", "run", "News", "--wait", "--json", environment=environment)
    assert ran.code == 0, ran.err
    assert ran.document["counts"]["read"] == COUNT // 2
    assert set(house.members()) == EXPECTED
    found = here("people", "find", email(2), "--json", environment=environment)
    assert found.document["customer_ids"] == [f"{2:032x}"]
    assert here("doctor", environment=environment).out.count("attributes, 2 segments") == 1


def test_a_run_with_trouble_in_the_middle_is_exact(
    here: Here, house: House, environment: dict[str, str], organization: Organization
) -> None:
    add_export(here, environment)
    begun = len(organization.asked)
    organization.faults = {
        begun + 2: Fault(429, "0"),
        begun + 4: Fault(BROKEN),
        begun + 9: Fault(503, "0"),
    }
    ran = here("exports", "run", "News", "--wait", "--json", environment=environment)
    assert ran.code == 0, ran.err
    assert ran.document["counts"]["read"] == COUNT // 2
    assert set(house.members()) == EXPECTED
    assert len(organization.asked) - begun == 2 * PAGES + 1 + 3


def test_a_run_waits_while_dataverse_is_down_and_goes_on_where_it_was(
    here: Here, house: House, environment: dict[str, str], organization: Organization
) -> None:
    add_export(here, environment)
    begun = len(organization.asked)
    down = range(begun + 4, begun + 10)  # as often as one page is asked for
    organization.faults = {number: Fault(503, "0") for number in down}
    ran = here("exports", "run", "News", "--wait", "--json", environment=environment)
    assert ran.code == 0, ran.err
    assert "Dataverse answers 503" in ran.err
    assert set(house.members()) == EXPECTED
    assert len(organization.asked) - begun == 2 * PAGES + 1 + len(down)


def test_what_changed_since_the_preview_is_in_the_run(
    here: Here, house: House, environment: dict[str, str], organization: Organization
) -> None:
    add_export(here, environment)
    organization.tables["msdynci_segmentmemberships"] = Table(COUNT // 2, member)
    ran = here("exports", "run", "News", "--wait", "--json", environment=environment)
    assert ran.code == 0, ran.err
    assert set(house.members()) == {email(number) for number in range(0, COUNT // 2, 2)}


def test_a_run_that_may_not_read_fails_with_one_line_and_sends_nothing(
    here: Here, house: House, environment: dict[str, str], organization: Organization
) -> None:
    add_export(here, environment)
    begun = len(organization.asked)
    organization.faults = {begun + number: Fault(403) for number in range(1, 9)}
    ran = here("exports", "run", "News", "--wait", environment=environment)
    assert ran.code == 1
    last = ran.err.strip().splitlines()[-1]
    assert "does not let the application read. Give it the Viewer permission" in last
    assert house.members() == {}


def cancel_newest(house: House) -> None:
    Runs(house.installation).request_cancel(house.installation.runs.latest(limit=1)[0].id, by=ANA)


def test_a_run_that_is_canceled_while_pages_come_in_asks_for_no_other_page(
    here: Here, house: House, environment: dict[str, str], organization: Organization
) -> None:
    add_export(here, environment)
    begun = len(organization.asked)

    def canceled_at_the_third_page(number: int) -> dict[str, Any]:
        if number == 2 * COUNT // PAGES:
            cancel_newest(house)
        return person(number)

    organization.tables["msdynci_customerprofiles"] = Table(COUNT, canceled_at_the_third_page)
    ran = here("exports", "run", "News", "--wait", "--json", environment=environment)
    assert ran.document["state"] == "canceled", ran.err
    assert len(organization.asked) - begun == 3
    assert house.members() == {}


def test_a_cancel_does_not_wait_until_dataverse_takes_the_next_request(
    here: Here, house: House, environment: dict[str, str], organization: Organization
) -> None:
    add_export(here, environment)
    source = {"source_url": environment["CCEXPORT_SOURCE_URL"]}
    installation = Installation(house.settings.model_copy(update=source), house.now)
    organization.faults = {len(organization.asked) + 2: Fault(429, "200")}
    run_id = Exports(installation).queue("News", by=ANA).id
    pauses: list[float] = []

    def canceled_meanwhile(seconds: float) -> bool:
        if seconds:
            pauses.append(seconds)
            cancel_newest(house)
        return False

    held = Held(run_id, "a worker")
    assert installation.runs.claim(held.worker, run_id=run_id) is not None
    execute_run(held, replace(Worker(installation).tools, sleep=canceled_meanwhile))
    installation.close()
    assert house.document(run_id)["state"] == "canceled"
    assert pauses == [LOOK_SECONDS]


def test_no_command_shows_the_secret(
    here: Here,
    environment: dict[str, str],
    organization: Organization,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AZURE_CLIENT_SECRET", f"{SECRET}x")
    checked = here("sources", "check", environment=environment)
    assert checked.code == 1
    [line] = checked.err.strip().splitlines()
    assert "refuses the sign-in (invalid_client, AADSTS7000215)" in line
    doctor = here("doctor", environment=environment)
    assert doctor.code == 1
    for told in (checked.out, checked.err, doctor.out, doctor.err, *organization.asked):
        assert SECRET not in told
