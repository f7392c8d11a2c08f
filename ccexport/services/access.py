"""Who acts. Until people sign in there is one: the local administrator, named after the machine's user."""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a person may do, the least first."""

    VIEWER = "viewer"
    CONTRIBUTOR = "contributor"
    ADMINISTRATOR = "administrator"


@dataclass(frozen=True)
class Person:
    """Somebody who asks for something; `name` is what histories show."""

    name: str
    role: Role


def local_administrator() -> Person:
    """Whoever runs the command."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a user id without an entry, as in containers
        name = "local administrator"
    return Person(name, Role.ADMINISTRATOR)
