"""Tokens of the API: `cce_`, 40 random characters, 6 of checksum. The program that has one has its name and scope.

The checksum (CRC-32 of what stands before it, in base 62) lets a scanner of leaked secrets, and us, tell a token from a
slip without asking the store; it protects nothing.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ccexport.clock import iso
from ccexport.errors import CcexportError, Conflict, NotFound, UsageError
from ccexport.installation import Installation
from ccexport.services.names import check_name
from ccexport.services.people.access import Person, Role
from ccexport.services.people.permission import acting, require
from ccexport.services.people.roles import Action
from ccexport.store.api_tokens import TokenView
from ccexport.store.database.api_tables import ApiToken
from ccexport.words import moment

PREFIX = "cce_"
MAX_DAYS = 3_650
_RANDOM, _CHECKSUM = 40, 6
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_TOKEN = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_RANDOM + _CHECKSUM}}}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_KIND = "API token"


class WrongToken(CcexportError):
    """It is not one of ours, or not any more."""


@dataclass(frozen=True)
class Caller:
    """A program that was let in."""

    person: Person
    view: TokenView


class ApiTokens:
    """Add, look at and revoke; and let in."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._store = installation.api_tokens

    def all(self, *, by: Person) -> list[TokenView]:
        """By name."""
        require(self._installation, by, Action.SEE_ADMINISTRATION, _KIND)
        return self._store.all()

    def add(
        self,
        name: str,
        *,
        exports: Sequence[str] = (),
        read_only: bool = False,
        days: int | None = None,
        by: Person,
    ) -> str:
        """Make it; gives the token, which is shown this once. Without `exports` it reaches all of them.

        `days`: how long it lets in; None: until it is revoked.
        """
        name = _checked(name)
        if days is not None and not 1 <= days <= MAX_DAYS:
            raise UsageError(f"A token lasts 1 to {MAX_DAYS:,} days.")
        views = {view.export.id: view for view in map(self._installation.exports.by_name, exports)}
        now = self._installation.now()
        expires_at = now + timedelta(days=days) if days is not None else None
        after: dict[str, Any] = {
            "exports": [view.export.name for view in views.values()] if exports else "all",
            "read_only": read_only,
            "expires_at": iso(expires_at),
        }
        with acting(
            self._installation, by, Action.ADD_API_TOKEN, _KIND, name, after=after
        ) as person:
            if self._store.find(name) is not None:
                raise Conflict(f'There is an API token "{name}" already. Revoke it first.')
            token = new_token()
            row = ApiToken(
                name=name,
                name_key=name.casefold(),
                digest=_digest(token),
                all_exports=not exports,
                is_read_only=read_only,
                created_by=person.name,
                created_at=now,
                expires_at=expires_at,
            )
            self._store.add(row, list(views))
        return token

    def revoke(self, name: str, *, by: Person) -> None:
        """Let it in no more; what it started goes on. Raises `NotFound`."""
        with acting(self._installation, by, Action.REVOKE_API_TOKEN, _KIND, name.strip()):
            view = self._store.find(name)
            if view is None:
                raise NotFound(f'There is no API token "{name}". See: api-tokens list')
            self._store.remove(view.token.id)

    def caller(self, token: str, came_from: str = "") -> Caller:
        """Who calls with it. Raises `WrongToken`, whose words are for the caller."""
        view = self._store.by_digest(_digest(token)) if is_well_formed(token) else None
        if view is None:
            raise WrongToken("The token is not known. It may have been revoked.")
        expires_at = view.token.expires_at
        if expires_at is not None and expires_at <= self._installation.now():
            raise WrongToken(
                f"The token has expired, at {moment(expires_at)}. An administrator can make another one."
            )
        self._store.used(view.token)
        person = Person(view.token.name, Role.ADMINISTRATOR, came_from=came_from, is_token=True)
        return Caller(person, view)


def new_token() -> str:
    """238 random bits, so that a hash without salt keeps it."""
    body = PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
    return body + _checksum(body)


def is_well_formed(token: str) -> bool:
    """Whether its shape and checksum are those of a token; nothing about whether there is such a one."""
    if not _TOKEN.fullmatch(token):
        return False
    return token[-_CHECKSUM:] == _checksum(token[:-_CHECKSUM])


def token_document(view: TokenView) -> dict[str, Any]:
    """A token as `api-tokens list --json` prints it; never itself. `exports` null: all."""
    token = view.token
    return {
        "name": token.name,
        "exports": None if token.all_exports else list(view.export_names),
        "read_only": token.is_read_only,
        "created_by": token.created_by,
        "created_at": iso(token.created_at),
        "expires_at": iso(token.expires_at),
        "last_used_at": iso(token.last_used_at),
    }


def _checked(name: str) -> str:
    """What stands beside people in histories: nobody may take it for one of them."""
    name = check_name(name, _KIND)
    if "@" in name or _CONTROL.search(name):
        raise UsageError(
            "An API token's name has neither an @ nor control characters: it stands beside people's in the history."
        )
    return name


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _checksum(body: str) -> str:
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
