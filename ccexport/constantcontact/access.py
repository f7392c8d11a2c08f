"""What a signed-in user has to be allowed there, and why a request was denied. Pure."""

from __future__ import annotations

import re
from collections.abc import Set

NEEDED_PRIVILEGES = frozenset(
    {"account:read", "contacts:read", "contacts:write", "contacts:lists:read"}
)
LIST_CREATOR_PRIVILEGE = "contacts:lists:write"
NEEDED_SCOPES = frozenset({"contact_data", "account_read"})


def missing_scopes(scope: str) -> frozenset[str]:
    """What the sign-in was asked for and did not grant; nothing where the answer did not say.

    Order, letter case, commas and further scopes make no difference, and `offline_access` need not be named: the
    refresh token tells.
    """
    granted = {each.casefold() for each in re.split(r"[\s,]+", scope) if each}
    return NEEDED_SCOPES - granted if granted else frozenset()


def missing_privileges(granted: Set[str], *, may_create_lists: bool = False) -> frozenset[str]:
    """The privileges an export needs and the user lacks. Names are matched whole; the numbers are not promised."""
    needed = NEEDED_PRIVILEGES | ({LIST_CREATOR_PRIVILEGE} if may_create_lists else frozenset())
    return needed - granted


def explain_denied(granted: Set[str], scope: str, *, may_create_lists: bool = False) -> str:
    """One line on why Constant Contact denied a request (403), from the user's privileges and the sign-in's scope.

    A deactivated application does not get this far: asking for the privileges is denied then too.
    """
    if lacking := missing_scopes(scope):
        return (
            f"The sign-in did not grant {_and(lacking)}. Open Settings > Connections, choose the connection, select "
            "Authenticate and allow everything asked for."
        )
    if missing := missing_privileges(granted, may_create_lists=may_create_lists):
        return (
            f"The user who signed in at Constant Contact lacks {_and(missing)}. Sign in as the account's owner or an "
            "account manager: Settings > Connections, Authenticate."
        )
    return (
        "The user who signed in at Constant Contact has the rights an export needs, yet was denied. Sign in as the "
        "account's owner or an account manager; if that changes nothing, look in the developer portal whether the "
        "application is restricted."
    )


def _and(names: Set[str]) -> str:
    return " and ".join(sorted(names))
