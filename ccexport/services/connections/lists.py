"""The lists and custom fields of a connection's account: asked of Constant Contact, and remembered.

A page cannot wait as a run can: a question of a page ends after `PATIENCE_SECONDS`, and the lists known from before
stay to be shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from ccexport.constantcontact.client import Client
from ccexport.constantcontact.model import ContactList, CustomField
from ccexport.errors import (
    Conflict,
    ConstantContactRefused,
    NotFoundThere,
    OutcomeUnknown,
    SetupError,
    UsageError,
)
from ccexport.installation import Installation
from ccexport.services.exports.exports import check_list_id
from ccexport.services.people.access import Person
from ccexport.services.people.permission import audited, require
from ccexport.services.people.roles import Action
from ccexport.store.database.tables import Connection
from ccexport.store.lists import KnownList, ListCacheStore

PATIENCE_SECONDS = 15.0
TIMEOUT_SECONDS = (3.0, 10.0)  # to connect, to answer
MAX_LIST_NAME = 255  # characters (V3 contract)


@dataclass(frozen=True)
class Known:
    """The lists of an account by name, and since when they are known."""

    as_of: datetime
    lists: Sequence[KnownList]


class Lists:
    """Questions of a person about an account's lists and custom fields."""

    def __init__(self, installation: Installation, by: Person) -> None:
        self._installation = installation
        self._by = by
        self._store = ListCacheStore(installation.engine, installation.now)

    def known(self, connection_id: int) -> Known | None:
        """The lists as they were when somebody last asked; None where nobody has. Asks nobody itself."""
        found = self._store.read(connection_id)
        return None if found is None else Known(*found)

    def refresh(self, connection_id: int) -> Known:
        """Ask for all pages of lists and remember them. Raises what the request came to; nothing is lost then."""
        self._require(Action.SEE_LISTS, connection_id)
        with self._client(connection_id) as client:
            return self._keep(connection_id, _by_name(client.lists(include_counts=True)))

    def create(self, connection_id: int, name: str) -> KnownList:
        """A new list at Constant Contact. Raises `Conflict` where one of the name exists, `UsageError`."""
        name = _check_list_name(name)
        by, connection = self._require(Action.CREATE_LIST, connection_id, name)
        with self._client(connection_id) as client:
            made = _create(client, name)
        after = {"connection": connection.name, "list_id": made.list_id}
        with audited(self._installation, by, Action.CREATE_LIST, "list", name, after=after):
            pass  # what was made is at Constant Contact
        new = KnownList(made.list_id, made.name, made.membership_count or 0)
        known = self.known(connection_id)
        if known is not None:
            others = [each for each in known.lists if each.list_id != new.list_id]
            self._keep(connection_id, sorted([*others, new], key=_name_key))
        return new

    def find(self, connection_id: int, text: str) -> KnownList:
        """The list of a pasted id or address. Raises `UsageError` for what holds no id, `SetupError` for no list."""
        list_id = check_list_id(text)
        self._require(Action.SEE_LISTS, connection_id)
        with self._client(connection_id) as client:
            try:
                found = client.list(list_id)
            except NotFoundThere:
                raise SetupError(
                    f"Constant Contact knows no list {list_id} in this account. Choose one of the account's lists."
                ) from None
        if found.deleted:
            raise SetupError(
                f'The list "{found.name}" was deleted at Constant Contact. Choose another.'
            )
        return KnownList(found.list_id, found.name, found.membership_count)

    def custom_fields(self, connection_id: int) -> list[CustomField]:
        """The account's custom fields, by label. Asks Constant Contact each time."""
        self._require(Action.SEE_LISTS, connection_id)
        with self._client(connection_id) as client:
            return sorted(client.custom_fields(), key=lambda field: field.label.casefold())

    def _require(
        self, action: Action, connection_id: int, name: str = ""
    ) -> tuple[Person, Connection]:
        connection = self._installation.connections.get(connection_id)
        by = require(
            self._installation,
            self._by,
            action,
            "list",
            name or connection.name,
            connection=connection,
        )
        return by, connection

    def _keep(self, connection_id: int, lists: Sequence[KnownList]) -> Known:
        return Known(self._store.write(connection_id, lists), lists)

    def _client(self, connection_id: int) -> closing[Client]:
        """A client that gives up while somebody still looks at the page."""
        return closing(
            self._installation.client_for(
                connection_id,
                patience_seconds=PATIENCE_SECONDS,
                timeout_seconds=self._installation.timeout_seconds or TIMEOUT_SECONDS,
            )
        )


def _by_name(lists: Sequence[ContactList]) -> list[KnownList]:
    found = [KnownList(each.list_id, each.name, each.membership_count) for each in lists]
    return sorted(found, key=_name_key)


def _name_key(found: KnownList) -> str:
    return found.name.casefold()


def _check_list_name(name: str) -> str:
    name = name.strip()
    if not name:
        raise UsageError("The list's name is blank. Give it one that people will recognize.")
    if len(name) > MAX_LIST_NAME:
        raise UsageError(
            f"The list's name has {len(name)} characters; {MAX_LIST_NAME} are allowed."
        )
    return name


def _create(client: Client, name: str) -> ContactList:
    try:
        return client.create_list(name)
    except ConstantContactRefused as error:
        if error.status != 409:
            raise
        raise Conflict(
            f'The account has a list "{name}" already. Refresh the lists and choose it.'
        ) from None
    except OutcomeUnknown:  # it may have been made: look before anybody makes a second
        found = client.find_list(name)
        if found is None:
            raise
        return found
