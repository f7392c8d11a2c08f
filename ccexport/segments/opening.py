"""From an address to the two canonical tables: profiles with their key, and memberships as (key, segment)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce

import ibis
import ibis.expr.types as ir

from ccexport.errors import SourceError
from ccexport.segments.places import Means, Place
from ccexport.segments.shapes import Found, find_memberships, labels_of
from ccexport.segments.spark import disconnect
from ccexport.segments.spec import KEY, SourceSpec
from ccexport.segments.text import TOO_LARGE, described, is_text, key_of


@dataclass(frozen=True)
class Opened:
    """An open source: where it is, and what was found there."""

    spec: SourceSpec
    place: Place
    profiles: ir.Table
    profiles_name: str
    key: str
    memberships: Sequence[Found]
    labels: ir.Table | None = None
    names: dict[str, str] = field(default_factory=dict)

    @property
    def pairs(self) -> ir.Table:
        """All memberships, put together."""
        return reduce(lambda a, b: a.union(b), [found.table for found in self.memberships])

    @property
    def reads_files(self) -> bool:
        """Whether the engine is one of ours in memory, which may keep tables."""
        return self.place.kind != "database"


def open_tables(spec: SourceSpec, means: Means) -> Opened:
    """Open a source. Raises `SourceError` where it cannot be read as it is."""
    place = _open_place(spec, means)
    try:
        return _open_tables(spec, place)
    except BaseException:
        disconnect(place.backend)
        raise


def _open_place(spec: SourceSpec, means: Means) -> Place:
    threads, memory_limit_mb = means.threads, means.memory_limit_mb
    now, pause = means.now, means.pause
    if spec.kind == "file":
        from ccexport.segments.files import Folder

        return Folder(spec, threads=threads, memory_limit_mb=memory_limit_mb, now=now, pause=pause)
    if spec.kind == "cdm":
        from ccexport.segments.cdm import CommonData

        return CommonData(spec, threads=threads, memory_limit_mb=memory_limit_mb)
    if spec.kind == "dataverse":
        from ccexport.segments.dataverse import Dataverse

        return Dataverse(spec, means)
    from ccexport.segments.databases import Database

    return Database(spec)


def _open_tables(spec: SourceSpec, place: Place) -> Opened:
    table = spec.profiles.table or place.default_tables[0]
    key = spec.profiles.key or place.default_key
    profiles = place.profiles(table, key)
    _check_key(place, profiles, table, key)
    memberships = [
        found
        for wanted in spec.memberships
        for found in find_memberships(place, wanted, profiles, key)
    ]
    wanted = spec.segment_names
    labels = labels_of(place, wanted.table, wanted.name, wanted.label) if wanted else None
    return Opened(
        spec,
        place,
        _keyed(profiles, key, place.called(table)),
        place.called(table),
        key,
        memberships,
        labels,
        {
            "customers": place.called(table),
            "memberships": " and ".join(dict.fromkeys(found.name for found in memberships)),
            "key": key,
        },
    )


def _keyed(profiles: ir.Table, key: str, name: str) -> ir.Table:
    """The key as text, under the name that everything else knows; a key of another name stays an attribute too."""
    if key == KEY:
        return profiles.mutate(**{KEY: key_of(profiles[KEY])})
    if KEY in profiles.columns:
        raise SourceError(
            f"{name} has the key {key}, and another column {KEY}. Rename that one, or make it the key."
        )
    return profiles.mutate(**{KEY: key_of(profiles[key])})


def _check_key(place: Place, profiles: ir.Table, table: str, key: str) -> None:
    column = profiles[key]
    if not is_text(column.type()):
        raise SourceError(
            f'The key "{key}" of {place.called(table)} is {described(column.type())}. Write it as text.'
        )
    if not column.type().is_floating():
        return
    with place.translated():
        far = profiles.filter(column.abs() >= TOO_LARGE).limit(1)
        found = place.backend.to_pyarrow_batches(far.select(found=ibis.literal(1)))
        if any(batch.num_rows for batch in found):
            raise SourceError(
                f'The key "{key}" of {place.called(table)} is a floating number beyond 2^53, where two keys may have '
                "become one. Write it as text or as a whole number."
            )
