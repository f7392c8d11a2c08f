"""One person sent by themselves: their place in the ledger, from before the file goes to what became of it.

While nobody knows whether the file arrived they stand as `UNSURE`, as those of a run's file whose answer was lost:
the next run sends them again, and whom the list has by then counts as placed. So an end half way harms nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine

from ccexport.clock import Now
from ccexport.errors import Conflict
from ccexport.store.database.engine import reading, writing
from ccexport.store.exports import Pairs
from ccexport.store.ledger_rows import (
    Observed,
    Outcome,
    People,
    Sent,
    Standing,
    nobody,
    nobody_sent,
    nobody_taken_off,
)
from ccexport.store.ledgers import LedgerStore, Target
from ccexport.store.list_sharing import is_removing
from ccexport.store.moves import lock_lists

LEFT_WHERE_NOT_ON_LIST = (Standing.PLACED, Standing.LEFT)


@dataclass(frozen=True)
class Begun:
    """How they stood before they were sent (nobody: not at all), and when that was, in seconds since 1970."""

    before: People
    at: int


class OneSentStore:
    """Questions and changes about one person in one ledger; `rows` always has exactly theirs."""

    def __init__(self, engine: Engine, ledgers: LedgerStore, now: Now) -> None:
        self._engine = engine
        self._ledgers = ledgers
        self._now = now

    def has_left(self, target: Target, rows: Sent) -> bool:
        """Whether somebody who is not on the list now has left it, rather than never been there."""
        with reading(self._engine) as session:
            found = self._ledgers.standings(session, target, rows.who)
        return any(standing in LEFT_WHERE_NOT_ON_LIST for standing in found)

    def begin(self, target: Target, mapping: Pairs, rows: Sent) -> Begun:
        """From here on nobody knows whether they arrived.

        Raises `Conflict` while a run takes people off the list: they might be one of them.
        """
        with writing(self._engine) as session:
            lock_lists(session)
            if is_removing(session, target.account_id, target.list_id):
                raise Conflict(
                    "A run is taking people off this list just now, so nothing was sent. Try again once it has ended."
                )
            now = self._now()
            ledger = self._ledgers.opened(session, target, _as_kept(mapping), now)
            before = self._ledgers.person(session, ledger, rows.who)
            self._ledgers.write(session, ledger, _outcome(unsure=rows), now)
        return Begun(before, int(now.timestamp()))

    def confirm(self, target: Target, mapping: Pairs, rows: Sent) -> None:
        """They are on the list, with this line."""
        with writing(self._engine) as session:
            now = self._now()
            ledger = self._ledgers.opened(session, target, _as_kept(mapping), now)
            self._ledgers.write(session, ledger, _outcome(confirmed=rows), now)

    def take_back(self, target: Target, mapping: Pairs, rows: Sent, begun: Begun) -> None:
        """The file certainly placed nobody: they stand as they did, unless a run has written of them meanwhile."""
        with writing(self._engine) as session:
            ledger = self._ledgers.opened(session, target, _as_kept(mapping), self._now())
            present = self._ledgers.person(session, ledger, rows.who)
            if present.at.tolist() == [begun.at]:
                self._ledgers.put_person(session, ledger, rows.who, begun.before)
            if not ledger.bits and not len(self._ledgers.people_of(session, ledger)):
                session.delete(ledger)  # of an export that has never placed anybody


def _as_kept(mapping: Pairs) -> list[list[str]]:
    return [list(pair) for pair in mapping]


def _outcome(*, confirmed: Sent | None = None, unsure: Sent | None = None) -> Outcome:
    return Outcome(
        Observed(nobody(), nobody()),
        nobody_taken_off(),
        confirmed or nobody_sent(),
        unsure or nobody_sent(),
    )
