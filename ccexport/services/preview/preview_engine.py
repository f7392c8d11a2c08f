"""One open source for previews: the whole judged, and a few profiles kept to be looked at again and again.

Nothing is done otherwise than in a run: `samples` and `judge` are made of what `prepare` is.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import ibis.expr.operations as ops
import ibis.expr.types as ir

from ccexport.preparation.emails import MAX_EMAIL, clean_address, is_valid
from ccexport.preparation.judging import judge
from ccexport.preparation.line import attributes, places
from ccexport.preparation.mapping import FieldMapping, suggest_mapping
from ccexport.preparation.samples import samples
from ccexport.segments.source import Source, Strangers
from ccexport.services.preview.preview_values import (
    How,
    Name,
    Pick,
    ProfileSample,
    Question,
    Usable,
    Whole,
)

Answer = TypeVar("Answer")
KEY = "CustomerId"
MAX_POOLS = 20  # of a few profiles each


@dataclass(frozen=True)
class _Pool:
    """A few profiles: as a table of the engine, and as they are."""

    table: ir.Table
    profiles: Mapping[str, Mapping[str, str | None]]


class PreviewEngine:
    """An open source and what is kept in it. One thread at a time: hold `lock`."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.lock = threading.RLock()
        self._pools: OrderedDict[Name, _Pool] = OrderedDict()
        self._keys: OrderedDict[Name, list[str]] = OrderedDict()
        self._strangers: OrderedDict[Name, Strangers] = OrderedDict()

    # --- the few ---------------------------------------------------------------------------------

    def first_keys(self, segments: Sequence[str], pick: Pick) -> list[str]:
        """Keys of members that are profiles, as picked."""
        name = (frozenset(segments), pick)
        if name not in self._keys:
            customers = self.source.customers
            chosen = customers.semi_join(places(self.source.memberships, segments), KEY).select(KEY)
            if pick.how is How.KEY:
                chosen = chosen.filter(chosen[KEY] == pick.key.strip())
            order = (
                (chosen[KEY] + f"|{pick.seed}").hash() if pick.how is How.RANDOM else chosen[KEY]
            )
            rows = self._rows(chosen.order_by(order).limit(pick.count))
            _remember_last(self._keys, name, sorted(row[KEY] for row in rows), 50)
        return self._keys[name]

    def pool(self, segments: Sequence[str], keys: Sequence[str]) -> _Pool:
        name = (frozenset(segments), tuple(sorted(keys)))
        if name not in self._pools:
            customers = self.source.customers
            table = self.source.keep(customers.filter(customers[KEY].isin(sorted(keys))))
            profiles = {row[KEY]: row for row in self._rows(table.order_by(KEY))}
            gone = _remember_last(self._pools, name, _Pool(table, profiles), MAX_POOLS)
            if gone is not None:
                _forget(gone.table)
        return self._pools[name]

    def evaluate(
        self, question: Question, keys: Sequence[str], sent_instead: Sequence[str]
    ) -> tuple[ProfileSample, ...]:
        """The profiles of `keys` by the expression of a run, over them and those sent instead of them."""
        if not keys:
            return ()
        pool, mapping, types = (
            self.pool(question.segments, [*keys, *sent_instead]),
            question.mapping,
            dict(question.types),
        )
        rows = attributes(pool.table, mapping)
        found = {each.customer_id: each for each in samples(self.source, rows, mapping, types)}
        return tuple(
            ProfileSample(_as_it_is(pool.profiles[key], mapping), found[key])
            for key in keys
            if key in found
        )

    # --- the whole -------------------------------------------------------------------------------

    def count(self, question: Question) -> Whole:
        started = time.monotonic()
        self.source.check_types(question.mapping.attributes_used)
        with self.lock:
            judged = judge(self.source, question.segments, question.mapping, dict(question.types))
            strangers = self._strangers_in(question.segments, found=len(judged.keys))
        return Whole(question, judged, strangers, time.monotonic() - started)

    def _strangers_in(self, segments: Sequence[str], *, found: int) -> Strangers:
        """The mapping decides nothing about them, so they are looked for once."""
        name = (frozenset(segments),)
        if name not in self._strangers:
            strangers = self.source.strangers(segments, found=found)
            _remember_last(self._strangers, name, strangers, MAX_POOLS)
        return self._strangers[name]

    def locked(self, answer: Callable[[Source], Answer]) -> Answer:
        """What somebody makes of the source, while nobody else asks it."""
        with self.lock:
            return answer(self.source)

    def usable(self) -> dict[str, Usable]:
        """One expression for all segments: every profile judged by its address, then counted by segment."""
        names = self.source.attribute_names
        address = suggest_mapping(names).get("email")
        if address is None:
            return {}
        with self.lock:
            memberships, customers = self.source.memberships, self.source.customers
            chosen = memberships.filter(memberships[KEY].notnull()).distinct()
            email = clean_address(customers[address])
            is_usable = ((email.length() <= MAX_EMAIL) & is_valid(email)).fill_null(False)
            judged = customers.select(customer_id=customers[KEY], is_usable=is_usable)
            joined = chosen.inner_join(judged, chosen[KEY] == judged.customer_id)
            found = joined.group_by("Segment").agg(
                members=joined.count(), usable=joined.is_usable.sum()
            )
            rows_found = self._rows(found)
        return {row["Segment"]: Usable(row["members"], int(row["usable"])) for row in rows_found}

    # --- helpers ---------------------------------------------------------------------------------

    def _rows(self, expression: ir.Table) -> list[dict[str, Any]]:
        return [row for batch in self.source.stream(expression) for row in batch.to_pylist()]


def _forget(table: ir.Table) -> None:
    """Give a kept table's memory back; an expression that was not kept has none."""
    operation = table.op()
    if isinstance(operation, ops.DatabaseTable) and operation.name.startswith("kept_"):
        table.get_backend().raw_sql(f'DROP TABLE IF EXISTS "{operation.name}"')


def _remember_last(kept: OrderedDict[Name, Any], key: Name, value: Any, most: int) -> Any:
    """Remember a value; gives the one that had to go for it, if any."""
    kept[key] = value
    return kept.popitem(last=False)[1] if len(kept) > most else None


def _as_it_is(profile: Mapping[str, str | None], mapping: FieldMapping) -> Mapping[str, str | None]:
    return {name: profile.get(name) for name in mapping.attributes_used}
