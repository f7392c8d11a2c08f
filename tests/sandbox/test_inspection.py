"""Looking into the stand-in, and changing it while it runs."""

from typing import Any

import pytest
import requests

from tests.sandbox.conftest import Account, OpenAccount


def test_members_are_sorted_by_address(account: Account) -> None:
    account.import_now("email,first_name\nb@example.com,B\nc@example.com,\na@example.com,A\n")
    assert account.emails() == ["a@example.com", "b@example.com", "c@example.com"]
    emails = account.inspect("members", list=account.newsletter, format="emails").json()
    assert emails == account.emails()
    assert account.inspect("members", list="unknown").status_code == 404
    assert account.inspect("members").status_code == 404


@pytest.mark.parametrize(
    "value", ['quote " inside', "back\\slash", "back\\u001fslash", "Ünï", "tab\tinside"]
)
def test_members_show_values_as_they_came(account: Account, value: str) -> None:
    records = [
        {"email": "a@example.com", "city": value, "last_name": "after", "cf:Loyalty_tier": value}
    ]
    body = {"import_data": records, "list_ids": [account.newsletter]}
    account.finish(account.post("/activities/contacts_json_import", body))
    member = account.members()[0]
    assert (member["city"], member["last_name"]) == (value, "after")
    assert member["custom_fields"] == {"Loyalty_tier": value}
    assert member["contact_id"] == account.contact_id("a@example.com")


def test_more_members_than_one_chunk_are_one_array(account: Account) -> None:
    account.import_now("email\n" + "".join(f"p{n}@example.com\n" for n in range(12_000)))
    assert len(account.members()) == 12_000


def test_the_log_tells_what_came_without_values(account: Account) -> None:
    account.upload("email\na@example.com\nb@example.com\n", name="run7-0001.csv")
    account.get("/contacts", email="secret@example.com")
    answer = account.inspect("requests")
    logged = answer.json()
    upload = next(one for one in logged if one["operation"] == "contactsCSVImport")
    assert (upload["method"], upload["path"]) == ("POST", "/v3/activities/contacts_file_import")
    assert (upload["status"], upload["file_name"], upload["rows"]) == (201, "run7-0001.csv", 2)
    assert upload["bytes"] > 40
    assert upload["at"] == account.clock.now
    assert logged[-1]["query"] == ["email"]
    assert [one["grant_type"] for one in logged if one["operation"] == "token"] == [
        "authorization_code"
    ]
    token = str(account.session.headers["Authorization"]).removeprefix("Bearer ")
    for secret in ("secret@example.com", token, "a@example.com"):
        assert secret not in answer.text


def test_behaviour_can_be_changed_while_it_runs(account: Account) -> None:
    answer = account.turn(
        "behaviour",
        lists=["Third", {"name": "Newsletter", "deleted": True}],
        custom_fields=["Size"],
        unsubscribed=["out@example.com"],
        processing_seconds=7,
    )
    assert answer.json()["processing_seconds"] == 7
    assert answer.json()["auto_approve"] is True
    names = [one["name"] for one in account.get("/contact_lists").json()["lists"]]
    assert names == ["Product news", "Third"]
    fields = [one["name"] for one in account.get("/contact_custom_fields").json()["custom_fields"]]
    assert fields == ["Loyalty_tier", "Size"]
    third = account.state.lists.all()[2].list_id
    done = account.import_now("email,cf:Size\nout@example.com,L\n", lists=third)
    assert done["status"]["cannot_add_to_list_count"] == 1


def test_a_change_keeps_what_it_does_not_name(account: Account) -> None:
    account.fault("getLists", "conflict", after=1)
    account.turn("behaviour", requests_per_day=2)
    statuses = [account.get("/contact_lists").status_code for _ in range(3)]
    assert statuses == [200, 409, 429]
    assert len(account.state.lists.all()) == 2


@pytest.mark.parametrize(
    "body", [{"colour": "red"}, {"faults": [{"on": "getLists", "do": "x"}]}, [], {"lists": 1000}]
)
def test_a_change_that_is_wrong_changes_nothing(account: Account, body: Any) -> None:
    before = account.inspect("behaviour").json()
    answer = requests.post(f"{account.url}/_sandbox/behaviour", json=body, timeout=10)
    assert answer.status_code == 400
    assert "\n" not in answer.json()["error"]
    assert account.inspect("behaviour").json() == before
    assert len(account.state.lists.all()) == 2


@pytest.mark.parametrize("what", ["leave", "unsubscribe"])
def test_people_are_named_by_address(account: Account, what: str) -> None:
    assert account.turn(what).status_code == 400
    assert requests.post(f"{account.url}/_sandbox/{what}", data="x", timeout=10).status_code == 400


def test_only_a_member_can_leave(account: Account) -> None:
    answer = account.turn("leave", email="a@example.com", list_id=account.newsletter)
    assert answer.status_code == 404


def test_who_opts_out_leaves_every_list_for_good(account: Account) -> None:
    account.import_now("email\na@example.com\n")
    account.turn("unsubscribe", email="A@example.com")
    assert account.emails() == []
    assert account.import_now("email\na@example.com\n")["status"]["cannot_add_to_list_count"] == 1
    assert account.emails() == []


def test_lists_can_have_members_from_birth(open_account: OpenAccount) -> None:
    lists = [{"name": "N", "members": ["B@example.com", "unsubscribed@example.com"]}]
    assert open_account(lists=lists).emails() == ["b@example.com"]
