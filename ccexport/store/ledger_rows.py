"""The people of a ledger as columns, and what a run's end makes of them. Pure, and no loop a person.

A person is a keyed hash of their address and a hash of their profile's key: no address is in a ledger, so none can be
read from one. Who left a list is known by name from the run that leaves them out, whose own file has the address.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ccexport.store.numbers import number_table, numbers_of

PART_ROWS = 8_192  # of a part, about: what a change of one person writes anew
MOST_BITS = 10
_SENT_AS, _OBSERVED_AS = b"ccexport sent 1\0", b"ccexport seen 1\0"
NO_LINE = np.uint64(0)  # another line than any: sent again


class Standing(IntEnum):
    """Where a person stands in a ledger. Who is not in it was never confirmed."""

    PLACED = 1  # confirmed
    LEFT = 2  # placed once, and not on the list any more
    UNSURE = 3  # in a file of which it is not known which of its rows arrived
    ALLOWED = 4  # left, and may be put back


@dataclass(frozen=True)
class People:
    """Columns of a ledger, by `who`, which ascends: hashes of address, key and line; standing; seconds since 1970."""

    who: np.ndarray
    key: np.ndarray
    line: np.ndarray
    standing: np.ndarray
    at: np.ndarray

    def __len__(self) -> int:
        return len(self.who)

    def count(self, standing: Standing) -> int:
        return int(np.count_nonzero(self.standing == standing))

    def find(self, who: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For each hash (a place, whether the person there is the one)."""
        if not len(self.who):
            return np.zeros(len(who), dtype=np.int64), np.zeros(len(who), dtype=bool)
        places = np.minimum(np.searchsorted(self.who, who), len(self.who) - 1)
        return places, self.who[places] == who

    def standing_of(self, who: np.ndarray) -> np.ndarray:
        """How each of the hashes stands; 0 for who is not in it."""
        if not len(self):
            return np.zeros(len(who), dtype=np.uint8)
        places, found = self.find(who)
        return np.where(found, self.standing[places], np.uint8(0))

    def line_of(self, who: np.ndarray) -> np.ndarray:
        """The hash of each one's line; 0 for who is not in it."""
        if not len(self):
            return np.zeros(len(who), dtype=np.uint64)
        places, found = self.find(who)
        return np.where(found, self.line[places], NO_LINE)

    def with_standing(self, who: np.ndarray, standing: Standing, at: int) -> People:
        """Those of the hashes that are in it stand so from `at` on; whose line was sent is not known any more."""
        places, found = self.find(who)
        states, times, lines = self.standing.copy(), self.at.copy(), self.line.copy()
        states[places[found]], times[places[found]] = standing, at
        if standing is not Standing.LEFT:
            lines[places[found]] = NO_LINE
        return People(self.who, self.key, lines, states, times)

    def without(self, who: np.ndarray) -> People:
        """All but these."""
        places, found = self.find(who)
        stays = np.ones(len(self), dtype=bool)
        stays[places[found]] = False
        return People(*(column[stays] for column in _columns(self)))

    def merged(self, later: People) -> People:
        """Both; of a person who is in both what `later` says."""
        rest = self.without(later.who)
        both = [np.concatenate(pair) for pair in zip(_columns(rest), _columns(later), strict=True)]
        order = np.argsort(both[0], kind="stable")
        return People(*(column[order] for column in both))

    def slice(self, first: int, last: int) -> People:
        return People(*(column[first:last] for column in _columns(self)))


def _columns(people: People) -> list[np.ndarray]:
    return [getattr(people, field.name) for field in fields(people)]


def no_people() -> People:
    kinds = (np.uint64, np.uint64, np.uint64, np.uint8, np.uint32)
    return People(*(np.empty(0, dtype=kind) for kind in kinds))


def allowed(who: np.ndarray, at: int) -> People:
    """One person who may be put back."""
    nothing = np.zeros(1, dtype=np.uint64)
    standing = np.array([Standing.ALLOWED], dtype=np.uint8)
    return People(who, nothing, nothing, standing, np.array([at], dtype=np.uint32))


def only_hash(one: People) -> People:
    """What stays of one person who is forgotten, and left."""
    nothing = np.zeros(1, dtype=np.uint64)
    return People(one.who, nothing, nothing, one.standing, one.at)


def all_of(parts: Iterable[People]) -> People:
    """Parts of one ledger, in their order. Each column's pieces go before the next is made: a million are 30 MB."""
    pieces = [[column] for column in _columns(no_people())]
    for part in parts:
        for column, piece in zip(pieces, _columns(part), strict=True):
            column.append(piece)
    people = People(*(_drained(column) for column in pieces))
    pa.default_memory_pool().release_unused()  # it keeps what the parts were read into: as much again
    return people


def _drained(pieces: list[np.ndarray]) -> np.ndarray:
    whole = np.concatenate(pieces)
    pieces.clear()
    return whole


# --- what is kept ---------------------------------------------------------------------------------


def write_people(people: People) -> bytes:
    """A part as it is kept: Parquet, whose sorted hashes take six bytes, and whose standing hardly any.

    Not compressed beyond: hashes do not shrink, and trying takes as long as all the rest.
    """
    columns = {
        "who": people.who.view(np.int64),
        "key": people.key.view(np.int64),
        "line": people.line.view(np.int64),
        "standing": people.standing,
        "at": people.at,
    }
    sink = pa.BufferOutputStream()
    pq.write_table(
        number_table(columns),
        sink,
        compression="none",
        use_dictionary=["standing", "at"],
        column_encoding={"who": "DELTA_BINARY_PACKED", "key": "PLAIN", "line": "PLAIN"},
        write_statistics=False,
        store_schema=False,
    )
    content: bytes = sink.getvalue().to_pybytes()
    return content


def read_people(content: bytes) -> People:
    table = pq.ParquetFile(io.BytesIO(content)).read(use_threads=False)
    who, key, line = (
        numbers_of(table.column(name)).view(np.uint64) for name in ("who", "key", "line")
    )
    standing = numbers_of(table.column("standing")).astype(np.uint8, copy=False)
    return People(
        who, key, line, standing, numbers_of(table.column("at")).astype(np.uint32, copy=False)
    )


def bits_for(people: int) -> int:
    """Into how many parts so many people go: two to the power of it."""
    return min(max(0, (people // PART_ROWS).bit_length()), MOST_BITS)


def parts_of(who: np.ndarray, bits: int) -> np.ndarray:
    """The part of each hash."""
    if not bits:
        return np.zeros(len(who), dtype=np.int64)
    return (who >> np.uint64(64 - bits)).astype(np.int64)


# --- what a live run keeps ------------------------------------------------------------------------


@dataclass(frozen=True)
class Sent:
    """Who is in a run's files, row by row: hashes of address, key and line; of earlier preparations also the batch."""

    who: np.ndarray
    key: np.ndarray
    line: np.ndarray
    batch: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.who)

    def take(self, which: np.ndarray | slice) -> Sent:
        batch = None if self.batch is None else self.batch[which]
        return Sent(self.who[which], self.key[which], self.line[which], batch)

    def of_batch(self, number: int) -> Sent:
        """The same rows, as those of one batch."""
        return Sent(self.who, self.key, self.line, np.full(len(self), number, dtype=np.uint64))


@dataclass(frozen=True)
class Observed:
    """By a look at the list: hashes of who has left it, and of who is on it though they had not been known to be."""

    left: np.ndarray
    back: np.ndarray


@dataclass(frozen=True)
class TakenOff:
    """Whom a run took off the list: hashes of those who are gone from it, and of those of whom nobody knows."""

    gone: np.ndarray
    unsure: np.ndarray


def nobody() -> np.ndarray:
    return np.empty(0, dtype=np.uint64)


def nobody_taken_off() -> TakenOff:
    return TakenOff(nobody(), nobody())


def nobody_sent() -> Sent:
    return Sent(nobody(), nobody(), nobody(), nobody())


def joined(parts: Sequence[Sent]) -> Sent:
    """Rows of batches, together."""
    some = [nobody_sent(), *parts]
    names = [field.name for field in fields(Sent)]
    return Sent(*(np.concatenate([getattr(part, name) for part in some]) for name in names))


def joined_rows(parts: Sequence[Sent]) -> Sent:
    """Rows together, of whatever batch."""
    some = [nobody_sent(), *parts]
    return Sent(
        *(np.concatenate([getattr(p, name) for p in some]) for name in ("who", "key", "line"))
    )


def write_sent(sent: Sent) -> bytes:
    columns = [
        column for column in (sent.who, sent.key, sent.line, sent.batch) if column is not None
    ]
    return b"".join([_SENT_AS, bytes([len(columns)]), *(column.tobytes() for column in columns)])


def read_sent(content: bytes) -> Sent:
    """Nobody where it was written by an earlier version, which kept another hash."""
    if not content.startswith(_SENT_AS):
        return nobody_sent()
    columns = content[len(_SENT_AS)]
    values = np.frombuffer(content, dtype=np.uint64, offset=len(_SENT_AS) + 1)
    return Sent(*values.reshape(columns, -1))


def write_observed(observed: Observed) -> bytes:
    count = len(observed.left).to_bytes(8, "little")
    return b"".join([_OBSERVED_AS, count, observed.left.tobytes(), observed.back.tobytes()])


def read_observed(content: bytes) -> Observed:
    if not content.startswith(_OBSERVED_AS):
        return Observed(nobody(), nobody())
    start = len(_OBSERVED_AS)
    left = int.from_bytes(content[start : start + 8], "little")
    values = np.frombuffer(content, dtype=np.uint64, offset=start + 8)
    return Observed(values[:left], values[left:])


@dataclass(frozen=True)
class ByPart:
    """Rows that are taken by the part of the ledger that they belong to; they stay in their order."""

    sent: Sent
    order: np.ndarray  # by part
    edges: np.ndarray  # where each part begins in it, and where the last one ends

    @classmethod
    def of(cls, sent: Sent, bits: int) -> ByPart:
        parts = parts_of(sent.who, bits).astype(np.uint16)  # such small numbers sort in no time
        sizes = np.bincount(parts, minlength=2**bits)
        return cls(sent, np.argsort(parts, kind="stable"), np.cumsum([0, *sizes]))

    def in_part(self, part: int) -> Sent:
        return self.sent.take(self.order[self.edges[part] : self.edges[part + 1]])


def rows_of(ascending: np.ndarray, part: int) -> slice:
    """Where a part's rows lie, by the parts of all rows."""
    first, last = np.searchsorted(ascending, [part, part + 1]).tolist()
    return slice(first, last)


# --- what a run's end makes of it -----------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What a run changes in its ledger: by its look at the list, by whom it took off it, by what its files placed.

    `unsure` are rows of files of which nobody knows whether they arrived.
    """

    observed: Observed
    taken_off: TakenOff
    confirmed: Sent
    unsure: Sent

    def is_nothing(self) -> bool:
        return not any(
            len(each) for each in (*self.of_known(), self.confirmed.who, self.unsure.who)
        )

    def of_known(self) -> tuple[np.ndarray, ...]:
        """Hashes of those who left, who is back, who was taken off, and who perhaps was."""
        seen, taken_off = self.observed, self.taken_off
        return seen.left, seen.back, taken_off.gone, taken_off.unsure


def settled(people: People, outcome: Outcome, at: int) -> People:
    """A part after a run. Of whom nobody knows whether they were taken off, the next look at the list tells."""
    confirmed, unsure = outcome.confirmed, outcome.unsure
    people = people.with_standing(outcome.observed.left, Standing.LEFT, at)
    people = people.with_standing(outcome.observed.back, Standing.PLACED, at)
    people = people.without(outcome.taken_off.gone)
    people = people.with_standing(outcome.taken_off.unsure, Standing.UNSURE, at)
    standing = people.standing_of(unsure.who)
    placed = unsure.who[standing == Standing.PLACED]
    people = people.with_standing(placed, Standing.PLACED, at)  # it is not known with which line
    # who had left stays so, or allowed back: a look at the list tells whether they arrived
    doubtful = unsure.take(np.isin(standing, (0, Standing.UNSURE)))
    people = people.merged(_as_people(doubtful, Standing.UNSURE, at))
    return people.merged(_as_people(confirmed, Standing.PLACED, at))


def _as_people(sent: Sent, standing: Standing, at: int) -> People:
    order = np.argsort(sent.who, kind="stable")
    return People(
        sent.who[order],
        sent.key[order],
        sent.line[order],
        np.full(len(sent), standing, dtype=np.uint8),
        np.full(len(sent), at, dtype=np.uint32),
    )
