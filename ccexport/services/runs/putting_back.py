"""Putting somebody back who had left a list, since they asked for it: the next run of the export sends them again."""

from __future__ import annotations

from ccexport.errors import Conflict, NotFound, SetupError, UsageError
from ccexport.installation import Installation
from ccexport.preparation.emails import as_sent
from ccexport.services.people.access import Person
from ccexport.services.people.permission import audited, require
from ccexport.services.people.roles import Action
from ccexport.services.runs.people import People
from ccexport.store.exports import ExportView


class PuttingBack:
    """Lets an export place a person again. The audit has no address of it, as nothing here has."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    def restore(self, email: str, export: str | int, *, by: Person) -> ExportView:
        """By address, in whatever case. Raises `Conflict` where the export does not know them as one who left."""
        from ccexport.store.ledgers import Target  # brings Arrow along

        exports = self._installation.exports
        view = exports.get(export) if isinstance(export, int) else exports.by_name(export)
        name, connection_id = view.export.name, view.export.connection_id
        connection = self._installation.connections.get(connection_id) if connection_id else None
        by = require(
            self._installation, by, Action.RESTORE_PERSON, "export", name, connection=connection
        )
        wanted = as_sent(email)
        if "@" not in wanted:
            raise UsageError("That is not an email address; write for example ana@example.com.")
        if connection is None:
            raise SetupError(f'"{name}" is detached: give it a connection first.')
        target = Target(view.export.id, connection.account_id, view.export.list_id)
        who = People(self._installation).hash_of(wanted)
        try:
            with audited(self._installation, by, Action.RESTORE_PERSON, "export", name):
                self._installation.ledgers.allow(target, who)
        except NotFound as error:
            raise Conflict(
                f'"{name}" does not know this person as one who left its list, so nothing was changed. `people find` '
                "says where they stand; who left after its last run is known once it has run again."
            ) from error
        return view
