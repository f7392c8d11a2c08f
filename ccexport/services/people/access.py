"""Who acts. Where nobody signs in there is one: the local administrator, named after the machine's user.

A person who runs a command is the local administrator too: they have the machine, and so the store.
What each role may do is the table in `roles.py`.
"""

from __future__ import annotations

import getpass
from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """What a person may do, the least first."""

    VIEWER = "viewer"
    CONTRIBUTOR = "contributor"
    ADMINISTRATOR = "administrator"


RANK = {role: number for number, role in enumerate(Role)}


@dataclass(frozen=True)
class Person:
    """Somebody who asks for something; `name` is what histories show.

    The role of a person who signed in is what it was when their page was drawn: before anything happens,
    `permission.require` reads it anew.
    """

    name: str
    role: Role
    email: str | None = (
        None  # of a person who signed in, the key of their row; None: the machine's own
    )
    came_from: str = field(default="", compare=False)  # their network address, where it is known
    is_token: bool = False  # a program with an API token, whose name this is


def local_administrator() -> Person:
    """The person who runs the command."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a user id without an entry, as in containers
        name = "local administrator"
    return Person(name, Role.ADMINISTRATOR)
