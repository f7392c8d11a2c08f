"""What an answer of Constant Contact means when it is not what was asked for, and whether to ask again. Pure.

Status first, `error_key` only where the API's documentation says so, never the text of a message. Bodies come as an
array of errors, one error, a gateway's `{"message": …}`, the OAuth form, HTML, or nothing: all are accepted.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from ccexport.errors import (
    AccessDenied,
    CcexportError,
    ConstantContactRefused,
    InTheWay,
    NotConnected,
    NotFoundThere,
    OutcomeUnknown,
    QueueFull,
    QuotaExceeded,
    RateLimited,
    ServiceTrouble,
)

MAX_ATTEMPTS = 3  # of one call, the first included
MAX_RETRY_WAIT_SECONDS = (
    1.5  # of one wait inside a call; longer ones are the run's, as a state people can see
)
MAX_REPEATED_SECONDS = 10.0  # an attempt that took longer is not repeated inside a call either
_REQUEST_ID_HEADERS = ("x-amzn-requestid", "x-amz-apigw-id", "x-eig-tracking-id")
NOT_CONNECTED = (
    "Constant Contact no longer accepts the sign-in of this connection. Open Settings > Connections, "
    "choose it and select Authenticate; the run then continues by itself."
)
_MAX_DETAIL_CHARS = 2_000


@dataclass(frozen=True)
class Part:
    """One part of a multipart body; `file_name` and `content_type` only where it is a file."""

    name: str
    content: bytes = field(repr=False)
    file_name: str | None = None
    content_type: str | None = None


@dataclass(frozen=True)
class Request:
    """A request to the API. `path` is below the API's base and may hold the query of a `next` link.

    `safe_to_repeat`: doing it twice is as good as once. `purpose` completes "Constant Contact refused to …".
    """

    method: str
    path: str
    operation: str
    purpose: str
    params: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    json: Mapping[str, Any] | None = field(default=None, repr=False)
    files: tuple[Part, ...] = ()
    safe_to_repeat: bool = True
    accept: str = "application/json"

    @property
    def makes_activity(self) -> bool:
        """Whether it queues a bulk job, of which an account may have 1,000."""
        return self.method == "POST" and self.path.startswith("/activities/")


@dataclass(frozen=True)
class Answer:
    """An answer as it came. Header names are looked up in any case."""

    request: Request
    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    def header(self, name: str) -> str:
        wanted = name.lower()
        return next((value for key, value in self.headers.items() if key.lower() == wanted), "")


def read_json(answer: Answer) -> Any:
    """The document of a 2xx answer. Raises what `error_of` makes of any other answer, and of unreadable ones."""
    if not 200 <= answer.status <= 299:
        raise error_of(answer)
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        raise nonsense(answer, "not JSON") from None  # the cause would quote the body


def nonsense(answer: Answer, why: str) -> CcexportError:
    """The error for an answer that cannot be what it says it is; `why` is ours and holds none of its content."""
    return _trouble(answer.request, f"Constant Contact's answer could not be read ({why})")


def error_of(answer: Answer) -> CcexportError:
    """One error of ours for any answer that is not 2xx, by what the reader of it should do."""
    key, detail = their_words(answer.body)
    if answer.status == 429:
        return _too_many(answer, key)
    if answer.status == 409 and answer.request.operation != "create_list":
        return InTheWay(
            f"Constant Contact could not {answer.request.purpose} beside something else that it was doing (409). "
            "It is tried again.",
            retry_after_seconds=retry_after(answer),
        )
    if 400 <= answer.status <= 499 and answer.status not in (408, 425):
        return _refusal(answer, key, detail)
    if 300 <= answer.status <= 399:
        return _trouble(answer.request, "Constant Contact's address answers by leading elsewhere")
    return _trouble(
        answer.request, f"Constant Contact has trouble of its own ({answer.status})", answer
    )


def not_connected(error_key: str = "", detail: str = "", status: int = 401) -> NotConnected:
    """The error for a sign-in that ended, in the words people see."""
    return NotConnected(NOT_CONNECTED, status=status, error_key=error_key, detail=detail)


def lost_answer(request: Request, why: str, *, sent: bool) -> CcexportError:
    """The error for a request without an answer; `sent` is False only where it certainly never arrived."""
    if not sent:
        return ServiceTrouble(f"Constant Contact cannot be reached ({why}). It is tried again.")
    return _trouble(request, f"Constant Contact did not answer ({why})")


def decide_retry(
    request: Request, error: CcexportError, attempt: int, jitter: float, took_seconds: float = 0.0
) -> float | None:
    """Seconds to wait before the same request is sent once more within this call; None: not at all.

    `attempt` counts from 1 and took `took_seconds`; `jitter` is 0 to 1.
    Refused for pace (429 throttled): nothing was done, so any request.
    Trouble: only what is safe to repeat. Everything else is decided by the run, which can wait where people see it.
    """
    if attempt >= MAX_ATTEMPTS or took_seconds > MAX_REPEATED_SECONDS:
        return None
    if isinstance(error, RateLimited):
        wait = max(1.0, error.retry_after_seconds or 0.0) + jitter * 0.4
    elif isinstance(error, ServiceTrouble) and request.safe_to_repeat:
        wait = max(0.2 * 3 ** (attempt - 1), error.retry_after_seconds or 0.0) + jitter * 0.3
    else:
        return None
    return wait if wait <= MAX_RETRY_WAIT_SECONDS else None


def retry_after(answer: Answer) -> float | None:
    """Seconds of a `Retry-After`, as a number or a date (then counted from the answer's own `Date`)."""
    value = answer.header("Retry-After").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        until, now = _http_date(value), service_date(answer)
        if until is None or now is None:
            return None
        seconds = (until - now).total_seconds()
    return min(max(seconds, 0.0), 86_400.0) if math.isfinite(seconds) else None


def service_date(answer: Answer) -> datetime | None:
    """The service's clock as the answer shows it, in UTC."""
    return _http_date(answer.header("Date"))


def _http_date(value: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError):
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _too_many(answer: Answer, key: str) -> CcexportError:
    wait = retry_after(answer)
    if key == "quota_exceeded":
        return QuotaExceeded(
            "Constant Contact's requests of this day are used up. It goes on after 00:00 UTC.",
            retry_after_seconds=wait,
        )
    if answer.request.makes_activity and key != "throttled":
        return QueueFull(
            "The account's queue at Constant Contact is full. It goes on when some of its work is done.",
            retry_after_seconds=wait,
        )
    return RateLimited(
        "Constant Contact asks for fewer requests a second. It goes on in a moment.",
        retry_after_seconds=wait,
    )


def _refusal(answer: Answer, key: str, detail: str) -> ConstantContactRefused:
    kind, message = _refusal_kind(answer, key)
    return kind(
        message,
        status=answer.status,
        error_key=key,
        detail=detail,
        request_id=request_id(answer),
    )


def _refusal_kind(answer: Answer, key: str) -> tuple[type[ConstantContactRefused], str]:
    purpose, status = answer.request.purpose, answer.status
    if status == 401:
        return NotConnected, NOT_CONNECTED
    if status == 403:
        return AccessDenied, _denied(answer.request)
    if status == 404:
        return NotFoundThere, (
            f"Constant Contact did not find what was needed to {purpose}: it was deleted there, or the id is wrong. "
            "Choose again among what the account holds now."
        )
    if status == 409 and answer.request.operation == "create_list":
        return ConstantContactRefused, (
            "Constant Contact already has a list of this name. Choose that list, or take another name."
        )
    code = f"{status} {key}" if key else str(status)
    return ConstantContactRefused, (
        f"Constant Contact refused to {purpose} ({code}). Change what its own words name, and run again."
    )


def _denied(request: Request) -> str:
    if request.operation == "user_privileges":
        return (
            "Constant Contact does not serve this application at present. "
            "Look in the developer portal whether the application is deactivated."
        )
    return (
        f"Constant Contact does not let this connection's user {request.purpose}. "
        "Sign in as the account's owner or an account manager, with every permission the sign-in page asks for."
    )


def _trouble(request: Request, what: str, answer: Answer | None = None) -> CcexportError:
    wait = retry_after(answer) if answer else None
    if request.safe_to_repeat:
        return ServiceTrouble(f"{what}. It is tried again.", retry_after_seconds=wait)
    return OutcomeUnknown(
        f"{what}, so it is not known whether it did {request.purpose}. This is looked up before it is tried again.",
        retry_after_seconds=wait,
    )


def request_id(answer: Answer) -> str:
    """The service's own id of the request, to quote to its support; "" where it gave none."""
    found = next(filter(None, map(answer.header, _REQUEST_ID_HEADERS)), "")
    return re.sub(r"[^\w.=:-]", "", found)[:100]


def their_words(body: bytes) -> tuple[str, str]:
    """(error_key, their messages) of an error's body in any of its shapes; ("", "") where it has none."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return "", ""
    entries = [
        entry for entry in (data if isinstance(data, list) else [data]) if isinstance(entry, dict)
    ]
    keys = [_text(entry, "error_key", "error") for entry in entries]
    words = [_text(entry, "error_message", "message", "error_description") for entry in entries]
    key = next(filter(None, keys), "")
    return re.sub(r"[^\w.-]", "", key)[:80], "; ".join(filter(None, words))[:_MAX_DETAIL_CHARS]


def _text(entry: Mapping[str, Any], *names: str) -> str:
    found = (entry.get(name) for name in names)
    return next((value for value in found if isinstance(value, str) and value), "")
