"""The living sign-in of a connection: hands out access tokens, renews the pair, one process at a time.

Refresh tokens are single use: issuing a new pair kills the older ones (vendor support). So a lease is taken, the pair
is read again, renewed, and the new one is on disk before anybody uses it.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Protocol

from ccexport.clock import Now, utc_now
from ccexport.constantcontact.auth import AppCredentials, TokenPair, refresh
from ccexport.errors import NotConnected, OutcomeUnknown, RateLimited, ServiceTrouble, StoreError
from ccexport.processes import is_dead, new_worker_name

log = logging.getLogger(__name__)

RENEW_BEFORE_END = timedelta(minutes=10)
LOOK_AGAIN_SECONDS = 0.2
TOKEN_ENDPOINT_SECONDS = 1.1  # it allows one request a second (vendor support)
BUSY_TRIES = 5
BUSY_WAIT_SECONDS = 5.0  # after so many tries
PATIENCE_SECONDS = (
    120.0  # longer than a lease: the process that renews has ended or lost it by then
)


class KeptPair(Protocol):
    """A pair as it is kept: bytes of this room's own form; `version` grows with each new pair."""

    @property
    def content(self) -> bytes: ...
    @property
    def version(self) -> int: ...
    @property
    def expires_at(self) -> datetime: ...
    @property
    def issued_at(self) -> datetime: ...


class Pairs(Protocol):
    """Where pairs are kept, and the lease that lets one process at a time renew one."""

    def read(self, connection_id: int) -> KeptPair | None: ...
    def write(self, connection_id: int, content: bytes, expires_at: datetime) -> None: ...
    def take_lease(self, connection_id: int, owner: str, version: int) -> bool: ...
    def lease_holder(self, connection_id: int) -> str | None: ...
    def give_lease_back(self, connection_id: int, owner: str) -> None: ...


class Owner(Protocol):
    """The connection that a pair belongs to."""

    name: str
    needs_sign_in: bool


class Owners(Protocol):
    """Knows connections, and which of them a person has to sign in to again."""

    def get(self, connection_id: int) -> Owner: ...
    def set_needs_sign_in(self, connection_id: int, *, needed: bool) -> None: ...


class TokenKeeper:
    """Access tokens of connections, always fresh. Thread-safe; several processes may share the store."""

    def __init__(
        self,
        pairs: Pairs,
        owners: Owners,
        auth_url: str,
        app: AppCredentials,
        *,
        now: Now = utc_now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._pairs = pairs
        self._owners = owners
        self._auth_url = auth_url
        self._app = app
        self._now = now
        self._sleep = sleep

    def store(self, connection_id: int, pair: TokenPair) -> None:
        """After a sign-in. When this returns, the pair is on disk."""
        self._pairs.write(connection_id, _to_bytes(pair), pair.expires_at)

    def access_token(self, connection_id: int) -> str:
        """A token that is good for a while yet. Raises `NotConnected` when a person has to sign in."""
        stored = self._read(connection_id)
        if self._is_fresh(stored):
            return _from_bytes(stored.content).access_token
        return self._renew(connection_id, stored.version)

    def renewed(self, connection_id: int, rejected: str) -> str:
        """Another token than the one that was just answered with 401."""
        stored = self._read(connection_id)
        pair = _from_bytes(stored.content)
        if pair.access_token != rejected:
            return pair.access_token
        return self._renew(connection_id, stored.version)

    def scope(self, connection_id: int) -> str:
        """What the sign-in granted, as Constant Contact said it; "" where it did not say."""
        return _from_bytes(self._read(connection_id).content).scope

    def _is_fresh(self, stored: KeptPair) -> bool:
        """Ten minutes before the end is time to renew, or for short-lived tokens the last quarter of their life."""
        life = stored.expires_at - stored.issued_at
        return self._now() < stored.expires_at - min(RENEW_BEFORE_END, life / 4)

    def _renew(self, connection_id: int, version: int) -> str:
        owner = new_worker_name()
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while not self._pairs.take_lease(connection_id, owner, version):
            stored = self._read(connection_id)
            if stored.version != version:
                return _from_bytes(stored.content).access_token
            if time.monotonic() > give_up_at:
                raise ServiceTrouble("Another process takes too long to renew the sign-in.")
            if not self._freed_of_the_dead(connection_id):
                self._sleep(LOOK_AGAIN_SECONDS)
        try:
            return self._renew_alone(connection_id)
        finally:
            with suppress(StoreError):  # it lapses
                self._pairs.give_lease_back(connection_id, owner)

    def _freed_of_the_dead(self, connection_id: int) -> bool:
        """Whether the lease was held by a process of this machine that has died; then there is no need to wait."""
        holder = self._pairs.lease_holder(connection_id)
        if holder is None or not is_dead(holder):
            return False
        self._pairs.give_lease_back(connection_id, holder)
        return True

    def _renew_alone(self, connection_id: int) -> str:
        if self._owners.get(connection_id).needs_sign_in:  # final: it is not asked again
            raise self._needs_sign_in(connection_id)
        old = _from_bytes(self._read(connection_id).content)
        try:
            new = patiently(lambda: self._refresh(old), self._sleep)
        except NotConnected:
            raise self._needs_sign_in(connection_id) from None
        self._store_patiently(connection_id, new)
        return new.access_token

    def _store_patiently(self, connection_id: int, new: TokenPair) -> None:
        """The old pair is worthless from here on: a disk that is full just now must not cost the sign-in."""
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        said = False
        while True:
            try:
                return self.store(connection_id, new)
            except StoreError as error:
                if time.monotonic() > give_up_at:
                    raise
                if not said:
                    log.error("a renewed sign-in is held until it can be stored: %s", error)
                said = True
            self._sleep(LOOK_AGAIN_SECONDS)

    def _refresh(self, old: TokenPair) -> TokenPair:
        try:
            return refresh(self._auth_url, self._app, old, now=self._now())
        except OutcomeUnknown:  # the answer was lost and the old token may be spent: once more
            self._sleep(TOKEN_ENDPOINT_SECONDS)
            return refresh(self._auth_url, self._app, old, now=self._now())

    def _read(self, connection_id: int) -> KeptPair:
        stored = self._pairs.read(connection_id)
        if stored is None:
            raise self._needs_sign_in(connection_id)
        return stored

    def _needs_sign_in(self, connection_id: int) -> NotConnected:
        connection = self._owners.get(connection_id)
        self._owners.set_needs_sign_in(connection_id, needed=True)
        return NotConnected(
            f'Constant Contact no longer accepts the sign-in of "{connection.name}". Sign in again: open Settings > '
            f'Connections and select Authenticate, or run `connections add "{connection.name}" --agree`. '
            "Runs that wait for it then continue by themselves."
        )


def patiently(ask: Callable[[], TokenPair], sleep: Callable[[float], None]) -> TokenPair:
    """Ask the token endpoint, which takes one request a second from everybody: when it is busy, a few times."""
    for attempt in range(1, BUSY_TRIES):
        try:
            return ask()
        except RateLimited:  # nothing was done
            sleep(TOKEN_ENDPOINT_SECONDS * attempt)
    try:
        return ask()
    except RateLimited as error:  # busy for long: the caller waits where people see it
        wait = max(BUSY_WAIT_SECONDS, error.retry_after_seconds or 0.0)
        raise RateLimited(str(error), retry_after_seconds=wait) from None


def _to_bytes(pair: TokenPair) -> bytes:
    fields = asdict(pair)
    fields["expires_at"] = pair.expires_at.isoformat()
    return json.dumps(fields).encode()


def _from_bytes(content: bytes) -> TokenPair:
    fields = json.loads(content)
    fields["expires_at"] = datetime.fromisoformat(fields["expires_at"])
    return TokenPair(**fields)
