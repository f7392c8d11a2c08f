"""What was found at a source: the two tables, how memberships are written, and whom they do not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ccexport.segments.opening import Opened
from ccexport.segments.source import Source, Strangers


@dataclass(frozen=True)
class FoundMemberships:
    """Memberships in one place: what people call it, the shape they have there, and how many."""

    table: str
    shape: str
    rows: int


@dataclass(frozen=True)
class SourceCheck:
    """A source, looked at as a whole. `address` has its password masked; `written`: when files were, where known."""

    address: str
    kind: str
    engine: str
    profiles_table: str
    key: str
    profiles: int
    memberships: Sequence[FoundMemberships]
    segments: int
    strangers: Strangers
    written: Mapping[str, str]


def check_source(source: Source, opened: Opened) -> SourceCheck:
    """Count everything once. Raises `SourceError` where something cannot be read."""
    return SourceCheck(
        address=opened.spec.shown,
        kind=opened.place.kind,
        engine=opened.place.backend.name,
        profiles_table=opened.profiles_name,
        key=opened.key,
        profiles=source.count(source.customers),
        memberships=[
            FoundMemberships(found.name, found.shape, source.count(found.table))
            for found in opened.memberships
        ],
        segments=len(source.segments()),
        strangers=source.strangers(),
        written=opened.place.freshness(),
    )
