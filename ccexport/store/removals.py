"""Removals: the requests that take people off a run's list, from intent to outcome; each of up to 500 people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine
from sqlmodel import Session, col, func, select, update

from ccexport.clock import Now, utc_now
from ccexport.states import BatchState, EventKind
from ccexport.store.database.engine import reading, writing
from ccexport.store.database.ledger_tables import Removal
from ccexport.store.database.tables import Run
from ccexport.store.leaving_rows import Named, read_removal, write_removal
from ccexport.store.ledgers import LedgerStore
from ccexport.store.list_sharing import is_removing, placed_by_others, sent_by_others
from ccexport.store.moves import Held, add_event, held_run, lock_lists, move_batch
from ccexport.store.vault.keys import Keys


@dataclass(frozen=True)
class LookedUp:
    """The next of those who leave, in their order: how many were looked up, and who of them is on the list."""

    count: int
    named: Named


class RemovalStore:
    """Questions and changes about removals. Sealed while their run is live; its end keeps their counts alone."""

    def __init__(
        self,
        engine: Engine,
        keys: Callable[[], Keys],
        ledgers: LedgerStore,
        now: Now = utc_now,
    ) -> None:
        self._engine = engine
        self._keys = keys
        self._ledgers = ledgers
        self._now = now

    def of_run(self, run_id: int) -> list[Removal]:
        """By number."""
        query = select(Removal).where(Removal.run_id == run_id).order_by(col(Removal.number))
        with reading(self._engine) as session:
            return list(session.exec(query))

    def named(self, removal: Removal) -> Named:
        """Whom it is about. Raises `StoreError` where none of the keys opens it."""
        return read_removal(self._keys().decrypt(removal.sealed or b""))

    def is_under_way_elsewhere(self, run: Run) -> bool:
        """Whether another run takes people off the same list: nothing is sent to it until that has ended."""
        with reading(self._engine) as session:
            return is_removing(session, run.account_id, run.list_id, besides=run.id)

    def plan(self, held: Held, looked_up: Sequence[LookedUp]) -> None:
        """Whom the next requests are about; nothing is asked for yet."""
        with writing(self._engine) as session:
            held_run(session, held, self._now())
            number = _last_number(session, held.run_id)
            for each in looked_up:
                number += 1
                people = len(each.named.who)
                session.add(
                    Removal(
                        run_id=held.run_id,
                        number=number,
                        looked_up=each.count,
                        people=people,
                        sealed=self._seal(each.named),
                        state=BatchState.PENDING if people else BatchState.COMPLETED,
                        finished_at=None if people else self._now(),
                    )
                )

    def begin(self, held: Held, removal: Removal) -> Removal:
        """The intent: `sending`, without those whom another export has placed meanwhile, or is about to.

        `canceled` where nobody is left.
        """
        with writing(self._engine) as session:
            run = held_run(session, held, self._now())
            lock_lists(session)
            named = self.named(removal)
            stays = placed_by_others(session, run, named.who, self._ledgers.people_of)
            stays |= sent_by_others(session, run, named.who, self._keys().decrypt)
            values: dict[str, Any] = {"state": BatchState.SENDING, "sending_at": self._now()}
            if stays.any():
                named = named.only(~stays)
                values |= {"sealed": self._seal(named), "people": len(named.who)}
            if not len(named.who):
                values |= {"state": BatchState.CANCELED, "finished_at": self._now()}
            move_batch(session, removal, {**values, "attempts": removal.attempts + 1})
            return session.get_one(Removal, removal.id, populate_existing=True)

    def move(self, held: Held, removal: Removal, to: BatchState, **values: Any) -> None:
        """One legal move by the run's worker. Raises `LeaseLost` where the run or the removal is another by now."""
        with writing(self._engine) as session:
            held_run(session, held, self._now(), lapsed_too=True)
            move_batch(session, removal, {"state": to, **values})

    def end(
        self, held: Held, removal: Removal, to: BatchState, *, removed: int, words: str = ""
    ) -> None:
        """The outcome, the run's count and a line of its history, in one transaction."""
        values = {
            "removed": removed,
            "finished_at": self._now(),
            "errors": [words] if words else [],
        }
        with writing(self._engine) as session:
            run = held_run(session, held, self._now(), lapsed_too=True)
            move_batch(session, removal, {"state": to, **values})
            query = select(func.sum(Removal.removed)).where(Removal.run_id == run.id)
            run.removed_count = int(session.exec(query).one() or 0)
            session.add(run)
            failed = to is BatchState.FAILED or removed < removal.people
            what = EventKind.NOT_REMOVED if failed else EventKind.REMOVED
            detail = f"{removed:,} of {removal.people:,} people" + (f": {words}" if words else "")
            add_event(session, run.id, self._now(), held.worker, what, detail)

    def cancel_pending(self, held: Held) -> None:
        """Nobody more is taken off the list."""
        with writing(self._engine) as session:
            held_run(session, held, self._now(), lapsed_too=True)
            session.exec(
                update(Removal)
                .where(col(Removal.run_id) == held.run_id, col(Removal.state) == BatchState.PENDING)
                .values(state=BatchState.CANCELED, finished_at=self._now())
            )

    def _seal(self, named: Named) -> bytes:
        return self._keys().seal(write_removal(named))


def _last_number(session: Session, run_id: int) -> int:
    return session.exec(select(func.max(Removal.number)).where(Removal.run_id == run_id)).one() or 0
