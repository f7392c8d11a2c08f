"""What administrators do with notifications."""

from __future__ import annotations

from collections.abc import Sequence

from ccexport.errors import Conflict, NotFound
from ccexport.installation import Installation
from ccexport.services.names import check_name
from ccexport.services.people.access import Person
from ccexport.services.people.permission import acting, require
from ccexport.services.people.roles import Action
from ccexport.services.telling.events import check_events
from ccexport.store.database.telling_tables import Notification

_KIND = "notification"


class Notifications:
    """Add, look at, test, change and remove."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._store = installation.notifications

    def all(self, *, by: Person) -> list[Notification]:
        """By name."""
        require(self._installation, by, Action.SEE_ADMINISTRATION, _KIND)
        return self._store.all()

    def waiting(self, *, by: Person) -> dict[int, int]:
        """How many messages each is still to get, by its id."""
        require(self._installation, by, Action.SEE_ADMINISTRATION, _KIND)
        return self._store.waiting()

    def add(self, name: str, url: str, events: Sequence[str], *, by: Person) -> str:
        """Store it, encrypted; gives the address as it is shown. Raises `UsageError`, `Conflict`."""
        from ccexport.telling.channels import check_address

        name, chosen = check_name(name, _KIND), check_events(events)
        with acting(
            self._installation, by, Action.ADD_NOTIFICATION, _KIND, name, after={"events": chosen}
        ) as person:
            shown = check_address(url)
            if self._store.find(name) is not None:
                raise Conflict(
                    f'There is a notification "{name}" already. Choose another name, or remove it first.'
                )
            self._store.add(name, url, shown, chosen, person.name)
        return shown

    def choose(self, name: str, events: Sequence[str], *, by: Person) -> None:
        """Which events it is told from now on."""
        chosen = check_events(events)
        action, after = Action.CHANGE_NOTIFICATION, {"events": chosen}
        with acting(self._installation, by, action, _KIND, name, after=after):
            self._store.change_events(self._find(name).id, chosen)

    def test(self, name: str, *, by: Person) -> None:
        """Send a message now. Raises `Conflict` where it is not taken."""
        with acting(self._installation, by, Action.TEST_NOTIFICATION, _KIND, name):
            channel = self._find(name)
            error = self._installation.notifier.test(self._store.url_of(channel))
            self._store.tested(channel.id, error)
        if error:
            raise Conflict(f'"{channel.name}" did not get the message. {error}')

    def remove(self, name: str, *, by: Person) -> None:
        """Take it away, with what it was still to be told."""
        with acting(self._installation, by, Action.REMOVE_NOTIFICATION, _KIND, name):
            self._store.remove(self._find(name).id)

    def _find(self, name: str) -> Notification:
        channel = self._store.find(name)
        if channel is None:
            raise NotFound(f'There is no notification "{name}". See: notifications list')
        return channel
