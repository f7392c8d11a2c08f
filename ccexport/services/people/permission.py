"""Asks the table of roles before something is done, and writes the audit with it.

    with acting(installation, by, Action.RENAME_CONNECTION, "connection", name, before=…, after=…) as by:
        store.rename(…)  # one transaction: the change and its row

`acting` is `require` (which raises `NotAllowed`, and audits that) and `audited` in one. Where something has to be
asked or checked between the two, they are used apart.

The role of one who signed in is read from the store each time: a page drawn an hour ago knows an old one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ccexport.errors import NotAllowed
from ccexport.installation import Installation
from ccexport.services.people.access import Person, Role
from ccexport.services.people.roles import RULES, Action, allows, who_may
from ccexport.store.database.audited import with_next_change
from ccexport.store.database.people_tables import AuditEvent
from ccexport.store.database.tables import Connection
from ccexport.store.users import role_of

DONE, REFUSED = "done", "refused"
NO_ROLE = "none"
PROGRAM = "API token"  # as a role in the audit: its scope decides, not a person's role


def role_now(installation: Installation, by: Person) -> Role | None:
    """The role that counts at this moment; None: no access any more."""
    if by.email is None:
        return by.role
    role = role_of(installation.users.find(by.email))
    return Role(role) if role else None


def may(
    installation: Installation, by: Person, action: Action, connection: Connection | None = None
) -> bool:
    """Whether `require` would let it pass. For pages: what cannot be done is not offered."""
    return _lets(installation, role_now(installation, by), action, connection)


def why_not(
    installation: Installation, by: Person, action: Action, connections: Iterable[Connection | None]
) -> str | None:
    """Why `require` would refuse it over one of these, in its words; None where it would let it pass over each.

    Lets a page show a disabled button that says why.
    """
    role = role_now(installation, by)
    for connection in connections:
        if not _lets(installation, role, action, connection):
            return _say(action, role, connection)
    return None


def may_somewhere(installation: Installation, by: Person, action: Action) -> bool:
    """The same where some connection may be shared: whether it is worth offering at all."""
    role = role_now(installation, by)
    see_values = installation.settings.contributors_see_values
    return allows(action, role, is_shared=True, see_values=see_values)


def require(
    installation: Installation,
    by: Person,
    action: Action,
    kind: str = "",
    name: str = "",
    *,
    connection: Connection | None = None,
) -> Person:
    """The person with the role of this moment. Raises `NotAllowed`, which says who may; the audit has the refusal.

    `connection`: the one that the action goes over; None where it has none, as a detached export.
    """
    role = role_now(installation, by)
    if not _lets(installation, role, action, connection):
        installation.audit.add(event_of(installation, by, role, action, REFUSED, kind, name))
        raise NotAllowed(_say(action, role, connection))
    return replace(by, role=role or by.role)


@contextmanager
def acting(
    installation: Installation,
    by: Person,
    action: Action,
    kind: str,
    name: str,
    *,
    connection: Connection | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> Iterator[Person]:
    """Ask, then audit the change within the block. Gives the person with the role of this moment.

    Raises `NotAllowed`, as `require` does; the block is as of `audited`.
    """
    person = require(installation, by, action, kind, name, connection=connection)
    with audited(installation, person, action, kind, name, before=before, after=after):
        yield person


@contextmanager
def audited(
    installation: Installation,
    by: Person,
    action: Action,
    kind: str,
    name: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> Iterator[None]:
    """The first change of the store within the block and its row in the audit are one transaction.

    A block that changes nothing here (a list made at Constant Contact) has its row at its end. Neither secrets nor
    values of profiles belong into `before` and `after`.
    """
    if not RULES[action].writes:
        raise ValueError(f"{action} only looks: the audit has nothing to say of it")
    event = event_of(installation, by, role_now(installation, by), action, DONE, kind, name)
    event.before = dict(before) if before is not None else None
    event.after = dict(after) if after is not None else None
    with with_next_change(event) as pending:
        yield
    if not pending.is_taken:
        installation.audit.add(event)


def event_of(
    installation: Installation,
    by: Person,
    role: Role | None,
    action: Action,
    outcome: str,
    kind: str,
    name: str,
) -> AuditEvent:
    """A row of the audit, not yet written."""
    return AuditEvent(
        at=installation.now(),
        who=by.name,
        role=PROGRAM if by.is_token else role.value if role else NO_ROLE,
        action=action.value,
        outcome=outcome,
        target_kind=kind,
        target_name=name,
        came_from=by.came_from,
    )


def _lets(
    installation: Installation, role: Role | None, action: Action, connection: Connection | None
) -> bool:
    return allows(
        action,
        role,
        is_shared=connection is not None and connection.contributors,
        see_values=installation.settings.contributors_see_values,
    )


def _say(action: Action, role: Role | None, connection: Connection | None) -> str:
    rule = RULES[action]
    if role is None:
        return "Your access was withdrawn. Ask an administrator of ccexport."
    if role not in rule.roles:
        return (
            f"{who_may(action)} may {rule.says}; your role is {role.value}. Ask an administrator."
        )
    if rule.by_setting:
        return (
            f"Contributors may {rule.says} only where CCEXPORT_CONTRIBUTORS_SEE_VALUES allows it. "
            "Ask an administrator."
        )
    if connection is None:
        return f"Only administrators may {rule.says} without a connection. Ask one."
    return (
        f'Contributors may {rule.says} only over connections shared with them, and "{connection.name}" is not. '
        "An administrator can share it under Settings > Connections."
    )
