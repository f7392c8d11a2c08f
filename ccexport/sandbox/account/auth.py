"""The authorization server: `/authorize` for people, `/token` for programs."""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from ccexport.sandbox.account.people import PEOPLE
from ccexport.sandbox.account.tokens import Consent, Grant
from ccexport.sandbox.api import answers
from ccexport.sandbox.api.answers import Refused, oauth_error
from ccexport.sandbox.api.gate import Call
from ccexport.sandbox.signin_page import refusal_page, sign_in_page

SCOPES = frozenset(
    {"contact_data", "campaign_data", "account_read", "account_update", "offline_access"}
)
_LOOPBACK_OR_WEB = ("http", "https")


@dataclass(frozen=True)
class Wish:
    """A valid request for somebody's consent."""

    client_id: str
    redirect_uri: str
    state: str
    scopes: frozenset[str]
    challenge: str

    def back(self, **answer: str) -> Response:
        """Send the browser back with an answer."""
        sign = "&" if "?" in self.redirect_uri else "?"
        target = self.redirect_uri + sign + urlencode({**answer, "state": self.state})
        return RedirectResponse(target, 302)


async def authorize(call: Call) -> Response:
    """The sign-in page; with `auto_approve` straight back with a code."""
    wish = _read_wish(call, dict(call.request.query_params))
    behaviour = call.state.behaviour
    if behaviour.auto_approve:
        return _approved(call, wish, behaviour.sign_in_as)
    return HTMLResponse(sign_in_page(dict(call.request.query_params), wish.scopes))


async def decide(call: Call) -> Response:
    """What the person chose on the page."""
    fields = dict(parse_qsl((await call.request.body()).decode("utf-8", "replace")))
    email, decision = fields.pop("email", "").strip().lower(), fields.pop("decision", "")
    fields.pop("password", None)
    wish = _read_wish(call, fields)
    if decision != "allow":
        return wish.back(error="access_denied", error_description="The user denied the request.")
    if email not in PEOPLE:
        return HTMLResponse(sign_in_page(fields, wish.scopes, "Nobody has this address."))
    return _approved(call, wish, email)


def _approved(call: Call, wish: Wish, person: str) -> Response:
    if person not in PEOPLE:
        return wish.back(error="access_denied", error_description="The user is unknown.")
    consent = Consent(
        wish.client_id,
        wish.redirect_uri,
        wish.scopes,
        person,
        wish.challenge,
        call.state.tokens.code_expiry(),
    )
    return wish.back(code=call.state.tokens.new_code(consent))


def _read_wish(call: Call, query: dict[str, str]) -> Wish:
    client_id, redirect_uri = query.get("client_id", ""), query.get("redirect_uri", "")
    expected = call.state.client_id
    if not client_id or (expected is not None and client_id != expected):
        raise Refused(refusal_page("The application is unknown: client_id."))
    target = urlsplit(redirect_uri)
    if target.scheme not in _LOOPBACK_OR_WEB or not target.netloc or target.fragment:
        raise Refused(refusal_page("The redirect_uri is not an address to return to."))
    scopes = frozenset(query.get("scope", "").split())
    wish = Wish(
        client_id, redirect_uri, query.get("state", ""), scopes, query.get("code_challenge", "")
    )
    problem = _problem_of(query, wish)
    if problem:
        error, description = problem
        raise Refused(wish.back(error=error, error_description=description))
    return wish


def _problem_of(query: dict[str, str], wish: Wish) -> tuple[str, str] | None:
    if query.get("response_type") != "code":
        return "unsupported_response_type", "response_type must be code."
    if not wish.state:
        return "invalid_request", "The 'state' parameter is required."
    if not wish.scopes or wish.scopes - SCOPES:
        return "invalid_scope", "One or more scopes are not configured."
    if wish.challenge and query.get("code_challenge_method", "plain") != "S256":
        return "invalid_request", "code_challenge_method must be S256."
    return None


async def token(call: Call) -> Response:
    """Exchange a code or a refresh token; the errors are OAuth's, not the API's."""
    kind = call.request.headers.get("content-type", "").partition(";")[0]
    if call.form and kind != "application/x-www-form-urlencoded" and not call.request.query_params:
        return oauth_error(400, "invalid_request", "The body is to be a form.")
    client_id, has_secret = _client(call)
    grant_type = call.form.get("grant_type", "")
    if grant_type == "authorization_code":
        return _tokens(call, _grant_of_code(call, client_id, has_secret))
    if grant_type == "refresh_token":
        grant = call.state.tokens.grant_of_refresh(call.form.get("refresh_token", ""), client_id)
        if grant is None:
            return answers.invalid_grant()
        call.state.tokens.counters["refreshed"] += 1
        return _tokens(call, grant)
    return oauth_error(400, "unsupported_grant_type", "This grant type is not supported.")


def _client(call: Call) -> tuple[str, bool]:
    """Who calls, and whether a secret proved it."""
    kind, _, value = call.request.headers.get("authorization", "").partition(" ")
    expected_id, expected_secret = call.state.client_id, call.state.client_secret
    if kind.lower() == "basic":
        client_id, secret = _basic(value)
        fits = expected_secret is None or hmac.compare_digest(
            secret.encode(), expected_secret.encode()
        )
    else:
        client_id, fits = call.form.get("client_id", ""), expected_secret is None
    if not client_id or not fits or (expected_id is not None and client_id != expected_id):
        raise Refused(answers.invalid_client())
    return client_id, kind.lower() == "basic"


def _basic(value: str) -> tuple[str, str]:
    try:
        text = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    client_id, _, secret = text.partition(":")
    return client_id, secret


def _grant_of_code(call: Call, client_id: str, has_secret: bool) -> Grant:
    consent = call.state.tokens.take_code(call.form.get("code", ""))
    bad = oauth_error(400, "invalid_grant", "The authorization code is invalid or has expired.")
    if consent is None or consent.client_id != client_id:
        raise Refused(bad)
    if consent.redirect_uri != call.form.get("redirect_uri"):
        raise Refused(bad)
    verifier = call.form.get("code_verifier", "")
    if consent.challenge and consent.challenge != _challenge_of(verifier):
        raise Refused(oauth_error(400, "invalid_grant", "PKCE verification failed."))
    if not consent.challenge and not has_secret:
        raise Refused(answers.invalid_client())
    return Grant(client_id, consent.person, consent.scopes, 0.0)


def _challenge_of(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _tokens(call: Call, grant: Grant) -> Response:
    no_refresh, short = call.take("no_refresh_token"), call.take("expires_in")
    lives = int(short.seconds) if short else call.state.behaviour.expires_in
    grant = replace(grant, expires_at=call.state.clock() + lives)
    issued = call.state.tokens.issue(grant, with_refresh=no_refresh is None)
    answer: dict[str, Any] = {
        "token_type": "Bearer",
        "expires_in": lives,
        "access_token": issued.access_token,
        "scope": " ".join(sorted(issued.scopes)),
    }
    if issued.refresh_token:
        answer["refresh_token"] = issued.refresh_token
    return JSONResponse(answer, headers={"cache-control": "no-store"})
