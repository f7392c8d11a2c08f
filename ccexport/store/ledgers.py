"""Ledgers: whom each export placed on its list, and who left it. Written where a run ends, read where one is prepared.

A ledger moves by what Constant Contact confirmed alone, in the transaction of the run's end (`settle_run`), so it is
never ahead of a run nor behind it. Parts of it are sealed; a change writes anew those that it touches.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import Engine, insert
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, delete, func, select

from ccexport.clock import Now, utc_now
from ccexport.errors import NotFound
from ccexport.store.database.engine import reading, writing
from ccexport.store.database.ledger_tables import Ledger, LedgerKey, LedgerPart, ListReading
from ccexport.store.database.tables import Connection, Export, Run, RunAddresses
from ccexport.store.exports import Pairs
from ccexport.store.files_outcome import outcome_of_files
from ccexport.store.leaving_rows import read_leaving
from ccexport.store.ledger_rows import (
    ByPart,
    Observed,
    Outcome,
    People,
    Sent,
    Standing,
    TakenOff,
    all_of,
    allowed,
    bits_for,
    no_people,
    nobody_sent,
    nobody_taken_off,
    only_hash,
    parts_of,
    read_observed,
    read_people,
    read_sent,
    rows_of,
    settled,
    write_people,
)
from ccexport.store.list_sharing import begun_by_live_run, placed_by_others, taken_off
from ccexport.store.moves import lock_lists
from ccexport.store.vault.keys import Keys

log = logging.getLogger(__name__)

HASH_KEY_BYTES = 16
PARTS_AT_ONCE = 16  # some 100,000 people
KEPT_AFTER_A_MOVE = timedelta(days=365)  # of an export that has another list by now


@dataclass(frozen=True)
class Target:
    """Whose ledger: of an export, for one list of one account."""

    export_id: int | None
    account_id: str
    list_id: str

    @classmethod
    def of(cls, run: Run) -> Target:
        return cls(run.export_id, run.account_id, run.list_id)


@dataclass(frozen=True)
class Known:
    """What is known before a run: of its own ledger, and of those of other exports to the same list."""

    own: People
    others: tuple[People, ...]
    mapping: Pairs | None  # of the run that ended last; None before the first


@dataclass(frozen=True)
class Stands:
    """Where one person stands in one ledger."""

    export_id: int
    list_id: str
    standing: Standing
    at: datetime


class LedgerStore:
    """Questions and changes about ledgers. `keys` is asked only where a ledger is opened."""

    def __init__(self, engine: Engine, keys: Callable[[], Keys], now: Now = utc_now) -> None:
        self._engine = engine
        self._keys = keys
        self._now = now

    def hash_key(self) -> bytes:
        """What addresses are hashed with; made where there is none. Raises `StoreError` where it cannot be opened."""
        with reading(self._engine) as session:
            row = session.get(LedgerKey, 1)
        if row is None:
            try:
                with writing(self._engine) as session:
                    made = self._keys().encrypt(os.urandom(HASH_KEY_BYTES))
                    session.add(LedgerKey(id=1, sealed=made))
            except IntegrityError:  # another process was faster
                pass
            return self.hash_key()
        return self._keys().decrypt(row.sealed)

    def known(self, target: Target, *, others: bool = True) -> Known:
        """What is known of a list; without `others` by its own ledger. Raises `StoreError` where none opens it."""
        with reading(self._engine) as session:
            rows = session.exec(
                select(Ledger).where(
                    Ledger.account_id == target.account_id, Ledger.list_id == target.list_id
                )
            ).all()
            own = next((row for row in rows if row.export_id == target.export_id), None)
            return Known(
                no_people() if own is None else self.people_of(session, own),
                tuple(self._staying(session, row) for row in rows if others and row is not own),
                None if own is None else tuple((pair[0], pair[1]) for pair in own.mapping),
            )

    def sizes(self, target: Target) -> tuple[int, int]:
        """(placed, gone) of a ledger; opens nothing."""
        with reading(self._engine) as session:
            row = _ledger(session, target)
            if row is None:
                return 0, 0
            sums = select(func.sum(LedgerPart.placed), func.sum(LedgerPart.gone))
            placed, gone = session.exec(sums.where(LedgerPart.ledger_id == row.id)).one()
        return int(placed or 0), int(gone or 0)

    def is_unreadable(self, target: Target) -> bool:
        """Whether none of the keys opens a ledger of the list, or the key of the hashes."""
        with reading(self._engine) as session:
            key = session.get(LedgerKey, 1)
            sealed = [] if key is None else [key.sealed]
            on_list = select(LedgerPart.sealed).where(
                LedgerPart.ledger_id == Ledger.id,
                Ledger.account_id == target.account_id,
                Ledger.list_id == target.list_id,
            )
            sealed += session.exec(on_list)
        return any(self._keys().key_of(each) is None for each in sealed)

    def begin_anew(self, target: Target) -> None:
        """Drop the ledgers of a list that cannot be opened; all, with the key of the hashes where that cannot be."""
        with writing(self._engine) as session:
            key = session.get(LedgerKey, 1)
            of_list = delete(Ledger).where(
                col(Ledger.account_id) == target.account_id, col(Ledger.list_id) == target.list_id
            )
            if key is not None and self._keys().key_of(key.sealed) is None:
                session.delete(key)
                of_list = delete(Ledger)
            session.exec(of_list)

    # --- the end of a run ------------------------------------------------------------------------

    def settle_run(self, session: Session, run: Run, now: datetime) -> None:
        """Write what the run's files placed, within the transaction of its end.

        A run that was never prepared changes nothing; nor does one of an export that was removed meanwhile.
        """
        outcome = self._outcome(session, run)
        if outcome is None or outcome.is_nothing() or run.export_id is None:
            return
        ledger = self.opened(session, Target.of(run), run.mapping, now)
        if len(outcome.confirmed):
            ledger.mapping = run.mapping
        self.write(session, ledger, outcome, now)

    def opened(
        self, session: Session, target: Target, mapping: list[list[str]], now: datetime
    ) -> Ledger:
        """The row of a ledger that is about to be written, locked; a new one where there is none."""
        ledger = _ledger(session, target, for_update=True)
        if ledger is None:
            ledger = Ledger(
                export_id=target.export_id or 0,  # there is one: it wants to be written
                account_id=target.account_id,
                list_id=target.list_id,
                bits=0,
                mapping=mapping,
                created_at=now,
                updated_at=now,
            )
        ledger.updated_at = now
        session.add(ledger)
        session.flush()
        return ledger

    def _outcome(self, session: Session, run: Run) -> Outcome | None:
        """What the run changes in its ledger, by what is known of it now; None where it was never prepared."""
        query = select(RunAddresses.rows, RunAddresses.staying, RunAddresses.observed)
        kept = session.exec(query.where(RunAddresses.run_id == run.id)).first()
        if kept is None:
            return None
        rows, staying, observed = kept
        return Outcome(
            read_observed(self._keys().decrypt(observed) if observed else b""),
            self._taken_off(session, run),
            *outcome_of_files(session, run, self._sent(rows), self._sent(staying)),
        )

    def _taken_off(self, session: Session, run: Run) -> TakenOff:
        """Whom Constant Contact took off the list, and who is left to another export that placed them too.

        Unless that has let go of them meanwhile: then nobody would know them any more.
        """
        query = select(RunAddresses.leaving).where(RunAddresses.run_id == run.id)
        leaves = session.exec(query).first()
        if leaves is None:
            return nobody_taken_off()
        lock_lists(session)
        handed_over = read_leaving(self._keys().decrypt(leaves)).handed_over
        if len(handed_over):
            is_kept = placed_by_others(session, run, handed_over, self.people_of)
            handed_over = handed_over[is_kept]
        gone, unsure = taken_off(session, run, self._keys().decrypt)
        return TakenOff(np.concatenate([gone, handed_over]), unsure)

    def write(self, session: Session, ledger: Ledger, outcome: Outcome, now: datetime) -> None:
        """Few parts at once: all of a million people would take more memory than the rest of the run's end."""
        at = int(now.timestamp())
        confirmed, unsure = outcome.confirmed, outcome.unsure
        self._make_room(session, ledger, len(confirmed) + len(unsure))
        known = [np.sort(each) for each in outcome.of_known()]
        parts_known = [parts_of(who, ledger.bits) for who in known]
        parts = [*parts_known, *(parts_of(sent.who, ledger.bits) for sent in (confirmed, unsure))]
        touched = np.unique(np.concatenate(parts)).tolist()
        placed, doubtful = (ByPart.of(sent, ledger.bits) for sent in (confirmed, unsure))
        for first in range(0, len(touched), PARTS_AT_ONCE):
            some = touched[first : first + PARTS_AT_ONCE]
            before = self._parts(session, ledger, some)
            after = {}
            for part in some:
                left, back, gone, perhaps = (
                    who[rows_of(each, part)] for who, each in zip(known, parts_known, strict=True)
                )
                changes = Outcome(
                    Observed(left, back),
                    TakenOff(gone, perhaps),
                    placed.in_part(part),
                    doubtful.in_part(part),
                )
                after[part] = settled(before.pop(part, no_people()), changes, at)
            self._put(session, ledger, after)

    def _make_room(self, session: Session, ledger: Ledger, more: int) -> None:
        """More parts, where there will be more people than those there are were made for."""
        held = session.exec(
            select(func.sum(LedgerPart.placed + LedgerPart.gone)).where(
                LedgerPart.ledger_id == ledger.id
            )
        ).one()
        bits = bits_for(max(int(held or 0), more))
        if bits <= ledger.bits:
            return
        people = self.people_of(session, ledger)
        session.exec(delete(LedgerPart).where(col(LedgerPart.ledger_id) == ledger.id))
        ledger.bits = bits
        session.add(ledger)
        parts = parts_of(people.who, bits)
        numbers = np.unique(parts).tolist()
        edges = np.searchsorted(parts, [*numbers, 2**bits]).tolist()
        slices = map(people.slice, edges[:-1], edges[1:])
        self._put(session, ledger, dict(zip(numbers, slices, strict=True)))

    # --- parts -----------------------------------------------------------------------------------

    def _staying(self, session: Session, ledger: Ledger) -> People:
        """The people of another export's ledger, without those whom a run of it takes off the list just now."""
        going = begun_by_live_run(session, ledger, self._keys().decrypt)
        people = self.people_of(session, ledger)
        return people.without(going) if len(going) else people

    def people_of(self, session: Session, ledger: Ledger) -> People:
        """All of a ledger. Raises `StoreError` where none of the keys opens it."""
        query = select(LedgerPart.sealed).where(LedgerPart.ledger_id == ledger.id)
        few = query.order_by(col(LedgerPart.part)).execution_options(yield_per=PARTS_AT_ONCE)
        return all_of(self._opened(sealed) for sealed in session.exec(few))

    def _parts(self, session: Session, ledger: Ledger, parts: Sequence[int]) -> dict[int, People]:
        """Of these parts those that there are, by number."""
        query = select(LedgerPart.part, LedgerPart.sealed).where(
            LedgerPart.ledger_id == ledger.id, col(LedgerPart.part).in_(parts)
        )
        return {part: self._opened(sealed) for part, sealed in session.exec(query)}

    def _part(self, session: Session, ledger: Ledger, part: int) -> People:
        return self._parts(session, ledger, [part]).get(part, no_people())

    def _opened(self, sealed: bytes) -> People:
        return read_people(self._keys().decrypt(sealed))

    def _put(self, session: Session, ledger: Ledger, parts: Mapping[int, People]) -> None:
        """Replace these parts, in two statements however many they are."""
        if not parts:
            return
        session.exec(
            delete(LedgerPart).where(
                col(LedgerPart.ledger_id) == ledger.id, col(LedgerPart.part).in_(parts)
            )
        )
        rows = [
            {
                "ledger_id": ledger.id,
                "part": part,
                "placed": people.count(Standing.PLACED),
                "gone": people.count(Standing.LEFT),
                "sealed": self._keys().seal(write_people(people)),
            }
            for part, people in parts.items()
        ]
        session.execute(insert(LedgerPart), rows)

    def _sent(self, sealed: bytes) -> Sent:
        return read_sent(self._keys().decrypt(sealed)) if sealed else nobody_sent()

    # --- one person ------------------------------------------------------------------------------

    def stands(self, who: int) -> list[Stands]:
        """Where the person of a hash stands, in every ledger that knows them."""
        wanted = np.array([who], dtype=np.uint64)
        found = []
        with reading(self._engine) as session:
            for ledger, one in self._knowing(session, wanted):
                at = datetime.fromtimestamp(int(one.at[0]), tz=ledger.created_at.tzinfo)
                standing = Standing(int(one.standing[0]))
                found.append(Stands(ledger.export_id, ledger.list_id, standing, at))
        return found

    def forget(self, who: int) -> int:
        """Take a person out of every ledger; of one who left stays the hash of the address, so that they stay away."""
        wanted = np.array([who], dtype=np.uint64)
        touched = 0
        with writing(self._engine) as session:
            for ledger, one in self._knowing(session, wanted):
                touched += 1
                stays = only_hash(one) if one.standing[0] == Standing.LEFT else no_people()
                self.put_person(session, ledger, wanted, stays)
        return touched

    def allow(self, target: Target, who: int) -> None:
        """Let a person who left be put back by this export, whose own ledger or another of the list has them as gone.

        Raises `NotFound`, and changes nothing, where none of them does.
        """
        wanted = np.array([who], dtype=np.uint64)
        with writing(self._engine) as session:
            ledger = _ledger(session, target, for_update=True)
            if ledger is None or Standing.LEFT not in self.standings(session, target, wanted):
                raise NotFound("No ledger of this export's list has this person as gone.")
            now = int(self._now().timestamp())
            self.put_person(session, ledger, wanted, allowed(wanted, now))

    def person(self, session: Session, ledger: Ledger, who: np.ndarray) -> People:
        """The one whose hash this is; nobody where a ledger has them not."""
        [part] = parts_of(who, ledger.bits).tolist()
        people = self._part(session, ledger, part)
        [place], [is_there] = people.find(who)
        return people.slice(int(place), int(place) + 1) if is_there else no_people()

    def put_person(
        self, session: Session, ledger: Ledger, who: np.ndarray, as_they_stand: People
    ) -> None:
        """Write one person as they stand, or take them out where that is nobody."""
        [part] = parts_of(who, ledger.bits).tolist()
        people = self._part(session, ledger, part).without(who).merged(as_they_stand)
        self._put(session, ledger, {part: people})

    def standings(self, session: Session, target: Target, who: np.ndarray) -> set[int]:
        """How one person stands on a list by the export's own ledger; where that has them not, by others' of it."""
        found = {
            ledger.export_id: int(one.standing[0])
            for ledger, one in self._knowing(session, who)
            if (ledger.account_id, ledger.list_id) == (target.account_id, target.list_id)
        }
        by_own = found.get(target.export_id or 0)
        return {by_own} if by_own else set(found.values())

    def _knowing(self, session: Session, who: np.ndarray) -> Iterator[tuple[Ledger, People]]:
        """Every ledger that has a person, with them alone."""
        for ledger in session.exec(select(Ledger).order_by(col(Ledger.id)).with_for_update()).all():
            if len(one := self.person(session, ledger, who)):
                yield ledger, one

    # --- the list as a run read it ---------------------------------------------------------------

    def reading_of(self, run_id: int) -> ListReading | None:
        with reading(self._engine) as session:
            return session.get(ListReading, run_id)

    def store_reading(self, found: ListReading) -> None:
        """What is known of a run's reading of its list by now."""
        with writing(self._engine) as session:
            session.merge(found)

    def drop_old(self) -> int:
        """Drop ledgers of lists that their exports have left a year ago; how many."""
        with writing(self._engine) as session:
            old = select(Ledger).where(col(Ledger.updated_at) < self._now() - KEPT_AFTER_A_MOVE)
            dropped = 0
            for ledger in session.exec(old).all():
                export = session.get(Export, ledger.export_id)
                if export is not None and _has_moved(session, export, ledger):
                    session.delete(ledger)
                    dropped += 1
        return dropped


def _ledger(session: Session, target: Target, *, for_update: bool = False) -> Ledger | None:
    query = select(Ledger).where(
        Ledger.export_id == target.export_id,
        Ledger.account_id == target.account_id,
        Ledger.list_id == target.list_id,
    )
    return session.exec(query.with_for_update() if for_update else query).first()


def _has_moved(session: Session, export: Export, ledger: Ledger) -> bool:
    """Whether an export has another list by now, or one of another account; a detached one has its last list."""
    connection = session.get(Connection, export.connection_id) if export.connection_id else None
    is_elsewhere = connection is not None and connection.account_id != ledger.account_id
    return is_elsewhere or export.list_id != ledger.list_id
