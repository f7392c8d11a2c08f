"""The Web API of Dataverse: the pages of a table, one after the other. It reads, and asks for nothing else.

Its limits for a user (6,000 requests and 20 minutes of work in five minutes) it keeps itself, by 429 and `Retry-After`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests

from ccexport.errors import SourceError, SourceUnavailable
from ccexport.segments.entra import SignIn
from ccexport.segments.steadiness import Pause
from ccexport.segments.wire import NotNow, asked, checked_address, json_of, new_session, retry_after

log = logging.getLogger(__name__)

PAGE_ROWS = 5_000  # more is not given
_PATH = "/api/data/v9.2/"
_HEADERS = {
    "Accept": "application/json",
    "OData-Version": "4.0",
    "OData-MaxVersion": "4.0",
    "Prefer": f"odata.maxpagesize={PAGE_ROWS}",
}
# Tries of one page, and the seconds that they may wait together; then the run waits instead, and goes on from there.
_TRIES = 6
_TRIES_TO_CONNECT = 3
_PATIENCE_SECONDS = 300.0
_WHOM = "Dataverse"


class Refused(SourceError):
    """Dataverse refuses for good. `status` is that of HTTP."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Page:
    """Rows as they came, numbers as text, and the address of the next page."""

    rows: list[dict[str, Any]]
    next_url: str | None


class WebApi:
    """An organization's tables. `pause` may raise, to end a reading between two tries."""

    def __init__(self, organization: str, pause: Pause) -> None:
        """Raises `SourceError` where the address or a setting does not fit. Asks nothing yet."""
        address = checked_address(organization, "The source's address after dataverse:")
        if urlsplit(address).path:
            raise SourceError(
                "The source's address after dataverse: has a path. Write dataverse:https://ORG.crm.dynamics.com."
            )
        self.organization = address
        self._session = new_session(address)
        self._sign_in = SignIn(address, self._session)
        self._pause = pause

    def first_url(self, entity_set: str, columns: Iterable[str] = ()) -> str:
        """Where a table begins; with all columns where none are named."""
        if not re.fullmatch(r"\w+", entity_set, re.ASCII):
            raise SourceError(
                f'"{entity_set}" cannot be a table of Dataverse. Name it by its logical name, such as '
                "msdynci_customerprofile."
            )
        query = urlencode({"$select": ",".join(columns)}, safe="$,") if columns else ""
        return f"{self.organization}{_PATH}{entity_set}" + (f"?{query}" if query else "")

    def page(self, url: str) -> Page:
        """One page, with patience. Raises `Refused`, other `SourceError`s, and `SourceUnavailable` where it ends."""
        tried, waited = 0, 0.0
        self._pause(0)
        while True:
            try:
                return self._page(url)
            except NotNow as trouble:
                tried += 1
                seconds = seconds_to_wait(trouble, tried, waited)
                if seconds is None:
                    raise _unavailable(trouble) from None
                log.warning("%s; asks again in %.0f s", trouble.said, seconds)
                self._pause(seconds)
                waited += seconds

    def _page(self, url: str) -> Page:
        self._check_host(url)
        for is_second in (False, True):
            answer = asked(
                self._session,
                "GET",
                url,
                _WHOM,
                headers=_HEADERS,
                auth=_Bearer(self._sign_in.token()),
            )
            if answer.status != 401 or is_second:
                break
            self._sign_in.forget()
        if answer.status in (408, 429) or answer.status >= 500:
            raise NotNow(f"{_WHOM} answers {answer.status}", retry_after(answer))
        if answer.status != 200:
            raise Refused(answer.status, _refusal(answer.status))
        document = json_of(answer.body)
        rows, following = document.get("value"), document.get("@odata.nextLink")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise NotNow(f"{_WHOM} answers what is not a page of rows")
        return Page(rows, following if isinstance(following, str) else None)

    def _check_host(self, url: str) -> None:
        """The token goes to the organization, wherever an answer leads."""
        ours, theirs = urlsplit(self.organization), urlsplit(url)
        if (ours.scheme, ours.netloc.lower()) != (theirs.scheme, theirs.netloc.lower()):
            raise SourceError(
                f"{_WHOM} says that the next page is at another host than {ours.hostname}, which is not asked. "
                "Set the source's address to the host that it names itself by."
            )


def seconds_to_wait(trouble: NotNow, tried: int, waited: float) -> float | None:
    """How long to wait after so many tries and seconds of waiting; None where patience has come to its end."""
    if tried >= (_TRIES if trouble.reached else _TRIES_TO_CONNECT):
        return None
    seconds = float(2 ** (tried - 1))
    if trouble.retry_after_seconds is not None:
        seconds = trouble.retry_after_seconds
    return seconds if waited + seconds <= _PATIENCE_SECONDS else None


class _Bearer(requests.auth.AuthBase):
    """The token for one request; given so, no other sign-in of the machine's is put in its place."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _unavailable(trouble: NotNow) -> SourceUnavailable:
    return SourceUnavailable(
        f"{trouble.said}, and did so several times. Try again later; if it stays so, look at the source's address "
        "and at the organization's health.",
        retry_after_seconds=trouble.retry_after_seconds,
    )


_REFUSALS: dict[int, str] = {
    401: "does not accept the sign-in. Add the application as an application user of the organization",
    403: "does not let the application read. Give it the Viewer permission in Customer Insights, or a role that may "
    "read the tables",
    404: "has no such table. Name the right ones in the source's address",
    400: "does not understand the question. Check the columns that the source's address names",
}


def _refusal(status: int) -> str:
    why = _REFUSALS.get(status, "refuses to answer. Look at the source's address")
    return f"{_WHOM} {why} (answer {status})."
