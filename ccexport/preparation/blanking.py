"""A forgotten person's rows: blank but for the reason, where they stood, so that row numbers go on to hold."""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

KEPT = ("reason",)  # counts of the history stay checkable


class Blanking:
    """Blanks the rows of one address and its profiles in record batches that pass; counts them."""

    def __init__(self, email: str, customer_ids: Collection[str]) -> None:
        self._email = email
        self._ids = pa.array(sorted(customer_ids), pa.string())
        self.rows = 0

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        emails = pc.utf8_lower(pc.utf8_trim_whitespace(batch.column("email")))
        his = pc.or_(
            pc.fill_null(pc.equal(emails, self._email), False),
            pc.is_in(batch.column("customer_id"), value_set=self._ids),
        )
        self.rows += pc.sum(his).as_py() or 0
        columns = [
            column if name in KEPT else _without(column, self._gone(name, column, his))
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
        ]
        return pa.record_batch(columns, schema=batch.schema)

    def _gone(self, name: str, column: pa.Array, his: pa.Array) -> pa.Array:
        """Of others' rows, the key of his profile as the one that was sent in their stead."""
        if name != "sent_instead":
            return his
        return pc.or_(his, pc.is_in(column, value_set=self._ids))


def _without(column: pa.Array, gone: pa.Array) -> pa.Array:
    return pc.if_else(gone, pa.scalar(None, column.type), column)
