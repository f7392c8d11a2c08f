"""Prepared rows in the two halves that a run writes, and a few of them to show to people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ccexport.preparation.columns import is_null, is_true, rows_where
from ccexport.preparation.expression import ROW_COLUMNS

REJECTION_COLUMNS = ("customer_id", "email", "reason", "sent_instead")
REJECTIONS_SCHEMA = pa.schema([(name, pa.string()) for name in REJECTION_COLUMNS])


@dataclass(frozen=True)
class Sample:
    """One profile as it would be sent, or why it would not. `contact` has the fields that are not blank."""

    customer_id: str
    contact: Mapping[str, str]
    rejection: str | None
    sent_instead: str | None


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


def read_samples(batch: pa.RecordBatch | pa.Table) -> list[Sample]:
    """Prepared rows as samples; meant for a few rows."""
    return [_sample(row) for row in batch.to_pylist()]


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
