"""One open source for the live preview, and the tables kept in it: the parts of a run's expression.

Nothing is done otherwise than in a run: `members`, `winners` and `prepared` are what `prepare` is made of.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
import pyarrow as pa

from ccexport.preparation.expression import members, prepared, winners
from ccexport.preparation.files import MAX_PLAIN_EMAIL
from ccexport.preparation.mapping import FieldMapping, suggest_mapping
from ccexport.preparation.preview import read_samples
from ccexport.segments.source import Source
from ccexport.services.live_values import How, Name, Pick, Question, Usable, Whole
from ccexport.services.previews import ProfileSample

KEY = "CustomerId"
MAX_TABLES = 6  # that an engine keeps; of 1,000,000 members one takes some 30 MB
MAX_POOLS = 20  # of a few profiles each


@dataclass(frozen=True)
class _Pool:
    """A few profiles: as a table of the engine, and as they are."""

    table: ir.Table
    profiles: Mapping[str, Mapping[str, str | None]]


class LiveEngine:
    """An open source and what is kept in it. One thread at a time: hold `lock`."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.lock = threading.RLock()
        self._kept: OrderedDict[Name, ir.Table] = OrderedDict()
        self._pools: OrderedDict[Name, _Pool] = OrderedDict()
        self._keys: OrderedDict[Name, list[str]] = OrderedDict()

    # --- the few ---------------------------------------------------------------------------------

    def first_keys(self, segments: Sequence[str], pick: Pick) -> list[str]:
        """Keys of members that are profiles, as picked."""
        name = (frozenset(segments), pick)
        if name not in self._keys:
            customers = self.source.customers
            chosen = customers.semi_join(members(self.source.memberships, segments), KEY).select(
                KEY
            )
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
        chosen = pool.table.select(KEY)
        best = winners(pool.table, chosen, mapping, types)
        rows = prepared(pool.table, chosen, best, mapping, types)
        found = {
            sample.customer_id: sample
            for batch in self.source.stream(rows)
            for sample in read_samples(batch)
        }
        return tuple(
            ProfileSample(_as_it_is(pool.profiles[key], mapping), found[key])
            for key in keys
            if key in found
        )

    # --- the whole -------------------------------------------------------------------------------

    def count(self, question: Question) -> Whole:
        started, mapping, types = time.monotonic(), question.mapping, dict(question.types)
        with self.lock:
            customers = self.source.customers
            chosen = self._keep(
                ("members", frozenset(question.segments)),
                lambda: members(self.source.memberships, question.segments),
            )
            contested = self._keep(
                ("winners", question.deciding), lambda: winners(customers, chosen, mapping, types)
            )
            rows = prepared(customers, chosen, contested, mapping, types)
            judged = self._read_judged(_judged(rows, mapping))
        return Whole(question, judged, time.monotonic() - started)

    def usable(self) -> dict[str, Usable]:
        """One expression for all segments: every profile judged by its address, then counted by segment."""
        names = self.source.attribute_names
        address = suggest_mapping(names).get("email")
        if address is None:
            return {}
        with self.lock:
            places = self.source.memberships.filter(self.source.memberships[KEY].notnull())
            keys = self.source.customers.select(KEY)
            no_winners = keys.select(contested=KEY, winner=KEY).limit(0)  # a duplicate is usable
            mapping = FieldMapping((("email", address),))
            rows = prepared(self.source.customers, keys, no_winners, mapping, {})
            judged = rows.select("customer_id", is_usable=rows.reason.isnull())
            joined = places.distinct().inner_join(judged, places[KEY] == judged.customer_id)
            found = joined.group_by("Segment").agg(
                members=joined.count(), usable=joined.is_usable.sum()
            )
            rows_found = self._rows(found)
        return {row["Segment"]: Usable(row["members"], int(row["usable"])) for row in rows_found}

    # --- helpers ---------------------------------------------------------------------------------

    def _read_judged(self, rows: ir.Table) -> pa.Table:
        """Kept first: an engine works such a table out with all its threads, and reads it with one."""
        kept = self.source.keep(rows)
        try:
            batches = list(self.source.stream(kept.order_by(kept.customer_id)))
        finally:
            _forget(kept)
        return (
            pa.Table.from_batches(batches) if batches else rows.schema().to_pyarrow().empty_table()
        )

    def _keep(self, name: Name, work_out: Callable[[], ir.Table]) -> ir.Table:
        if name in self._kept:
            self._kept.move_to_end(name)
        else:
            gone = _remember_last(self._kept, name, self.source.keep(work_out()), MAX_TABLES)
            if gone is not None:
                _forget(gone)
        return self._kept[name]

    def _rows(self, expression: ir.Table) -> list[dict[str, Any]]:
        return [row for batch in self.source.stream(expression) for row in batch.to_pylist()]


def _judged(rows: ir.Table, mapping: FieldMapping) -> ir.Table:
    sizes = [_bytes_of(rows[field]) for field in mapping.fields]
    return rows.select(
        "customer_id",
        "reason",
        "sent_instead",
        "truncated",
        size=reduce(lambda a, b: a + b, sizes).cast("int64"),
        apart=(rows.email.length() > MAX_PLAIN_EMAIL).fill_null(False),
    )


def _bytes_of(value: ir.StringValue) -> ir.IntegerValue:
    """What a value takes in a file, with its quotes; a quotation mark inside, which is doubled, counts once."""
    is_quoted = value.contains(",") | value.contains('"')
    return (_octets(value) + is_quoted.ifelse(2, 0)).fill_null(0)


def _octets(value: ir.StringValue) -> ir.IntegerValue:
    if value.get_backend().name == "duckdb":
        return _strlen(value)
    return value.length()  # characters: of an address the same, of a name nearly


@ibis.udf.scalar.builtin(name="strlen")  # type: ignore[untyped-decorator]  # Ibis has no types here
def _strlen(value: str) -> int:
    """DuckDB's own: bytes of UTF-8."""
    raise NotImplementedError("the engine's function, of which this is the signature alone")


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
