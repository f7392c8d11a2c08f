"""Signing in at Microsoft Entra as an application: a token for one organization's Web API.

Settings are those of every Azure tool: `AZURE_TENANT_ID`, `AZURE_CLIENT_ID`, `AZURE_CLIENT_SECRET`, and, for national
clouds, `AZURE_AUTHORITY_HOST`. Secret and token are in no error, log or address.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import requests

from ccexport.errors import SourceError
from ccexport.segments.wire import NotNow, asked, checked_address, json_of, retry_after, said

AUTHORITY = "https://login.microsoftonline.com"
NEEDED = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")
_EARLY_SECONDS = 120.0  # before a token ends, another is asked for
_USUAL_SECONDS = 3_600.0


class SignIn:
    """The application's sign-in for an organization; a token is kept until shortly before its end."""

    def __init__(
        self,
        organization: str,
        session: requests.Session,
        environment: Mapping[str, str] = os.environ,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises `SourceError` naming what is not set."""
        missing = [name for name in NEEDED if not environment.get(name)]
        if missing:
            raise SourceError(
                f"A dataverse: source needs {' and '.join(missing)}. Set them to those of the application that may "
                "read there."
            )
        if not re.fullmatch(r"[A-Za-z0-9.-]+", environment["AZURE_TENANT_ID"]):
            raise SourceError(
                "AZURE_TENANT_ID is neither an id nor a domain. Copy it from Microsoft Entra."
            )
        authority = environment.get("AZURE_AUTHORITY_HOST") or AUTHORITY
        if "://" not in authority:
            authority = f"https://{authority}"
        authority = checked_address(authority, "AZURE_AUTHORITY_HOST")
        self._url = f"{authority}/{environment['AZURE_TENANT_ID']}/oauth2/v2.0/token"
        self._form = {
            "grant_type": "client_credentials",
            "client_id": environment["AZURE_CLIENT_ID"],
            "client_secret": environment["AZURE_CLIENT_SECRET"],
            "scope": f"{organization}/.default",
        }
        self._session, self._elapsed = session, elapsed
        self._token, self._ends_at = "", 0.0

    def token(self) -> str:
        """A token that holds for a while yet. Raises `SourceError`, and `NotNow` where it may be had a little later."""
        if not self._token or self._elapsed() > self._ends_at - _EARLY_SECONDS:
            self._renew()
        return self._token

    def forget(self) -> None:
        """The token is not accepted any more: ask for another next time."""
        self._token = ""

    def _renew(self) -> None:
        began_at = self._elapsed()
        answer = asked(self._session, "POST", self._url, "The sign-in", data=self._form)
        if answer.status == 429 or answer.status >= 500:
            raise NotNow(f"The sign-in answers {answer.status}", retry_after(answer))
        document = json_of(answer.body) if answer.status in (200, 400, 401) else {}
        token = document.get("access_token") if answer.status == 200 else None
        if not isinstance(token, str) or not token:
            raise SourceError(
                f"Microsoft Entra refuses the sign-in ({_why(answer.status, document)}). Check AZURE_TENANT_ID, "
                "AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, and that the secret has not run out."
            )
        self._token = token
        self._ends_at = began_at + _seconds(document.get("expires_in"))


def _seconds(given: object) -> float:
    text = said(given)
    return float(text) if text and re.fullmatch(r"\d{1,9}", text) else _USUAL_SECONDS


def _why(status: int, document: Mapping[str, Any]) -> str:
    """Its code, and Entra's number of it; their own words may quote what was sent."""
    code, numbers = document.get("error"), document.get("error_codes")
    number = said(numbers[0]) if isinstance(numbers, list) and numbers else None
    parts = [code if isinstance(code, str) and re.fullmatch(r"[a-z_]{1,40}", code) else str(status)]
    if number and re.fullmatch(r"\d{1,9}", number):
        parts.append(f"AADSTS{number}")
    return ", ".join(parts)
