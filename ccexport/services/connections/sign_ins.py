"""Signing in at Constant Contact from a page: a ticket for its button, off to their page, back with a code.

The browser that goes is the one that comes back: a cookie holds what only it knows. So nobody can have a stranger's
browser finish a sign-in, and a return that is repeated, late or made up stores nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from ccexport.consent import CONSENT_VERSION
from ccexport.constantcontact.auth import SignIn, read_callback
from ccexport.errors import Conflict, UsageError
from ccexport.installation import Installation
from ccexport.services.connections.connections import Connections
from ccexport.services.names import check_name
from ccexport.services.people.access import Person
from ccexport.services.people.permission import audited, require
from ccexport.services.people.roles import Action
from ccexport.store.database.tables import Connection
from ccexport.store.sign_ins import GOOD_FOR, SignInStore, Wish

COOKIE_SECONDS = int(GOOD_FOR.total_seconds())
_COOKIE_PREFIX = "ccexport_sign_in_"
_START_AGAIN = "Open Settings > Connections and start the sign-in again."


@dataclass(frozen=True)
class Departure:
    """Where to send the browser, and the cookie that it has to bring back."""

    url: str = field(repr=False)
    cookie_name: str
    cookie_value: str = field(repr=False)


class SignIns:
    """What happens between the button Connect and the new connection."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._connections = Connections(installation)

    def prepare(
        self, name: str, *, contributors: bool, agreed: bool, by: Person, again: bool = False
    ) -> str:
        """A ticket for one sign-in within ten minutes. `again`: for a connection that exists.

        Raises `UsageError`, `Conflict` where the name is taken, `SettingError` where no application is set.
        """
        name = check_name(name, "connection")
        by = require(self._installation, by, Action.ASK_FOR_CONNECTION, "connection", name)
        if not agreed:
            raise UsageError("Nobody has agreed to the transfer of data. Read the text and agree.")
        _ = self._installation.app
        if again:
            name = self._installation.connections.by_name(name).name
        elif self._installation.connections.find(name) is not None:
            raise Conflict(
                f'There is a connection "{name}" already. Choose another name, or sign in again at that one.'
            )
        ticket = secrets.token_urlsafe(32)
        after = {"contributors": contributors, "agreed_to": CONSENT_VERSION, "again": again}
        with audited(
            self._installation, by, Action.ASK_FOR_CONNECTION, "connection", name, after=after
        ):
            self._store.add(ticket, Wish(name, contributors, by.name))
        return ticket

    def start(self, ticket: str, *, by: Person) -> Departure:
        """Begin the sign-in of a ticket. Raises `UsageError` for one that is unknown, old, used or somebody else's."""
        require(self._installation, by, Action.ASK_FOR_CONNECTION, "connection")
        sign_in = self._connections.begin(self._installation.settings.redirect_uri)
        browser = secrets.token_urlsafe(32)
        begun = self._store.begin(
            ticket,
            state=sign_in.state,
            browser=browser,
            code_verifier=sign_in.code_verifier,
            asked_by=by.name,
        )
        if not begun:
            raise UsageError(f"This link was used before or is too old. {_START_AGAIN}")
        return Departure(sign_in.url, cookie_name(sign_in.state), browser)

    def finish(
        self, params: Mapping[str, str], cookies: Mapping[str, str], *, by: Person
    ) -> Connection:
        """Exchange the code and store the connection. Whatever is raised, nothing was stored.

        Raises `UsageError` for a return that is not of this browser's sign-in, `ConstantContactRefused` where
        somebody declined, `Conflict` where the account is another than the connection's, `NotAllowed` where he is no
        administrator any more, and what the exchange raises.
        """
        require(self._installation, by, Action.ASK_FOR_CONNECTION, "connection")
        state = params.get("state", "")
        found = self._store.take(state, cookies.get(cookie_name(state), ""))
        if found is None or found.wish.asked_by != by.name:
            raise UsageError(
                "This is not the return of a sign-in that this browser began in the last ten minutes, or it came "
                f"twice. Nothing was stored. {_START_AGAIN}"
            )
        code = read_callback(params, state)
        return self._connections.finish(
            found.wish.connection_name,
            code,
            SignIn("", state, found.code_verifier),
            self._installation.settings.redirect_uri,
            by=by,
            contributors=found.wish.contributors,
        )

    @property
    def _store(self) -> SignInStore:
        return SignInStore(
            self._installation.engine, self._installation.keys, self._installation.now
        )


def cookie_name(state: str) -> str:
    """A cookie for each sign-in, so that two in one browser do not get in each other's way."""
    return _COOKIE_PREFIX + hashlib.sha256(state.encode()).hexdigest()[:12]
