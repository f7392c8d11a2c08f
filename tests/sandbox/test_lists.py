"""Lists, custom fields, the account, and the pages of collections."""

from typing import Any

import pytest
import requests

from tests.sandbox.conftest import Account, OpenAccount


def _walk(account: Account, path: str, key: str, **query: Any) -> list[list[Any]]:
    """The pages of a collection, following `next` as it stands."""
    pages = []
    answer = account.get(path, **query).json()
    while True:
        pages.append(answer[key])
        link = (answer.get("_links") or {}).get("next")
        if link is None:
            return pages
        assert link["href"].startswith("/v3/")
        answer = account.get(link["href"]).json()


def test_a_thousand_lists_come_in_two_pages_of_500(open_account: OpenAccount) -> None:
    account = open_account(lists=1_000)
    account.sign_in()
    pages = _walk(account, "/contact_lists", "lists", limit=500)
    assert [len(page) for page in pages] == [500, 500]
    assert len({entry["list_id"] for page in pages for entry in page}) == 1_000


@pytest.mark.parametrize(
    ("path", "most", "key"),
    [
        ("/contact_lists", 1000, "lists"),
        ("/contacts", 500, "contacts"),
        ("/contact_custom_fields", 100, "custom_fields"),
        ("/activities", 500, "activities"),
    ],
)
def test_a_limit_is_between_one_and_the_collections_most(
    account: Account, path: str, most: int, key: str
) -> None:
    assert key in account.get(path, limit=most).json()
    for wrong in (0, most + 1, "many"):
        answer = account.get(path, limit=wrong)
        assert answer.status_code == 400
        assert answer.json()[0]["error_key"] == "contacts.api.validation.error"


def test_fifty_are_on_a_page_by_default(open_account: OpenAccount) -> None:
    account = open_account(lists=51, custom_fields=[f"f{n}" for n in range(51)])
    account.sign_in()
    assert [len(p) for p in _walk(account, "/contact_lists", "lists")] == [50, 1]
    assert [len(p) for p in _walk(account, "/contact_custom_fields", "custom_fields")] == [50, 1]


def test_a_cursor_that_was_made_up_is_refused(account: Account) -> None:
    assert account.get("/contact_lists", cursor="abc").status_code == 400


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["A", "B"]),
        ({"status": "active"}, ["A", "B"]),
        ({"status": "deleted"}, ["Old"]),
        ({"status": "active,deleted"}, ["A", "B", "Old"]),
        ({"status": "all"}, ["A", "B", "Old"]),
        ({"name": "B"}, ["B"]),
        ({"name": "none"}, []),
        ({"channel_type": "sms"}, []),
    ],
)
def test_lists_can_be_asked_for_by_status_and_name(
    open_account: OpenAccount, query: dict[str, str], names: list[str]
) -> None:
    account = open_account(lists=["A", "B", {"name": "Old", "deleted": True}])
    account.sign_in()
    found = account.get("/contact_lists", include_count="true", **query).json()
    assert [entry["name"] for entry in found["lists"]] == names
    assert found["lists_count"] == len(names)


def test_a_deleted_list_still_answers_and_says_when(open_account: OpenAccount) -> None:
    account = open_account(lists=[{"name": "Old", "deleted": True}, "New"])
    account.sign_in()
    answer = account.get(f"/contact_lists/{account.newsletter}")
    assert answer.status_code == 200
    assert answer.json()["deleted_at"] == "2026-01-05T12:00:00.000Z"


def test_an_unknown_list_is_404_in_an_array(account: Account) -> None:
    answer = account.get("/contact_lists/11111111-1111-1111-1111-111111111111")
    assert answer.status_code == 404
    assert answer.json()[0]["error_key"] == "contacts.api.not_found"


def test_ids_of_lists_follow_from_seed_and_name(open_account: OpenAccount) -> None:
    first = open_account(seed=1).newsletter
    assert open_account(seed=1).newsletter == first
    assert open_account(seed=2).newsletter != first


def test_membership_is_counted_only_when_asked_for(open_account: OpenAccount) -> None:
    members = ["a@example.com", "b@example.com", "unsubscribed@example.com"]
    account = open_account(
        lists=[{"name": "N", "members": members}], unsubscribed=["b@example.com"]
    )
    account.sign_in()
    path = f"/contact_lists/{account.newsletter}"
    assert "membership_count" not in account.get(path).json()
    assert account.get(path, include_membership_count="active").json()["membership_count"] == 1
    assert account.get(path, include_membership_count="some").status_code == 400


def test_a_new_list_can_be_made_and_found(account: Account) -> None:
    made = account.post("/contact_lists", {"name": "Spring buyers", "description": "d"})
    assert made.status_code == 201
    assert "membership_count" not in made.json()
    found = account.get(f"/contact_lists/{made.json()['list_id']}").json()
    assert (found["name"], found["description"], found["favorite"]) == ("Spring buyers", "d", False)


@pytest.mark.parametrize("name", ["Newsletter", "NEWSLETTER"])
def test_a_name_that_exists_is_a_conflict(account: Account, name: str) -> None:
    answer = account.post("/contact_lists", {"name": name})
    assert answer.status_code == 409
    assert answer.json()[0]["error_key"] == "contacts.api.conflict"


@pytest.mark.parametrize(
    "body", [{}, {"name": ""}, {"name": "x" * 256}, {"name": 1}, {"name": "a", "x": 1}, []]
)
def test_a_list_that_does_not_fit_the_schema_is_refused(account: Account, body: Any) -> None:
    answer = account.post("/contact_lists", body)
    assert answer.status_code == 400
    assert {entry["error_key"] for entry in answer.json()} == {"contacts.api.validation.error"}


def test_several_mistakes_are_several_errors(account: Account) -> None:
    assert len(account.post("/contact_lists", {"name": 1, "favorite": "yes"}).json()) == 2


def test_a_thousand_lists_are_the_most(open_account: OpenAccount) -> None:
    account = open_account(lists=1_000)
    account.sign_in()
    assert account.post("/contact_lists", {"name": "One more"}).status_code == 400


def test_a_custom_field_is_named_after_its_label(open_account: OpenAccount) -> None:
    account = open_account(
        custom_fields=[
            "Loyalty tier",
            {"label": "Size", "type": "single_select", "choices": ["S", "L"]},
        ]
    )
    account.sign_in()
    first, second = account.get("/contact_custom_fields").json()["custom_fields"]
    assert (first["label"], first["name"], first["type"]) == (
        "Loyalty tier",
        "Loyalty_tier",
        "string",
    )
    assert [choice["choice_label"] for choice in second["choices"]] == ["S", "L"]


def test_the_summary_has_an_address_only_when_asked_for(account: Account) -> None:
    assert "physical_address" not in account.get("/account/summary").json()
    full = account.get("/account/summary", extra_fields="physical_address").json()
    assert full["physical_address"]["country_code"] == "US"
    assert account.get("/account/summary", extra_fields="secrets").status_code == 400


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/v3/nothing", 404, list),
        ("/v2/contacts", 403, dict),
        ("/", 403, dict),
        ("/.well-known/openid-configuration", 403, dict),
    ],
)
def test_other_places_answer_in_the_shape_of_who_answers(
    account: Account, path: str, status: int, body: type
) -> None:
    answer = requests.get(account.url + path, timeout=10)
    assert answer.status_code == status
    assert isinstance(answer.json(), body)


def test_json_that_is_not_called_so_is_415(account: Account) -> None:
    answer = account.call("POST", "/contact_lists", data='{"name": "A"}')
    assert answer.status_code == 415
