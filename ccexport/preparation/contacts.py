"""What preparing gives: contacts in the order of the files, each a key and a line; and the profiles left out."""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ccexport.preparation.columns import AT_ONCE, Pieces, numbers, text_data, text_edges
from ccexport.preparation.emails import MAX_PLAIN_EMAIL
from ccexport.preparation.files import PlannedBatch, cut_files, line_of, parts_of
from ccexport.preparation.hashes import text_hashes
from ccexport.preparation.keyed import keyed_hashes

CONTACTS_SCHEMA = pa.schema([("customer_id", pa.string()), ("line", pa.string())])
REJECTIONS_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("customer_id", "email", "reason", "sent_instead")]
)
_COMMA, _END = ord(","), ord("\r")


@dataclass(frozen=True)
class Contacts:
    """Lines in the order of the files: `order` has their places in `rows`, whose columns are those of the schema.

    Of each contact in that order its size in bytes. The first `plain` have plain addresses.
    """

    rows: Pieces
    order: np.ndarray
    line_bytes: np.ndarray
    plain: int

    def __len__(self) -> int:
        return len(self.order)

    def take(self, first: int, count: int) -> pa.RecordBatch:
        """Some of them, by `CONTACTS_SCHEMA`."""
        return self.rows.take(self.order[first : first + count], CONTACTS_SCHEMA.names)

    def only(self, stays: np.ndarray) -> Contacts:
        """Those for which it is true, in the same order."""
        if stays.all():
            return self
        return replace(
            self,
            order=self.order[stays],
            line_bytes=self.line_bytes[stays],
            plain=int(np.count_nonzero(stays[: self.plain])),
        )

    def hashes(self, key: bytes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of each: the hash of its address under a secret key, that of its profile's key, that of its line."""
        columns: tuple[Callable[[pa.RecordBatch], np.ndarray], ...] = (
            lambda piece: keyed_hashes(piece.column("line"), key, _address_bytes(piece)),
            lambda piece: text_hashes(piece.column("customer_id")),
            lambda piece: text_hashes(piece.column("line")),
        )
        who, profile, line = (self.rows.each(each, np.uint64)[self.order] for each in columns)
        return who, profile, line


@dataclass(frozen=True)
class Prepared:
    """All of a run; `read = contacts + rejections`. `rejections` are by key (by code point), by their schema."""

    contacts: Contacts
    rejections: pa.Table
    read: int
    truncated: int  # contacts with a value cut

    def reasons(self) -> Mapping[str, int]:
        """How many were left out, by reason, without the field."""
        return counted_reasons(self.rejections.column("reason"))


def in_file_order(rows: Pieces, order: np.ndarray, sizes: np.ndarray) -> Contacts:
    """The rows of `order`; of them those with a long address last. `sizes` of every row's address."""
    is_long = sizes[order] > MAX_PLAIN_EMAIL
    order = np.concatenate([order[~is_long], order[is_long]])
    line_bytes = rows.each(lambda piece: np.diff(text_edges(piece.column("line"))), np.int32)
    plain = len(order) - int(np.count_nonzero(is_long))
    return Contacts(rows, order, line_bytes[order], plain)


def as_they_stand(batches: Iterable[pa.RecordBatch]) -> Contacts:
    """Contacts that were written before, in their order."""
    rows = Pieces(list(batches))
    sizes = rows.each(lambda piece: address_bytes(piece.column("line")), np.int64)
    return in_file_order(rows, np.arange(rows.rows), sizes)


def plan_files(
    contacts: Contacts, fields: Sequence[str], **limits: int
) -> Iterator[tuple[pa.RecordBatch, PlannedBatch]]:
    """(the contacts, the plan) of each file, in order; those that come next are made meanwhile."""

    def make(number: int, first_row: int, rows: int) -> tuple[pa.RecordBatch, PlannedBatch]:
        batch = contacts.take(first_row, rows)
        digest, size = hashlib.sha256(), 0
        for part in parts_of(batch.column("line"), fields):
            digest.update(part)
            size += len(part)
        return batch, PlannedBatch(number, first_row, rows, size, digest.hexdigest())

    cuts = enumerate(cut_files(contacts.line_bytes, contacts.plain, fields, **limits), start=1)
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="prepare") as threads:
        under_way: deque[Future[tuple[pa.RecordBatch, PlannedBatch]]] = deque()
        for number, (first_row, rows) in cuts:
            under_way.append(threads.submit(make, number, first_row, rows))
            if len(under_way) == AT_ONCE:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


def address_bytes(lines: pa.Array) -> np.ndarray:
    """How long the address is that each line begins with: up to the first comma, or to the end of the line."""
    data = np.frombuffer(text_data(lines), dtype=np.uint8)
    edges = text_edges(lines).astype(np.int64)
    ends = np.append(np.flatnonzero((data == _COMMA) | (data == _END)), len(data))
    starts = edges[:-1] - edges[0]
    stops = np.minimum(ends[np.searchsorted(ends, starts)], edges[1:] - edges[0])
    return np.asarray(stops - starts)


def _address_bytes(piece: pa.RecordBatch) -> np.ndarray:
    """As the engine measured it, where it did."""
    if "address_bytes" in piece.schema.names:
        return numbers(piece.column("address_bytes"), np.uint8)
    return address_bytes(piece.column("line"))


def address_hashes(lines: pa.Array) -> np.ndarray:
    """The hash of the address that each line begins with."""
    return text_hashes(lines, address_bytes(lines))


def addresses_of(lines: pa.Array) -> pa.Array:
    """The address that each line begins with."""
    starts = text_edges(lines)[:-1].astype(np.int64)
    stops = starts + address_bytes(lines)
    data = np.frombuffer(lines.buffers()[2], dtype=np.uint8)
    edges = np.concatenate([[0], np.cumsum(stops - starts)])
    kept = np.arange(edges[-1]) + np.repeat(starts - edges[:-1], stops - starts)
    return pa.StringArray.from_buffers(
        len(lines), pa.py_buffer(edges.astype(np.int32)), pa.py_buffer(data[kept])
    )


def with_lines(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Contacts of a run's file, by `CONTACTS_SCHEMA`. Version 0.1 wrote a column a field, the address first."""
    if batch.schema.names == CONTACTS_SCHEMA.names:
        return batch
    _, *columns = (column.to_pylist() for column in batch.columns)
    lines = [None if row[0] is None else line_of(row) for row in zip(*columns, strict=True)]
    return pa.RecordBatch.from_arrays(
        [batch.column("customer_id"), pa.array(lines, pa.string())], schema=CONTACTS_SCHEMA
    )


def counted_reasons(reasons: pa.Array | pa.ChunkedArray) -> Mapping[str, int]:
    """How many there are of each, without the field."""
    counts: Counter[str] = Counter()
    for each in pc.value_counts(reasons).to_pylist():
        counts[plain_reason(each["values"])] += each["counts"]
    return counts


def plain_reason(reason: str) -> str:
    """A reason without the field that it is about."""
    return reason.partition(": ")[0]
