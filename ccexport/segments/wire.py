"""One request to another machine and its answer, for the reader of Dataverse. Nothing here knows what is said."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests

from ccexport import __version__
from ccexport.errors import SourceError
from ccexport.processes import is_this_machine

_TIMEOUT_SECONDS = (10.0, 120.0)  # to connect; for each read
_MAX_SECONDS = 600.0  # a timeout is per read: a trickle would otherwise hold a run for ever
_MAX_BYTES = 256_000_000  # 5,000 rows of 50 kB
_PIECE_BYTES = 262_144
_WHOLE = re.compile(r"-?\d+\.0+")


class NotNow(Exception):
    """What was asked may work a little later. `said` begins a line for people; no address is in it."""

    def __init__(
        self, said: str, retry_after_seconds: float | None = None, *, reached: bool = True
    ) -> None:
        super().__init__(said)
        self.said = said
        self.retry_after_seconds = retry_after_seconds
        self.reached = reached


@dataclass(frozen=True)
class Answer:
    """An answer, read whole."""

    status: int
    body: bytes
    retry_after: str | None


def new_session(url: str) -> requests.Session:
    """Certificates are always checked; nothing for this machine goes to a proxy."""
    session = requests.Session()
    session.headers["User-Agent"] = f"ccexport/{__version__}"
    if is_this_machine(urlsplit(url).hostname or ""):
        session.trust_env = False
    return session


def checked_address(url: str, name: str) -> str:
    """An address without a slash at its end. Plain HTTP is for this machine alone, since tokens travel on it.

    Raises `SourceError`.
    """
    try:
        parts = urlsplit(url)
        fits = parts.hostname and parts.port != 0
    except ValueError:
        fits = False
    if not fits or parts.scheme not in ("http", "https") or parts.username or parts.query:
        raise SourceError(f"{name} is not an https:// address of a host alone. Correct it.")
    if parts.scheme == "http" and not is_this_machine(parts.hostname or ""):
        raise SourceError(
            f"{name} begins with http://, which would show tokens to the network. Write https://."
        )
    return url.rstrip("/")


def asked(session: requests.Session, method: str, url: str, whom: str, **request: Any) -> Answer:
    """The answer to a request, wherever it leads but to another address. Raises `NotNow` where none comes whole."""
    try:
        with session.request(
            method, url, timeout=_TIMEOUT_SECONDS, stream=True, allow_redirects=False, **request
        ) as response:
            body = _read(response, whom)
            return Answer(response.status_code, body, response.headers.get("Retry-After"))
    except requests.ConnectTimeout:
        raise NotNow(f"{whom} does not answer", reached=False) from None
    except requests.exceptions.SSLError:
        raise SourceError(
            f"{whom}: its certificate is not one that this machine trusts. Check the address and its clock."
        ) from None
    except requests.ConnectionError as error:
        raise NotNow(f"{whom} cannot be reached, or broke off", reached=_got(error)) from None
    except requests.RequestException as error:  # the error's own text would tell the address
        raise NotNow(f"{whom} broke off ({type(error).__name__})") from None


def _got(error: requests.ConnectionError) -> bool:
    """Whether there was a connection, which then broke."""
    return "NewConnection" not in repr(error) and "NameResolution" not in repr(error)


def _read(response: requests.Response, whom: str) -> bytes:
    began_at, pieces, length = time.monotonic(), [], 0
    for piece in response.iter_content(_PIECE_BYTES):
        pieces.append(piece)
        length += len(piece)
        if length > _MAX_BYTES:
            raise SourceError(f"{whom} answers with more than {_MAX_BYTES:,} bytes. Look at it.")
        if time.monotonic() - began_at > _MAX_SECONDS:
            raise NotNow(f"{whom} answers too slowly")
    return b"".join(pieces)


def json_of(body: bytes) -> dict[str, Any]:
    """A JSON object, numbers as text, whole ones without a fraction; empty where the text is none."""
    try:
        document = json.loads(body, parse_int=str, parse_float=_whole, parse_constant=str)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _whole(number: str) -> str:
    return number.partition(".")[0] if _WHOLE.fullmatch(number) else number


def said(value: object) -> str | None:
    """A value of JSON as text; its numbers are text already."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False)


def retry_after(answer: Answer) -> float | None:
    """After how many seconds to ask again, where the answer says so."""
    text = (answer.retry_after or "").strip()
    if text.isdecimal():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max((at - datetime.now(UTC)).total_seconds(), 0.0)
