"""People who sign in: what their provider says becomes a person with a role, and administrators give and take roles.

A session is one sign-in in one browser. It is a row here: so it ends when nobody uses it, when somebody signs out or
is removed, whatever cookie a browser still holds.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from ccexport.errors import NotAllowed, UsageError
from ccexport.installation import Installation
from ccexport.services.people.access import Person, Role
from ccexport.services.people.permission import (
    DONE,
    REFUSED,
    acting,
    audited,
    event_of,
    require,
    role_now,
)
from ccexport.services.people.roles import Action
from ccexport.store.database.audited import with_next_change
from ccexport.store.database.people_tables import User, UserSession
from ccexport.store.users import AlreadyStarted, role_of

Claims = Mapping[str, Any]
_ADDRESS = re.compile(r"[^@\s;,]+@[^@\s;,]+\.[^@\s;,]+")
MAX_ADDRESS = 254
_KIND = "person"


class SessionEnded(NotAllowed):
    """They were signed in and have to sign in again."""


@dataclass(frozen=True)
class UserView:
    """A person as the screen People shows them."""

    user: User
    role: Role | None  # None: signed in once, without a role

    @property
    def by_claim(self) -> bool:
        """Whether the provider says the role; then it cannot be changed here."""
        return self.user.claimed_role is not None


class Users:
    """What is asked about people, and what administrators do with them."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    # --- who is it -------------------------------------------------------------------------------

    def enter(self, claims: Claims, came_from: str, *, is_active: bool = True) -> Person:
        """The person of a sign-in, with the role of this moment; begins the session with the first page.

        `is_active`: somebody does something, so that the session goes on. Raises `SessionEnded`, `NotAllowed`.
        """
        email = verified_address(claims)
        session = self._installation.users.session(_session_id(claims))
        if session is None:
            self._begin(claims, email, came_from)
        else:
            self._check_alive(session)
            if is_active:
                self._installation.users.touch(session)
        person = Person(email, Role.VIEWER, email, came_from)
        role = role_now(self._installation, person)
        if role is None:
            raise NotAllowed(
                f"{email} has no access to ccexport. Ask an administrator to add the address under Settings > People."
            )
        return replace(person, role=role)

    def leave(self, claims: Claims, *, by: Person) -> None:
        """Sign out: the session ends here, whatever becomes of the browser's cookie."""
        with audited(self._installation, by, Action.SIGN_OUT, _KIND, by.name):
            self._installation.users.end_session(_session_id(claims))

    # --- administrators --------------------------------------------------------------------------

    def views(self, *, by: Person) -> list[UserView]:
        """Everybody, by address."""
        require(self._installation, by, Action.SEE_ADMINISTRATION, "people")
        return [_view(user) for user in self._installation.users.all()]

    def add(self, email: str, role: Role, *, by: Person) -> UserView:
        """Somebody may sign in, or may again. Raises `UsageError`, `Conflict` for one who is there."""
        email = check_address(email)
        after = {"role": role.value}
        with acting(self._installation, by, Action.ADD_PERSON, _KIND, email, after=after) as by:
            return _view(self._installation.users.add(email, role.value, by=by.name))

    def change(self, email: str, role: Role, *, by: Person) -> UserView:
        """Another role, from the next click on. Raises `Conflict` for the last administrator, `UsageError`."""
        email = check_address(email)
        by = require(self._installation, by, Action.CHANGE_PERSON, _KIND, email)
        user = self._installation.users.get(email)
        if user.claimed_role is not None:
            raise UsageError(
                f"The role of {email} comes from the sign-in provider ({user.claimed_role}). Change it there; it "
                "counts from the next sign-in. Removing the person here takes it away at once."
            )
        before, after = {"role": role_of(user)}, {"role": role.value}
        with audited(
            self._installation, by, Action.CHANGE_PERSON, _KIND, email, before=before, after=after
        ):
            return _view(self._installation.users.set_role(email, role.value))

    def remove(self, email: str, *, by: Person) -> None:
        """No access from the next click on, whatever the provider says. Raises `Conflict` for the last one."""
        email = check_address(email)
        by = require(self._installation, by, Action.REMOVE_PERSON, _KIND, email)
        before = {"role": role_of(self._installation.users.get(email))}
        with audited(self._installation, by, Action.REMOVE_PERSON, _KIND, email, before=before):
            self._installation.users.remove(email)

    # --- helpers ---------------------------------------------------------------------------------

    def _check_alive(self, session: UserSession) -> None:
        idle = self._installation.now() - session.seen_at
        if session.ended_at is None and idle <= self._longest_idle:
            return
        raise SessionEnded("Your session has ended. Sign in again.")

    @property
    def _longest_idle(self) -> timedelta:
        return timedelta(minutes=self._installation.settings.session_minutes)

    def _begin(self, claims: Claims, email: str, came_from: str) -> None:
        """The first page after a sign-in. A cookie that is older than a session may be begins none."""
        now, issued = self._installation.now(), claims.get("iat")
        began_at = float(issued) if isinstance(issued, (int, float)) else 0.0
        if now.timestamp() - began_at > self._longest_idle.total_seconds():
            raise SessionEnded("Your sign-in is too old. Sign in again.")
        seen = User(
            email=email,
            name=str(claims.get("name") or "")[:200],
            claimed_role=self._claimed_role(claims),
            added_by="sign-in",
            created_at=now,
        )
        first_role = self._first_role(email)
        role = self._role_after(seen, first_role)
        person = Person(email, role or Role.VIEWER, email, came_from)
        outcome = DONE if role else REFUSED
        event = event_of(self._installation, person, role, Action.SIGN_IN, outcome, _KIND, email)
        try:
            with with_next_change(event):
                self._installation.users.start_session(
                    _session_id(claims), seen, first_role=first_role
                )
        except AlreadyStarted:
            return

    def _first_role(self, email: str) -> str | None:
        settings = self._installation.settings
        if email in settings.administrators:
            return Role.ADMINISTRATOR.value
        default = settings.oidc_default_role
        return None if default == "none" else default

    def _role_after(self, seen: User, first_role: str | None) -> Role | None:
        """The person's role once the session has begun."""
        known = self._installation.users.find(seen.email)
        if known is not None and known.removed_at is not None:
            return None
        given = known.given_role if known is not None else None
        role = seen.claimed_role or given or first_role
        return Role(role) if role else None

    def _claimed_role(self, claims: Claims) -> str | None:
        """The highest role that the person's groups give."""
        settings = self._installation.settings
        if not settings.oidc_role_claim:
            return None
        held, roles = _values_of(claims, settings.oidc_role_claim), settings.roles_by_claim
        found = {roles[value] for value in held if value in roles}
        return next((role.value for role in reversed(Role) if role.value in found), None)


def verified_address(claims: Claims) -> str:
    """The address of a sign-in, in the form that is compared. Raises `NotAllowed` where nobody has verified it."""
    email = claims.get("email")
    if not isinstance(email, str) or not _is_address(email.strip()):
        raise NotAllowed(
            "Your sign-in provider did not say your email address. Its administrators have to add the claim email "
            "to the ID token of this application."
        )
    if claims.get("email_verified") not in (True, "true"):
        raise NotAllowed(
            "Your sign-in provider did not say that your email address is verified. Verify it there, then sign in "
            "again."
        )
    return email.strip().casefold()


def check_address(email: str) -> str:
    """In the form that is compared. Raises `UsageError`."""
    email = email.strip()
    if not _is_address(email):
        raise UsageError("That is not an email address. Write it as name@example.com.")
    return email.casefold()


def _is_address(text: str) -> bool:
    return len(text) <= MAX_ADDRESS and _ADDRESS.fullmatch(text) is not None


def _view(user: User) -> UserView:
    role = role_of(user)
    return UserView(user, Role(role) if role else None)


def _session_id(claims: Claims) -> str:
    """The same for every page of one sign-in, and for no other."""
    unique = [str(claims.get(name, "")) for name in ("iss", "sub", "iat", "nonce", "at_hash")]
    return hashlib.sha256("\n".join(unique).encode()).hexdigest()


def _values_of(claims: Claims, name: str) -> Sequence[str]:
    """What a claim holds, as a list of texts; `realm_access.roles` is a claim within a claim."""
    found: Any = claims.get(name)
    if found is None:
        found = claims
        for part in name.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    values = found if isinstance(found, (list, tuple)) else [found]
    return [str(value) for value in values if value is not None]
