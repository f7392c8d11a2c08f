"""Connections: sign in at Constant Contact, check, remove."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ccexport.clock import iso
from ccexport.consent import CONSENT_VERSION
from ccexport.constantcontact.access import missing_privileges
from ccexport.constantcontact.model import ContactList
from ccexport.errors import Conflict, RetryableError
from ccexport.installation import Installation
from ccexport.runs.clearance import missing_consent, missing_export_user
from ccexport.runs.preflight import check_account
from ccexport.services.names import check_name
from ccexport.services.people.access import Person
from ccexport.services.people.permission import acting, audited, may, require
from ccexport.services.people.roles import Action
from ccexport.store.connections import ConnectionView
from ccexport.store.database.tables import Connection
from ccexport.words import counted

if TYPE_CHECKING:
    from ccexport.constantcontact.auth import SignIn, TokenPair

GRANT_REMAINS = (
    "Also remove the application's access in your Constant Contact account: "
    "only that ends the grant itself."
)

_OLD_ONE_MAY_BE_OVER = (
    "Whose account it is could not be read, so the new sign-in is not kept, and with it Constant Contact may have "
    "ended the one before. Sign in again once Constant Contact answers."
)

SIGN_IN_DAYS = 180  # that a sign-in lives unused (vendor support)
IDLE_DAYS = 150  # after which somebody is told


@dataclass(frozen=True)
class CheckedConnection:
    """What a check of a connection found."""

    organization: str
    lists: int
    missing_privileges: tuple[str, ...]


def is_idle(view: ConnectionView, now: datetime) -> bool:
    """Whether a sign-in that still works has been unused for so long that it will end unless it is used."""
    return not view.connection.needs_sign_in and view.unused_days(now) >= IDLE_DAYS


@dataclass(frozen=True)
class Removed:
    """What went with a connection."""

    exports: int
    exports_too: bool  # else they stay, detached
    runs_stopped: int

    def in_words(self) -> str:
        """As sentences; "" where nothing went with it."""
        verb = "is" if self.exports == 1 else "are"
        became = "removed too" if self.exports_too else "detached now"
        exports = f"{counted(self.exports, 'export')} {verb} {became}." if self.exports else ""
        verb = "is" if self.runs_stopped == 1 else "are"
        stopped = f"{counted(self.runs_stopped, 'live run')} {verb} stopped; nothing more is sent."
        return " ".join(filter(None, (exports, stopped if self.runs_stopped else "")))


class Connections:
    """What people do with connections."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    def begin(self, redirect_uri: str) -> SignIn:
        """Where to send the browser, and what to remember until it comes back."""
        from ccexport.constantcontact.auth import begin_sign_in

        return begin_sign_in(
            self._installation.settings.cc_auth_url, self._installation.app, redirect_uri
        )

    def finish(
        self,
        name: str,
        code: str,
        sign_in: SignIn,
        redirect_uri: str,
        *,
        by: Person,
        contributors: bool = False,
    ) -> Connection:
        """Exchange the code and store the connection, or sign an existing one in again.

        Raises `Conflict` when the name belongs to another account; nothing changes then.
        """
        from ccexport.constantcontact.auth import finish_sign_in
        from ccexport.constantcontact.keeper import patiently

        name = check_name(name, "connection")
        existing = self._installation.connections.find(name)
        action = Action.ADD_CONNECTION if existing is None else Action.SIGN_IN_AGAIN
        by = require(self._installation, by, action, "connection", name, connection=existing)
        pair = patiently(
            lambda: finish_sign_in(
                self._installation.settings.cc_auth_url,
                self._installation.app,
                redirect_uri,
                code,
                sign_in.code_verifier,
            ),
            self._installation.sleep,
        )
        try:
            with closing(
                self._installation.client_with_token(pair.access_token, pair.scope)
            ) as client:
                account = client.account()
        except RetryableError as error:
            # of whom the new pair is cannot be known, so it is not kept: it could send to a stranger's lists
            raise error if existing is None else _with_words(error, _OLD_ONE_MAY_BE_OVER) from error
        if existing is not None:
            return self._sign_in_again(existing, account.account_id, account.organization, pair, by)
        connection = Connection(
            name=name,
            name_key=name.casefold(),
            account_id=account.account_id,
            organization=account.organization,
            contributors=contributors,
            export_user=by.name,
            needs_sign_in=False,
            created_at=self._installation.now(),
        )
        after = _values(connection) | {"agreed_to": CONSENT_VERSION}
        with audited(self._installation, by, action, "connection", name, after=after):
            self._installation.connections.add(
                connection, agreed_by=by.name, text_version=CONSENT_VERSION
            )
        self._installation.tokens.store(connection.id, pair)
        return connection

    def views(self) -> list[ConnectionView]:
        return self._installation.connections.views()

    def usable(self, *, by: Person) -> list[ConnectionView]:
        """Those over which the person may set up exports, by name."""
        return [
            view
            for view in self.views()
            if may(self._installation, by, Action.ADD_EXPORT, view.connection)
        ]

    def check(self, name: str | int, *, by: Person) -> CheckedConnection:
        """Ask Constant Contact: is the sign-in alive, the account the same, are the privileges enough?"""
        connection = self._named(name)
        require(self._installation, by, Action.CHECK_CONNECTION, "connection", connection.name)
        with closing(self._installation.client_for(connection.id)) as client:
            privileges = client.privileges()
            check_account(connection, client)
            lists = client.lists()
        missing = tuple(sorted(missing_privileges(frozenset(privileges))))
        return CheckedConnection(connection.organization, len(lists), missing)

    def lists(self, name: str, *, by: Person) -> list[ContactList]:
        """All lists of the account, by name; every page is read."""
        connection = self._named(name)
        require(
            self._installation,
            by,
            Action.SEE_LISTS,
            "connection",
            connection.name,
            connection=connection,
        )
        with closing(self._installation.client_for(connection.id)) as client:
            return sorted(client.lists(), key=lambda found: found.name.casefold())

    def rename(self, name: str | int, new_name: str, *, by: Person) -> Connection:
        """Raises `Conflict` when the name is taken. Runs of before keep the name of then."""
        connection = self._named(name)
        new_name = check_name(new_name, "connection")
        before, after = {"name": connection.name}, {"name": new_name}
        with self._acting(
            by, Action.RENAME_CONNECTION, connection, before=before, after=after
        ) as by:
            self._installation.connections.rename(connection.id, new_name)
        return self._installation.connections.get(connection.id)

    def share(self, name: str | int, *, contributors: bool, by: Person) -> None:
        """Whether contributors may use it, besides administrators."""
        connection = self._named(name)
        before = {"contributors": connection.contributors}
        after = {"contributors": contributors}
        with self._acting(
            by, Action.SHARE_CONNECTION, connection, before=before, after=after
        ) as by:
            self._installation.connections.share(connection.id, contributors=contributors)

    def agree(self, name: str | int, *, by: Person) -> None:
        """Agree to the text of today for it; runs that waited for that go on."""
        connection = self._named(name)
        before = {"agreed_to": self._installation.connections.view(connection.id).text_version}
        after = {"agreed_to": CONSENT_VERSION}
        with self._acting(by, Action.AGREE_AGAIN, connection, before=before, after=after) as by:
            self._installation.connections.agree(
                connection.id, agreed_by=by.name, text_version=CONSENT_VERSION
            )

    def become_export_user(self, name: str | int, *, by: Person) -> None:
        """Runs read the source by this person's right from now on; those that waited go on."""
        connection = self._named(name)
        before, after = {"export_user": connection.export_user}, {"export_user": by.name}
        with self._acting(
            by, Action.BECOME_EXPORT_USER, connection, before=before, after=after
        ) as by:
            self._installation.connections.set_export_user(connection.id, by.name)

    def without_export_user(self, name: str) -> list[str]:
        """The connections whose exports wait since this person lost the right; by name."""
        return [
            view.connection.name
            for view in self.views()
            if not view.has_export_user
            and view.connection.export_user.casefold() == name.strip().casefold()
        ]

    def export_names(self) -> dict[int, list[str]]:
        """The exports over each connection, by the connection's id."""
        return self._installation.connections.export_names()

    def live_runs(self, connection_id: int) -> list[int]:
        """Runs over it that have not ended."""
        return [
            run.id
            for run in self._installation.runs.unfinished()
            if run.connection_id == connection_id
        ]

    def remove(self, name: str | int, *, by: Person, exports_too: bool = False) -> Removed:
        """Remove it and destroy its tokens, whatever runs: live runs are stopped and send nothing more.

        Its exports stay, detached, or go with it.
        """
        connection = self._named(name)
        exports = self._installation.connections.view(connection.id).exports
        stopped = self.live_runs(connection.id)
        before = _values(connection) | {
            "exports": exports,
            "exports_too": exports_too,
            "runs_stopped": stopped,
        }
        with self._acting(by, Action.REMOVE_CONNECTION, connection, before=before) as by:
            self._installation.connections.remove(
                connection.id, by=by.name, exports_too=exports_too
            )
        return Removed(exports, exports_too, len(stopped))

    def _named(self, name: str | int) -> Connection:
        """By its name, or by its id where a page showed it: the name may be another's by now. Raises `NotFound`."""
        connections = self._installation.connections
        return connections.get(name) if isinstance(name, int) else connections.by_name(name)

    def _acting(
        self,
        by: Person,
        action: Action,
        connection: Connection,
        *,
        before: Mapping[str, Any],
        after: Mapping[str, Any] | None = None,
    ) -> AbstractContextManager[Person]:
        return acting(
            self._installation,
            by,
            action,
            "connection",
            connection.name,
            before=before,
            after=after,
        )

    def _sign_in_again(
        self,
        connection: Connection,
        account_id: str,
        organization: str,
        pair: TokenPair,
        by: Person,
    ) -> Connection:
        if connection.account_id != account_id:
            raise Conflict(
                f'"{connection.name}" belongs to the account {connection.organization}; you signed in to '
                f"{organization}. Nothing was changed. Sign in with the right account, or choose another name."
            )
        self._installation.tokens.store(connection.id, pair)
        after = {"agreed_to": CONSENT_VERSION}
        with audited(
            self._installation, by, Action.SIGN_IN_AGAIN, "connection", connection.name, after=after
        ):
            self._installation.connections.agree_again(
                connection, agreed_by=by.name, text_version=CONSENT_VERSION
            )
        self._installation.runs.wake_waiting_for_sign_in(connection.id)
        return connection


def _values(connection: Connection) -> dict[str, Any]:
    """What the audit keeps of a connection."""
    return {
        "organization": connection.organization,
        "account": connection.account_id,
        "contributors": connection.contributors,
        "export_user": connection.export_user,
    }


def _with_words(error: RetryableError, more: str) -> RetryableError:
    """The same kind of error, whose message says more."""
    told = type(error)(f"{error} {more}", retry_after_seconds=error.retry_after_seconds)
    told.detail = error.detail
    return told


def shares_account(view: ConnectionView, views: Iterable[ConnectionView]) -> str | None:
    """Which others are of the same account, and what to do; None where none is.

    A new sign-in may end all earlier ones of the same user and application: of that Constant Contact says too little.
    """
    here = view.connection
    others = [
        f'"{each.connection.name}"'
        for each in views
        if each.connection.account_id == here.account_id and each.connection.id != here.id
    ]
    if not others:
        return None
    verb = "is" if len(others) == 1 else "are"
    return (
        f"{' and '.join(others)} {verb} connected to the same account, {here.organization}. When one of them signs in "
        "or is renewed, Constant Contact may end the sign-in of the others. Use one connection for all its exports, or "
        "sign in to each as another user of the account."
    )


def waits_for(view: ConnectionView) -> list[str]:
    """What its exports wait for: `consent`, `export_user`."""
    missing = {
        "consent": missing_consent(view),
        "export_user": missing_export_user(view),
    }
    return [what for what, words in missing.items() if words]


def what_waits(view: ConnectionView) -> list[str]:
    """The same in sentences that say what to do."""
    words = (missing_consent(view), missing_export_user(view))
    return [each for each in words if each]


def connection_document(view: ConnectionView) -> Mapping[str, Any]:
    """A connection as `connections list --json` prints it."""
    connection = view.connection
    return {
        "name": connection.name,
        "account": connection.account_id,
        "organization": connection.organization,
        "state": "needs_sign_in" if connection.needs_sign_in else "connected",
        "contributors": connection.contributors,
        "export_user": connection.export_user,
        "agreed_by": view.agreed_by,
        "agreed_at": iso(view.agreed_at),
        "agreed_to": view.text_version,
        "waits_for": waits_for(view),
        "exports": view.exports,
    }
