"""What is asked of the live preview, and what it answers."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import zip_longest

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ccexport.preparation.files import MAX_CONTACTS_PER_FILE, MAX_FILE_BYTES
from ccexport.preparation.mapping import CUSTOM_PREFIX, FieldMapping
from ccexport.preparation.values import can_reject
from ccexport.services.previews import CHECKS_BEFORE_SENDING, LOOKS_AT_LEAST, ProfileSample
from ccexport.states import Rejection

_TROUBLED_LOOKED_AT = 500  # of each reason

Name = tuple[Hashable, ...]  # of something worked out


@dataclass(frozen=True)
class Question:
    """What is previewed. `types`: custom field name → type in the account, for those mapped."""

    segments: tuple[str, ...]
    mapping: FieldMapping
    types: tuple[tuple[str, str], ...] = ()

    @property
    def deciding(self) -> Name:
        """What decides which profiles are left out: as long as it stays, so do the duplicates."""
        types = dict(self.types)
        pairs = tuple(
            (field, value, types.get(field.removeprefix(CUSTOM_PREFIX), "string"))
            for field, value in self.mapping.pairs
            if field == "email"
            or can_reject(field, types.get(field.removeprefix(CUSTOM_PREFIX), "string"))
        )
        return (frozenset(self.segments), pairs)


class How(StrEnum):
    """Which profiles to show."""

    FIRST = "first"
    RANDOM = "random"
    TROUBLED = "troubled"  # left out, or with a value cut
    KEY = "key"


@dataclass(frozen=True)
class Pick:
    """Which profiles to show, and how many. `seed` makes other random ones; `key` is of `How.KEY`."""

    how: How = How.FIRST
    count: int = 8
    seed: int = 0
    key: str = ""


@dataclass(frozen=True)
class Glance:
    """A few profiles. Until `is_settled`, duplicates are known among themselves alone."""

    samples: tuple[ProfileSample, ...]
    is_settled: bool


@dataclass(frozen=True)
class Whole:
    """What a run of the whole segments would do: counts, and how each profile was judged.

    `judged` has a row a profile, by key: `customer_id`, `reason`, `sent_instead`, `truncated`, `size` (bytes of its
    values in a file), `apart` (a long address, which goes into a file of its own kind).
    """

    question: Question
    judged: pa.Table
    seconds: float  # it took to find out

    @property
    def read(self) -> int:
        return int(self.judged.num_rows)

    @cached_property
    def rejections(self) -> Mapping[str, int]:
        """Profiles left out, by reason, in the order that people are told."""
        counted = pc.value_counts(self.judged["reason"]).to_pylist()
        found = {each["values"]: each["counts"] for each in counted}
        return {reason.value: found[reason.value] for reason in Rejection if reason.value in found}

    @property
    def rejected(self) -> int:
        return sum(self.rejections.values())

    @property
    def prepared(self) -> int:
        return self.read - self.rejected

    @cached_property
    def truncated(self) -> int:
        """Profiles that are sent with a value cut."""
        return int(self._cut.num_rows)

    @cached_property
    def files(self) -> int:
        """Counted by the bytes of values and separators; a column blank in a whole file could save one more."""
        contacts = self.judged.filter(pc.is_null(self.judged["reason"]))
        separators = len(self.question.mapping.pairs) + 1
        sizes = contacts["size"].combine_chunks().to_numpy() + separators
        apart = np.asarray(contacts["apart"].combine_chunks().to_pylist(), dtype=bool)
        header = len(",".join(self.question.mapping.fields).encode()) + 2
        room = MAX_FILE_BYTES - header
        return _files_of(sizes[~apart], room) + _files_of(sizes[apart], room)

    @property
    def requests(self) -> int:
        """An estimate: how often one looks depends on Constant Contact."""
        if not self.prepared:
            return 0
        checks = CHECKS_BEFORE_SENDING + bool(self.question.mapping.custom_fields)
        return checks + self.files + LOOKS_AT_LEAST

    def keys(self, reason: str | None, limit: int, offset: int = 0) -> list[str]:
        """Keys of the profiles left out for a reason; None: of those with a value cut."""
        rows = self._cut if reason is None else self._of(reason)
        return list(rows["customer_id"].slice(offset, limit).to_pylist())

    def troubled(self, limit: int) -> list[str]:
        """Keys of profiles left out or cut, each kind of trouble in its turn."""
        kinds: list[str | None] = [*self.rejections, *([None] if self.truncated else [])]
        by_kind = [self.keys(kind, min(limit, _TROUBLED_LOOKED_AT)) for kind in kinds]
        mixed = [key for turn in zip_longest(*by_kind) for key in turn if key is not None]
        return list(dict.fromkeys(mixed))[:limit]

    def sent_instead(self, keys: Sequence[str]) -> list[str]:
        """Keys of the profiles that are sent instead of some of `keys`."""
        found = self._duplicates.filter(
            pc.is_in(self._duplicates["customer_id"], value_set=pa.array(keys, pa.string()))
        )
        return list(dict.fromkeys(found["sent_instead"].to_pylist()))

    @cached_property
    def _duplicates(self) -> pa.Table:
        return self._of(Rejection.DUPLICATE).select(["customer_id", "sent_instead"])

    @cached_property
    def _cut(self) -> pa.Table:
        reason, truncated = self.judged["reason"], self.judged["truncated"]
        return self.judged.filter(pc.and_(pc.is_null(reason), truncated))

    def _of(self, reason: str) -> pa.Table:
        return self.judged.filter(pc.equal(self.judged["reason"], reason))


@dataclass(frozen=True)
class Usable:
    """A segment: its members, and those with an address that can be written to (duplicates among them)."""

    members: int
    usable: int


def _files_of(sizes: np.ndarray, room: int) -> int:
    """Into how many files rows of these sizes (bytes) go, in order, each as full as both limits allow."""
    ends = np.cumsum(sizes)
    first = files = 0
    while first < len(sizes):
        before = int(ends[first - 1]) if first else 0
        by_bytes = int(np.searchsorted(ends, before + room, "right"))
        first = max(min(by_bytes, first + MAX_CONTACTS_PER_FILE), first + 1)
        files += 1
    return files
