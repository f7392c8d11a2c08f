"""Signing in at Constant Contact from a page: a ticket for its button, off to their page, back with a code.

The browser that goes is the one that comes back: a cookie holds what only it knows. So nobody can have a stranger's
browser finish a sign-in, and a return that is late or made up stores nothing. Browsers fetch an address twice for
reasons of their own (a prefetch, a second try, Back, Reload): the first return is used, and each further one of the
same browser ends as that one did.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from ccexport.consent import CONSENT_VERSION
from ccexport.constantcontact.auth import SignIn, read_callback
from ccexport.errors import CcexportError, Conflict, StoreError, UsageError
from ccexport.installation import Installation
from ccexport.redaction import with_their_words
from ccexport.services.connections.connections import Connections
from ccexport.services.names import check_name
from ccexport.services.people.access import Person
from ccexport.services.people.permission import audited, require
from ccexport.services.people.roles import Action
from ccexport.store.database.tables import Connection
from ccexport.store.sign_ins import GOOD_FOR, SignInStore, Wish

COOKIE_SECONDS = int(GOOD_FOR.total_seconds())
_COOKIE_PREFIX = "ccexport_sign_in_"
ENDS_WITHIN_SECONDS = 90.0  # an exchange: the token's request, then the account's with its repeats
LOOK_AGAIN_SECONDS = 0.1
_START_AGAIN = "Open Settings > Connections and start the sign-in again."
_NOT_OURS = (
    "This is not the return of a sign-in that this browser began in the last ten minutes. Nothing was stored. "
    f"{_START_AGAIN}"
)
_BROKE_OFF = f"The sign-in broke off. {_START_AGAIN}"
_TAKES_LONG = (
    "The sign-in takes longer than it should. Open Settings > Connections in a minute: where the connection is not "
    "there or still asks for a sign-in, start it again."
)


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
        """Exchange the code and store the connection, or give the one that this return has led to before.

        Whatever is raised, nothing was stored. Raises `UsageError` for a return that is not of this browser's sign-in,
        `ConstantContactRefused` where somebody declined, `Conflict` where the account is another than the
        connection's, `NotAllowed` where they are not an administrator any more, and what the exchange raises.
        """
        require(self._installation, by, Action.ASK_FOR_CONNECTION, "connection")
        state = params.get("state", "")
        browser = cookies.get(cookie_name(state), "")
        found = self._store.take(state, browser)
        if found is None:
            return self._as_before(state, browser, by)
        with self._end_noted(state):
            if found.wish.asked_by != by.name:
                raise UsageError(_NOT_OURS)
            code = read_callback(params, state)
            return self._connections.finish(
                found.wish.connection_name,
                code,
                SignIn("", state, found.code_verifier),
                self._installation.settings.redirect_uri,
                by=by,
                contributors=found.wish.contributors,
            )

    @contextmanager
    def _end_noted(self, state: str) -> Iterator[None]:
        """Keep how it ends for a return that comes again."""
        refusal: str | None = _BROKE_OFF
        try:
            yield
            refusal = None
        except CcexportError as error:
            refusal = with_their_words(str(error), error.detail)
            raise
        finally:
            with suppress(StoreError):  # what was done is done, whether or not it is noted
                self._store.end(state, refusal)

    def _as_before(self, state: str, browser: str, by: Person) -> Connection:
        """What the first return of this sign-in led to; where that is still under way, it is waited for."""
        give_up_at = time.monotonic() + ENDS_WITHIN_SECONDS
        while True:
            earlier = self._store.earlier(state, browser)
            if earlier is None or earlier.wish.asked_by != by.name:
                raise UsageError(_NOT_OURS)
            if earlier.refusal is not None:
                raise UsageError(earlier.refusal)
            if earlier.has_ended:
                return self._installation.connections.by_name(earlier.wish.connection_name)
            if time.monotonic() > give_up_at:
                raise UsageError(_TAKES_LONG)
            time.sleep(LOOK_AGAIN_SECONDS)

    @property
    def _store(self) -> SignInStore:
        return SignInStore(
            self._installation.engine, self._installation.keys, self._installation.now
        )


def cookie_name(state: str) -> str:
    """A cookie for each sign-in, so that two in one browser do not get in each other's way."""
    return _COOKIE_PREFIX + hashlib.sha256(state.encode()).hexdigest()[:12]
