"""Before anything is sent: does everything the run relies on still exist, here and there?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ccexport.errors import MappingError, NotFoundThere, SetupError
from ccexport.preparation.mapping import FieldMapping, check_mapping
from ccexport.store.database.tables import Connection, Run

if TYPE_CHECKING:
    from ccexport.constantcontact.client import Client

if TYPE_CHECKING:
    from ccexport.segments.source import Source


def check_target(
    run: Run, connection: Connection, mapping: FieldMapping, client: Client
) -> Mapping[str, str]:
    """Look at Constant Contact. Raises `SetupError` naming what is gone.

    Gives the types of the account's custom fields, by name.
    """
    check_account(connection, client)
    check_list(run.list_id, run.list_name, client)
    return check_custom_fields(mapping, client)


def check_source(run: Run, mapping: FieldMapping, source: Source) -> None:
    """Raises `SetupError` naming what is gone or of no use, and where the source is being written."""
    source.wait_until_still()
    check_mapping(mapping, source.attribute_names)
    source.check_types(mapping.attributes_used)
    source.check_segments(run.segments)


def check_account(connection: Connection, client: Client) -> None:
    """The sign-in must still be for the account it was made for: another's people are not sent to it."""
    account = client.account()
    if account.account_id != connection.account_id:
        raise SetupError(
            f'"{connection.name}" is signed in to another Constant Contact account ({account.organization}) than it '
            f"was made for ({connection.organization}). Sign in again with the right account."
        )


def check_list(list_id: str, list_name: str, client: Client) -> str:
    """The list's present name. Raises `SetupError` when it is unknown or deleted."""
    shown = f'"{list_name}" ({list_id})' if list_name else list_id
    try:
        found = client.list(list_id)
    except NotFoundThere as error:
        raise SetupError(
            f"Constant Contact knows no list {shown}. Choose another list for the export."
        ) from error
    if found.deleted:
        raise SetupError(
            f'The list "{found.name}" was deleted at Constant Contact. Choose another list for the export.'
        )
    return found.name


def check_custom_fields(mapping: FieldMapping, client: Client) -> Mapping[str, str]:
    """The types of the account's custom fields, by name; asks only if the mapping uses any."""
    if not mapping.custom_fields:
        return {}
    types = {found.name: found.type for found in client.custom_fields()}
    for name in mapping.custom_fields:
        if name not in types:
            known = ", ".join(sorted(types)) or "none"
            raise MappingError(
                f'The account has no custom field "{name}" (it has: {known}). '
                "Use the field's name there, or make it at Constant Contact first."
            )
    return types
