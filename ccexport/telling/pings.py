"""Pings by healthchecks.io's scheme: a call at begin and end of each run. One try, five seconds, no complaint."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import urlsplit, urlunsplit

from ccexport.errors import UsageError
from ccexport.store.pings import Pings, PingStore
from ccexport.telling.calling import NotReached, check_url, get

TIMEOUT_SECONDS = 5.0
AT_ONCE = 8  # so that an address that does not answer keeps few others waiting
MAX_CHARACTERS = 2_000
_HIDDEN = "***"


def mask_ping(url: str) -> str:
    """The address as people see it: its path is the secret. What is masked stays as it is."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/{_HIDDEN}"


def check_ping(url: str) -> str:
    """The address, trimmed. Raises `UsageError`."""
    url = url.strip()
    check_url(url, "ping")
    if len(url) > MAX_CHARACTERS:
        raise UsageError(f"The address of a ping has at most {MAX_CHARACTERS:,} characters.")
    if urlsplit(url).path.rstrip("/").endswith(f"/{_HIDDEN}"):
        raise UsageError(
            "The address of the ping is masked. Write the whole address, or leave it out."
        )
    return url


class Pinger:
    """Makes the calls that are to be made."""

    def __init__(self, store: PingStore, allowed: str) -> None:
        self._store = store
        self._allowed = allowed

    def deliver_due(self, give_up_at: float, elapsed: Callable[[], float]) -> None:
        """Make them until there are none or the time is up; those of one export in their order."""
        while elapsed() < give_up_at and (taken := self._store.take()):
            with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="ping") as threads:
                list(threads.map(self._call, taken))

    def _call(self, pings: Pings) -> None:
        for suffix in pings.suffixes:
            with suppress(NotReached):  # by the scheme: a ping never troubles what it tells of
                get(_with_suffix(pings.url, suffix), self._allowed, TIMEOUT_SECONDS)


def _with_suffix(url: str, suffix: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + suffix)) if suffix else url
