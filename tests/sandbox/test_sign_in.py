"""Sign-in, tokens and rights, as a browser and a client meet them."""

import re
from typing import Any

import pytest
import requests

from tests.sandbox.conftest import REDIRECT, SCOPES, Account, OpenAccount, query_of


def test_the_page_leads_back_with_a_code_when_allowed(open_account: OpenAccount) -> None:
    account = open_account(auto_approve=False)
    page = account.authorize()
    assert page.status_code == 200
    assert "Allow" in page.text
    assert "Deny" in page.text
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text))
    person = {"email": "owner@example.com", "password": "x", "decision": "allow"}
    answer = requests.post(page.url, data=hidden | person, allow_redirects=False, timeout=10)
    told = query_of(answer)
    assert told["state"] == "s1"
    assert account.exchange(told["code"]).status_code == 200


def test_denying_leads_back_with_access_denied(open_account: OpenAccount) -> None:
    account = open_account(auto_approve=False)
    page = account.authorize()
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text))
    answer = requests.post(
        page.url, data=hidden | {"decision": "deny"}, allow_redirects=False, timeout=10
    )
    assert query_of(answer)["error"] == "access_denied"


def test_an_unknown_person_stays_on_the_page(open_account: OpenAccount) -> None:
    account = open_account(auto_approve=False)
    page = account.authorize()
    form = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text))
    form |= {"email": "nobody@example.com", "decision": "allow"}
    answer = requests.post(page.url, data=form, allow_redirects=False, timeout=10)
    assert answer.status_code == 200
    assert "Nobody has this address" in answer.text


def test_the_page_escapes_what_it_is_given(open_account: OpenAccount) -> None:
    page = open_account(auto_approve=False).authorize(state='"><script>')
    assert "<script>" not in page.text


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"scope": None}, "invalid_scope"),
        ({"state": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
    ],
)
def test_a_wrong_request_is_told_to_the_application(
    open_account: OpenAccount, changes: dict[str, str | None], error: str
) -> None:
    assert query_of(open_account().authorize(**changes))["error"] == error


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "stranger"},
        {"client_id": None},
        {"redirect_uri": None},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": REDIRECT + "#part"},
    ],
)
def test_nothing_is_sent_back_to_a_doubtful_place(
    open_account: OpenAccount, changes: dict[str, str | None]
) -> None:
    answer = open_account(client_id="app").authorize(**changes)
    assert answer.status_code == 400
    assert "location" not in answer.headers


def test_a_code_works_once(open_account: OpenAccount) -> None:
    account = open_account()
    code = account.code()
    assert account.exchange(code).status_code == 200
    again = account.exchange(code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(("age", "status"), [(297, 200), (300, 400)])
def test_a_code_lives_five_minutes(open_account: OpenAccount, age: int, status: int) -> None:
    account = open_account()
    code = account.code()
    account.clock.advance(age)
    assert account.exchange(code).status_code == status


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"redirect_uri": REDIRECT + "/"}, 400, "invalid_grant"),
        ({"code_verifier": "w" * 50}, 400, "invalid_grant"),
        ({"code_verifier": None}, 400, "invalid_grant"),
        ({"client_id": "other"}, 400, "invalid_grant"),
        ({"client_id": None}, 401, "invalid_client"),
    ],
)
def test_what_the_code_was_asked_with_has_to_fit(
    open_account: OpenAccount, changes: dict[str, Any], status: int, error: str
) -> None:
    account = open_account()
    answer = account.exchange(account.code(), **changes)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


@pytest.mark.parametrize(
    ("auth", "form_id", "status"),
    [
        (("app", "secret"), None, 200),
        (("app", "wrong"), None, 401),
        (("stranger", "secret"), None, 401),
        (None, "app", 401),
    ],
)
def test_a_secret_is_asked_for_where_there_is_one(
    open_account: OpenAccount, auth: tuple[str, str] | None, form_id: str | None, status: int
) -> None:
    account = open_account(client_id="app", client_secret="secret")
    answer = account.exchange(account.code(), auth=auth, client_id=form_id)
    assert answer.status_code == status
    if status == 401:
        assert answer.json()["error"] == "invalid_client"


def test_without_pkce_and_without_a_secret_there_is_no_token(open_account: OpenAccount) -> None:
    account = open_account()
    code = account.code(code_challenge=None, code_challenge_method=None)
    assert account.exchange(code).json()["error"] == "invalid_client"


def test_tokens_look_like_the_real_ones(open_account: OpenAccount) -> None:
    tokens = open_account().sign_in()
    assert 1_000 <= len(tokens["access_token"]) <= 1_200
    assert tokens["access_token"].count(".") == 2
    assert len(tokens["refresh_token"]) == 42
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 86_400)
    assert set(tokens["scope"].split()) == set(SCOPES.split())


def test_without_offline_access_there_is_no_refresh_token(open_account: OpenAccount) -> None:
    assert "refresh_token" not in open_account().sign_in(scope="contact_data")


def test_a_refresh_kills_every_earlier_refresh_token_at_once(open_account: OpenAccount) -> None:
    account = open_account()
    first = account.sign_in()["refresh_token"]
    second = account.sign_in()["refresh_token"]
    assert account.refresh(first).json()["error"] == "invalid_grant"
    third = account.refresh(second).json()["refresh_token"]
    assert account.refresh(second).status_code == 400
    assert account.refresh(third).status_code == 200
    counters = account.inspect("tokens").json()
    assert counters["refreshed"] == 2
    assert counters["spent_refresh_tokens_used"] == 2


def test_a_refresh_leaves_the_access_token_alone(account: Account) -> None:
    account.exchange(account.code())
    assert account.get("/contact_lists").status_code == 200


@pytest.mark.parametrize(("days", "status"), [(179, 200), (180, 400)])
def test_a_refresh_token_lives_180_days(open_account: OpenAccount, days: int, status: int) -> None:
    account = open_account()
    token = account.sign_in()["refresh_token"]
    account.clock.advance(days * 86_400)
    assert account.refresh(token).status_code == status


def test_a_refresh_token_is_of_one_application(open_account: OpenAccount) -> None:
    account = open_account()
    token = account.sign_in()["refresh_token"]
    assert account.refresh(token, client_id="other").status_code == 400


def test_an_unknown_grant_type_is_refused(open_account: OpenAccount) -> None:
    answer = open_account().token(grant_type="client_credentials")
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


@pytest.mark.parametrize("header", [None, "Bearer ", "Bearer nonsense", "Basic YTpi"])
def test_without_a_token_the_answer_is_the_object_of_401(
    account: Account, header: str | None
) -> None:
    account.session.headers["Authorization"] = header or ""
    answer = account.get("/contact_lists")
    assert answer.status_code == 401
    assert answer.json() == {"error_key": "unauthorized", "error_message": "Unauthorized"}
    assert answer.headers["www-authenticate"] == "Bearer realm=api.cc.email"


def test_an_access_token_ends_when_it_said(open_account: OpenAccount) -> None:
    account = open_account(expires_in=600)
    assert account.sign_in()["expires_in"] == 600
    account.clock.advance(599)
    assert account.get("/contact_lists").status_code == 200
    account.clock.advance(1)
    assert account.get("/contact_lists").status_code == 401


@pytest.mark.parametrize(
    ("scope", "path", "status"),
    [
        ("contact_data", "/contact_lists", 200),
        ("contact_data", "/account/summary", 403),
        ("account_read", "/account/summary", 200),
        ("account_read", "/contact_lists", 403),
        ("account_read", "/account/user/privileges", 200),
    ],
)
def test_scopes_are_honoured(open_account: OpenAccount, scope: str, path: str, status: int) -> None:
    account = open_account()
    account.sign_in(scope=scope)
    answer = account.get(path)
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["error_key"] == "access_denied"


def test_a_campaign_creator_may_read_lists_but_no_contacts(open_account: OpenAccount) -> None:
    account = open_account(sign_in_as="creator@example.com")
    account.sign_in()
    names = {one["privilege_name"] for one in account.get("/account/user/privileges").json()}
    assert "contacts:lists:read" in names
    assert "contacts:write" not in names
    statuses = [
        account.get(path).status_code for path in ("/contact_lists", "/contacts", "/activities")
    ]
    assert statuses == [200, 403, 403]


def test_another_person_can_belong_to_another_account(open_account: OpenAccount) -> None:
    account = open_account()
    account.sign_in()
    first = account.get("/account/summary").json()["encoded_account_id"]
    account.turn("behaviour", sign_in_as="other@example.com")
    account.sign_in()
    assert account.get("/account/summary").json()["encoded_account_id"] != first


def test_revoking_kills_every_token(open_account: OpenAccount) -> None:
    account = open_account()
    token = account.sign_in()["refresh_token"]
    account.turn("revoke")
    assert account.get("/contact_lists").status_code == 401
    assert account.refresh(token).json()["error"] == "invalid_grant"
