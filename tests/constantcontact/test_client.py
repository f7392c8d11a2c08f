"""The client against made-up answers: pages, tokens, lost answers, what goes on the wire."""

from __future__ import annotations

import email
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import responses
from responses import matchers

from ccexport.constantcontact.answers import MAX_ATTEMPTS, Request
from ccexport.constantcontact.client import Client
from ccexport.constantcontact.protocol import MAX_IMPORT_BODY_BYTES
from ccexport.errors import (
    ConstantContactRefused,
    NotConnected,
    NotFoundThere,
    OutcomeUnknown,
    QueueFull,
    QuotaExceeded,
    RateLimited,
    ServiceTrouble,
    SettingError,
)
from tests.constantcontact.samples import ACTIVITY, API, LIST, World, bearers, sent

# --- what goes on the wire ------------------------------------------------------------------------------------


def test_each_request_carries_token_product_and_what_it_accepts(
    world: World, api: responses.RequestsMock
) -> None:
    api.get(
        f"{API}/account/summary", json={"encoded_account_id": "a07", "organization_name": "Shop"}
    )
    assert world.client.account().organization == "Shop"
    headers = sent(api)[0].headers
    assert headers["Authorization"] == "Bearer first-token"
    assert headers["Accept"] == "application/json"
    assert headers["User-Agent"].startswith("ccexport/")
    assert "Content-Type" not in headers
    assert world.paced == ["account_summary"]


def test_an_import_is_sent_exactly_as_the_reference_says(
    world: World, api: responses.RequestsMock
) -> None:
    api.post(f"{API}/activities/contacts_file_import", status=201, json=ACTIVITY)
    content = 'email,first_name\r\nana@example.com,Zoë "Z"\r\n'.encode()
    activity = world.client.import_contacts("run1-0001.csv", content, LIST)
    assert (activity.activity_id, activity.person_count) == ("a1", None)
    request = sent(api)[0]
    assert isinstance(request.body, bytes)
    content_type = request.headers["Content-Type"]
    assert content_type.startswith("multipart/form-data; boundary=")
    message = email.message_from_bytes(
        b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + request.body
    )
    parts: Any = message.get_payload()
    file, lists = parts
    assert file["Content-Disposition"] == 'form-data; name="file"; filename="run1-0001.csv"'
    assert file["Content-Type"] == "text/csv"
    assert file.get_payload(decode=True) == content.removesuffix(b"\r\n") + b"\r\n"
    assert lists["Content-Disposition"] == 'form-data; name="list_ids"'
    assert lists.get_content_type() == "text/plain"
    assert "Content-Type" not in lists
    assert lists.get_payload() == LIST


def test_a_body_above_the_limit_never_leaves(world: World, api: responses.RequestsMock) -> None:
    with pytest.raises(ValueError, match="cut off"):
        world.client.import_contacts("run1-0001.csv", b"x" * MAX_IMPORT_BODY_BYTES, LIST)
    assert (len(api.calls), world.paced) == (0, [])


def test_the_limit_counts_the_whole_body_to_the_byte(
    world: World, api: responses.RequestsMock
) -> None:
    api.post(f"{API}/activities/contacts_file_import", status=201, json=ACTIVITY)
    world.client.import_contacts("run1-0001.csv", b"", LIST)
    overhead = len(sent(api)[0].body or b"")
    largest = b"x" * (MAX_IMPORT_BODY_BYTES - overhead)
    world.client.import_contacts("run1-0001.csv", largest, LIST)
    assert len(sent(api)[1].body or b"") == MAX_IMPORT_BODY_BYTES
    with pytest.raises(ValueError, match="3,900,001 bytes"):
        world.client.import_contacts("run1-0001.csv", largest + b"x", LIST)


def test_a_plus_in_an_address_is_encoded(world: World, api: responses.RequestsMock) -> None:
    api.get(
        f"{API}/contacts",
        json={
            "contacts": [
                {"contact_id": "c0", "email_address": {"address": "ana@example.com"}},
                {"contact_id": "c1", "email_address": {"address": "Ana+X@example.com"}},
            ]
        },
    )
    found = world.client.find_contact("ana+x@example.com")
    assert found is not None
    assert found.contact_id == "c1"
    assert "email=ana%2Bx%40example.com" in (sent(api)[0].url or "")


def test_a_removal_names_contacts_and_one_list(world: World, api: responses.RequestsMock) -> None:
    api.post(
        f"{API}/activities/remove_list_memberships",
        status=201,
        json=ACTIVITY,
        match=[
            matchers.json_params_matcher(
                {"source": {"contact_ids": ["c1", "c2"]}, "list_ids": [LIST]}
            ),
            matchers.header_matcher({"Content-Type": "application/json"}),
        ],
    )
    assert world.client.remove_from_list(LIST, ["c1", "c2"]).activity_id == "a1"


def test_what_may_never_be_sent_is_stopped_before_the_wire(
    world: World, api: responses.RequestsMock
) -> None:
    for request in (
        Request("POST", "/activities/contact_delete", "x", "x", json={"contact_ids": ["c"]}),
        Request("POST", "/activities/contact_exports", "x", "x", json={}),
        Request("POST", "/x", "x", "x", json={"source": {"all_active_contacts": True}}),
        Request("POST", "/x", "x", "x", json={"list_ids": [LIST], "tag_ids": ["t"]}),
        Request("POST", "/x", "x", "x", json={"source": {"list_ids": [LIST]}, "list_ids": [LIST]}),
    ):
        with pytest.raises(ValueError, match=r"."):
            world.client._ask(request)
    assert (len(api.calls), world.paced) == (0, [])


@pytest.mark.parametrize(
    "body",
    [
        {"source": {"all_active_contacts": True}, "list_ids": [LIST]},
        {"source": {"tag_ids": ["t"]}, "list_ids": [LIST]},
        {"source": {"list_ids": [LIST]}, "list_ids": [LIST]},
        {"source": {"contact_ids": ["c"]}, "list_ids": [LIST], "contact_delete": True},
    ],
    ids=lambda body: ",".join(body["source"]),
)
def test_it_is_the_body_on_the_wire_that_is_looked_at_whatever_made_it(
    world: World, api: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch, body: dict[str, Any]
) -> None:
    """Broken on purpose: the request is built as it should be, and another body is put in its place."""
    session = world.client._session
    prepare = session.prepare_request

    def changed(request: requests.Request) -> requests.PreparedRequest:
        prepared = prepare(request)
        prepared.prepare_body(None, None, json=body)
        return prepared

    monkeypatch.setattr(session, "prepare_request", changed)
    with pytest.raises(ValueError, match=r"never sent|names its contacts"):
        world.client.remove_from_list(LIST, ["c1"])
    assert (len(api.calls), world.paced) == (0, [])


@pytest.mark.parametrize(
    "url", ["http://api.cc.email/v3", "ftp://localhost/v3", "api.cc.email/v3", ""]
)
def test_tokens_travel_on_https_or_on_this_machine(url: str) -> None:
    with pytest.raises(SettingError, match="CCEXPORT_CC_API_URL"):
        Client(url, lambda: "t", None, lambda operation: None)


def test_calls_to_this_machine_pass_by_every_proxy() -> None:
    session = requests.Session()
    Client("http://127.0.0.1:1/v3", lambda: "t", None, lambda operation: None, session=session)
    assert not session.trust_env


# --- tokens ---------------------------------------------------------------------------------------------------


def test_a_rejected_token_is_renewed_once_and_the_request_repeated(
    world: World, api: responses.RequestsMock
) -> None:
    api.get(f"{API}/contact_lists/{LIST}", status=401, json={"error_key": "unauthorized"})
    api.get(f"{API}/contact_lists/{LIST}", json={"list_id": LIST, "name": "Spring"})
    assert world.client.list(LIST).name == "Spring"
    assert world.rejected == ["first-token"]
    assert bearers(api) == ["Bearer first-token", "Bearer second-token"]
    assert world.paced == ["get_list", "get_list"]


def test_an_import_whose_token_was_rejected_is_sent_again_whole(
    world: World, api: responses.RequestsMock
) -> None:
    api.post(f"{API}/activities/contacts_file_import", status=401)
    api.post(f"{API}/activities/contacts_file_import", status=201, json=ACTIVITY)
    world.client.import_contacts("run1-0001.csv", b"email\r\na@b.co\r\n", LIST)
    assert all(b"a@b.co" in (request.body or b"") for request in sent(api))


def test_a_second_rejection_asks_for_a_person(world: World, api: responses.RequestsMock) -> None:
    rejected = api.get(f"{API}/account/summary", status=401, json={"error_key": "unauthorized"})
    with pytest.raises(NotConnected, match="Authenticate"):
        world.client.account()
    assert (rejected.call_count, world.rejected, world.slept) == (2, ["first-token"], [])


def test_a_sign_in_that_ended_goes_up_from_the_renewal(
    world: World, api: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(rejected: str) -> str:
        raise NotConnected("sign in again")

    monkeypatch.setattr(world.client, "_refresh_token", ended)
    api.get(f"{API}/account/summary", status=401)
    with pytest.raises(NotConnected, match="sign in again"):
        world.client.account()


def test_a_lost_renewal_does_not_make_an_import_unknown_that_was_not_sent(
    world: World, api: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost() -> str:
        raise OutcomeUnknown("no answer to the renewal")

    monkeypatch.setattr(world.client, "_get_token", lost)
    with pytest.raises(ServiceTrouble, match="renewal"):
        world.client.import_contacts("run1-0001.csv", b"email\r\n", LIST)
    assert len(api.calls) == 0


def test_denied_requests_renew_nothing(world: World, api: responses.RequestsMock) -> None:
    denied = api.get(f"{API}/account/summary", status=403, json=[{"error_key": "access_denied"}])
    with pytest.raises(ConstantContactRefused):
        world.client.account()
    assert (denied.call_count, world.rejected) == (1, [])


def test_a_token_that_is_no_token_is_not_put_into_an_error(
    world: World, api: responses.RequestsMock
) -> None:
    world.token = "secret\r\nX: y"
    with pytest.raises(NotConnected) as raised:
        world.client.account()
    assert "secret" not in str(raised.value)
    assert len(api.calls) == 0


# --- repeated, lost, refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_read_is_repeated_a_few_times_then_goes_up(
    world: World, api: responses.RequestsMock, status: int
) -> None:
    failing = api.get(f"{API}/account/summary", status=status, body="<html>")
    with pytest.raises((RateLimited, ServiceTrouble)):
        world.client.account()
    assert failing.call_count == MAX_ATTEMPTS
    assert len(world.slept) == MAX_ATTEMPTS - 1
    assert 0 < sum(world.slept) <= 3
    assert world.paced == ["account_summary"] * MAX_ATTEMPTS


def test_a_read_that_recovers_is_answered(world: World, api: responses.RequestsMock) -> None:
    api.get(f"{API}/account/summary", body=requests.ConnectionError("reset"))
    api.get(f"{API}/account/summary", status=429, json={"error_key": "throttled"})
    api.get(f"{API}/account/summary", json={"encoded_account_id": "a07"})
    assert world.client.account().account_id == "a07"


@pytest.mark.parametrize(
    "lost",
    [
        requests.ConnectionError("Connection aborted."),
        requests.ReadTimeout("slow"),
        requests.exceptions.ChunkedEncodingError("broken off"),
        requests.exceptions.ContentDecodingError("not gzip"),
        requests.exceptions.SSLError("bad record"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_import_whose_answer_is_lost_is_sent_once_and_unknown(
    world: World, api: responses.RequestsMock, lost: Exception
) -> None:
    post = api.post(f"{API}/activities/contacts_file_import", body=lost)
    with pytest.raises(OutcomeUnknown, match="looked up before") as raised:
        world.client.import_contacts("run1-0001.csv", b"email\r\n", LIST)
    assert post.call_count == 1
    assert raised.value.__suppress_context__


@pytest.mark.parametrize("status", [301, 500, 502, 503, 504])
def test_an_import_answered_with_trouble_is_sent_once_and_unknown(
    world: World, api: responses.RequestsMock, status: int
) -> None:
    post = api.post(
        f"{API}/activities/contacts_file_import", status=status, json={"message": "Bad Gateway"}
    )
    with pytest.raises(OutcomeUnknown):
        world.client.import_contacts("run1-0001.csv", b"email\r\n", LIST)
    assert (post.call_count, world.slept) == (1, [])


def test_an_import_that_found_nobody_was_not_sent(
    world: World, api: responses.RequestsMock
) -> None:
    api.post(f"{API}/activities/contacts_file_import", body=requests.ConnectTimeout("nobody"))
    with pytest.raises(ServiceTrouble, match="cannot be reached"):
        world.client.import_contacts("run1-0001.csv", b"email\r\n", LIST)


@pytest.mark.parametrize(
    ("status", "body", "expected", "calls"),
    [
        (429, {"error_key": "throttled"}, RateLimited, MAX_ATTEMPTS),
        (429, {"error_key": "quota_exceeded"}, QuotaExceeded, 1),
        (429, [{"error_message": "You exceeded 1,000 queued activities"}], QueueFull, 1),
        (400, [{"error_key": "contacts.api.validation.error"}], ConstantContactRefused, 1),
        (404, [{"error_key": "contacts.api.not_found"}], NotFoundThere, 1),
        (413, {"message": "Request Entity Too Large"}, ConstantContactRefused, 1),
        (415, {}, ConstantContactRefused, 1),
    ],
)
def test_a_refused_import_goes_up_as_what_it_is(
    world: World,
    api: responses.RequestsMock,
    status: int,
    body: Any,
    expected: type[Exception],
    calls: int,
) -> None:
    post = api.post(f"{API}/activities/contacts_file_import", status=status, json=body)
    with pytest.raises(expected):
        world.client.import_contacts("run1-0001.csv", b"email\r\n", LIST)
    assert post.call_count == calls


def test_an_error_of_a_lookup_holds_no_address(world: World, api: responses.RequestsMock) -> None:
    api.get(
        f"{API}/contacts", body=requests.ConnectionError(f"{API}/contacts?email=ana@example.com")
    )
    with pytest.raises(ServiceTrouble) as raised:
        world.client.find_contact("ana@example.com")
    assert "ana" not in str(raised.value)
    assert raised.value.__suppress_context__


def test_redirects_are_not_followed(world: World, api: responses.RequestsMock) -> None:
    api.get(f"{API}/account/summary", status=302, headers={"Location": "https://evil.test/"})
    with pytest.raises(ServiceTrouble):
        world.client.account()
    assert {urlsplit(request.url or "").hostname for request in sent(api)} == {"api.example.test"}


def test_a_used_up_budget_of_ours_stops_the_request_before_the_wire(
    world: World, api: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def used_up(operation: str) -> None:
        raise QuotaExceeded("used up")

    monkeypatch.setattr(world.client, "_pace", used_up)
    with pytest.raises(QuotaExceeded):
        world.client.account()
    assert len(api.calls) == 0


def test_a_list_whose_name_is_taken_is_a_refusal(world: World, api: responses.RequestsMock) -> None:
    post = api.post(
        f"{API}/contact_lists", status=409, json=[{"error_key": "contacts.api.conflict"}]
    )
    with pytest.raises(ConstantContactRefused) as raised:
        world.client.create_list("Spring")
    assert (raised.value.status, raised.value.error_key) == (409, "contacts.api.conflict")
    assert post.call_count == 1


def test_a_new_list_is_read_back(world: World, api: responses.RequestsMock) -> None:
    api.post(
        f"{API}/contact_lists",
        status=201,
        json={"list_id": LIST, "name": "Spring"},
        match=[
            matchers.json_params_matcher(
                {"name": "Spring", "description": "Buyers", "favorite": False}
            )
        ],
    )
    assert world.client.create_list("Spring", "Buyers").list_id == LIST


def test_the_services_clock_is_compared_with_ours(
    world: World, api: responses.RequestsMock
) -> None:
    assert world.client.clock_offset_seconds is None
    api.get(f"{API}/account/summary", status=403, headers={"Date": "Mon, 05 Jan 2026 10:05:00 GMT"})
    with pytest.raises(ConstantContactRefused):
        world.client.account()
    assert world.client.clock_offset_seconds == 300.0


# --- exports --------------------------------------------------------------------------------------------------


def test_a_lists_addresses_are_exported_and_streamed(
    world: World, api: responses.RequestsMock
) -> None:
    api.post(
        f"{API}/activities/contact_exports",
        status=201,
        json=ACTIVITY,
        match=[matchers.json_params_matcher({"list_ids": [LIST], "fields": ["email_address"]})],
    )
    completed = {
        "activity_id": "a1",
        "state": "completed",
        "_links": {"results": {"href": "/v3/contacts_exports/e1"}},
    }
    api.get(f"{API}/activities/a1", json=completed)
    api.get(
        f"{API}/contact_exports/e1",
        body=b"\xef\xbb\xbfName,Email address\r\nAna,Ana@Example.com\r\n",
    )
    activity = world.client.activity(world.client.export_list(LIST).activity_id)
    assert list(world.client.exported_emails(activity)) == ["ana@example.com"]
    assert "text/csv" in sent(api)[-1].headers["Accept"]


def test_an_export_without_a_link_is_asked_for_by_its_activity(
    world: World, api: responses.RequestsMock
) -> None:
    api.get(f"{API}/activities/a1", json={"activity_id": "a1", "state": "completed"})
    api.get(f"{API}/contact_exports/a1", body=b"Email address\r\n")
    assert list(world.client.exported_emails(world.client.activity("a1"))) == []


def test_answers_are_bounded_in_size(
    world: World, api: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccexport.constantcontact.client.MAX_ANSWER_BYTES", 1_000)
    api.get(f"{API}/account/summary", body=b'{"encoded_account_id": "' + b"x" * 2_000 + b'"}')
    with pytest.raises(ServiceTrouble, match="more than 1,000 bytes"):
        world.client.account()
