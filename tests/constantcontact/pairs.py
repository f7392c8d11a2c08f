"""Signing in against an answer of the token endpoint: what goes in, and what comes back."""

from __future__ import annotations

from datetime import UTC, datetime

from ccexport.constantcontact.auth import (
    AppCredentials,
    TokenPair,
    finish_sign_in,
    refresh,
)

AUTH = "https://authz.example.test/oauth2/default/v1"
TOKEN = f"{AUTH}/token"
CALLBACK = "http://localhost:8501/oauth/callback"
SECRET_APP = AppCredentials("the-id", "the-secret")
NOW = datetime(2026, 1, 5, 10, tzinfo=UTC)
PAIR = TokenPair("old-access", "old-refresh", NOW, "contact_data account_read offline_access")
GRANTED = {
    "access_token": "new-access",
    "refresh_token": "new-refresh",
    "token_type": "Bearer",
    "expires_in": 86_400,
    "scope": "contact_data account_read offline_access",
}


def finish(app: AppCredentials = SECRET_APP) -> TokenPair:
    return finish_sign_in(AUTH, app, CALLBACK, "the-code", "the-verifier", now=NOW)


def renew(app: AppCredentials = SECRET_APP) -> TokenPair:
    return refresh(AUTH, app, PAIR, now=NOW)
