"""What is made of an answer that is not what was asked for, and what is asked again."""

from __future__ import annotations

import json

import pytest

from ccexport.constantcontact.answers import (
    MAX_ATTEMPTS,
    Answer,
    Request,
    decide_retry,
    error_of,
    lost_answer,
    retry_after,
)
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
from tests.constantcontact.samples import ALL_REQUESTS, CREATE, GET, IMPORT, REMOVAL

SECRET_WORDS = "ana@example.com is not valid"
SHAPES: dict[str, tuple[bytes, str, str]] = {  # body, error_key, detail
    "array": (
        json.dumps([{"error_key": "some.key", "error_message": SECRET_WORDS}]).encode(),
        "some.key",
        SECRET_WORDS,
    ),
    "array of several": (
        b'[{"error_message": "one"}, 7, {"error_key": "some.key", "error_message": "two"}]',
        "some.key",
        "one; two",
    ),
    "object": (b'{"error_key": "some.key", "error_message": "No"}', "some.key", "No"),
    "gateway": (b'{"message": "Forbidden"}', "", "Forbidden"),
    "oauth": (b'{"error": "some.key", "error_description": "No"}', "some.key", "No"),
    "empty": (b"", "", ""),
    "html": (b"<html><body>Bad gateway ana@example.com</body></html>", "", ""),
    "truncated json": (b'[{"error_key": "some.ke', "", ""),
    "wrong types": (b'[{"error_key": 7, "error_message": ["x"]}]', "", ""),
    "a number": (b"42", "", ""),
    "null": (b"null", "", ""),
    "deeply nested": (b"[" * 100_000, "", ""),
    "not utf-8": (b"\xff\xfe\xff{", "", ""),
    "key with line breaks": (b'{"error_key": "some\\n.key"}', "some.key", ""),
}
# what each status means for a request that may be repeated, and for an import, whose outcome can be unknown
STATUSES: dict[int, tuple[type[CcexportError], type[CcexportError]]] = {
    301: (ServiceTrouble, OutcomeUnknown),
    302: (ServiceTrouble, OutcomeUnknown),
    400: (ConstantContactRefused, ConstantContactRefused),
    401: (NotConnected, NotConnected),
    403: (AccessDenied, AccessDenied),
    404: (NotFoundThere, NotFoundThere),
    405: (ConstantContactRefused, ConstantContactRefused),
    408: (ServiceTrouble, OutcomeUnknown),
    409: (InTheWay, InTheWay),
    413: (ConstantContactRefused, ConstantContactRefused),
    415: (ConstantContactRefused, ConstantContactRefused),
    422: (ConstantContactRefused, ConstantContactRefused),
    429: (RateLimited, QueueFull),
    500: (ServiceTrouble, OutcomeUnknown),
    502: (ServiceTrouble, OutcomeUnknown),
    503: (ServiceTrouble, OutcomeUnknown),
    504: (ServiceTrouble, OutcomeUnknown),
    520: (ServiceTrouble, OutcomeUnknown),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("status", STATUSES)
def test_every_status_in_every_shape_becomes_the_error_of_its_consequence(
    status: int, shape: str
) -> None:
    body, key, detail = SHAPES[shape]
    for request, expected in zip((GET, IMPORT), STATUSES[status], strict=True):
        error = error_of(Answer(request, status, {"x-amzn-RequestId": "req-1"}, body))
        assert type(error) is expected
        assert "ana@example.com" not in str(error)
        assert "\n" not in str(error)
        assert str(error).endswith(".")
        if isinstance(error, ConstantContactRefused):
            assert (error.status, error.error_key, error.detail) == (status, key, detail)
            assert error.request_id == "req-1"


@pytest.mark.parametrize(
    ("key", "request_", "expected"),
    [
        ("throttled", GET, RateLimited),
        ("throttled", IMPORT, RateLimited),
        ("quota_exceeded", GET, QuotaExceeded),
        ("quota_exceeded", IMPORT, QuotaExceeded),
        ("unheard.of", GET, RateLimited),
        ("unheard.of", IMPORT, QueueFull),
        ("unheard.of", REMOVAL, QueueFull),
        ("unheard.of", ALL_REQUESTS["export"], QueueFull),
        ("unheard.of", ALL_REQUESTS["activities"], RateLimited),
        ("unheard.of", CREATE, RateLimited),
        ("unheard.of", ALL_REQUESTS["download"], RateLimited),
    ],
)
@pytest.mark.parametrize("as_array", [False, True])
def test_the_three_kinds_of_429_are_told_apart_by_key_and_operation(
    key: str, request_: Request, expected: type[CcexportError], as_array: bool
) -> None:
    entry = {"error_key": key, "error_message": "Too Many Requests"}
    body = json.dumps([entry] if as_array else entry).encode()
    assert type(error_of(Answer(request_, 429, {}, body))) is expected


def test_a_name_that_is_taken_is_said_as_such() -> None:
    error = error_of(Answer(CREATE, 409, {}, b"[]"))
    assert isinstance(error, ConstantContactRefused)
    assert error.status == 409
    assert "already has a list of this name" in str(error)


def test_a_denied_look_at_the_privileges_means_a_deactivated_application() -> None:
    assert "deactivated" in str(error_of(Answer(ALL_REQUESTS["privileges"], 403)))
    assert "deactivated" not in str(error_of(Answer(GET, 403)))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"Retry-After": "-3"}, 0.0),
        ({"Retry-After": "999999999"}, 86_400.0),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "soon"}, None),
        (
            {
                "Date": "Mon, 05 Jan 2026 10:00:00 GMT",
                "Retry-After": "Mon, 05 Jan 2026 10:00:30 GMT",
            },
            30.0,
        ),
        ({"Retry-After": "Mon, 05 Jan 2026 10:00:30 GMT"}, None),
    ],
)
def test_retry_after_is_honoured_in_each_of_its_forms(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after(Answer(GET, 429, headers)) == seconds
    error = error_of(Answer(GET, 503, headers))
    assert isinstance(error, ServiceTrouble)
    assert error.retry_after_seconds == seconds


# which answers are asked again within one call: (a request that may be repeated, an import)
REPEATED = {429: (True, False), 408: (True, False), 409: (True, False)} | {
    status: (True, False) for status in (301, 302, 500, 502, 503, 504, 520)
}


@pytest.mark.parametrize("status", STATUSES)
def test_only_what_cannot_do_harm_twice_is_repeated_within_a_call(status: int) -> None:
    for request, repeated in zip((GET, IMPORT), REPEATED.get(status, (False, False)), strict=True):
        error = error_of(Answer(request, status))
        assert (decide_retry(request, error, 1, 0.5) is not None) is repeated
        assert decide_retry(request, error, MAX_ATTEMPTS, 0.5) is None


def test_what_took_long_is_not_repeated_within_a_call() -> None:
    error = error_of(Answer(GET, 504))
    assert decide_retry(GET, error, 1, 0.0, 9.0) is not None
    assert decide_retry(GET, error, 1, 0.0, 30.0) is None


def test_an_import_refused_for_pace_is_repeated_since_nothing_was_done() -> None:
    error = error_of(Answer(IMPORT, 429, {}, b'{"error_key": "throttled"}'))
    wait = decide_retry(IMPORT, error, 1, 0.0)
    assert wait is not None
    assert wait >= 1.0


@pytest.mark.parametrize("body", [b'{"error_key": "quota_exceeded"}', b""])
def test_used_up_quota_and_full_queue_are_not_repeated_within_a_call(body: bytes) -> None:
    assert decide_retry(IMPORT, error_of(Answer(IMPORT, 429, {}, body)), 1, 0.0) is None


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("jitter", [0.0, 1.0])
def test_waits_within_a_call_stay_below_three_seconds_together(status: int, jitter: float) -> None:
    error = error_of(Answer(GET, status))
    waits = [decide_retry(GET, error, attempt, jitter) for attempt in range(1, MAX_ATTEMPTS)]
    assert sum(wait or 0.0 for wait in waits) <= 3.0
    assert all(wait is not None for wait in waits)


def test_a_long_retry_after_is_left_to_the_run() -> None:
    assert decide_retry(GET, error_of(Answer(GET, 503, {"Retry-After": "60"})), 1, 0.0) is None


def test_a_lost_answer_leaves_what_changes_something_unknown_and_a_read_repeatable() -> None:
    assert type(lost_answer(IMPORT, "no answer in time", sent=True)) is OutcomeUnknown
    assert type(lost_answer(CREATE, "no answer in time", sent=True)) is OutcomeUnknown
    assert type(lost_answer(IMPORT, "no connection", sent=False)) is ServiceTrouble
    assert type(lost_answer(GET, "no answer in time", sent=True)) is ServiceTrouble
    assert type(lost_answer(REMOVAL, "no answer in time", sent=True)) is OutcomeUnknown
