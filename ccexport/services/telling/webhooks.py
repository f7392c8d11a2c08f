"""What administrators do with webhooks."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from ccexport.clock import iso
from ccexport.errors import Conflict, NotFound
from ccexport.installation import Installation
from ccexport.services.people.access import Person
from ccexport.services.people.permission import acting, require
from ccexport.services.people.roles import Action
from ccexport.services.telling.events import check_events
from ccexport.store.database.telling_tables import Webhook
from ccexport.store.webhooks import Attempted
from ccexport.telling.calling import NotReached, check_url
from ccexport.telling.webhooks import new_secret

_KIND = "webhook"


class Webhooks:
    """Add, look at, test and remove."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._store = installation.webhooks

    def all(self, *, by: Person) -> list[Webhook]:
        """By address."""
        require(self._installation, by, Action.SEE_ADMINISTRATION, _KIND)
        return self._store.all()

    def add(self, url: str, events: Sequence[str], *, by: Person) -> str:
        """Store it; gives its secret, which is shown this once."""
        check_url(url)
        chosen = check_events(events)
        with acting(
            self._installation, by, Action.ADD_WEBHOOK, _KIND, url, after={"events": chosen}
        ) as person:
            if self._store.find(url) is not None:
                raise Conflict(f"There is a webhook for {url} already. Remove it first.")
            secret = new_secret()
            self._store.add(url, secret.encode(), chosen, person.name)
        return secret

    def test(self, url: str, *, by: Person) -> int:
        """Send a message of the kind `test` now; the status of the answer. Raises `Conflict`.

        One that was turned off is on again once it takes the message.
        """
        with acting(self._installation, by, Action.TEST_WEBHOOK, _KIND, url):
            hook = self._find(url)
        now = self._installation.now()
        body: dict[str, Any] = {"type": "test", "timestamp": iso(now), "data": {}}
        message_id = f"msg_{secrets.token_hex(16)}"
        try:
            status = self._installation.teller.call(
                url, self._store.secrets_of(hook), message_id, body
            )
        except NotReached as error:
            raise Conflict(f"{url} is not reached. {error}") from None
        if 200 <= status < 300 and not hook.is_on:
            self._store.turn_on(hook.id)
        return status

    def rotate(self, url: str, *, by: Person) -> str:
        """A new secret, shown this once; for a day messages are signed with the one before it too."""
        with acting(self._installation, by, Action.ROTATE_WEBHOOK, _KIND, url):
            secret = new_secret()
            self._store.rotate(self._find(url).id, secret.encode())
        return secret

    def send_again(self, url: str, message_id: str, *, by: Person) -> None:
        """Deliver a message once more, with the id it had. Raises `NotFound`."""
        with acting(self._installation, by, Action.SEND_WEBHOOK_AGAIN, _KIND, url):
            if not self._store.send_again(self._find(url).id, message_id):
                raise NotFound(f"There is no message {message_id} for {url}.")

    def deliveries(self, url: str, *, by: Person) -> list[Attempted]:
        """The newest hundred."""
        require(self._installation, by, Action.SEE_ADMINISTRATION, _KIND)
        return self._store.deliveries(self._find(url).id)

    def remove(self, url: str, *, by: Person) -> None:
        """Take it away, with what it was still to be told."""
        with acting(self._installation, by, Action.REMOVE_WEBHOOK, _KIND, url):
            self._store.remove(self._find(url).id)

    def _find(self, url: str) -> Webhook:
        hook = self._store.find(url)
        if hook is None:
            raise NotFound(f"There is no webhook for {url}. See: webhooks list")
        return hook
