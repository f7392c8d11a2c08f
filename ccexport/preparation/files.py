"""Lines → CSV files within both limits of an import. A file is a header and a run of lines, as their column holds them.

What exceeds a limit the server drops without an error (V3 reference, POST /activities/contacts_file_import), so both
are kept here, on encoded bytes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ccexport.preparation.columns import text_data

MAX_CONTACTS_PER_FILE = 39_999  # 40,000 lines less the header
MAX_BODY_BYTES = (
    3_900_000  # "less than 4 MB", unit and scope not stated: the whole HTTP body, decimal
)
MULTIPART_OVERHEAD_BYTES = 2_000  # boundaries, part headers and the list ids around the file
MAX_FILE_BYTES = MAX_BODY_BYTES - MULTIPART_OVERHEAD_BYTES
_FIRST_LINES = 100  # a column that is empty in all of a file is empty in these
_END, _COMMA, _QUOTE = b"\r\n", ord(","), ord('"')


@dataclass(frozen=True)
class PlannedBatch:
    """One file to be: rows `first_row` … `first_row + rows - 1` of the run's contacts, counted from 0."""

    number: int  # from 1
    first_row: int
    rows: int
    bytes: int  # of the CSV file
    digest: str  # sha256 of the CSV file, hexadecimal


def cut_files(
    line_bytes: np.ndarray,
    plain: int,
    fields: Sequence[str],
    *,
    max_rows: int = MAX_CONTACTS_PER_FILE,
    max_bytes: int = MAX_FILE_BYTES,
) -> Iterator[tuple[int, int]]:
    """(first row, rows) of each file, in order, each as full as both limits allow.

    `line_bytes`: of each line, in order; the first `plain` of them have plain addresses, and no file has both kinds.
    """
    ends = np.cumsum(line_bytes, dtype=np.int64)
    room = max_bytes - len(header(fields))
    start = 0
    while start < len(ends):
        before = int(ends[start - 1]) if start else 0
        stop = min(start + max_rows, plain if start < plain else len(ends))
        fitting = int(np.searchsorted(ends[start:stop], before + room, "right"))
        if fitting == 0:
            raise ValueError("one contact alone is larger than a file may be")
        yield start, fitting
        start += fitting


def file_of(lines: pa.Array, fields: Sequence[str]) -> bytes:
    """The CSV file of these lines: UTF-8 without BOM, a header, CRLF, quotes only where needed (RFC 4180).

    Columns that are empty for the whole file are left out: whether a blank cell changes anything there is not
    documented. Column `email` is never left out.
    """
    return b"".join(parts_of(lines, fields))


def parts_of(lines: pa.Array, fields: Sequence[str]) -> Sequence[bytes | memoryview]:
    """The same file in parts: most have the lines as they lie there, of which nobody needs another copy."""
    first_lines = header(fields) + text_data(lines.slice(0, _FIRST_LINES))
    if _empty_columns(_cells(first_lines, len(fields))[1]).any():
        return [_without_empty_columns(header(fields) + text_data(lines), len(fields))]
    return [header(fields), text_data(lines)]


def header(fields: Sequence[str]) -> bytes:
    """The first line of a file with these fields."""
    return _written([fields])


def line_of(values: Sequence[str | None]) -> str:
    """The line of these values, the address first."""
    return _written([[value or "" for value in values]]).decode()


def values_of(line: str) -> list[str]:
    """The values of a line, as they were before they were quoted."""
    [values] = csv.reader([line], strict=True)
    return values


def _cells(content: bytes, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """(the bytes of a file, where each cell ends: line by line, the header first)."""
    data = np.frombuffer(content, dtype=np.uint8)
    is_quoted = (
        np.cumsum(data == _QUOTE, dtype=np.uint32) & 1
    )  # what stands in quotes separates no cells
    separators = np.flatnonzero(((data == _COMMA) | (data == _END[0])) & (is_quoted == 0))
    return data, separators.reshape(-1, columns)


def _empty_columns(ends: np.ndarray) -> np.ndarray:
    """Whether no line has a value in it, of each column after the first."""
    return np.asarray((ends[1:, 1:] - ends[1:, :-1] == 1).all(axis=0))


def _without_empty_columns(content: bytes, columns: int) -> bytes:
    data, ends = _cells(content, columns)
    stays = np.ones(len(data), dtype=bool)
    for column in np.flatnonzero(_empty_columns(ends)):
        stays[ends[1:, column]] = False
        stays[ends[0, column] : ends[0, column + 1]] = False
    return data[stays].tobytes()


def _written(rows: Sequence[Sequence[str]]) -> bytes:
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator=_END.decode()).writerows(rows)
    return written.getvalue().encode()
