"""What a run would do, from the very stream that a run reads: exact counts, files and bytes, and samples.

Pure: takes Arrow batches or Ibis tables, executes nothing itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ccexport.preparation.columns import is_null, is_true, rows_where
from ccexport.preparation.expression import ROW_COLUMNS
from ccexport.preparation.files import BatchPlanner

REJECTION_COLUMNS = ("customer_id", "email", "reason", "sent_instead")
REJECTIONS_SCHEMA = pa.schema([(name, pa.string()) for name in REJECTION_COLUMNS])
SAMPLES_BY_REASON = 3


@dataclass(frozen=True)
class Sample:
    """One profile as it would be sent, or why it would not. `contact` has the fields that are not blank."""

    customer_id: str
    contact: Mapping[str, str]
    rejection: str | None
    sent_instead: str | None


@dataclass(frozen=True)
class Preview:
    """`read == rejected + prepared`. `files` and `bytes` are those of the CSV files a run would send."""

    read: int
    rejected: int
    prepared: int
    truncated: int
    rejections: Mapping[str, int]
    files: int
    bytes: int
    samples: tuple[Sample, ...] = field(default=())


def contacts_schema(fields: Sequence[str]) -> pa.Schema:
    """The schema of the contacts that `split` gives: the key, then the contact fields in file order."""
    return pa.schema([(name, pa.string()) for name in ("customer_id", *fields)])


def split(
    batch: pa.RecordBatch, fields: Sequence[str]
) -> tuple[pa.RecordBatch, pa.RecordBatch, int]:
    """Prepared rows → (contacts, rejections, how many of the contacts had a value cut)."""
    is_contact = is_null(batch.column("reason"))
    rejected = rows_where(_pick(batch, REJECTION_COLUMNS), ~is_contact)
    contacts = rows_where(_pick(batch, ("customer_id", *fields)), is_contact)
    cut = np.count_nonzero(is_contact & is_true(batch.column("truncated")))
    return contacts, rejected, int(cut)


def summarise(
    batches: Iterable[pa.RecordBatch], fields: Sequence[str], samples: int = 0
) -> Preview:
    """Count the prepared rows, and the files they make. `samples`: so many contacts, and some of each rejection."""
    read = truncated = files = total_bytes = 0
    reasons: Counter[str] = Counter()
    planner, chosen = BatchPlanner(fields, digests=False), _Samples(samples)
    for batch in batches:
        contacts, rejected, cut = split(batch, fields)
        read, truncated = read + batch.num_rows, truncated + cut
        reasons.update(_counts(rejected.column("reason")))
        chosen.look_at(batch, contacts, rejected)
        for planned in planner.add(contacts):
            files, total_bytes = files + 1, total_bytes + planned.bytes
    for planned in planner.finish():
        files, total_bytes = files + 1, total_bytes + planned.bytes
    rejections = dict(sorted(reasons.items()))
    rejected_count = sum(rejections.values())
    return Preview(
        read=read,
        rejected=rejected_count,
        prepared=read - rejected_count,
        truncated=truncated,
        rejections=rejections,
        files=files,
        bytes=total_bytes,
        samples=tuple(chosen.found),
    )


def sample(
    prepared: ir.Table,
    count: int,
    *,
    reason: str | None = None,
    customer_id: str | None = None,
) -> ir.Table:
    """The first `count` rows of a prepared expression: of one rejection reason, or the one of a key, or any."""
    rows = prepared
    if reason is not None:
        rows = rows.filter(rows.reason == reason)
    if customer_id is not None:
        rows = rows.filter(rows.customer_id == customer_id)
    return rows.order_by(rows.customer_id).limit(count)


def read_samples(batch: pa.RecordBatch | pa.Table) -> list[Sample]:
    """Prepared rows as samples; meant for a few rows."""
    return [_sample(row) for row in batch.to_pylist()]


class _Samples:
    """Collects the first contacts and the first few of each rejection reason, in the order of the stream."""

    def __init__(self, count: int) -> None:
        self._count, self._contacts = count, 0
        self._by_reason: Counter[str] = Counter()
        self.found: list[Sample] = []

    def look_at(
        self, batch: pa.RecordBatch, contacts: pa.RecordBatch, rejected: pa.RecordBatch
    ) -> None:
        if not self._count:
            return
        missing = self._count - self._contacts
        if missing > 0 and contacts.num_rows:
            rows = batch.filter(pc.is_null(batch.column("reason"))).slice(0, missing)
            self._contacts += rows.num_rows
            self.found += read_samples(rows)
        for reason in pc.unique(rejected.column("reason")).to_pylist():
            missing = min(self._count, SAMPLES_BY_REASON) - self._by_reason[reason]
            if missing > 0:
                rows = batch.filter(pc.equal(batch.column("reason"), reason)).slice(0, missing)
                self._by_reason[reason] += rows.num_rows
                self.found += read_samples(rows)


def _sample(row: Mapping[str, str | None]) -> Sample:
    contact = {
        name: value
        for name, value in row.items()
        if value is not None and (name == "email" or name not in ROW_COLUMNS)
    }
    return Sample(
        customer_id=str(row["customer_id"]),
        contact=contact,
        rejection=row["reason"],
        sent_instead=row["sent_instead"],
    )


def _pick(batch: pa.RecordBatch, names: Sequence[str]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([batch.column(name) for name in names], names=list(names))


def _counts(reasons: pa.Array) -> dict[str, int]:
    return {entry["values"]: entry["counts"] for entry in pc.value_counts(reasons).to_pylist()}
