"""Collections of the API: every page is seen, and the token follows no foreign link."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import responses
from responses import matchers

from ccexport.errors import (
    ServiceTrouble,
)
from tests.constantcontact.samples import ACTIVITY, API, LIST, World, sent

# --- pages ----------------------------------------------------------------------------------------------------


def serve_pages(
    api: responses.RequestsMock, path: str, key: str, pages: list[list[dict[str, Any]]]
) -> None:
    """Serve a collection whose next links carry a cursor and nothing else."""

    def answer(request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        query = parse_qs(urlsplit(request.url or "").query)
        number = int(query.get("cursor", ["0"])[0])
        assert set(query) == {"cursor"} or number == 0, "a link is followed as it came"
        data: dict[str, Any] = {key: pages[number]}
        if number + 1 < len(pages):
            data["_links"] = {"next": {"href": f"/v3{path}?cursor={number + 1}"}}
        return 200, {}, json.dumps(data)

    api.add_callback(responses.GET, f"{API}{path}", callback=answer)


def test_a_thousand_lists_are_all_seen(world: World, api: responses.RequestsMock) -> None:
    lists = [{"list_id": f"list-{n}", "name": f"List {n}"} for n in range(1_000)]
    serve_pages(api, "/contact_lists", "lists", [lists[n : n + 50] for n in range(0, 1_000, 50)])
    assert [found.name for found in world.client.lists()] == [f"List {n}" for n in range(1_000)]
    assert len(api.calls) == 20


def test_empty_pages_in_between_do_not_end_the_walk(
    world: World, api: responses.RequestsMock
) -> None:
    contacts = [{"contact_id": f"c{n}"} for n in range(3)]
    serve_pages(api, "/contacts", "contacts", [[], contacts[:1], [], [], contacts, []])
    assert [contact.contact_id for contact in world.client.members(LIST)] == ["c0", "c1", "c2"]


def test_a_link_that_goes_round_ends_the_walk(world: World, api: responses.RequestsMock) -> None:
    api.get(
        f"{API}/contact_lists",
        json={
            "lists": [{"list_id": "l1", "name": "One"}],
            "_links": {"next": {"href": "/v3/contact_lists?cursor=same"}},
        },
    )
    assert len(world.client.lists()) == 1
    assert len(api.calls) == 2


@pytest.mark.parametrize(
    "href", ["https://evil.test/v3/contact_lists?cursor=1", "//evil.test/v3/x", "/v4/contact_lists"]
)
def test_the_token_follows_no_link_that_leads_elsewhere(
    world: World, api: responses.RequestsMock, href: str
) -> None:
    api.get(f"{API}/contact_lists", json={"lists": [], "_links": {"next": {"href": href}}})
    with pytest.raises(ServiceTrouble, match="leads elsewhere"):
        world.client.lists()
    assert {urlsplit(request.url or "").hostname for request in sent(api)} == {"api.example.test"}


def test_a_page_that_fails_fails_the_whole_collection(
    world: World, api: responses.RequestsMock
) -> None:
    api.get(
        f"{API}/contact_lists",
        json={"lists": [], "_links": {"next": {"href": "/v3/contact_lists?cursor=1"}}},
        match=[matchers.query_param_matcher({"limit": "500", "status": "active"})],
    )
    api.get(
        f"{API}/contact_lists",
        status=503,
        match=[matchers.query_param_matcher({"cursor": "1"})],
    )
    with pytest.raises(ServiceTrouble):
        world.client.lists()


def test_a_lost_import_is_found_by_its_file_name_on_any_page(
    world: World, api: responses.RequestsMock
) -> None:
    other = {"activity_id": "a0", "state": "completed"}
    serve_pages(api, "/activities", "activities", [[other], [other, ACTIVITY], [other]])
    found = world.client.find_activity("run1-0001.csv")
    assert found is not None
    assert found.activity_id == "a1"
    assert len(api.calls) == 2
    assert world.client.find_activity("run1-0002.csv") is None


def test_the_walk_over_activities_ends_when_all_wanted_are_seen(
    world: World, api: responses.RequestsMock
) -> None:
    pages = [[{"activity_id": f"a{n}", "state": "processing"}] for n in range(5)]
    serve_pages(api, "/activities", "activities", pages)
    found = world.client.activities(until=lambda so_far: len(so_far) == 2)
    assert [activity.activity_id for activity in found] == ["a0", "a1"]
    assert len(world.client.activities()) == 5


def test_a_list_is_found_by_name_in_any_case(world: World, api: responses.RequestsMock) -> None:
    pages = [[{"list_id": "l1", "name": "One"}], [{"list_id": "l2", "name": "Spring Buyers"}]]
    serve_pages(api, "/contact_lists", "lists", pages)
    found = world.client.find_list(" spring buyers")
    assert found is not None
    assert found.list_id == "l2"
    assert world.client.find_list("spring") is None


def test_custom_fields_and_rights_are_read(world: World, api: responses.RequestsMock) -> None:
    fields = [{"name": f"f{n}", "label": f"F {n}", "type": "string"} for n in range(100)]
    serve_pages(api, "/contact_custom_fields", "custom_fields", [fields[:50], fields[50:]])
    api.get(
        f"{API}/account/user/privileges",
        json=[{"privilege_id": 30, "privilege_name": "contacts:read"}],
    )
    api.get(f"{API}/contacts/counts", json={"total": 3})
    assert len(world.client.custom_fields()) == 100
    assert world.client.privileges() == {"contacts:read"}
    assert world.client.contact_counts().total == 3
