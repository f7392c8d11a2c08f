"""Keeps secrets and addresses of people out of logs and messages; sets up logging so that nothing goes past it.

A shared word: it imports nothing of ours. What is masked: bearer tokens and JWTs, values of keys that hold secrets (in
URLs, forms, JSON, reprs), passwords in URLs (whose shape stays), and email addresses.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

MASK = "***"
MAX_QUOTED_CHARACTERS = 300
# their DEBUG prints tokens and bodies, or their INFO addresses with secrets
QUIET_LOGGERS = (
    "requests_oauthlib",
    "oauthlib",
    "urllib3",
    "httpx",
    "httpx2",
    "authlib",
    "apprise",
)

_KEYS = (
    r"access_token|refresh_token|id_token|client_secret|code_verifier|code_challenge|device_code|cookie_secret|"
    r"secret_key|api_key|password|passwd|pwd|secret|token|authorization"
)
_START = r"(?:(?<=%3F)|(?<=%26)|(?<![A-Za-z]))"  # of a key, in a percent-encoded query too
# a value in quotes (themselves escaped, where JSON is quoted within JSON), or up to what ends a form's value
_QUOTED = r"(?P<quote>\\*[\"'])(?:(?!(?P=quote))(?:\\.|.))*(?P=quote)?"
_SECRET_VALUE = re.compile(
    rf"(?P<key>{_START}(?:[A-Za-z]{{1,30}}[_-]){{0,6}}(?:{_KEYS})\\*[\"']?\s*(?:=|:|%3D)\s*)"
    rf"(?:{_QUOTED}|(?P<bare>(?!\\*[\"'])[^\s&,;\"'\\)}}\]]+))",
    re.IGNORECASE | re.DOTALL,
)
_CODE_VALUE = re.compile(
    rf"(?P<key>{_START}(?<!_)code(?:\\*[\"']?\s*(?:=|%3D)\s*|\\*[\"']\s*:\s*(?=\\*[\"'])))"
    rf"(?:{_QUOTED}|(?P<bare>(?!\\*[\"'])[^\s&,;\"'\\)}}\]]+))",
    re.IGNORECASE | re.DOTALL,
)
_SCHEME = re.compile(
    r"\b(Bearer|Basic(?=(?:\s+|%20)\S*(?-i:[0-9A-Z=])))(\s+|%20)(?!realm=)[A-Za-z0-9._~+/=%-]+",
    re.IGNORECASE,
)
_API_TOKEN = re.compile(r"cce_[A-Za-z0-9]{6,}")  # of our API
_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)*")
_URL_PASSWORD = re.compile(
    r"(?P<start>[A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s:/@?#\"']{0,200}:)(?!\d{1,5}(?:[/?#\s\"',)]|$))"
    r"(?:[^\s?#\"']{0,500}@|[^\s@\"']{0,500}@)"
)
_SECRET_OPTION = re.compile(
    r"([?&;][\w.-]*(?:password|passwd|pwd|passphrase|secret|token|(?:api|access|private|account)_?key|sas|sig)=)"
    r"[^&;#\s]*",
    re.IGNORECASE,
)
_EMAIL = re.compile(
    r"(?P<local>[\w.!#$'*+^`{|}~%-]{1,128})(?P<at>@|%40)(?P<domain>[\w-]{1,63}(?:\.[\w-]{1,63})+)"
)
_about: ContextVar[Mapping[str, int]] = ContextVar("about", default={})  # noqa: B039  # never changed in place
_PLAIN_EXTRAS = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


@contextmanager
def about(**ids: int | None) -> Iterator[None]:
    """What is logged within it, by this thread, has these ids in JSON."""
    token = _about.set({**_about.get(), **{key: value for key, value in ids.items() if value}})
    try:
        yield
    finally:
        _about.reset(token)


def redact(text: str) -> str:
    """The text without secrets and without email addresses."""
    if "eyJ" in text:
        text = _JWT.sub(MASK, text)
    if "cce_" in text:
        text = _API_TOKEN.sub(MASK, text)
    text = _SCHEME.sub(rf"\1\2{MASK}", text)
    text = _SECRET_VALUE.sub(_mask_value_of_key, text)
    text = _CODE_VALUE.sub(_mask_value_of_key, text)
    if "@" in text or "%40" in text:
        text = _URL_PASSWORD.sub(rf"\g<start>{MASK}@", text)
        text = _EMAIL.sub(_mask_found_email, text)
    return text


def with_their_words(message: str, detail: str) -> str:
    """One line: our message, and what the other side said about it, where it said anything."""
    words = redact(" ".join(detail.split()))[:MAX_QUOTED_CHARACTERS]
    return f'{message} Constant Contact says: "{words}"' if words else message


def _mask_value_of_key(match: re.Match[str]) -> str:
    if match["bare"] is not None and match["bare"].lower() in (
        "bearer",
        "basic",
        "none",
        "null",
        MASK,
    ):
        return match[0]
    quote = match["quote"] or ""
    return f"{match['key']}{quote}{MASK}{quote}"


def _mask_found_email(match: re.Match[str]) -> str:
    is_user_of_url = match.string[: match.start()].endswith("://")
    if match["local"] == MASK or is_user_of_url:
        return match[0]
    return f"{MASK}{match['at']}{MASK}"


def mask_email(email: str) -> str:
    """An address for people who may not see it whole: `ana@example.com` → `a…@e….com`."""
    local, at, domain = email.strip().rpartition("@")
    if not at:
        return mask_value(email)
    name, dot, ending = domain.rpartition(".")
    return f"{local[:1]}…@{name[:1]}…{dot}{ending}" if dot else f"{local[:1]}…@{domain[:1]}…"


def mask_value(text: str) -> str:
    """An attribute's value for people who may not see it whole: its first character, or a masked address."""
    text = text.strip()
    if "@" in text:
        return mask_email(text)
    return f"{text[0]}…" if text else ""


def mask_password(url: str) -> str:
    """The URL with its passwords as stars, before the host and among the options; its shape stays."""
    masked = re.sub(r"(://[^:/@\s]*):.*@", r"\1:***@", url)
    return _SECRET_OPTION.sub(r"\1***", masked)


class RedactingFilter(logging.Filter):
    """Redacts a record in place: message with its arguments, exception, stack. For handlers that are not ours."""

    def filter(self, record: logging.LogRecord) -> bool:
        redact_record(record)
        return True


def redact_record(record: logging.LogRecord) -> None:
    """Redact message, arguments, exception and stack of a record, in place."""
    try:
        message = record.getMessage()
    except (TypeError, ValueError, KeyError):  # a log call of somebody's with the wrong arguments
        message = f"{record.msg} (its arguments do not fit)"
        record.msg, record.args = message, ()
    if (redacted := redact(message)) != message:
        record.msg, record.args = redacted, ()
    if record.exc_info and record.exc_info[0] is not None:
        record.exc_text = record.exc_text or logging.Formatter().formatException(record.exc_info)
        record.exc_info = None  # a handler would format it anew
    if record.exc_text:
        record.exc_text = redact(record.exc_text)
    if record.stack_info:
        record.stack_info = redact(record.stack_info)


class TextFormatter(logging.Formatter):
    """`2026-01-05T10:00:00.000Z INFO ccexport.worker: message`; a message is one line."""

    def format(self, record: logging.LogRecord) -> str:
        redact_record(record)
        message = redact(record.getMessage()).replace("\r", "\\r").replace("\n", "\\n")
        lines = [
            f"{_time_of(record)} {record.levelname} {record.name}: {message}{_extras_text(record)}"
        ]
        lines += [text for text in (record.exc_text, record.stack_info) if text]
        return "\n".join(lines)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, then what the call added."""

    def format(self, record: logging.LogRecord) -> str:
        redact_record(record)
        line: dict[str, Any] = {
            "time": _time_of(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        line.update(_about.get())
        line.update(_extras(record))
        if record.exc_text:
            line["exception"] = record.exc_text
        if record.stack_info:
            line["stack"] = record.stack_info
        return json.dumps(line, ensure_ascii=False)


def configure_logging(
    level: str = "info",
    format: Literal["text", "json"] | str = "text",
    stream: TextIO | None = None,
) -> None:
    """Log to `stream` (standard error) through redaction. Calling it again replaces what it set up before.

    Records are redacted as they are made, so handlers of other libraries (Streamlit's, uvicorn's) get them clean too.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    handler.set_name("ccexport")
    root = logging.getLogger()
    for old in [each for each in root.handlers if each.get_name() == "ccexport"]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.setLogRecordFactory(_make_clean_record)
    logging.captureWarnings(True)
    quiet_secret_loggers()


def quiet_secret_loggers() -> None:
    """Hold the loggers whose DEBUG prints tokens and bodies at WARNING."""
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


def _make_clean_record(*args: Any, **options: Any) -> logging.LogRecord:
    record = logging.LogRecord(*args, **options)
    if record.name == "uvicorn.access" and isinstance(record.args, tuple):
        # its formatter takes the arguments apart again
        record.args = tuple(redact(x) if isinstance(x, str) else x for x in record.args)
    else:
        redact_record(record)
    return record


def _time_of(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    given = {key: value for key, value in record.__dict__.items() if key not in _PLAIN_EXTRAS}
    return {
        key: value if isinstance(value, bool | int | float | None) else redact(str(value))
        for key, value in given.items()
    }


def _extras_text(record: logging.LogRecord) -> str:
    extras = _extras(record)
    return f" ({', '.join(f'{key}={value}' for key, value in extras.items())})" if extras else ""
