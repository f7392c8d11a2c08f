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

_ROWS_AT_ONCE = 65_536  # a million at once take 100 MB


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
    observed = _concerned(observe(known.own, on_list), known.own, rows.who)
    left_others = [_left(people, on_list) for people in known.others]
    verdicts = np.empty(len(rows), dtype=np.uint8)
    new_people = other_lines = 0
    for first in range(0, len(rows), _ROWS_AT_ONCE):
        some = rows.take(slice(first, first + _ROWS_AT_ONCE))
        order = np.argsort(some.who)  # ascending hashes are found in a tenth of the time
        who, line = some.who[order], some.line[order]
        standing, known_line = known.own.standing_of(who), known.own.line_of(who)
        is_placed = standing == Standing.PLACED
        is_same = is_placed & (known_line == line)
        found = _verdicts(
            who, standing, is_same, left_others, on_list, observed, mode, resync=resync
        )
        # of those who are open it is not known whether they arrived, or with which line
        is_open = (standing == Standing.UNSURE) | (is_placed & (known_line == NO_LINE))
        by_source = ~is_same & ~is_open
        verdicts[first + order] = found
        new_people += int(np.count_nonzero((found == Verdict.NEW) & by_source))
        other_lines += int(np.count_nonzero((found == Verdict.CHANGED) & by_source))
    return Compared(verdicts, observed, new_people, other_lines)


def _verdicts(
    who: np.ndarray,
    standing: np.ndarray,
    is_same: np.ndarray,
    left_others: Sequence[np.ndarray],
    on_list: OnList | None,
    observed: Observed,
    mode: Mode,
    *,
    resync: bool,
) -> np.ndarray:
    is_back = is_among(who, observed.back)
    verdicts = np.full(len(who), Verdict.NEW, dtype=np.uint8)
    verdicts[(standing == Standing.PLACED) | is_back] = Verdict.CHANGED
    if mode is Mode.FULL:
        return verdicts
    if not resync:
        verdicts[is_same] = Verdict.UNCHANGED
    has_left = ((standing == Standing.LEFT) & ~is_back) | is_among(who, observed.left)
    is_unknown = np.isin(standing, (0, Standing.UNSURE))
    has_left |= is_unknown & _left_of_others(who, left_others, on_list)
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
    if not len(back):
        return observed
    concerned = np.isin(back, sent) | (people.standing_of(back) == Standing.UNSURE)
    return Observed(observed.left, back[concerned])


def _left(people: People, on_list: OnList | None) -> np.ndarray:
    """Who left the list of those whom another export had placed on it, ascending."""
    gone = people.who[people.standing == Standing.LEFT]
    return np.sort(np.concatenate([gone, observe(people, on_list).left]))


def _left_of_others(
    who: np.ndarray, left_others: Sequence[np.ndarray], on_list: OnList | None
) -> np.ndarray:
    """Who left the list that another export had placed them on; one who is on it now has not left."""
    has_left = np.zeros(len(who), dtype=bool)
    for left in left_others:
        has_left |= is_among(who, left)
    if on_list is not None:
        has_left &= ~is_among(who, on_list.who)
    return has_left


def count_moved(rows: Sent, people: People) -> int:
    """How many profiles have an address that is new, and were placed with another, which nobody has any more."""
    is_gone = (people.standing == Standing.PLACED) & ~is_among(people.who, np.sort(rows.who))
    moved = rows.take(is_among(rows.key, np.sort(people.key[is_gone])))
    _, order = np.unique(moved.key, return_index=True)
    return int(np.count_nonzero(people.standing_of(moved.who[order]) == 0))
