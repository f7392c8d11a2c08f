"""What every call over the wire has in common: where it may go, how much of an answer is read, what failed.

Shared by `client.py` (the API) and `auth.py` (the token endpoint). Nothing here knows what is said.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import (
    ConnectTimeoutError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
)

from ccexport import __version__
from ccexport.errors import SettingError
from ccexport.processes import is_this_machine

USER_AGENT = f"ccexport/{__version__}"
MAX_ANSWER_BYTES = 32_000_000  # of JSON; the largest page we ask for (500 contacts) is far below
MAX_ANSWER_SECONDS = (
    300.0  # a timeout is per read: a trickle would otherwise hold a worker for ever
)
_CHUNK_BYTES = 65_536


class UnreadableAnswer(Exception):
    """An answer that is too long or takes for ever."""


def check_address(url: str) -> str:
    """The address without a slash at its end. Plain HTTP is for this machine alone: tokens travel on it.

    Raises `SettingError`.
    """
    parts = urlsplit(url)
    if not parts.hostname or parts.scheme not in ("http", "https"):
        raise SettingError(
            "The address of Constant Contact is not an http(s) address. "
            "Correct CCEXPORT_CC_API_URL or CCEXPORT_CC_AUTH_URL."
        )
    if parts.scheme == "http" and not is_this_machine(parts.hostname):
        raise SettingError(
            f"The address of {parts.hostname} starts with http://, which would show tokens to the network. "
            "Correct CCEXPORT_CC_API_URL or CCEXPORT_CC_AUTH_URL to https://."
        )
    return url.rstrip("/")


def prepare_session(session: requests.Session, url: str) -> None:
    """Headers for all calls; certificates are always checked; nothing for this machine goes to a proxy."""
    session.verify = True
    session.headers["User-Agent"] = USER_AGENT
    if is_this_machine(urlsplit(url).hostname or ""):
        session.trust_env = False


def read_bounded(
    response: requests.Response,
    max_bytes: int = MAX_ANSWER_BYTES,
    max_seconds: float = MAX_ANSWER_SECONDS,
) -> bytes:
    """The whole body. Raises `UnreadableAnswer` beyond the bounds, `requests` errors when it breaks off."""
    return b"".join(stream_bounded(response, max_bytes, max_seconds))


def stream_bounded(
    response: requests.Response, max_bytes: int, max_seconds: float
) -> Iterator[bytes]:
    """The body in pieces. Raises like `read_bounded`, at the piece that goes beyond."""
    started, size = time.monotonic(), 0
    for chunk in response.iter_content(_CHUNK_BYTES):
        size += len(chunk)
        if size > max_bytes:
            raise UnreadableAnswer(f"more than {max_bytes:,} bytes")
        if time.monotonic() - started > max_seconds:
            raise UnreadableAnswer(f"took longer than {max_seconds:.0f} seconds")
        yield chunk


def was_never_sent(error: requests.RequestException) -> bool:
    """Whether a failed request certainly did not reach the service: nobody was there to take it."""
    if isinstance(
        error,
        requests.ConnectTimeout | requests.exceptions.ProxyError | requests.exceptions.InvalidURL,
    ):
        return True
    if isinstance(error, requests.exceptions.SSLError):
        return "CERTIFICATE_VERIFY_FAILED" in str(error)
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    return isinstance(reason, NewConnectionError | NameResolutionError | ConnectTimeoutError)


def what_failed(error: Exception) -> str:
    """In two or three words, without the address: it can hold an email (`/contacts?email=…`)."""
    if isinstance(error, UnreadableAnswer):
        return f"its answer was not usable ({error})"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate could not be verified"
    if isinstance(error, requests.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.RequestException) and was_never_sent(error):
        return "no connection"
    return "the connection broke"
