"""Arrow batches of contacts → CSV files, within both limits of an import. Pure and vectorised: no loop over rows.

What exceeds a limit the server drops without an error (V3 reference, POST /activities/contacts_file_import), so both
are kept here, on encoded bytes: `plan_batches` says which rows make a file, `render_file` makes the file of such rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ccexport.preparation.columns import numbers, text_data, text_edges, text_scalar

MAX_CONTACTS_PER_FILE = 39_999  # 40,000 lines less the header
MAX_BODY_BYTES = (
    3_900_000  # "less than 4 MB", unit and scope not stated: the whole HTTP body, decimal
)
MULTIPART_OVERHEAD_BYTES = 2_000  # boundaries, part headers and the list ids around the file
MAX_FILE_BYTES = MAX_BODY_BYTES - MULTIPART_OVERHEAD_BYTES
MAX_PLAIN_EMAIL = (
    50  # characters; longer ones go in files of their own, as the contracts disagree on them
)

_LINE_END = "\r\n"
_NEED_QUOTES = (b",", b'"', b"\r", b"\n")
_NEEDS_QUOTES = '[",\r\n]'


_NOTHING, _COMMA = text_scalar(""), text_scalar(",")
_QUOTE, _END_OF_LINE = text_scalar('"'), text_scalar(_LINE_END)
_ZERO = pc.utf8_length(_NOTHING)


@dataclass(frozen=True)
class PlannedBatch:
    """One file to be: rows `first_row` … `first_row + rows - 1` of the stream of contacts, counted from 0."""

    number: int  # from 1
    first_row: int
    rows: int
    bytes: int  # of the CSV file
    digest: str  # sha256 of the CSV file, hexadecimal


def plan_batches(
    contacts: Iterable[pa.RecordBatch],
    fields: Sequence[str],
    *,
    max_rows: int = MAX_CONTACTS_PER_FILE,
    max_bytes: int = MAX_FILE_BYTES,
) -> Iterator[PlannedBatch]:
    """Cut the stream of contacts into files, in order; each as full as both limits allow."""
    planner = BatchPlanner(fields, max_rows=max_rows, max_bytes=max_bytes)
    for batch in contacts:
        yield from planner.add(batch)
    yield from planner.finish()


def render_file(contacts: pa.Table | pa.RecordBatch, fields: Sequence[str]) -> bytes:
    """The CSV file of these contacts: UTF-8 without BOM, a header, CRLF, quotes only where needed (RFC 4180).

    Columns follow `fields`; those that are empty for the whole file are left out (a blank cell changes nothing there,
    and costs bytes). Column `email` is never left out.
    """
    piece = _Encoded(contacts, fields)
    return b"".join(_rendered([piece], fields, piece.used()))


@dataclass(frozen=True)
class RowSizes:
    """What some rows take in a file: a row's values in bytes with their quotes, and which fields have a value.

    `bytes` is int64 by row; `filled` is a truth value by field and row.
    """

    bytes: np.ndarray
    filled: np.ndarray

    def __len__(self) -> int:
        return len(self.bytes)

    def first(self, rows: int) -> RowSizes:
        return RowSizes(self.bytes[:rows], self.filled[:, :rows])


class FileMeter:
    """Measures a file as rows go into it, exactly: its values, the header's names, and what stands between."""

    def __init__(
        self,
        fields: Sequence[str],
        *,
        max_rows: int = MAX_CONTACTS_PER_FILE,
        max_bytes: int = MAX_FILE_BYTES,
    ) -> None:
        self._fields = tuple(fields)
        self._names = np.array([len(_quoted(name).encode()) for name in fields], dtype=np.int64)
        self._max_rows, self._max_bytes = max_rows, max_bytes
        self.open_new()

    def open_new(self) -> None:
        """Begin with a file without rows."""
        self.rows, self._value_bytes = 0, 0
        self.used = np.zeros(len(self._fields), dtype=bool)  # which columns the file has

    def fitting(self, sizes: RowSizes) -> int:
        """How many of these rows still go into the open file.

        A column appears with the first row that has a value in it, which makes every row of the file a comma longer.
        """
        room = min(len(sizes), self._max_rows - self.rows)
        if room <= 0:
            return 0
        sizes = sizes.first(room)
        appears_at = np.where(self.used, 0, _first_value(sizes.filled))
        columns = np.bincount(appears_at, minlength=room + 1)[:room].cumsum()
        names = np.bincount(appears_at, weights=self._names, minlength=room + 1)[:room].cumsum()
        values = self._value_bytes + sizes.bytes.cumsum()
        lines = self.rows + 2 + np.arange(room)  # with the header, once the row is in
        fitting = np.searchsorted(values + names + lines * (columns + 1), self._max_bytes, "right")
        if fitting == 0 and self.rows == 0:
            raise ValueError("one contact alone is larger than a file may be")
        return int(fitting)

    def take(self, sizes: RowSizes) -> None:
        """Put all of these rows into the open file."""
        self.rows += len(sizes)
        self._value_bytes += int(sizes.bytes.sum())
        self.used |= sizes.filled.any(axis=1)

    def bytes(self) -> int:
        """Of the open file: values, the header's names, and a comma or the end of a line after each."""
        kept = _kept(self._fields, self.used)
        names = int(self._names[kept].sum())
        lines = self.rows + 1
        return self._value_bytes + names + lines * (len(kept) + len(_LINE_END) - 1)


def measure_files(row_bytes: np.ndarray, filled: np.ndarray, fields: Sequence[str]) -> list[int]:
    """The bytes of each file that contacts of one kind of address make, in their order.

    `row_bytes` and `filled` as `row_sizes` tells them, int64 by row.
    """
    meter, files, start = FileMeter(fields), [], 0
    while start < len(row_bytes):
        stop = start + MAX_CONTACTS_PER_FILE
        sizes = RowSizes(row_bytes[start:stop], _by_field(filled[start:stop], len(fields)))
        taken = meter.fitting(sizes)
        meter.take(sizes.first(taken))
        files.append(meter.bytes())
        meter.open_new()
        start += taken
    return files


def row_sizes(
    contacts: pa.Table | pa.RecordBatch, fields: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """(bytes of each row's values with their quotes, its fields that have one: bit n for the n-th), both int64."""
    sizes = _Encoded(contacts, fields).sizes()
    bits = np.left_shift(1, np.arange(len(fields), dtype=np.int64))
    return sizes.bytes, np.asarray(bits @ sizes.filled.astype(np.int64))


def _by_field(filled: np.ndarray, fields: int) -> np.ndarray:
    return np.asarray((filled[None, :] >> np.arange(fields)[:, None]) & 1, dtype=bool)


class BatchPlanner:
    """Takes contacts as they stream by and says each file as soon as it is full. Keeps less than one file."""

    def __init__(
        self,
        fields: Sequence[str],
        *,
        max_rows: int = MAX_CONTACTS_PER_FILE,
        max_bytes: int = MAX_FILE_BYTES,
    ) -> None:
        self._fields = tuple(fields)
        self._meter = FileMeter(fields, max_rows=max_rows, max_bytes=max_bytes)
        self._pieces: list[_Encoded] = []
        self._number, self._next_row = 1, 0
        self._is_apart = False  # whether the open file is one of long addresses

    def add(self, contacts: pa.RecordBatch) -> list[PlannedBatch]:
        """Take the next contacts; return the files that are now full."""
        if contacts.num_rows == 0:
            return []
        encoded = _Encoded(contacts, self._fields)
        full = []
        for start, stop, is_apart in _stretches(contacts.column("email")):
            if is_apart != self._is_apart:
                full += self.finish()
                self._is_apart = is_apart
            while start < stop:
                rest = encoded.slice(start, stop - start)
                taken = self._meter.fitting(rest.sizes())
                if taken == 0:
                    full += self.finish()
                    continue
                self._take(rest.slice(0, taken))
                start += taken
        return full

    def finish(self) -> list[PlannedBatch]:
        """Close the open file, if it has rows. More may be added afterwards; it goes into the next file."""
        rows = self._meter.rows
        if rows == 0:
            return []
        planned = PlannedBatch(
            number=self._number,
            first_row=self._next_row - rows,
            rows=rows,
            bytes=self._meter.bytes(),
            digest=self._digest(),
        )
        self._number += 1
        self._pieces = []
        self._meter.open_new()
        return [planned]

    def _digest(self) -> str:
        digest = hashlib.sha256()
        for part in _rendered(self._pieces, self._fields, self._meter.used):
            digest.update(part)
        return digest.hexdigest()

    def _take(self, piece: _Encoded) -> None:
        self._pieces.append(piece)
        self._next_row += piece.rows
        self._meter.take(piece.sizes())


class _Encoded:
    """Contacts as they will stand in the file: a text column a field, quoted where needed, and each value's bytes."""

    def __init__(self, contacts: pa.Table | pa.RecordBatch, fields: Sequence[str]) -> None:
        self.columns = [_encode(contacts.column(field)) for field in fields]
        self.rows = contacts.num_rows
        self.lengths = np.empty((len(fields), self.rows), dtype=np.int32)
        for index, column in enumerate(self.columns):
            edges = text_edges(column)
            np.subtract(edges[1:], edges[:-1], out=self.lengths[index])

    def used(self) -> np.ndarray:
        """For each field, whether any row has a value."""
        return np.asarray(self.lengths.any(axis=1))

    def sizes(self) -> RowSizes:
        return RowSizes(self.lengths.sum(axis=0, dtype=np.int64), self.lengths > 0)

    def slice(self, start: int, rows: int) -> _Encoded:
        part = object.__new__(_Encoded)
        part.columns = [column.slice(start, rows) for column in self.columns]
        part.rows = rows
        part.lengths = self.lengths[:, start : start + rows]
        return part


def _encode(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    filled = pc.fill_null(column, _NOTHING) if column.null_count else column
    data = bytes(text_data(filled))
    if not any(character in data for character in _NEED_QUOTES):
        return filled
    needs_quotes = pc.match_substring_regex(filled, _NEEDS_QUOTES)
    doubled = pc.replace_substring(filled.filter(needs_quotes), '"', '""')
    quoted = pc.binary_join_element_wise(_QUOTE, doubled, _QUOTE, _NOTHING)
    return pc.replace_with_mask(filled, needs_quotes, quoted)


def _rendered(
    pieces: Sequence[_Encoded], fields: Sequence[str], used: np.ndarray
) -> Iterator[bytes | memoryview]:
    """The file, part by part."""
    keep = _kept(fields, used)
    yield (",".join(_quoted(fields[index]) for index in keep) + _LINE_END).encode()
    for piece in pieces:
        if piece.rows:
            yield _lines(piece, keep)


def _kept(fields: Sequence[str], used: np.ndarray) -> list[int]:
    return [index for index in range(len(fields)) if used[index] or fields[index] == "email"]


def _lines(piece: _Encoded, keep: Sequence[int]) -> memoryview:
    columns = [piece.columns[index] for index in keep]
    columns[-1] = pc.binary_join_element_wise(columns[-1], _END_OF_LINE, _NOTHING)
    lines = columns[0] if len(columns) == 1 else pc.binary_join_element_wise(*columns, _COMMA)
    return text_data(lines)


def _quoted(name: str) -> str:
    if any(character in name for character in '",\r\n'):
        return '"' + name.replace('"', '""') + '"'
    return name


def _first_value(filled: np.ndarray) -> np.ndarray:
    """For each field the index of the first row with a value; the number of rows where there is none."""
    first = np.where(filled.any(axis=1), filled.argmax(axis=1), filled.shape[1])
    return np.asarray(first)


def is_long_address(email: pa.Array) -> np.ndarray:
    """Whether each address goes into a file of long addresses, were its row a contact; false for null."""
    lengths = pc.fill_null(pc.utf8_length(email), _ZERO)
    return np.asarray(numbers(lengths, np.int32) > MAX_PLAIN_EMAIL)


def _stretches(email: pa.Array) -> Iterator[tuple[int, int, bool]]:
    """(start, stop, whether the addresses are long) of each stretch of rows of one kind."""
    is_apart = is_long_address(email)
    edges = np.flatnonzero(is_apart[1:] != is_apart[:-1]) + 1
    for start, stop in zip([0, *edges.tolist()], [*edges.tolist(), len(is_apart)], strict=True):
        yield start, stop, bool(is_apart[start])
