"""Webhooks by Standard Webhooks 1.0: signed, repeated with the same id for three days, off once they answer 410."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ccexport.clock import Now
from ccexport.store.webhooks import Due, WebhookStore
from ccexport.telling.calling import NotReached, post
from ccexport.telling.links import link_of

# how long after an attempt that failed the next one comes; three days together
WAITS = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 73_495)
)
GONE = 410
_PREFIX = "whsec_"


def new_secret() -> str:
    """As Standard Webhooks writes it: `whsec_` and 24 bytes in base64."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(24)).decode()


def signed(secrets: Sequence[bytes], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The headers of one attempt: a signature a secret."""
    seconds = str(int(at.timestamp()))
    content = b".".join((message_id.encode(), seconds.encode(), body))
    signatures = " ".join(f"v1,{_signature(secret, content)}" for secret in secrets)
    return {
        "Content-Type": "application/json",
        "User-Agent": "ccexport",
        "webhook-id": message_id,
        "webhook-timestamp": seconds,
        "webhook-signature": signatures,
    }


def _signature(secret: bytes, content: bytes) -> str:
    key = base64.b64decode(secret.decode().removeprefix(_PREFIX))
    return base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()


class Teller:
    """Takes what is due out of the outbox and delivers it."""

    def __init__(self, store: WebhookStore, public_url: str, allowed: str, now: Now) -> None:
        self._store = store
        self._public_url = public_url
        self._allowed = allowed
        self._now = now

    def deliver_due(self, give_up_at: float, elapsed: Callable[[], float] = time.monotonic) -> None:
        """Deliver until nothing is due or the time is up; who fails is left alone for the rest of it."""
        failed: set[int] = set()
        while elapsed() < give_up_at and (due := self._store.claim(failed)) is not None:
            if not self._deliver(due):
                failed.add(due.webhook_id)

    def call(
        self, url: str, secrets: Sequence[bytes], message_id: str, body: Mapping[str, Any]
    ) -> int:
        """The status that an address answers with. Raises `NotReached`."""
        data = {**body["data"], "url": link_of(body, self._public_url)} if body["data"] else {}
        content = json.dumps({**body, "data": data}, separators=(",", ":")).encode()
        return post(url, signed(secrets, message_id, self._now(), content), content, self._allowed)

    def _deliver(self, due: Due) -> bool:
        try:
            status = self.call(due.url, due.secrets, due.message_id, due.body)
        except NotReached as error:
            status, answer = 0, str(error)
        else:
            answer = str(status)
        ok = 200 <= status < 300
        self._store.record(due, answer, ok=ok, next_at=None if ok else self._next(due))
        if status == GONE:
            self._store.turn_off(due.webhook_id)
        return ok

    def _next(self, due: Due) -> datetime | None:
        if due.attempt > len(WAITS):
            return None
        return self._now() + WAITS[due.attempt - 1]
