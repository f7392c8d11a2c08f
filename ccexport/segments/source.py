"""The source of profiles: two tables, and the questions people ask of them. Opened read-only, never loaded whole.

What an engine says in its own words is translated here into a `SourceError` of one line that quotes no profile.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from ccexport.errors import SourceError
from ccexport.segments.masking import mask_value
from ccexport.segments.repeats import RepeatFinder, order_of
from ccexport.segments.text import as_text
from ccexport.segments.trouble import translated

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from ibis.backends import BaseBackend
    from ibis.backends.duckdb import Backend

KEY = "CustomerId"
SEGMENT = "Segment"
DEFAULT_MEMORY_LIMIT_MB = 2_000
EXAMPLES = 3
_EXAMPLE_ROWS = 200
_ROWS_PER_PIECE = 65_536  # of a result: of larger ones more is set aside than is used
_ONE_IN = 32  # so many keys is looked at, to find where to cut
_TOLERANCE = 0.1  # of a part: rather a tenth more in each than a small one more


@dataclass(frozen=True)
class Attribute:
    """A column of the profiles. `fill_rate`: share that is not blank, 0.0-1.0; `examples`: up to three, masked."""

    name: str
    type: str
    fill_rate: float
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Segment:
    """A segment and how many distinct profiles are in it."""

    name: str
    members: int


class Source:
    """Profiles and their segments, over one connection of its own. Close it, or use it in a `with`."""

    def __init__(
        self,
        backend: BaseBackend,
        customers: ir.Table,
        memberships: ir.Table,
        names: dict[str, str],
    ) -> None:
        """`names`: what people call the two tables (files), under "customers" and "memberships"."""
        self._backend, self._names = backend, names
        self._can_keep: bool = backend.name == "duckdb"
        self._kept = 0
        self._types = {name: str(type_) for name, type_ in customers.schema().items()}
        self.customers = as_text(customers)
        self.memberships = as_text(memberships.select(KEY, SEGMENT))

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """All columns of the profiles but the key, in their order."""
        return tuple(name for name in self.customers.columns if name != KEY)

    def segments(self) -> list[Segment]:
        """All segments by name, with the number of distinct profiles in each."""
        known = self.memberships.semi_join(self.customers, KEY)
        counted = known.group_by(SEGMENT).agg(members=known[KEY].nunique())
        return [
            Segment(row[SEGMENT], row["members"]) for row in self._rows(counted.order_by(SEGMENT))
        ]

    def check_segments(self, names: Iterable[str]) -> None:
        """Raise `SourceError` for the first name that is no segment of this source."""
        rows = self._rows(self.memberships.select(SEGMENT).distinct().order_by(SEGMENT))
        known = [row[SEGMENT] for row in rows]
        for name in names:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=3, cutoff=0.5) or known[:8]
                raise SourceError(
                    f'The source has no segment "{name}". It has: {", ".join(near)}. '
                    "Choose one of its segments."
                )

    def attributes(self) -> list[Attribute]:
        """Every attribute with its type, fill rate and masked examples (of the profiles with the smallest keys)."""
        names = self.attribute_names
        filled = {name: (self.customers[name].fill_null("") != "").sum() for name in names}
        [counts] = self._rows(self.customers.agg(profiles=self.customers.count(), **filled))
        first = self._rows(self.customers.order_by(KEY).limit(_EXAMPLE_ROWS))
        return [
            Attribute(
                name=name,
                type=self._types[name],
                fill_rate=int(counts[name] or 0) / max(counts["profiles"], 1),
                examples=_examples(row[name] for row in first),
            )
            for name in names
        ]

    def profile(self, customer_id: str) -> dict[str, str | None] | None:
        """One profile by its key, all attributes as text; None where there is none."""
        return self.profiles([customer_id]).get(customer_id)

    def keys_of(self, attribute: str, text: str) -> list[str]:
        """The keys of profiles in which an attribute, trimmed and in lower case, is this text; 1,000 at most."""
        value = self.customers[attribute].strip().lower()
        found = self.customers.filter(value == text).select(KEY).order_by(KEY).limit(1_000)
        return [row[KEY] for row in self._rows(found)]

    def profiles(self, customer_ids: Iterable[str]) -> dict[str, dict[str, str | None]]:
        """A few profiles, by key."""
        found = self._rows(self.customers.filter(self.customers[KEY].isin(list(customer_ids))))
        return {row[KEY]: row for row in found}

    def stream(
        self, expression: ir.Table, rows_per_batch: int = 16_384
    ) -> Iterator[pa.RecordBatch]:
        """Execute an expression over the source's tables and yield its rows as they come, in its order.

        Raises `SourceError`; also, at the latest after the last batch, where a `customer_id` comes twice.
        """
        finder = RepeatFinder() if "customer_id" in expression.columns else None
        with self._translated():
            for batch in self._backend.to_pyarrow_batches(expression, chunk_size=rows_per_batch):
                if finder:
                    self._refuse_repeat(finder.add(batch.column("customer_id")))
                yield batch
        if finder:
            self._refuse_repeat(finder.finish())

    def keep(self, expression: ir.Table) -> ir.Table:
        """Work an expression out once, and give a table with its rows, for use in further expressions.

        Only a source of files keeps them (in memory, until it is closed); a database is not written to.
        """
        if not self._can_keep:
            return expression
        self._kept += 1
        with self._translated():
            return self._backend.create_table(f"kept_{self._kept}", expression)

    @property
    def is_sorted_outside(self) -> bool:
        """Whether `fetch_by_key` serves better than an order in the expression: for files, not for a database."""
        return self._can_keep

    def fetch_by_key(self, expression: ir.Table) -> tuple[pa.Table, np.ndarray]:
        """All rows of an expression over files, in no order, and their row numbers in the order of `customer_id`.

        The engine works them out with all its threads. Its own sorting would take several times their size.
        Raises `SourceError`; also where a `customer_id` comes twice.
        """
        with self._translated():
            backend = cast("Backend", self._backend)
            # A relation, not a result: of that one thread alone makes Arrow's columns, and the others wait for it.
            rows = backend.con.sql(backend.compile(expression)).to_arrow_table(_ROWS_PER_PIECE)
        order, repeated = order_of(rows.column("customer_id"))
        self._refuse_repeat(repeated)
        return rows, order

    def octets(self, value: ir.StringValue) -> ir.IntegerValue:
        """The bytes of a text in UTF-8. Raises `NotImplementedError` for a database: not every one counts them."""
        if not self._can_keep:
            raise NotImplementedError(f"bytes are not counted by {self._backend.name}")
        return _strlen(value)

    def hash(self, value: ir.StringValue) -> ir.IntegerValue:
        """A hash (uint64) of a text of a source of files: the same for the same text while the source is open."""
        return _hash(value)

    def count(self, expression: ir.Table) -> int:
        """How many rows an expression has."""
        [counted] = self._rows(expression.agg(rows=expression.count()))
        return int(counted["rows"])

    def key_bounds(self, keys: ir.Table, rows_per_part: int) -> list[str]:
        """Keys (of column `CustomerId`) that cut those of `keys`, each there once, into parts of about so many.

        The parts are below the first, from each to below the next, and from the last on. Empty where one part will
        do, and for a database, which sorts any number of rows by itself.
        """
        if not self._can_keep:
            return []
        parts = math.ceil(self.count(keys) / rows_per_part - _TOLERANCE)
        if parts < 2:
            return []
        looked_at = keys.filter(_hash(keys[KEY]) % _ONE_IN == 0).select(KEY)
        found = sorted(row[KEY] for row in self._rows(looked_at))
        if len(found) < parts:
            return []
        return [found[len(found) * part // parts] for part in range(1, parts)]

    def close(self) -> None:
        """Give the connection back; the source cannot be used afterwards."""
        self._backend.disconnect()

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _rows(self, expression: ir.Table) -> list[dict[str, Any]]:
        with self._translated():
            batches = self._backend.to_pyarrow_batches(expression)
            return [row for batch in batches for row in batch.to_pylist()]

    @contextmanager
    def _translated(self) -> Iterator[None]:
        with translated(self._names):
            yield

    def _refuse_repeat(self, customer_id: str | None) -> None:
        if customer_id is not None:
            raise SourceError(
                f'{self._names["customers"]} has more than one profile with the CustomerId "{customer_id}". '
                "Make the keys unique."
            )


def open_source(
    url: str,
    *,
    threads: int | None = None,
    memory_limit_mb: int = DEFAULT_MEMORY_LIMIT_MB,
    temporary_folder: Path | None = None,
) -> Source:
    """Open the source at `CCEXPORT_SOURCE_URL`. Raises `SourceError` where it cannot be read as it is."""
    if url.startswith("file:"):
        from ccexport.segments.files import open_folder

        backend, customers, memberships, names = open_folder(
            url, threads=threads, memory_limit_mb=memory_limit_mb
        )
    else:
        from ccexport.segments.databases import open_database

        backend, customers, memberships, names = open_database(url)
    return Source(backend, customers, memberships, names)


@ibis.udf.scalar.builtin(name="hash")  # type: ignore[untyped-decorator]  # Ibis has no types here
def _hash(value: str) -> dt.uint64:
    """DuckDB's own: what Ibis makes of `hash` goes by way of a text of bits, which takes longer than the query."""
    raise NotImplementedError("the engine's function, of which this is the signature alone")


@ibis.udf.scalar.builtin(name="strlen")  # type: ignore[untyped-decorator]  # Ibis has no types here
def _strlen(value: str) -> int:
    """DuckDB's own: bytes of UTF-8."""
    raise NotImplementedError("the engine's function, of which this is the signature alone")


def _examples(values: Iterable[str | None]) -> tuple[str, ...]:
    distinct = dict.fromkeys(value for value in values if value and value.strip())
    return tuple(mask_value(value) for value in list(distinct)[:EXAMPLES])
