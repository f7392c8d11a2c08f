"""Signing in at Constant Contact: OAuth 2, authorization code with PKCE, and Basic where the application has a secret.

Knows no store: the caller of `refresh` holds the lock and saves the new pair before using it, since a refresh token
works once and a new pair ends all earlier ones. Everything secret travels in bodies, never in an address; the errors
raised here have no cause attached, because its text could hold a token.
"""

from __future__ import annotations

import hmac
import io
import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import requests
from oauthlib.oauth2 import WebApplicationClient
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

from ccexport.constantcontact.access import missing_scopes
from ccexport.constantcontact.answers import (
    NOT_CONNECTED,
    Answer,
    Request,
    request_id,
    retry_after,
    their_words,
)
from ccexport.constantcontact.transport import (
    UnreadableAnswer,
    check_address,
    prepare_session,
    read_bounded,
    was_never_sent,
    what_failed,
)
from ccexport.errors import (
    AccessDenied,
    ApplicationRefused,
    CcexportError,
    ConstantContactRefused,
    NotConnected,
    OutcomeUnknown,
    RateLimited,
    ServiceTrouble,
    SetupError,
    UsageError,
)
from ccexport.redaction import quiet_secret_loggers

SCOPES = ("contact_data", "account_read", "offline_access")
TIMEOUT_SECONDS = (5.0, 30.0)  # to connect, between bytes
MAX_TOKEN_ANSWER_BYTES = 1_000_000
DEFAULT_LIFETIME_SECONDS = 3_600  # where the answer does not say: early is harmless, a 401 is not
MAX_LIFETIME_SECONDS = 366 * 86_400

_FINISH = Request("POST", "/token", "sign_in", "sign in", safe_to_repeat=False)
_REFRESH = Request("POST", "/token", "refresh_token", "renew the sign-in", safe_to_repeat=False)


@dataclass(frozen=True)
class AppCredentials:
    """The application at Constant Contact; without a secret, PKCE alone."""

    client_id: str
    client_secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class TokenPair:
    """What a sign-in gives. `expires_at` is the access token's, in UTC; `scope` what was granted, as they say it."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: datetime
    scope: str = ""


@dataclass(frozen=True)
class SignIn:
    """A sign-in that has begun: where to send the browser, and what has to be kept until it comes back."""

    url: str = field(repr=False)
    state: str = field(repr=False)
    code_verifier: str = field(repr=False)


def begin_sign_in(
    auth_url: str, app: AppCredentials, redirect_uri: str, *, prompt: str | None = None
) -> SignIn:
    """Make the address for the browser. `prompt="login"` asks for a fresh sign-in, not the browser's last one.

    Raises `SetupError` when there is no application to sign in with.
    """
    _check_app(app)
    address = check_address(auth_url) + "/authorize"
    client = WebApplicationClient(app.client_id)
    session = OAuth2Session(client=client, scope=" ".join(SCOPES), redirect_uri=redirect_uri)
    verifier, state = secrets.token_urlsafe(64), secrets.token_urlsafe(32)
    extra = {"prompt": prompt} if prompt else {}
    url, _ = session.authorization_url(
        _said_secure(address),
        state=state,
        code_challenge=client.create_code_challenge(verifier, "S256"),
        code_challenge_method="S256",
        **extra,
    )
    return SignIn(address + url.removeprefix(_said_secure(address)), state, verifier)


class Headers(Protocol):
    """Those of a request, found by name in any letter case."""

    def get(self, name: str, /) -> str | None: ...


def is_prefetch(headers: Headers) -> bool:
    """Whether a browser asks ahead, in case somebody comes: nobody has, so nothing may be spent."""
    said = (headers.get(name) or "" for name in ("Sec-Purpose", "Purpose", "X-Moz", "X-Purpose"))
    return any(
        word in each.lower() for each in said for word in ("prefetch", "prerender", "preview")
    )


def read_callback(params: Mapping[str, str], expected_state: str) -> str:
    """The code of the browser's return.

    Raises `UsageError` for a return that is not of this sign-in (another `state`, no code), and
    `ConstantContactRefused` where the person or the service declined.
    """
    if not hmac.compare_digest(params.get("state", "").encode(), expected_state.encode()):
        raise UsageError(
            "This is not the return of the sign-in that was started here. Start the sign-in again."
        )
    error = params.get("error", "")
    if error:
        raise _declined(error, params.get("error_description", ""))
    code = params.get("code", "")
    if not code:
        raise UsageError(
            "Constant Contact's page came back without a code. Start the sign-in again."
        )
    return code


def finish_sign_in(
    auth_url: str,
    app: AppCredentials,
    redirect_uri: str,
    code: str,
    code_verifier: str,
    *,
    now: datetime | None = None,
) -> TokenPair:
    """Exchange the code (it lives 5 minutes and works once) for tokens. `redirect_uri` as when it began.

    Raises `NotConnected` where the sign-in has to be done again, and other errors of ours by consequence.
    """
    session = _TokenSession(auth_url, app, _FINISH, redirect_uri)
    token = session.exchange(
        lambda: session.fetch_token(
            session.said_url,
            code=code,
            code_verifier=code_verifier,
            include_client_id=app.client_secret is None,
            auth=_basic(app),
            timeout=TIMEOUT_SECONDS,
        )
    )
    _check_granted(token)
    return _pair(token, str(token["refresh_token"]), now or datetime.now(UTC))


def refresh(auth_url: str, app: AppCredentials, pair: TokenPair, *, now: datetime) -> TokenPair:
    """A new pair for the old one, which is then spent; the old refresh token stays where none came back.

    Raises `NotConnected` when a person must sign in again (final: do not loop), `OutcomeUnknown` when the answer was
    lost and the old pair may or may not be spent (try it once more), else what can be tried again later.
    """
    session = _TokenSession(auth_url, app, _REFRESH)
    body = {} if app.client_secret else {"client_id": app.client_id}
    token = session.exchange(
        lambda: session.refresh_token(
            session.said_url,
            refresh_token=pair.refresh_token,
            auth=_basic(app),
            timeout=TIMEOUT_SECONDS,
            **body,
        )
    )
    token.setdefault("scope", pair.scope)
    return _pair(token, str(token.get("refresh_token") or pair.refresh_token), now)


class _TokenSession(OAuth2Session):
    """An OAuth session that speaks to one token endpoint and tells our errors from its answers.

    oauthlib takes https:// addresses only, or all plain ones for the whole process; here `check_address` has allowed
    a plain one on this machine alone, so oauthlib is told https and `request` goes to the true address.
    """

    def __init__(
        self, auth_url: str, app: AppCredentials, purpose: Request, redirect_uri: str | None = None
    ) -> None:
        _check_app(app)
        quiet_secret_loggers()
        super().__init__(client_id=app.client_id, redirect_uri=redirect_uri)
        self._true_url = check_address(auth_url) + "/token"
        self.said_url = _said_secure(self._true_url)
        self._purpose = purpose
        prepare_session(self, self._true_url)

    def exchange(self, ask: Callable[[], object]) -> dict[str, Any]:
        """Do one exchange; the token document as oauthlib read it."""
        try:
            ask()
            return dict(self.token)
        except requests.RequestException as error:
            raise _lost(self._purpose, error) from None
        finally:
            self.close()

    def request(
        self,
        method: str,
        url: str,
        data: object = None,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> requests.Response:
        """Send to the true address, read within bounds, raise where the answer holds no token."""
        response = requests.Session.request(
            self,
            method,
            self._true_url,
            data=data,  # type: ignore[arg-type]  # the form that oauthlib made
            headers=headers,
            auth=options.get("auth"),
            timeout=options.get("timeout") or TIMEOUT_SECONDS,
            allow_redirects=False,
            stream=True,
        )
        with response:
            return _plain_answer(response, _read_token(self._purpose, response))


def _read_token(purpose: Request, response: requests.Response) -> dict[str, Any]:
    try:
        body = read_bounded(response, MAX_TOKEN_ANSWER_BYTES)
    except (requests.RequestException, UnreadableAnswer) as error:
        if 200 <= response.status_code <= 299:
            raise _lost(purpose, error) from None
        body = b""
    answer = Answer(purpose, response.status_code, response.headers, body)
    if not 200 <= answer.status <= 299:
        raise _token_error(answer)
    token = _token_document(body)
    if token is None:
        raise _lost(purpose, UnreadableAnswer("no token in it"))
    return token


def _token_document(body: bytes) -> dict[str, Any] | None:
    """The fields we use, of types that oauthlib takes; None where there is no access token among them.

    Tolerant on purpose: to lose a new refresh token over an odd neighbour would end the connection.
    """
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict) or not _is_token(data.get("access_token")):
        return None
    token = {"access_token": data["access_token"], "token_type": "Bearer"}
    token["expires_in"] = _lifetime_seconds(data.get("expires_in"))
    if _is_token(data.get("refresh_token")):
        token["refresh_token"] = data["refresh_token"]
    scope = data.get("scope")
    if isinstance(scope, list):  # as some services say it
        scope = " ".join(each for each in scope if isinstance(each, str))
    if isinstance(scope, str) and scope.strip():
        token["scope"] = scope
    return token


def _is_token(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[!-~]+", value) is not None


def _lifetime_seconds(value: object) -> int:
    try:
        seconds = int(float(value)) if isinstance(value, int | float | str) else 0
    except (ValueError, OverflowError):
        seconds = 0
    return min(seconds, MAX_LIFETIME_SECONDS) if seconds > 0 else DEFAULT_LIFETIME_SECONDS


def _plain_answer(response: requests.Response, token: Mapping[str, Any]) -> requests.Response:
    plain = requests.Response()
    plain.status_code, plain.request, plain.encoding = (
        response.status_code,
        response.request,
        "utf-8",
    )
    plain.raw = io.BytesIO(json.dumps(token).encode())
    return plain


def _token_error(answer: Answer) -> CcexportError:
    error, detail = _oauth_error(answer.body), their_words(answer.body)[1]
    wait = max(1.0, retry_after(answer) or 0.0)  # it takes one request a second
    if answer.status == 429:
        return RateLimited(
            "Constant Contact asks for fewer sign-ins a second. Wait a moment and try again.",
            retry_after_seconds=wait,
        )
    if answer.status >= 500 or answer.status < 400 or answer.status in (408, 425):
        return ServiceTrouble(
            f"Constant Contact's sign-in service has trouble of its own ({answer.status}). Try again in a few minutes.",
            retry_after_seconds=wait,
        )
    if error == "invalid_grant":
        message = (
            "The sign-in took too long or was used before. Start the sign-in again."
            if answer.request is _FINISH
            else NOT_CONNECTED
        )
        return NotConnected(message, status=answer.status, error_key=error, detail=detail)
    if not error and answer.status != 401:  # a gateway's page: no word of the sign-in service
        return ServiceTrouble(
            f"Constant Contact's sign-in service gives an answer that is none ({answer.status}). Try again in a few "
            "minutes; if it stays so, compare CCEXPORT_CC_AUTH_URL with the documentation.",
            retry_after_seconds=wait,
        )
    if error == "invalid_client" or answer.status == 401:
        message = (
            "Constant Contact does not accept the application's id or secret. Compare CCEXPORT_CC_CLIENT_ID and "
            "CCEXPORT_CC_CLIENT_SECRET with the developer portal, where a new secret ends the old one."
        )
    else:
        code = f"{answer.status} {error}".strip()
        message = (
            f"Constant Contact refused to {answer.request.purpose} ({code}). Compare the application's settings in the "
            "developer portal (redirect address, kind of sign-in) with those of this installation."
        )
    return ApplicationRefused(
        message,
        status=answer.status,
        error_key=error,
        detail=detail,
        request_id=request_id(answer),
    )


def _oauth_error(body: bytes) -> str:
    """The `error` of the sign-in service's own form; "" for whatever else answers in its place."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    error = data.get("error") if isinstance(data, dict) else None
    return re.sub(r"[^\w.-]", "", error)[:80] if isinstance(error, str) else ""


def _lost(purpose: Request, error: Exception) -> CcexportError:
    why = what_failed(error)
    if isinstance(error, requests.RequestException) and was_never_sent(error):
        return ServiceTrouble(
            f"Constant Contact's sign-in service cannot be reached ({why}). Try again in a few minutes."
        )
    if purpose is _FINISH:  # the code may be spent; a person is there, and a new sign-in is cheap
        return NotConnected(
            f"Constant Contact's sign-in service did not answer ({why}). Start the sign-in again."
        )
    return OutcomeUnknown(
        f"Constant Contact's sign-in service did not answer ({why}). The renewal is tried once more."
    )


def _declined(error: str, description: str) -> ConstantContactRefused:
    key = re.sub(r"[^\w.-]", "", error)[:80]
    if key == "access_denied":
        message = (
            "The sign-in at Constant Contact was declined. Start it again and allow access, as the account's owner or "
            "an account manager."
        )
    else:
        message = (
            f"Constant Contact did not sign in ({key}). Compare the application's redirect address and settings in "
            "the developer portal with those of this installation."
        )
    return ConstantContactRefused(message, error_key=key, detail=description[:2_000])


def _check_app(app: AppCredentials) -> None:
    if not app.client_id:
        raise SetupError(
            "There is no application to sign in with. Set CCEXPORT_CC_CLIENT_ID to the API key of the "
            "application in Constant Contact's developer portal."
        )


def _check_granted(token: Mapping[str, Any]) -> None:
    if not token.get("refresh_token"):
        raise _without_refresh_token()
    if missing := missing_scopes(_scope(token)):
        raise AccessDenied(
            f"The sign-in did not grant {' and '.join(sorted(missing))}. Start it again and allow everything asked for."
        )


def _without_refresh_token() -> NotConnected:
    """The error for a sign-in that would end by itself after a day."""
    return NotConnected(
        "Constant Contact gave no lasting sign-in (no refresh token), so the connection would end within a day. "
        "Allow offline_access for the application in the developer portal, then start the sign-in again."
    )


def _pair(token: Mapping[str, Any], refresh_token: str, now: datetime) -> TokenPair:
    expires_at = now.astimezone(UTC) + timedelta(seconds=int(token["expires_in"]))
    return TokenPair(str(token["access_token"]), refresh_token, expires_at, _scope(token))


def _scope(token: Mapping[str, Any]) -> str:
    scope = token.get("scope") or ""
    return scope if isinstance(scope, str) else " ".join(map(str, scope))


def _basic(app: AppCredentials) -> HTTPBasicAuth | None:
    if app.client_secret is None:
        return None
    return HTTPBasicAuth(app.client_id.encode(), app.client_secret.encode())


def _said_secure(url: str) -> str:
    return re.sub(r"^http://", "https://", url)
