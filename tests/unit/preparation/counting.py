"""What a run would count and send, of the very rows that it would read: what a preview is held against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from ccexport.preparation.files import plan_batches
from ccexport.preparation.preview import split


@dataclass(frozen=True)
class Counts:
    read: int
    rejected: int
    prepared: int
    truncated: int
    rejections: Mapping[str, int]
    files: int
    bytes: int


def counts_of_a_run(batches: Iterable[pa.RecordBatch], fields: Sequence[str]) -> Counts:
    """Split, write and plan the prepared rows as a run does, and count them."""
    read = truncated = 0
    rejections: Counter[str] = Counter()
    contacts = []
    for batch in batches:
        kept, rejected, cut = split(batch, fields)
        contacts.append(kept)
        rejections.update(rejected.column("reason").to_pylist())
        read, truncated = read + batch.num_rows, truncated + cut
    files = list(plan_batches(contacts, fields))
    return Counts(
        read=read,
        rejected=rejections.total(),
        prepared=sum(kept.num_rows for kept in contacts),
        truncated=truncated,
        rejections=dict(rejections),
        files=len(files),
        bytes=sum(planned.bytes for planned in files),
    )
