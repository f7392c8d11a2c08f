"""Who is to be taken off the list in mode `mirror`: by the ledger, the segments as they are now, and the list. Pure.

Nobody is, of whom that is not certain: who is still in a segment but cannot be sent this time (an address that is
missing or not valid, a value that is not, no profile at all, as where half of them were read) stays where they are, and
so does whom another export placed too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from ccexport.preparation.columns import text_array
from ccexport.preparation.contacts import plain_reason
from ccexport.preparation.duplicates import is_among
from ccexport.preparation.emails import as_sent
from ccexport.preparation.hashes import text_hashes
from ccexport.preparation.keyed import keyed_hashes
from ccexport.runs.comparing import OnList
from ccexport.states import Rejection
from ccexport.store.leaving_rows import Leaving
from ccexport.store.ledger_rows import People, Sent, Standing, nobody
from ccexport.store.ledgers import Known


@dataclass(frozen=True)
class LeftOut:
    """Who is in a segment and not sent: profiles that were rejected, and hashes of the keys that have no profile."""

    rejections: pa.Table
    without_profile: np.ndarray = field(default_factory=nobody)

    def __len__(self) -> int:
        return int(self.rejections.num_rows) + len(self.without_profile)

    def addresses_and_keys(self, hash_key: bytes) -> tuple[np.ndarray, np.ndarray]:
        """Hashes of those that stay where they are, ascending.

        A duplicate has an address that is sent for another profile, so the one that it had before is let go.
        """
        rows = self.rejections
        reasons = [plain_reason(reason) for reason in rows.column("reason").to_pylist()]
        emails = [as_sent(email or "") for email in rows.column("email").to_pylist()]
        stays = np.array([reason != Rejection.DUPLICATE for reason in reasons], dtype=bool)
        keys = text_hashes(rows.column("customer_id").combine_chunks())
        keys = np.concatenate([keys[stays], self.without_profile])
        return np.sort(keyed_hashes(text_array(emails), hash_key)), np.sort(keys)


def hashes_of_keys(pieces: Iterable[pa.Array]) -> np.ndarray:
    """As a ledger has those of profiles."""
    return np.concatenate([nobody(), *map(text_hashes, pieces)])


def leaving(
    rows: Sent,
    left_out: LeftOut,
    known: Known,
    on_list: OnList | None,
    names: Callable[[], Iterable[pa.Array]],
    hash_key: bytes,
) -> Leaving:
    """`rows` are all contacts prepared; `names` gives the addresses on the list, piece by piece."""
    gone = left_the_segments(rows, left_out, known.own, on_list, hash_key)
    if not len(gone):
        return Leaving()
    is_shared = placed_by(known.others, gone)
    handed_over, gone = gone[is_shared], gone[~is_shared]
    if on_list is None:
        return Leaving(handed_over=handed_over, unseen=len(gone))
    who = gone[is_among(gone, on_list.who)]
    return Leaving(who, _named(who, names(), hash_key), handed_over)


def left_the_segments(
    rows: Sent, left_out: LeftOut, own: People, on_list: OnList | None, hash_key: bytes
) -> np.ndarray:
    """Hashes of those whom this export placed and who are in none of its segments now, ascending.

    Who may or may not have arrived counts as placed where the list has them.
    """
    is_placed = own.standing == Standing.PLACED
    if on_list is not None:
        is_placed |= (own.standing == Standing.UNSURE) & is_among(own.who, on_list.who)
    goes = is_placed & ~is_among(own.who, np.sort(rows.who))
    if goes.any() and len(left_out):
        addresses, keys = left_out.addresses_and_keys(hash_key)
        goes &= ~is_among(own.who, addresses) & ~is_among(own.key, keys)
    return np.asarray(own.who[goes])


def placed_by(others: Sequence[People], who: np.ndarray) -> np.ndarray:
    """For each hash whether one of these ledgers has them on the list, or may have."""
    found = np.zeros(len(who), dtype=bool)
    for people in others:
        found |= np.isin(people.standing_of(who), (Standing.PLACED, Standing.UNSURE))
    return found


def _named(who: np.ndarray, names: Iterable[pa.Array], hash_key: bytes) -> list[str]:
    """The address of each hash, in their order."""
    found: dict[int, str] = {}
    for some in names:
        hashes = keyed_hashes(some, hash_key)
        places = np.flatnonzero(is_among(hashes, who))
        found.update((int(hashes[place]), str(some[int(place)])) for place in places)
    return [found[int(each)] for each in who]
