"""What an administrator has to have done before people's data may be read and sent over a connection. Pure.

Somebody agreed to the text of today, and an administrator lends their right to read the source. Where one of them is
missing, runs wait; they go on by themselves once it is there.
"""

from __future__ import annotations

from ccexport.consent import CONSENT_VERSION
from ccexport.errors import NeedsAdministrator
from ccexport.store.connections import ConnectionView


def missing_consent(view: ConnectionView) -> str | None:
    """What to tell where nobody has agreed to the present text; None where somebody has."""
    if view.text_version == CONSENT_VERSION:
        return None
    name = view.connection.name
    return (
        f'What one agrees to before data leave has changed since somebody agreed for "{name}", so nothing new is read '
        "or sent over it. An administrator has to read it again: open Settings > Connections and select I agree, or "
        f'run `connections agree "{name}"`.'
    )


def missing_export_user(view: ConnectionView) -> str | None:
    """What to tell where the export user lost the right; None where they have it."""
    if view.has_export_user:
        return None
    name, user = view.connection.name, view.connection.export_user
    return (
        f'{user}, by whose right exports over "{name}" read the source, is not an administrator any more, so '
        "nothing new is read or sent over it. Another administrator has to step in: open Settings > Connections and "
        f'select Add yourself as export user, or run `connections export-user "{name}"`.'
    )


def check_clearance(view: ConnectionView) -> None:
    """Raises `NeedsAdministrator`."""
    check_export_user(view)
    if words := missing_consent(view):
        raise NeedsAdministrator(words)


def check_export_user(view: ConnectionView) -> None:
    """Raises `NeedsAdministrator`."""
    if words := missing_export_user(view):
        raise NeedsAdministrator(words)
