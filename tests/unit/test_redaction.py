"""No secret and no address of a person gets past redaction, whichever logger or handler is used."""

from __future__ import annotations

import io
import json
import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccexport.redaction import (
    QUIET_LOGGERS,
    JsonFormatter,
    RedactingFilter,
    TextFormatter,
    about,
    configure_logging,
    mask_email,
    mask_value,
    redact,
)

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl-_"

REDACTED = [
    ("Authorization: Bearer abc.def-123", "Authorization: Bearer ***"),
    ("{'Authorization': 'Bearer abc.def-123'}", "{'Authorization': '***'}"),
    ("Authorization: Basic aWQ6c2VjcmV0", "Authorization: Basic ***"),
    ("authorization=bearer%20abcdef", "authorization=***"),
    (f"got {JWT} back", "got *** back"),
    ("https://x.test/cb?code=abc123&state=s1", "https://x.test/cb?code=***&state=s1"),
    ("https://x.test/cb?state=s1&code=abc123", "https://x.test/cb?state=s1&code=***"),
    ("/cb?next=%3Fcode%3Dabc123", "/cb?next=%3Fcode%3D***"),
    ("/cb?next=%3Fpassword%3Dabc123", "/cb?next=%3Fpassword%3D***"),
    ("code=abc&code_verifier=def&grant_type=x", "code=***&code_verifier=***&grant_type=x"),
    ('{"code": "abc123", "n": 1}', '{"code": "***", "n": 1}'),
    ("grant_type=refresh_token&refresh_token=abc", "grant_type=refresh_token&refresh_token=***"),
    ('{"access_token":"a\\"b","expires_in":5}', '{"access_token":"***","expires_in":5}'),
    (
        '"{\\"refresh_token\\": \\"a b\\", \\"x\\": 1}"',
        '"{\\"refresh_token\\": \\"***\\", \\"x\\": 1}"',
    ),
    ("{'access_token': 'it\\'s', 'scope': 'y'}", "{'access_token': '***', 'scope': 'y'}"),
    ("TokenPair(access_token='abc', n=1)", "TokenPair(access_token='***', n=1)"),
    ("client_secret = hunter2, next", "client_secret = ***, next"),
    ("CCEXPORT_CC_CLIENT_SECRET=hunter2 x", "CCEXPORT_CC_CLIENT_SECRET=*** x"),
    ("CCEXPORT_OIDC_CLIENT_SECRET: hunter2", "CCEXPORT_OIDC_CLIENT_SECRET: ***"),
    ("Password: hunter2", "Password: ***"),
    ('"password": "unterminated', '"password": "***"'),
    ("postgresql+psycopg://me:pw@db:5432/x", "postgresql+psycopg://me:***@db:5432/x"),
    ("postgresql+psycopg://me:p@s/w:d@db:5432/x", "postgresql+psycopg://me:***@db:5432/x"),
    ("postgres://me:1234@db/x?sslmode=require", "postgres://me:***@db/x?sslmode=require"),
    ("postgres://:pw@db.example.com/x", "postgres://:***@db.example.com/x"),
    ("mail to ana.o'neil+news@mail.example.co.uk now", "mail to ***@*** now"),
    ("GET /contacts?email=ana%2Bx%40example.com&limit=1", "GET /contacts?email=***%40***&limit=1"),
    ("<ana@example.com>,<bob@example.org>", "<***@***>,<***@***>"),
    ("zoë@exämple.de", "***@***"),
]

LEFT_ALONE = [
    "",
    "batch 3 of 26 submitted",
    "http://127.0.0.1:8501/exports?run=42",
    "http://localhost:8080",
    "https://api.cc.email/v3/contact_lists?limit=500",
    "sqlite:////var/lib/ccexport/ccexport.db",
    "postgresql://user@db.example.com/x",
    "the token endpoint answered 429",
    "error_code=7 unicode=yes",
    "exit code 3, status code: 404",
    "Basic authentication is used",
    "WWW-Authenticate: Bearer realm=api.cc.email",
    "access_token=None",
    "state=completed&percent_done=100",
    "a @ b, 5 @ 3.5",
]


@pytest.mark.parametrize(("text", "expected"), REDACTED)
def test_secrets_and_addresses_are_masked_and_the_rest_stays(text: str, expected: str) -> None:
    assert redact(text) == expected


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("text", [text for text, _ in REDACTED])
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    assert redact(redact(text)) == redact(text)


@given(st.text(alphabet=st.sampled_from("abcXYZ019.-_~+/=%"), min_size=1, max_size=60))
def test_no_token_of_any_shape_survives_in_a_header(token: str) -> None:
    shown = redact(f"sent Authorization: Bearer {token} to the service")
    assert shown == "sent Authorization: Bearer *** to the service"


@given(st.text(max_size=60))
def test_no_json_value_of_a_secret_key_survives(secret: str) -> None:
    line = json.dumps({"access_token": secret, "n": 1})
    assert json.loads(redact(line)) == {"access_token": "***", "n": 1}


@pytest.mark.parametrize(
    "text", ["a" * 200_000, "a_" * 100_000, "a:" * 100_000, "x@" * 50_000, '"' * 100_000]
)
def test_a_long_line_without_secrets_comes_back_whole(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    ("email", "masked"),
    [
        ("ana@example.com", "a…@e….com"),
        (" ana@mail.example.co.uk ", "a…@m….uk"),
        ("a@b", "a…@b…"),
        ('"a@b"@c.de', '"…@c….de'),
        ("@x.de", "…@x….de"),
        ("ana", "a…"),
        ("", ""),
    ],
)
def test_an_address_is_masked_for_the_screen(email: str, masked: str) -> None:
    assert mask_email(email) == masked


@pytest.mark.parametrize(
    ("value", "masked"),
    [("Ana Maria", "A…"), ("  ", ""), ("", ""), ("7", "7…"), ("ana@example.com", "a…@e….com")],
)
def test_a_value_is_masked_for_the_screen(value: str, masked: str) -> None:
    assert mask_value(value) == masked


# --- logging --------------------------------------------------------------------------------------------------


def logged(log_format: str, level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    configure_logging(level, log_format, stream)
    return stream


def fail() -> None:
    raise ValueError("refused: access_token=abc123 of ana@example.com")


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_message_arguments_exception_and_extras_are_redacted(log_format: str) -> None:
    stream = logged(log_format)
    try:
        fail()
    except ValueError:
        logging.getLogger("ccexport.x").exception(
            "sending %s with access_token=%s",
            "bob@example.com",
            "abc123",
            extra={"who": "cy@example.com"},
        )
    text = stream.getvalue()
    assert "ValueError" in text
    for secret in ("abc123", "ana@", "bob@", "cy@"):
        assert secret not in text


def test_json_is_one_object_a_line_with_time_in_utc() -> None:
    stream = logged("json")
    logging.getLogger("ccexport.worker").info("batch %d\nsent", 3, extra={"run_id": 7})
    line = json.loads(stream.getvalue())
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "ccexport.worker",
        "message": "batch 3\nsent",
        "run_id": 7,
    }


def test_text_is_one_line_a_message() -> None:
    stream = logged("text")
    logging.getLogger("ccexport.worker").warning("first\nsecond", extra={"run_id": 7})
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1
    assert lines[0].endswith("Z WARNING ccexport.worker: first\\nsecond (run_id=7)")


def test_configuring_again_replaces_what_was_there() -> None:
    first, second = logged("text"), logged("json", "error")
    logging.getLogger("ccexport").warning("quiet")
    logging.getLogger("ccexport").error("loud")
    assert first.getvalue() == ""
    assert json.loads(second.getvalue())["message"] == "loud"


def test_loggers_that_print_tokens_are_held_even_when_asked_for_more() -> None:
    stream = logged("text", "debug")
    for name in QUIET_LOGGERS:
        logging.getLogger(name).debug("Obtained token abc")
        logging.getLogger(f"{name}.oauth2_session").info("Obtained token abc")
    assert stream.getvalue() == ""


def test_handlers_of_other_libraries_get_clean_records() -> None:
    logged("text")
    stream = io.StringIO()
    logger = logging.getLogger("streamlit.test")
    logger.propagate = False
    handler = logging.StreamHandler(stream)
    logger.addHandler(handler)
    try:
        fail()
    except ValueError:
        logger.warning("of %s", "bob@example.com", exc_info=True, stack_info=True)
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
    assert "ValueError" in stream.getvalue()
    for secret in ("abc123", "ana@", "bob@"):
        assert secret not in stream.getvalue()


def test_the_access_log_keeps_the_arguments_its_formatter_takes_apart() -> None:
    logged("text")
    record = logging.getLogger("uvicorn.access").makeRecord(
        "uvicorn.access", logging.INFO, "f", 1, '%s - "%s %s HTTP/%s" %d',
        ("127.0.0.1:1", "GET", "/oauth/callback?code=abc123&state=s", "1.1", 200), None,
    )  # fmt: skip
    assert record.args == ("127.0.0.1:1", "GET", "/oauth/callback?code=***&state=s", "1.1", 200)


def test_a_log_call_with_the_wrong_arguments_is_still_logged() -> None:
    stream = logged("text")
    logging.getLogger("ccexport").info("%d profiles of %s", "ana@example.com")
    assert "arguments do not fit" in stream.getvalue()
    assert "ana@" not in stream.getvalue()


@pytest.mark.parametrize("formatter", [logging.Formatter(), TextFormatter(), JsonFormatter()])
def test_a_filter_alone_is_enough_for_a_handler_that_is_not_ours(
    formatter: logging.Formatter,
) -> None:
    try:
        fail()
    except ValueError:
        record = logging.LogRecord(
            "x", logging.INFO, "f", 1, "%(to)s", ({"to": "bob@example.com"},), sys.exc_info()
        )
    assert RedactingFilter().filter(record)
    text = formatter.format(record)
    assert "ValueError" in text
    assert "abc123" not in text
    assert "@example" not in text


def test_lines_of_a_run_hold_its_id_and_its_exports_in_json() -> None:
    stream = io.StringIO()
    configure_logging("info", "json", stream)
    log = logging.getLogger("ccexport.worker")
    with about(run=7, export=3):
        log.info("taken")
        with about(export=None):
            log.info("sent", extra={"batch": 2})
    log.info("idle")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    ids = [{key: line.get(key) for key in ("run", "export", "batch")} for line in lines]
    assert ids == [
        {"run": 7, "export": 3, "batch": None},
        {"run": 7, "export": 3, "batch": 2},
        {"run": None, "export": None, "batch": None},
    ]
