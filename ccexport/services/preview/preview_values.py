"""What is asked of a preview, and what it answers."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import zip_longest
from typing import Any

import numpy as np
import pyarrow.compute as pc

from ccexport.preparation.columns import index_array
from ccexport.preparation.fields import can_reject
from ccexport.preparation.judging import VERDICTS, Judged, measure_files
from ccexport.preparation.mapping import CUSTOM_PREFIX, FieldMapping
from ccexport.preparation.samples import Sample
from ccexport.segments.source import Strangers

CHECKS_BEFORE_SENDING = 2  # account and list; a further one for custom fields
LOOKS_AT_LEAST = 2
SAMPLES_BY_REASON = 3
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
class ProfileSample:
    """A profile as it is, beside what Constant Contact would get."""

    profile: Mapping[str, str | None]
    sample: Sample


@dataclass(frozen=True)
class Glance:
    """A few profiles. Until `is_settled`, duplicates are known among themselves alone."""

    samples: tuple[ProfileSample, ...]
    is_settled: bool


@dataclass(frozen=True)
class Whole:
    """What a run of the whole segments would do: counts, and how each profile was judged."""

    question: Question
    judged: Judged
    strangers: Strangers  # members that have no profile
    seconds: float  # it took to find out

    @property
    def read(self) -> int:
        return len(self.judged.keys)

    @cached_property
    def rejections(self) -> Mapping[str, int]:
        """Profiles left out, by reason, in the order that people are told."""
        counts = np.bincount(self.judged.verdicts, minlength=len(VERDICTS)).tolist()
        return {
            verdict: count
            for verdict, count in zip(VERDICTS, counts, strict=True)
            if verdict is not None and count
        }

    @property
    def rejected(self) -> int:
        return sum(self.rejections.values())

    @property
    def prepared(self) -> int:
        return self.read - self.rejected

    @property
    def warnings(self) -> list[dict[str, Any]]:
        """What is sent as it is, and hardly meant: words for nothing, by field, and how many contacts have them."""
        return [
            {"field": field, "value": word, "count": count}
            for (field, word), count in self.judged.words_for_nothing.items()
        ]

    def warning_lines(self) -> list[str]:
        """`412 first names are 'NULL', sent as it is there.`"""
        return [
            f"{each['count']:,} {_values_of(each['field'], each['count'])} '{each['value']}', sent as it is there."
            for each in self.warnings
        ]

    @property
    def truncated(self) -> int:
        """Profiles that are sent with a value cut."""
        return len(self._cut)

    @property
    def files(self) -> int:
        """The files that a run would send."""
        return len(self._file_bytes)

    @property
    def bytes(self) -> int:
        """Of all those files."""
        return sum(self._file_bytes)

    @property
    def requests(self) -> int:
        """An estimate: how often one looks depends on Constant Contact."""
        if not self.prepared:
            return 0
        checks = CHECKS_BEFORE_SENDING + bool(self.question.mapping.custom_fields)
        return checks + self.files + LOOKS_AT_LEAST

    def keys(self, reason: str | None, limit: int, offset: int = 0) -> list[str]:
        """Keys of the profiles left out for a reason, in order; None: of those with a value cut."""
        rows = self._cut if reason is None else self._of(reason)
        return self._smallest(rows, offset + limit)[offset:]

    def examples(self, count: int) -> list[str]:
        """Keys of the first contacts, so many, and of the first few profiles left out for each reason."""
        few = min(count, SAMPLES_BY_REASON)
        contacts = self._smallest(self._of(None), count)
        return [*contacts, *(key for reason in self.rejections for key in self.keys(reason, few))]

    def troubled(self, limit: int) -> list[str]:
        """Keys of profiles left out or cut, each kind of trouble in its turn."""
        kinds: list[str | None] = [*self.rejections, *([None] if self.truncated else [])]
        by_kind = [self.keys(kind, min(limit, _TROUBLED_LOOKED_AT)) for kind in kinds]
        mixed = [key for turn in zip_longest(*by_kind) for key in turn if key is not None]
        return list(dict.fromkeys(mixed))[:limit]

    def sent_instead(self, keys: Sequence[str]) -> list[str]:
        """Keys of the profiles that are sent instead of some of `keys`."""
        return list(dict.fromkeys(self._winners[key] for key in keys if key in self._winners))

    @cached_property
    def _winners(self) -> Mapping[str, str]:
        duplicates = self._keys(np.array(list(self.judged.sent_instead), dtype=np.int64))
        return dict(zip(duplicates, self.judged.sent_instead.values(), strict=True))

    @cached_property
    def _cut(self) -> np.ndarray:
        return np.flatnonzero((self.judged.verdicts == 0) & self.judged.is_cut)

    @cached_property
    def _file_bytes(self) -> Sequence[int]:
        """As a run cuts them: contacts of plain addresses, then those of long ones."""
        judged, fields = self.judged, self.question.mapping.fields
        is_contact = judged.verdicts == 0
        return [
            size
            for kind in (is_contact & ~judged.is_apart, is_contact & judged.is_apart)
            for size in measure_files(judged.bytes[kind], judged.filled[kind], fields)
        ]

    def _of(self, reason: str | None) -> np.ndarray:
        return np.flatnonzero(self.judged.verdicts == VERDICTS.index(reason))

    def _smallest(self, rows: np.ndarray, count: int) -> list[str]:
        """The smallest keys of some rows, in order."""
        keys = self.judged.keys.take(index_array(rows))
        first = pc.select_k_unstable(keys, k=min(count, len(keys)), sort_keys=[("", "ascending")])
        return list(keys.take(first).to_pylist())

    def _keys(self, rows: np.ndarray) -> list[str]:
        return list(self.judged.keys.take(index_array(rows)).to_pylist())


@dataclass(frozen=True)
class Usable:
    """A segment: its members, and those with an address that can be written to (duplicates among them)."""

    members: int
    usable: int


def _values_of(field: str, count: int) -> str:
    """`first names are`; `first name is`."""
    name = field.removeprefix(CUSTOM_PREFIX).replace("_", " ")
    if count == 1:
        return f"{name} is"
    return f"{name[:-1]}ies are" if name.endswith("y") else f"{name}s are"
