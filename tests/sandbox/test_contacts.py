"""Contacts: filters, counts, memberships, deletion, exports, and activities as they are listed."""

import csv
import io
from typing import Any

import pytest
import requests

from tests.sandbox.conftest import Account, OpenAccount

NOBODY = "11111111-1111-1111-1111-111111111111"


@pytest.fixture
def people(account: Account) -> Account:
    """a, b, c on the newsletter; c opted out since; d deleted; then time passes."""
    account.import_now(
        "email,first_name,cf:Loyalty_tier\n"
        + "".join(f"{x}@example.com,{x.upper()},Gold\n" for x in "abcd")
    )
    account.turn("unsubscribe", email="c@example.com")
    account.finish(
        account.post(
            "/activities/contact_delete", {"contact_ids": [account.contact_id("d@example.com")]}
        )
    )
    return account


def _letters(answer: requests.Response) -> str:
    found = [one["email_address"]["address"] for one in answer.json()["contacts"]]
    return "".join(sorted(address[0] for address in found if address != "unsubscribed@example.com"))


@pytest.mark.parametrize(
    ("query", "letters"),
    [
        ({}, "abc"),
        ({"status": "all"}, "abcd"),
        ({"status": "active"}, "ab"),
        ({"status": "deleted"}, "d"),
        ({"status": "unsubscribed"}, "c"),
        ({"status": "unsubscribed,deleted"}, "cd"),
        ({"status": "temp_hold"}, ""),
        ({"email": "A@Example.com"}, "a"),
        ({"email": "d@example.com"}, ""),
        ({"lists": NOBODY}, ""),
        ({"status": "all", "optout_after": "2026-01-05T12:00:30Z"}, "c"),
        ({"status": "all", "optout_after": "2026-01-06T00:00:00Z"}, ""),
        ({"created_before": "2026-01-05T12:00:00Z"}, ""),
        ({"created_after": "2026-01-05T07:00:00-05:00"}, "abc"),
        ({"updated_after": "2026-01-05T12:01:10Z"}, ""),
        ({"tags": NOBODY}, ""),
    ],
)
def test_contacts_can_be_asked_for(people: Account, query: dict[str, str], letters: str) -> None:
    answer = people.get("/contacts", **query)
    assert answer.status_code == 200, answer.text
    assert _letters(answer) == letters


@pytest.mark.parametrize(
    "query",
    [
        {"status": "happy"},
        {"include": "everything"},
        {"lists": ",".join([NOBODY] * 26)},
        {"created_after": "yesterday"},
        {"segment_id": "1", "status": "all"},
    ],
)
def test_a_filter_that_cannot_be_read_is_refused(people: Account, query: dict[str, str]) -> None:
    assert people.get("/contacts", **query).status_code == 400


def test_members_of_a_list_come_page_by_page(account: Account) -> None:
    account.import_now("email\n" + "".join(f"p{n:04d}@example.com\n" for n in range(1_001)))
    page = account.get(
        "/contacts", lists=account.newsletter, limit=500, include_count="true"
    ).json()
    assert page["contacts_count"] == 1_001
    seen = [one["contact_id"] for one in page["contacts"]]
    while "next" in page["_links"]:
        page = account.get(page["_links"]["next"]["href"]).json()
        seen += [one["contact_id"] for one in page["contacts"]]
    assert (len(seen), len(set(seen))) == (1_001, 1_001)


def test_a_contact_shows_what_was_asked_for(people: Account) -> None:
    plain = people.get("/contacts", email="a@example.com").json()["contacts"][0]
    assert not {"custom_fields", "list_memberships", "phone_numbers"} & set(plain)
    assert plain["email_address"]["permission_to_send"] == "implicit"
    assert plain["email_address"]["opt_in_source"] == "Account"
    full = people.get(
        "/contacts", email="a@example.com", include="custom_fields,list_memberships"
    ).json()
    shown = full["contacts"][0]
    assert shown["list_memberships"] == [people.newsletter]
    assert [field["value"] for field in shown["custom_fields"]] == ["Gold"]


def test_who_opted_out_says_when_and_is_on_no_list(people: Account) -> None:
    shown = people.get("/contacts", email="c@example.com", include="list_memberships").json()
    contact = shown["contacts"][0]
    assert contact["email_address"]["permission_to_send"] == "unsubscribed"
    assert contact["email_address"]["opt_out_date"] == "2026-01-05T12:01:01.500Z"
    assert contact["list_memberships"] == []


def test_counts_are_by_consent(people: Account) -> None:
    counts = people.get("/contacts/counts", include="new_subscriber").json()
    assert counts == {
        "total": 4,
        "explicit": 0,
        "implicit": 2,
        "pending": 0,
        "unsubscribed": 2,
        "new_subscriber": 5,
    }
    assert people.get("/contacts/counts", include="all").status_code == 400


def test_a_deleted_contact_is_on_no_list_and_an_import_revives_it(people: Account) -> None:
    deleted = people.get("/contacts", email="d@example.com", status="all").json()["contacts"][0]
    assert deleted["deleted_at"] == "2026-01-05"
    assert people.emails() == ["a@example.com", "b@example.com"]
    people.import_now("email\nd@example.com\n")
    assert people.emails() == ["a@example.com", "b@example.com", "d@example.com"]
    revived = people.get("/contacts", email="d@example.com").json()["contacts"][0]
    assert (revived["first_name"], "deleted_at" in revived) == ("D", False)


def test_members_can_be_removed_by_id(people: Account) -> None:
    body = {
        "source": {"contact_ids": [people.contact_id("a@example.com"), NOBODY]},
        "list_ids": [people.newsletter],
    }
    done = people.finish(people.post("/activities/remove_list_memberships", body))
    assert done["status"] == {"items_total_count": 1, "items_completed_count": 1, "list_count": 1}
    assert people.emails() == ["b@example.com"]
    assert _letters(people.get("/contacts")) == "abc"


def test_a_list_can_be_emptied_by_its_own_id(people: Account) -> None:
    kept = people.contact_id("b@example.com")
    body = {
        "source": {"list_ids": [people.newsletter]},
        "list_ids": [people.newsletter],
        "exclude": {"contact_ids": [kept]},
    }
    people.finish(people.post("/activities/remove_list_memberships", body))
    assert people.emails() == ["b@example.com"]


def test_added_members_are_revived_but_not_those_who_opted_out(people: Account) -> None:
    other = people.state.lists.all()[1].list_id
    ids = [people.contact_id(f"{x}@example.com") for x in "acd"]
    body = {"source": {"contact_ids": ids}, "list_ids": [other]}
    people.finish(people.post("/activities/add_list_memberships", body))
    assert people.emails(other) == ["a@example.com", "d@example.com"]


@pytest.mark.parametrize(
    "source",
    [
        {},
        {"contact_ids": []},
        {"contact_ids": [NOBODY], "all_active_contacts": True},
        {"contact_ids": [NOBODY] * 501},
        {"list_ids": [NOBODY] * 51},
        {"list_ids": [NOBODY]},
        {"emails": ["a@example.com"]},
    ],
)
@pytest.mark.parametrize("what", ["add_list_memberships", "remove_list_memberships"])
def test_a_source_is_exactly_one_thing_within_its_bounds(
    account: Account, what: str, source: dict[str, Any]
) -> None:
    body = {"source": source, "list_ids": [account.newsletter]}
    assert account.post(f"/activities/{what}", body).status_code == 400


def test_contacts_of_a_list_are_deleted_from_the_account(people: Account) -> None:
    people.finish(people.post("/activities/contact_delete", {"list_ids": [people.newsletter]}))
    assert _letters(people.get("/contacts")) == "c"


@pytest.mark.parametrize(
    "body", [{}, {"contact_ids": [NOBODY], "list_ids": [NOBODY]}, {"list_ids": [NOBODY]}]
)
def test_a_deletion_is_by_contacts_or_by_lists(account: Account, body: dict[str, Any]) -> None:
    assert account.post("/activities/contact_delete", body).status_code == 400


def _export(account: Account, body: dict[str, Any]) -> requests.Response:
    done = account.finish(account.post("/activities/contact_exports", body))
    file_id = done["_links"]["results"]["href"].rpartition("/")[2]
    return account.get(f"/contact_exports/{file_id}")


def _table(answer: requests.Response) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8"))))


def test_an_export_is_a_file_with_headings_for_people(people: Account) -> None:
    answer = _export(people, {"list_ids": [people.newsletter]})
    assert answer.headers["content-type"].startswith("text/csv")
    first, second = _table(answer)
    assert (first["Email address"], first["First name"], first["Loyalty tier"]) == (
        "a@example.com",
        "A",
        "Gold",
    )
    assert (second["Email permission status"], second["Email Lists"]) == ("Implicit", "Newsletter")


@pytest.mark.parametrize(
    ("body", "emails"),
    [
        ({}, "abc"),
        ({"list_ids": ["L"], "status": "active"}, "ab"),
        ({"list_ids": ["L"], "status": "unsubscribed"}, ""),
        ({"tag_ids": [NOBODY]}, ""),
    ],
)
def test_an_export_can_be_narrowed(people: Account, body: dict[str, Any], emails: str) -> None:
    if "list_ids" in body:
        body = body | {"list_ids": [people.newsletter]}
    found = [
        row["Email address"]
        for row in _table(_export(people, body | {"fields": ["email_address"]}))
    ]
    assert (
        "".join(address[0] for address in found if address != "unsubscribed@example.com") == emails
    )


def test_an_export_can_hold_addresses_alone(people: Account) -> None:
    answer = _export(people, {"list_ids": [people.newsletter], "fields": ["email_address"]})
    assert answer.text.splitlines() == ["Email address", "a@example.com", "b@example.com"]


def test_an_export_is_there_once_it_is_completed(people: Account) -> None:
    started = people.post("/activities/contact_exports", {})
    path = f"/contact_exports/{started.json()['activity_id']}"
    assert "results" not in started.json()["_links"]
    assert people.get(path).status_code == 404
    people.finish(started)
    assert people.get(path).status_code == 200


def test_activities_are_listed_without_kind_or_lists(people: Account) -> None:
    listed = people.get("/activities").json()["activities"]
    assert len(listed) == 2
    assert {one["state"] for one in listed} == {"completed"}
    text = str(listed)
    assert people.newsletter not in text
    assert "import" not in text
    assert listed[1]["source_file_name"] == "run1-0001.csv"


def test_activities_can_be_asked_for_by_state(people: Account) -> None:
    people.upload("email\nz@example.com\n")
    assert len(people.get("/activities", state="completed").json()["activities"]) == 2
    assert people.get("/activities", state="failed").json()["activities"] == []
    assert people.get("/activities", state="initialized").status_code == 400
    assert len(people.get("/activities").json()["activities"]) == 3


def test_activities_are_gone_after_ten_days(open_account: OpenAccount) -> None:
    account = open_account(expires_in=20 * 86_400)
    account.sign_in()
    done = account.import_now("email\na@example.com\n")
    path = f"/activities/{done['activity_id']}"
    account.clock.advance(10 * 86_400 - 61)
    assert account.get(path).status_code == 200
    account.clock.advance(2)
    assert account.get(path).status_code == 404
    assert account.get("/activities").json()["activities"] == []
