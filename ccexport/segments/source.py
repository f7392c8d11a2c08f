"""The source of profiles: two tables, and the questions people ask of them. Opened read-only, never loaded whole.

What an engine says in its own words is translated here into a `SourceError` of one line that quotes no profile.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import ibis.expr.types as ir

from ccexport.errors import SourceError
from ccexport.segments.masking import mask_value
from ccexport.segments.repeats import RepeatFinder
from ccexport.segments.text import as_text
from ccexport.segments.trouble import translated

if TYPE_CHECKING:
    import pyarrow as pa
    from ibis.backends import BaseBackend

KEY = "CustomerId"
SEGMENT = "Segment"
DEFAULT_MEMORY_LIMIT_MB = 2_000
EXAMPLES = 3
_EXAMPLE_ROWS = 200
_KEYS_LOOKED_AT = 5_000  # a part, to find where to cut


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
        self._can_keep, self._kept = backend.name == "duckdb", 0
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

    def key_bounds(self, keys: ir.Table, rows_per_part: int) -> list[str]:
        """Keys (of column `CustomerId`, each once in `keys`) that cut them into parts of about so many rows.

        The parts are below the first, from each to below the next, and from the last on. Empty where one part will
        do, and for a database, which sorts any number of rows by itself.
        """
        if not self._can_keep:
            return []
        [total] = self._rows(keys.agg(rows=keys.count()))
        parts = -(-total["rows"] // rows_per_part)
        if parts < 2:
            return []
        every = max(total["rows"] // (parts * _KEYS_LOOKED_AT), 1)
        looked_at = keys.filter(keys[KEY].hash().abs() % every == 0) if every > 1 else keys
        found = sorted(row[KEY] for row in self._rows(looked_at.select(KEY)))
        return [found[len(found) * part // parts] for part in range(1, parts)] if found else []

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


def _examples(values: Iterable[str | None]) -> tuple[str, ...]:
    distinct = dict.fromkeys(value for value in values if value and value.strip())
    return tuple(mask_value(value) for value in list(distinct)[:EXAMPLES])
