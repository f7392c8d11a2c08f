"""A small source in an engine's memory, made of Python rows."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pytest

Row = dict[str, Any]


class Memory:
    """Tables in DuckDB, as the engine that `prepared_rows` asks for."""

    def __init__(
        self, profiles: Sequence[Mapping[str, str | None]], members: Sequence[tuple[str, str]]
    ):
        self._backend = ibis.duckdb.connect(threads=2)
        self.sorts_outside = True
        names = list(dict.fromkeys(["CustomerId", *(name for p in profiles for name in p)]))
        customers = pa.table(
            {name: pa.array([p.get(name) for p in profiles], pa.string()) for name in names}
        )
        pairs = pa.table(
            {
                "CustomerId": pa.array([key for key, _ in members], pa.string()),
                "Segment": pa.array([segment for _, segment in members], pa.string()),
            }
        )
        self.customers = self._table("customers", customers)
        self.memberships = self._table("memberships", pairs)

    def _table(self, name: str, rows: pa.Table) -> ir.Table:
        self._backend.con.register("arrow_" + name, rows)
        self._backend.raw_sql(f"CREATE TABLE {name} AS FROM arrow_{name}")
        return self._backend.table(name)

    def keep(self, expression: ir.Table) -> ir.Table:
        return self._backend.create_table(f"kept_{uuid.uuid4().hex}", expression)

    def key_bounds(self, keys: ir.Table, rows_per_part: int) -> list[str]:
        found = sorted(row["CustomerId"] for row in self.rows(keys))
        return found[rows_per_part::rows_per_part]

    @property
    def is_sorted_outside(self) -> bool:
        return self.sorts_outside

    def fetch_by_key(self, expression: ir.Table) -> tuple[pa.Table, np.ndarray]:
        rows = self._backend.con.sql(self._backend.compile(expression)).to_arrow_table()
        keys = rows.column("customer_id").to_pylist()
        order = sorted(range(len(keys)), key=lambda row: keys[row].encode())
        return rows, np.array(order, dtype=np.int64)

    def octets(self, value: ir.StringValue) -> ir.IntegerValue:
        return _strlen(value)

    def hash(self, value: ir.StringValue) -> ir.IntegerValue:
        return _hash(value)

    def count(self, expression: ir.Table) -> int:
        return len(self.rows(expression))

    def stream(self, expression: ir.Table) -> Iterator[pa.RecordBatch]:
        yield from self._backend.to_pyarrow_batches(expression, chunk_size=1_000)

    def rows(self, expression: ir.Table) -> list[Row]:
        return [row for batch in self.stream(expression) for row in batch.to_pylist()]

    def close(self) -> None:
        self._backend.disconnect()


@ibis.udf.scalar.builtin(name="strlen")  # type: ignore[untyped-decorator]  # Ibis has no types here
def _strlen(value: str) -> int:
    raise NotImplementedError("DuckDB's own")


@ibis.udf.scalar.builtin(name="hash")  # type: ignore[untyped-decorator]  # Ibis has no types here
def _hash(value: str) -> dt.uint64:
    raise NotImplementedError("DuckDB's own")


@pytest.fixture
def memory() -> Iterator[Callable[..., Memory]]:
    """Makes a `Memory` of profiles, all of them members of segment S unless said otherwise."""
    made: list[Memory] = []

    def make(
        profiles: Sequence[Mapping[str, str | None]],
        members: Sequence[tuple[str, str]] | None = None,
    ) -> Memory:
        everybody = [(str(profile["CustomerId"]), "S") for profile in profiles]
        made.append(Memory(profiles, everybody if members is None else members))
        return made[-1]

    yield make
    for each in made:
        each.close()
