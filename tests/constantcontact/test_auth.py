"""Signing in and renewing, against made-up answers of the token endpoint."""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import responses

from ccexport.constantcontact.auth import (
    AppCredentials,
    SignIn,
    begin_sign_in,
    finish_sign_in,
    read_callback,
    refresh,
)
from ccexport.errors import (
    AccessDenied,
    ApplicationRefused,
    ConstantContactRefused,
    NotConnected,
    OutcomeUnknown,
    RateLimited,
    ServiceTrouble,
    SettingError,
    SetupError,
    UsageError,
)
from tests.constantcontact.pairs import (
    AUTH,
    CALLBACK,
    GRANTED,
    NOW,
    PAIR,
    SECRET_APP,
    TOKEN,
    finish,
    renew,
)

LOOPBACK = "http://127.0.0.1:8080/oauth2/default/v1"
PUBLIC_APP = AppCredentials("the-id")
SECRETS = (
    "the-secret",
    "old-access",
    "old-refresh",
    "new-access",
    "new-refresh",
    "the-code",
    "the-verifier",
)


@pytest.fixture
def token_endpoint() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


def form_of(mock: responses.RequestsMock) -> dict[str, str]:
    request = mock.calls[0].request
    assert urlsplit(request.url or "").query == "", "nothing secret travels in an address"
    return {key: values[0] for key, values in parse_qs(str(request.body)).items()}


# --- beginning ------------------------------------------------------------------------------------------------


def test_the_address_for_the_browser_asks_for_a_lasting_sign_in_with_pkce() -> None:
    sign_in = begin_sign_in(AUTH, SECRET_APP, CALLBACK)
    address, _, query = sign_in.url.partition("?")
    challenge = base64.urlsafe_b64encode(hashlib.sha256(sign_in.code_verifier.encode()).digest())
    assert address == f"{AUTH}/authorize"
    assert {key: values[0] for key, values in parse_qs(query).items()} == {
        "client_id": "the-id",
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": "contact_data account_read offline_access",
        "state": sign_in.state,
        "code_challenge": challenge.decode().rstrip("="),
        "code_challenge_method": "S256",
    }
    assert "%2B" not in query
    assert 43 <= len(sign_in.code_verifier) <= 128
    assert "the-secret" not in sign_in.url


def test_state_and_verifier_are_new_each_time() -> None:
    first, second = (begin_sign_in(AUTH, SECRET_APP, CALLBACK) for _ in range(2))
    assert first.state != second.state
    assert first.code_verifier != second.code_verifier


def test_a_fresh_sign_in_can_be_asked_for() -> None:
    assert "prompt=login" in begin_sign_in(AUTH, SECRET_APP, CALLBACK, prompt="login").url


def test_a_stand_in_on_this_machine_may_be_plain_http() -> None:
    assert begin_sign_in(LOOPBACK, PUBLIC_APP, CALLBACK).url.startswith(f"{LOOPBACK}/authorize?")


@pytest.mark.parametrize(
    "auth_url", ["http://authz.example.test/v1", "http://127.0.0.1.evil.test/v1"]
)
def test_plain_http_to_another_machine_is_refused(auth_url: str) -> None:
    with pytest.raises(SettingError, match="https"):
        begin_sign_in(auth_url, SECRET_APP, CALLBACK)
    with pytest.raises(SettingError, match="https"):
        finish_sign_in(auth_url, SECRET_APP, CALLBACK, "the-code", "the-verifier")
    with pytest.raises(SettingError, match="https"):
        refresh(auth_url, SECRET_APP, PAIR, now=NOW)


def test_without_an_application_the_setting_is_named() -> None:
    with pytest.raises(SetupError, match="CCEXPORT_CC_CLIENT_ID"):
        begin_sign_in(AUTH, AppCredentials(""), CALLBACK)


# --- coming back ----------------------------------------------------------------------------------------------


def test_the_code_of_the_expected_return_is_taken() -> None:
    assert read_callback({"code": "the-code", "state": "s1"}, "s1") == "the-code"


@pytest.mark.parametrize(
    "params",
    [
        {"code": "c", "state": "other"},
        {"code": "c"},
        {"code": "c", "state": ""},
        {"error": "access_denied", "state": "other"},
        {"code": "c", "state": "ß"},
        {},
    ],
)
def test_a_return_of_another_sign_in_is_refused(params: Mapping[str, str]) -> None:
    with pytest.raises(UsageError, match="not the return of the sign-in"):
        read_callback(params, "s1")


def test_a_return_without_a_code_is_refused() -> None:
    with pytest.raises(UsageError, match="without a code"):
        read_callback({"state": "s1"}, "s1")


@pytest.mark.parametrize(
    ("error", "said"),
    [("access_denied", "declined"), ("invalid_scope", "invalid_scope"), ("<b>x\ny</b>", "bxyb")],
)
def test_a_declined_sign_in_says_so(error: str, said: str) -> None:
    params = {"state": "s1", "error": error, "error_description": "No, ana@example.com"}
    with pytest.raises(ConstantContactRefused) as raised:
        read_callback(params, "s1")
    assert said in str(raised.value)
    assert "ana@" not in str(raised.value)
    assert "\n" not in str(raised.value)


# --- exchanging -----------------------------------------------------------------------------------------------


def test_an_application_with_a_secret_uses_basic_and_pkce_in_the_body(
    token_endpoint: responses.RequestsMock,
) -> None:
    token_endpoint.post(TOKEN, json=GRANTED)
    pair = finish()
    assert form_of(token_endpoint) == {
        "grant_type": "authorization_code",
        "code": "the-code",
        "redirect_uri": CALLBACK,
        "code_verifier": "the-verifier",
    }
    basic = base64.b64encode(b"the-id:the-secret").decode()
    assert token_endpoint.calls[0].request.headers["Authorization"] == f"Basic {basic}"
    assert (pair.access_token, pair.refresh_token) == ("new-access", "new-refresh")
    assert pair.expires_at == NOW + timedelta(days=1)
    assert pair.scope == "contact_data account_read offline_access"


def test_an_application_without_a_secret_names_itself_in_the_body(
    token_endpoint: responses.RequestsMock,
) -> None:
    token_endpoint.post(TOKEN, json=GRANTED)
    finish(PUBLIC_APP)
    assert form_of(token_endpoint)["client_id"] == "the-id"
    assert "Authorization" not in token_endpoint.calls[0].request.headers


def test_a_login_in_a_netrc_file_is_not_sent_along(
    token_endpoint: responses.RequestsMock, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine authz.example.test login me password mine\n")
    monkeypatch.setenv("NETRC", str(netrc))
    token_endpoint.post(TOKEN, json=GRANTED)
    finish(PUBLIC_APP)
    assert "Authorization" not in token_endpoint.calls[0].request.headers


def test_a_stand_in_on_this_machine_is_asked_over_plain_http() -> None:
    with responses.RequestsMock() as mock:
        mock.post(f"{LOOPBACK}/token", json=GRANTED)
        finish_sign_in(LOOPBACK, SECRET_APP, CALLBACK, "the-code", "the-verifier")
        refresh(LOOPBACK, SECRET_APP, PAIR, now=NOW)
        assert [call.request.url for call in mock.calls] == [f"{LOOPBACK}/token"] * 2


def test_a_sign_in_that_would_end_within_a_day_fails_at_once(
    token_endpoint: responses.RequestsMock,
) -> None:
    token_endpoint.post(TOKEN, json={**GRANTED, "refresh_token": None})
    with pytest.raises(NotConnected, match="offline_access"):
        finish()


def test_a_sign_in_that_grants_too_little_fails_at_once(
    token_endpoint: responses.RequestsMock,
) -> None:
    token_endpoint.post(TOKEN, json={**GRANTED, "scope": "account_read offline_access"})
    with pytest.raises(AccessDenied, match="contact_data"):
        finish()


@pytest.mark.parametrize(
    "scope", [None, "", "offline_access account_read contact_data campaign_data"]
)
def test_scopes_in_another_order_or_not_said_are_no_trouble(
    token_endpoint: responses.RequestsMock, scope: str | None
) -> None:
    token_endpoint.post(TOKEN, json={**GRANTED, "scope": scope})
    assert set(finish().scope.split()) == set((scope or "").split())


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (28_800, 28_800),
        ("86400", 86_400),
        (3599.9, 3_599),
        (None, 3_600),
        ("soon", 3_600),
        (-5, 3_600),
        (0, 3_600),
        ([], 3_600),
        ("inf", 3_600),
        (10**30, 366 * 86_400),
    ],
)
def test_the_lifetime_is_the_one_received_however_it_is_written(
    token_endpoint: responses.RequestsMock, said: object, seconds: int
) -> None:
    token_endpoint.post(TOKEN, json={**GRANTED, "expires_in": said})
    assert renew().expires_at == NOW + timedelta(seconds=seconds)


# --- renewing -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("app", "extra"), [(SECRET_APP, {}), (PUBLIC_APP, {"client_id": "the-id"})]
)
def test_a_renewal_sends_the_refresh_token_and_neither_scope_nor_access_token(
    token_endpoint: responses.RequestsMock, app: AppCredentials, extra: dict[str, str]
) -> None:
    token_endpoint.post(TOKEN, json=GRANTED)
    pair = renew(app)
    expected = {"grant_type": "refresh_token", "refresh_token": "old-refresh"} | extra
    assert form_of(token_endpoint) == expected
    has_basic = (
        token_endpoint.calls[0].request.headers.get("Authorization", "").startswith("Basic ")
    )
    assert has_basic is (app.client_secret is not None)
    assert (pair.access_token, pair.refresh_token) == ("new-access", "new-refresh")


def test_a_renewal_without_a_new_refresh_token_keeps_the_old_one_and_the_scope(
    token_endpoint: responses.RequestsMock,
) -> None:
    token_endpoint.post(TOKEN, json={"access_token": "new-access", "expires_in": 60})
    pair = renew()
    assert (pair.refresh_token, pair.scope) == ("old-refresh", PAIR.scope)


ERRORS: list[tuple[int, Any, type[Exception], type[Exception]]] = [
    # status, body, when signing in, when renewing
    (400, {"error": "invalid_grant", "error_description": "spent"}, NotConnected, NotConnected),
    (401, {"error": "invalid_grant"}, NotConnected, NotConnected),
    (401, {"error": "invalid_client"}, ApplicationRefused, ApplicationRefused),
    (400, {"error": "invalid_client"}, ApplicationRefused, ApplicationRefused),
    (401, "", ApplicationRefused, ApplicationRefused),
    (400, {"error": "invalid_scope"}, ApplicationRefused, ApplicationRefused),
    (400, {"error": "unauthorized_client"}, ApplicationRefused, ApplicationRefused),
    (404, "", ServiceTrouble, ServiceTrouble),
    (404, [{"error_key": "contacts.api.not_found"}], ServiceTrouble, ServiceTrouble),
    (400, "<html>", ServiceTrouble, ServiceTrouble),
    (403, {"message": "Forbidden"}, ServiceTrouble, ServiceTrouble),
    (429, "", RateLimited, RateLimited),
    (429, {"error_key": "throttled"}, RateLimited, RateLimited),
    (500, "<html>oops</html>", ServiceTrouble, ServiceTrouble),
    (503, "", ServiceTrouble, ServiceTrouble),
    (302, "", ServiceTrouble, ServiceTrouble),
    (200, "", NotConnected, OutcomeUnknown),
    (200, "<html>sign in</html>", NotConnected, OutcomeUnknown),
    (200, '{"access_token": "new-acc', NotConnected, OutcomeUnknown),
    (200, [], NotConnected, OutcomeUnknown),
    (200, {"access_token": None}, NotConnected, OutcomeUnknown),
    (200, {"access_token": "two words"}, NotConnected, OutcomeUnknown),
    (200, {"error": "server_error"}, NotConnected, OutcomeUnknown),
]


@pytest.mark.parametrize(("status", "body", "signing_in", "renewing"), ERRORS)
def test_every_answer_of_the_token_endpoint_has_one_consequence(
    status: int, body: Any, signing_in: type[Exception], renewing: type[Exception]
) -> None:
    for expected, ask in ((signing_in, finish), (renewing, renew)):
        with responses.RequestsMock() as mock:
            text = {"body": body} if isinstance(body, str) else {"json": body}
            endpoint = mock.post(TOKEN, status=status, **text)
            with pytest.raises(expected) as raised:
                ask()
        assert type(raised.value) is expected
        assert endpoint.call_count == 1, "a code or refresh token is not sent twice on its own"
        assert "\n" not in str(raised.value)
        assert not any(secret in str(raised.value) for secret in SECRETS)


def test_a_wrong_secret_names_the_settings(token_endpoint: responses.RequestsMock) -> None:
    token_endpoint.post(TOKEN, status=401, json={"error": "invalid_client"})
    with pytest.raises(ConstantContactRefused, match="CCEXPORT_CC_CLIENT_SECRET") as raised:
        renew()
    assert raised.value.error_key == "invalid_client"


@pytest.mark.parametrize(
    ("failure", "signing_in", "renewing"),
    [
        (requests.ConnectTimeout("x"), ServiceTrouble, ServiceTrouble),
        (requests.ReadTimeout("x"), NotConnected, OutcomeUnknown),
        (requests.ConnectionError("reset"), NotConnected, OutcomeUnknown),
        (requests.exceptions.ChunkedEncodingError("x"), NotConnected, OutcomeUnknown),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_a_lost_renewal_is_unknown_and_a_lost_sign_in_is_begun_again(
    failure: Exception, signing_in: type[Exception], renewing: type[Exception]
) -> None:
    for expected, ask in ((signing_in, finish), (renewing, renew)):
        with responses.RequestsMock() as mock:
            mock.post(TOKEN, body=failure)
            with pytest.raises(expected) as raised:
                ask()
        assert raised.value.__suppress_context__


# --- secrets --------------------------------------------------------------------------------------------------


def test_secrets_are_not_shown_by_repr() -> None:
    shown = repr(
        (SECRET_APP, PAIR, SignIn("https://x/?state=the-state", "the-state", "the-verifier"))
    )
    assert "the-id" in shown
    assert not any(secret in shown for secret in (*SECRETS, "the-state"))


def test_no_log_of_a_library_shows_a_token(
    token_endpoint: responses.RequestsMock, caplog: pytest.LogCaptureFixture
) -> None:
    token_endpoint.post(TOKEN, json=GRANTED)
    with caplog.at_level(logging.DEBUG):
        finish()
        renew()
    assert not any(secret in caplog.text for secret in SECRETS)
