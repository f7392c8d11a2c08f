"""Who of the people prepared is new, changed, unchanged, or left the list: the ledger beside them. Pure, by columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

import numpy as np

from ccexport.preparation.duplicates import is_among
from ccexport.states import Mode
from ccexport.store.ledger_rows import NO_LINE, Observed, People, Sent, Standing, nobody
from ccexport.store.ledgers import Known


class Verdict(IntEnum):
    """What a run does with a contact: the first two are sent."""

    NEW = 0
    CHANGED = 1
    UNCHANGED = 2
    SUPPRESSED = 3  # left the list, and is not put back


@dataclass(frozen=True)
class OnList:
    """Hashes of the addresses on the list, ascending, as of a time."""

    who: np.ndarray
    as_of: datetime


@dataclass(frozen=True)
class Compared:
    """The verdict of each contact, in their order, and what the look at the list says of those who are known.

    `new_people`, `other_lines`: of those `NEW`, and of those `CHANGED` with another line than the one confirmed, how
    many are so by the source. The others go again since it is not known whether they arrived, or as what.
    """

    verdicts: np.ndarray
    observed: Observed
    new_people: int
    other_lines: int

    def count(self, verdict: Verdict) -> int:
        return int(np.count_nonzero(self.verdicts == verdict))

    @property
    def goes(self) -> np.ndarray:
        """For each contact whether it is sent."""
        return np.asarray(self.verdicts <= Verdict.CHANGED)


def compare(
    rows: Sent, known: Known, on_list: OnList | None, mode: Mode, *, resync: bool = False
) -> Compared:
    """Where the list was not read, nobody is found to have left it; who had left before stays away all the same.

    In mode `full` everybody is sent. In a resync what is unchanged is sent too.
    """
    observed = _concerned(observe(known.own, on_list), known.own, np.sort(rows.who))
    order = np.argsort(rows.who)  # ascending hashes are found in a tenth of the time
    verdicts = np.empty(len(rows), dtype=np.uint8)
    sorted_rows = rows.take(order)
    is_same = _is_same(sorted_rows, known.own)
    found = _verdicts(sorted_rows, is_same, known, on_list, observed, mode, resync=resync)
    verdicts[order] = found
    by_source = ~is_same & ~_is_open(sorted_rows.who, known.own)
    return Compared(
        verdicts,
        observed,
        new_people=int(np.count_nonzero((found == Verdict.NEW) & by_source)),
        other_lines=int(np.count_nonzero((found == Verdict.CHANGED) & by_source)),
    )


def _is_same(rows: Sent, own: People) -> np.ndarray:
    """For each whether they are placed with the line that they have now."""
    is_placed = own.standing_of(rows.who) == Standing.PLACED
    return np.asarray(is_placed & (own.line_of(rows.who) == rows.line))


def _is_open(who: np.ndarray, own: People) -> np.ndarray:
    """For each whether it is not known that they arrived, or with which line."""
    standing = own.standing_of(who)
    has_no_line = own.line_of(who) == NO_LINE
    return np.asarray((standing == Standing.UNSURE) | ((standing == Standing.PLACED) & has_no_line))


def _verdicts(
    rows: Sent,
    is_same: np.ndarray,
    known: Known,
    on_list: OnList | None,
    observed: Observed,
    mode: Mode,
    *,
    resync: bool,
) -> np.ndarray:
    standing = known.own.standing_of(rows.who)
    is_back = is_among(rows.who, observed.back)
    verdicts = np.full(len(rows), Verdict.NEW, dtype=np.uint8)
    verdicts[(standing == Standing.PLACED) | is_back] = Verdict.CHANGED
    if mode is Mode.FULL:
        return verdicts
    if not resync:
        verdicts[is_same] = Verdict.UNCHANGED
    has_left = ((standing == Standing.LEFT) & ~is_back) | is_among(rows.who, observed.left)
    has_left |= (standing == 0) & _left_of_others(rows.who, known.others, on_list)
    verdicts[has_left] = Verdict.SUPPRESSED
    return verdicts


def observe(people: People, on_list: OnList | None) -> Observed:
    """Who is on the list no more though they were placed before it was read, and who is on it all the same."""
    if on_list is None:
        return Observed(nobody(), nobody())
    is_on = is_among(people.who, on_list.who)
    is_placed = people.standing == Standing.PLACED
    is_earlier = people.at <= int(on_list.as_of.timestamp())
    return Observed(people.who[is_placed & ~is_on & is_earlier], people.who[~is_placed & is_on])


def _concerned(observed: Observed, people: People, sent: np.ndarray) -> Observed:
    """Who had left, is on the list again, and is in none of the segments was put there by somebody else: a stranger."""
    back = observed.back
    concerned = is_among(back, sent) | (people.standing_of(back) == Standing.UNSURE)
    return Observed(observed.left, back[concerned])


def _left_of_others(
    who: np.ndarray, others: Sequence[People], on_list: OnList | None
) -> np.ndarray:
    """Who left the list that another export had placed them on; one who is on it now has not left."""
    has_left = np.zeros(len(who), dtype=bool)
    for people in others:
        gone = people.who[people.standing == Standing.LEFT]
        has_left |= is_among(who, np.sort(np.concatenate([gone, observe(people, on_list).left])))
    if on_list is not None:
        has_left &= ~is_among(who, on_list.who)
    return has_left


def count_moved(rows: Sent, people: People) -> int:
    """How many profiles have an address that is new, and were placed with another, which nobody has any more."""
    keys, order = np.unique(rows.key, return_index=True)
    is_placed = people.standing == Standing.PLACED
    placed, who = people.key[is_placed], people.who[is_placed]
    if not len(keys) or not len(placed):
        return 0
    places = np.minimum(np.searchsorted(keys, placed), len(keys) - 1)
    same_key = keys[places] == placed
    is_new = people.standing_of(rows.who[order[places]]) == 0
    still_sent = is_among(who, np.sort(rows.who))
    return int(np.count_nonzero(same_key & is_new & ~still_sent))
