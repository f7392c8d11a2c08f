"""Delivers what people are told: each message with its own patience, and nothing of a run waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable

from ccexport.clock import Now
from ccexport.store.notifications import Letter, NotificationStore
from ccexport.telling.channels import send
from ccexport.telling.messages import compose, compose_test
from ccexport.telling.webhooks import WAITS


class Notifier:
    """Takes the messages that are due out of the outbox and delivers them."""

    def __init__(self, store: NotificationStore, public_url: str, now: Now) -> None:
        self._store = store
        self._public_url = public_url
        self._now = now

    def deliver_due(self, give_up_at: float, elapsed: Callable[[], float] = time.monotonic) -> None:
        """Deliver until nothing is due or the time is up; who fails is left alone for the rest of it."""
        failed: set[int] = set()
        while elapsed() < give_up_at and (letter := self._store.claim(failed)) is not None:
            if not self._deliver(letter):
                failed.add(letter.notification_id)

    def test(self, url: str) -> str:
        """What went wrong with a message that says it is a test; nothing where it was taken."""
        return send(url, compose_test(self._public_url))

    def _deliver(self, letter: Letter) -> bool:
        message = compose(
            letter.what, letter.reason, letter.bodies, letter.message_id, self._public_url
        )
        error = send(letter.url, message)
        tries_again = bool(error) and letter.attempt <= len(WAITS)
        next_at = self._now() + WAITS[letter.attempt - 1] if tries_again else None
        self._store.record(letter, error, next_at)
        return not error
