"""Faults: when they are met, and what each one does."""

import csv
import io
import json
from typing import Any

import pytest
import requests

from ccexport.sandbox.faults import FAULT_NAMES, Fault, FaultBook
from tests.sandbox.conftest import Account, OpenAccount

ONE = "email\na@example.com\n"


def _faults(*data: dict[str, Any]) -> FaultBook:
    return FaultBook(tuple(Fault.model_validate(one) for one in data))


def _met(book: FaultBook, group: str = "instead", count: int = 4) -> list[str | None]:
    taken = [book.take(group, "getLists", "GET", "/v3/contact_lists") for _ in range(count)]
    return [fault.do if fault else None for fault in taken]


@pytest.mark.parametrize(
    ("faults", "met"),
    [
        ([{"do": "throttled"}], ["throttled", None, None, None]),
        ([{"do": "throttled", "times": 2}], ["throttled", "throttled", None, None]),
        ([{"do": "throttled", "times": -1}], ["throttled"] * 4),
        ([{"do": "throttled", "after": 2}], [None, None, "throttled", None]),
        ([{"do": "throttled", "times": 0}], [None] * 4),
        (
            [{"do": "unauthorized"}, {"do": "server_error"}],
            ["unauthorized", "server_error", None, None],
        ),
        ([{"do": "drop_after"}], [None] * 4),
    ],
)
def test_a_fault_is_met_after_so_many_so_many_times(
    faults: list[dict[str, Any]], met: list[str | None]
) -> None:
    assert _met(_faults(*({"on": "getLists", **one} for one in faults))) == met


@pytest.mark.parametrize(
    ("on", "fits"),
    [
        ("getLists", True),
        ("*", True),
        ("GET /v3/contact_*", True),
        ("* /v3/contact_lists", True),
        ("GET /v3/*", True),
        ("POST /v3/contact_lists", False),
        ("GET /v3/contacts*", False),
        ("getList", False),
        ("token", False),
    ],
)
def test_on_says_which_requests(on: str, fits: bool) -> None:
    assert _met(_faults({"on": on, "do": "conflict"}), count=1) == ["conflict" if fits else None]


def test_a_fault_of_one_grant_leaves_the_other_alone() -> None:
    book = _faults({"on": "token:refresh_token", "do": "invalid_grant"})
    place = ("token", "POST", "/oauth2/default/v1/token")
    assert book.take("instead", *place, "authorization_code") is None
    assert book.take("instead", *place, "refresh_token") is not None


@pytest.mark.parametrize(
    ("do", "status", "body"),
    [
        ("unauthorized", 401, {"error_key": "unauthorized"}),
        ("access_denied", 403, {"error_key": "access_denied"}),
        ("not_found", 404, [{"error_key": "contacts.api.not_found"}]),
        ("validation_error", 400, [{"error_key": "contacts.api.validation.error"}]),
        ("conflict", 409, [{"error_key": "contacts.api.conflict"}]),
        ("throttled", 429, {"error_key": "throttled"}),
        ("quota_exceeded", 429, {"error_key": "quota_exceeded"}),
        ("queue_full", 429, [{"error_key": "contacts.api.activity.limit_exceeded"}]),
        ("server_error", 500, [{"error_key": "contacts.api.internal_error"}]),
        ("unavailable", 503, {"message": "Service Unavailable"}),
        ("gateway_timeout", 504, {"message": "Endpoint request timed out"}),
        ("too_large", 413, {"message": "Request Entity Too Large"}),
    ],
)
def test_an_error_comes_once_in_its_shape(
    account: Account, do: str, status: int, body: Any
) -> None:
    account.fault("getLists", do)
    answer = account.get("/contact_lists")
    assert answer.status_code == status
    said = answer.json()
    expected = body[0] if isinstance(body, list) else body
    assert isinstance(said, type(body))
    found = said[0] if isinstance(said, list) else said
    assert expected.items() <= found.items()
    assert account.get("/contact_lists").status_code == 200


@pytest.mark.parametrize(
    ("do", "status", "text"),
    [
        ("bad_gateway", 502, "<html>"),
        ("empty", 500, ""),
        ("truncated_json", 200, '{"activity_id": "0b'),
    ],
)
def test_answers_that_are_no_json(account: Account, do: str, status: int, text: str) -> None:
    account.fault("getLists", do)
    answer = account.get("/contact_lists")
    assert answer.status_code == status
    assert answer.text.startswith(text)
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


@pytest.mark.parametrize(
    ("body", "text", "kind"),
    [
        ({"a": 1}, '{"a": 1}', "application/json"),
        ("<p>x</p>", "<p>x</p>", "text/html; charset=utf-8"),
        (None, "", None),
    ],
)
def test_any_answer_can_be_given(account: Account, body: Any, text: str, kind: str | None) -> None:
    account.fault("getLists", "answer", status=418, body=body, headers={"retry-after": "7"})
    answer = account.get("/contact_lists")
    assert (answer.status_code, answer.text) == (418, text)
    assert (answer.headers.get("content-type"), answer.headers["retry-after"]) == (kind, "7")


def test_an_answer_can_lead_elsewhere(account: Account) -> None:
    there = "https://elsewhere.example.com/"
    account.fault("getLists", "answer", status=302, headers={"location": there})
    assert account.get("/contact_lists").headers["location"] == there


def test_a_fault_comes_before_limits_and_sign_in(open_account: OpenAccount) -> None:
    account = open_account(requests_per_day=0)
    account.fault("getLists", "unavailable")
    assert [account.get("/contact_lists").status_code for _ in range(2)] == [503, 429]


def test_a_delay_is_longer_than_an_impatient_client_waits(account: Account) -> None:
    account.fault("getLists", "delay", delay_seconds=0.5)
    url, headers = f"{account.url}/v3/contact_lists", account.session.headers
    with pytest.raises(requests.ReadTimeout):
        requests.get(url, headers=headers, timeout=0.05)
    assert account.get("/contact_lists").status_code == 200


@pytest.mark.parametrize(("do", "made"), [("drop_before", 0), ("drop_after", 1), ("cut_after", 1)])
def test_a_lost_answer_leaves_open_whether_the_job_exists(
    account: Account, do: str, made: int
) -> None:
    account.fault("contactsCSVImport", do)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        account.upload(ONE, name="lost.csv")
    listed = account.get("/activities").json()["activities"]
    assert [one["source_file_name"] for one in listed] == ["lost.csv"] * made
    assert account.upload(ONE).status_code == 201


def test_a_job_can_exist_although_the_gateway_gave_up(account: Account) -> None:
    account.fault(
        "contactsCSVImport", "answer_after", body={"message": "Endpoint request timed out"}
    )
    answer = account.upload(ONE)
    assert (answer.status_code, answer.json()) == (504, {"message": "Endpoint request timed out"})
    assert len(account.get("/activities").json()["activities"]) == 1


def test_an_answer_lost_after_rotation_leaves_a_spent_token(open_account: OpenAccount) -> None:
    account = open_account()
    token = account.sign_in()["refresh_token"]
    account.fault("token:refresh_token", "drop_after")
    with pytest.raises(requests.ConnectionError):
        account.refresh(token)
    assert account.refresh(token).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("do", "status", "error"),
    [("invalid_grant", 400, "invalid_grant"), ("invalid_client", 401, "invalid_client")],
)
def test_the_token_endpoint_can_refuse(
    open_account: OpenAccount, do: str, status: int, error: str
) -> None:
    account = open_account()
    token = account.sign_in()["refresh_token"]
    account.fault("token", do)
    answer = account.refresh(token)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert "error_description" in answer.json()
    assert account.refresh(token).status_code == 200


def test_the_token_endpoint_can_be_throttled(open_account: OpenAccount) -> None:
    account = open_account()
    token = account.sign_in()["refresh_token"]
    account.fault("token", "throttled")
    assert [account.refresh(token).status_code for _ in range(2)] == [429, 200]


def test_without_a_new_refresh_token_the_old_one_goes_on(open_account: OpenAccount) -> None:
    account = open_account()
    token = account.sign_in()["refresh_token"]
    account.fault("token", "no_refresh_token")
    assert "refresh_token" not in account.refresh(token).json()
    assert account.refresh(token).status_code == 200


def test_a_sign_in_can_end_without_a_refresh_token(open_account: OpenAccount) -> None:
    account = open_account()
    account.fault("token:authorization_code", "no_refresh_token")
    assert "refresh_token" not in account.sign_in()


def test_one_token_can_be_short_lived(open_account: OpenAccount) -> None:
    account = open_account()
    account.fault("token", "expires_in", seconds=5)
    assert account.sign_in()["expires_in"] == 5
    account.clock.advance(5)
    assert account.get("/contact_lists").status_code == 401


@pytest.mark.parametrize(
    ("do", "state"),
    [
        ("activity_failed", "failed"),
        ("activity_timed_out", "timed_out"),
        ("activity_cancelled", "cancelled"),
        ("activity_weird_state", "paused_for_review"),
        ("activity_stuck", "processing"),
    ],
)
@pytest.mark.parametrize("apply", [False, True])
def test_a_job_can_end_badly_with_or_without_its_rows(
    account: Account, do: str, state: str, apply: bool
) -> None:
    account.fault("contactsCSVImport", do, messages=["Something broke"], apply=apply)
    done = account.import_now(ONE)
    assert done["state"] == state
    assert done["activity_errors"] == ["Something broke"]
    assert "completed_at" not in done
    assert len(account.emails()) == apply
    assert account.import_now(ONE)["state"] == "completed"


def test_other_jobs_can_end_badly_too(account: Account) -> None:
    account.import_now(ONE)
    account.fault("postListRemoveContact", "activity_failed")
    body = {"source": {"list_ids": [account.newsletter]}, "list_ids": [account.newsletter]}
    done = account.finish(account.post("/activities/remove_list_memberships", body))
    assert done["state"] == "failed"
    assert account.emails() == ["a@example.com"]


def test_a_job_can_be_slow(account: Account) -> None:
    account.fault("contactsCSVImport", "activity_slow", seconds=100)
    assert account.import_now(ONE)["state"] == "processing"
    account.clock.advance(100)
    assert account.get("/activities").json()["activities"][0]["state"] == "completed"


def test_a_job_can_be_gone(account: Account) -> None:
    account.fault("contactsCSVImport", "activity_gone")
    started = account.upload(ONE)
    account.clock.advance(60)
    assert account.get(f"/activities/{started.json()['activity_id']}").status_code == 404
    assert account.get("/activities").json()["activities"] == []
    assert account.emails() == ["a@example.com"]


@pytest.mark.parametrize(
    ("do", "texts"), [("reject_rows", ["Line 3: no luck"]), ("reject_rows_silently", [])]
)
def test_rows_can_be_refused_with_and_without_texts(
    account: Account, do: str, texts: list[str]
) -> None:
    account.fault("contactsCSVImport", do, lines=[3, 9], messages=["no luck"])
    done = account.import_now("email\na@example.com\nb@example.com\n")
    assert (done["state"], done["status"]["error_count"]) == ("completed", 1)
    assert done["activity_errors"] == texts
    assert account.emails() == ["a@example.com"]


@pytest.mark.parametrize(
    ("do", "missing"),
    [
        ("no_person_count", "person_count"),
        ("no_counters", "status"),
        ("no_file_name", "source_file_name"),
    ],
)
def test_a_job_can_say_less_than_usual(account: Account, do: str, missing: str) -> None:
    account.fault("contactsCSVImport", do)
    done = account.import_now(ONE)
    assert missing not in {**done, **done.get("status", {})}
    assert done["state"] == "completed"


def test_counters_can_be_null(account: Account) -> None:
    account.fault("contactsCSVImport", "null_counters")
    assert set(account.import_now(ONE)["status"].values()) == {None}


def test_a_file_can_be_refused_for_what_is_in_it(account: Account) -> None:
    account.fault("contactsCSVImport", "refuse_file", times=-1, containing=["bad@"], status=409)
    refused = account.upload("email\nbad@example.com\na@example.com\n")
    assert refused.status_code == 409
    assert refused.json()[0]["error_message"] == "The file is not valid."
    assert account.upload(ONE).status_code == 201


def test_texts_can_come_as_objects(account: Account) -> None:
    account.fault("contactsCSVImport", "object_messages")
    done = account.import_now("email\nwrong\n")
    assert done["activity_errors"] == [{"message": "Line 2: Invalid email address"}]


def _lists_page(account: Account, href: str | None = None) -> Any:
    return account.get(href or "/contact_lists?limit=1").json()


def test_an_empty_page_leads_to_the_one_it_stands_for(account: Account) -> None:
    account.fault("getLists", "empty_page")
    first = _lists_page(account)
    assert first["lists"] == []
    second = _lists_page(account, first["_links"]["next"]["href"])
    assert [one["name"] for one in second["lists"]] == ["Newsletter"]
    account.fault("getLists", "empty_page")
    third = _lists_page(account, second["_links"]["next"]["href"])
    assert third["lists"] == []
    assert third["_links"]["next"]["href"] != second["_links"]["next"]["href"]
    fourth = _lists_page(account, third["_links"]["next"]["href"])
    assert [one["name"] for one in fourth["lists"]] == ["Product news"]


@pytest.mark.parametrize(
    ("do", "links"),
    [
        ("null_links", None),
        ("same_next", {"next": {"href": "/v3/contact_lists?limit=1"}}),
    ],
)
def test_links_can_be_odd(account: Account, do: str, links: Any) -> None:
    account.fault("getLists", do)
    assert _lists_page(account)["_links"] == links


def test_links_can_be_absent_or_foreign(account: Account) -> None:
    account.fault("getLists", "no_links")
    assert "_links" not in _lists_page(account)
    account.fault("getLists", "foreign_next")
    assert _lists_page(account)["_links"]["next"]["href"].startswith(
        "https://elsewhere.example.com/"
    )


def test_a_contact_can_have_no_address(account: Account) -> None:
    account.fault("getContacts", "sms_only_contact")
    shown = account.get("/contacts").json()["contacts"]
    assert ["email_address" in one for one in shown] == [False, True]


@pytest.mark.parametrize("do", ["export_bom", "export_shuffled", "export_without_email"])
def test_an_exported_file_can_be_odd(account: Account, do: str) -> None:
    account.import_now(ONE)
    done = account.finish(
        account.post("/activities/contact_exports", {"list_ids": [account.newsletter]})
    )
    path = f"/contact_exports/{done['activity_id']}"
    usual = account.get(path).content
    account.fault("getContactsExport", do)
    odd = account.get(path).content
    heading = next(csv.reader(io.StringIO(odd.decode("utf-8-sig"))))
    assert odd.startswith(b"\xef\xbb\xbf") == (do == "export_bom")
    assert ("Email address" in heading) == (do != "export_without_email")
    assert (heading[0] == "Email address") == (do == "export_bom")
    assert account.get(path).content == usual


def test_a_download_can_break_off(account: Account) -> None:
    done = account.finish(account.post("/activities/contact_exports", {}))
    path = f"/contact_exports/{done['activity_id']}"
    account.fault("getContactsExport", "cut_after")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        account.get(path)
    assert account.get(path).status_code == 200


def test_a_big_upload_can_be_reset(account: Account) -> None:
    account.fault("contactsCSVImport", "drop_before")
    with pytest.raises(requests.ConnectionError):
        account.upload("email\n" + "a@example.com\n" * 200_000)
    assert account.get("/activities").json()["activities"] == []


def test_an_empty_list_of_faults_ends_them_all(account: Account) -> None:
    account.fault("*", "server_error", times=-1)
    assert account.get("/contact_lists").status_code == 500
    account.turn("behaviour", faults=[])
    assert account.get("/contact_lists").status_code == 200


def test_an_answer_with_values_of_other_types_was_carried_out(account: Account) -> None:
    account.fault("createList", "wrong_types")
    made = account.post("/contact_lists", {"name": "Odd", "favorite": True}).json()
    assert made["name"] == len("Odd")
    assert made["favorite"] == "True"
    names = [found["name"] for found in account.get("/contact_lists").json()["lists"]]
    assert "Odd" in names


def test_an_answer_with_unknown_fields_has_all_the_others_too(account: Account) -> None:
    usual = account.get("/contact_lists").json()
    account.fault("getLists", "unknown_fields")
    odd = account.get("/contact_lists").json()
    assert odd.pop("not_documented") == {"since": None}
    assert all(found.pop("not_documented") for found in odd["lists"])
    assert odd["lists"] == usual["lists"]


def test_the_log_says_which_fault_a_request_met(account: Account) -> None:
    account.fault("getLists", "server_error")
    account.get("/contact_lists")
    logged = account.inspect("requests", operation="getLists").json()
    assert [(one["status"], one["fault"]) for one in logged] == [(500, "server_error")]


def test_every_fault_is_tried_here() -> None:
    with open(__file__, encoding="utf-8") as source:
        text = source.read()
    assert [name for name in FAULT_NAMES if json.dumps(name) not in text] == []
