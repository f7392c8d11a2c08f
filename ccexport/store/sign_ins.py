"""Sign-ins at Constant Contact that were begun on a page: each is used once, within ten minutes.

Of ticket, state and cookie only digests are stored, and the PKCE verifier encrypted: somebody who reads the database
can finish nobody's sign-in.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import Engine
from sqlmodel import col, delete, select, update

from ccexport.clock import Now, utc_now
from ccexport.store.database.engine import reading, writing
from ccexport.store.database.tables import OAuthSignIn
from ccexport.store.vault.keys import Keys

GOOD_FOR = timedelta(minutes=10)
KEPT_FOR = timedelta(days=1)  # afterwards a late return finds nothing, and says the same


@dataclass(frozen=True)
class Wish:
    """What a person filled in before going to sign in."""

    connection_name: str
    contributors: bool
    asked_by: str


@dataclass(frozen=True)
class Return:
    """A sign-in that came back to the browser that began it, and was not used before."""

    wish: Wish
    code_verifier: str = field(repr=False)


@dataclass(frozen=True)
class Earlier:
    """A sign-in that came back to this browser before: how it ended, once it has."""

    wish: Wish
    has_ended: bool
    refusal: str | None


class SignInStore:
    """Questions and changes about sign-ins under way."""

    def __init__(self, engine: Engine, keys: Keys, now: Now = utc_now) -> None:
        self._engine = engine
        self._keys = keys
        self._now = now

    def add(self, ticket: str, wish: Wish) -> None:
        """A sign-in that may begin; those of yesterday and before are forgotten."""
        now = self._now()
        with writing(self._engine) as session:
            session.exec(delete(OAuthSignIn).where(col(OAuthSignIn.created_at) < now - KEPT_FOR))
            session.add(
                OAuthSignIn(
                    ticket=_digest(ticket),
                    connection_name=wish.connection_name,
                    contributors=wish.contributors,
                    asked_by=wish.asked_by,
                    created_at=now,
                )
            )

    def begin(
        self, ticket: str, *, state: str, browser: str, code_verifier: str, asked_by: str
    ) -> bool:
        """Bind it to a state and a browser. False for a ticket that is unknown, old, begun before, or another's."""
        with writing(self._engine) as session:
            begun = session.exec(
                update(OAuthSignIn)
                .where(
                    col(OAuthSignIn.ticket) == _digest(ticket),
                    col(OAuthSignIn.asked_by) == asked_by,
                    col(OAuthSignIn.state).is_(None),
                    col(OAuthSignIn.created_at) > self._now() - GOOD_FOR,
                )
                .values(
                    state=_digest(state),
                    browser=_digest(browser),
                    verifier=self._keys.encrypt(code_verifier.encode()),
                )
            )
            return bool(begun.rowcount)

    def take(self, state: str, browser: str) -> Return | None:
        """The sign-in of this state, once. None for a state that is unknown, old, used, or of another browser."""
        with reading(self._engine) as session:
            row = session.exec(
                select(OAuthSignIn).where(
                    OAuthSignIn.state == _digest(state), OAuthSignIn.browser == _digest(browser)
                )
            ).first()
        if row is None or row.verifier is None or not self._use(row.ticket):
            return None
        wish = Wish(row.connection_name, row.contributors, row.asked_by)
        return Return(wish, self._keys.decrypt(row.verifier).decode())

    def end(self, state: str, refusal: str | None) -> None:
        """How the sign-in of this state ended: well, or with the sentence that the person was shown."""
        with writing(self._engine) as session:
            session.exec(
                update(OAuthSignIn)
                .where(col(OAuthSignIn.state) == _digest(state))
                .values(ended_at=self._now(), refusal=refusal)
            )

    def earlier(self, state: str, browser: str) -> Earlier | None:
        """What became of a sign-in that was used already. None for one that is unknown, old, or of another browser."""
        with reading(self._engine) as session:
            row = session.exec(
                select(OAuthSignIn).where(
                    OAuthSignIn.state == _digest(state),
                    OAuthSignIn.browser == _digest(browser),
                    col(OAuthSignIn.used_at).is_not(None),
                    col(OAuthSignIn.created_at) > self._now() - GOOD_FOR,
                )
            ).first()
        if row is None:
            return None
        wish = Wish(row.connection_name, row.contributors, row.asked_by)
        return Earlier(wish, row.ended_at is not None, row.refusal)

    def _use(self, ticket_digest: str) -> bool:
        """Mark it used, unless somebody did before; the verifier is forgotten at once."""
        now = self._now()
        with writing(self._engine) as session:
            used = session.exec(
                update(OAuthSignIn)
                .where(
                    col(OAuthSignIn.ticket) == ticket_digest,
                    col(OAuthSignIn.used_at).is_(None),
                    col(OAuthSignIn.created_at) > now - GOOD_FOR,
                )
                .values(used_at=now, verifier=None)
            )
            return bool(used.rowcount)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
