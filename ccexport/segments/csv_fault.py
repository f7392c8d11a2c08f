"""Finds what is wrong with a CSV file and in which line, by reading it again after the engine has refused it.

The engine says what it met, not always what the cause is, and for some faults no line at all.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ccexport.segments.csv_heading import Heading

LONGEST_LINE = 2_000_000  # bytes: the engine's own limit
MORE_VALUES_PATTERN = r"[;|\t]"  # in a file of one column, whose heading tells no delimiter
_LINE_ENDS = {b"\r\n": "CR LF", b"\n": "LF"}


@dataclass(frozen=True)
class CsvFile:
    """A file as it was opened: what people call it, its bytes as they lie there, and how they are read."""

    name: str
    open: Callable[[], BinaryIO] = field(repr=False)
    heading: Heading
    path: Path | None = None

    @property
    def wide(self) -> int:
        """How many values a row has."""
        return len(self.heading.columns)


def find_fault(file: CsvFile) -> str | None:
    """The first fault of a file, as one line that quotes nothing of it; None where it finds none."""
    if file.heading.encoding != "utf-8":
        return None  # it was rewritten for the engine: what it says fits that
    with file.open() as stream:
        for fault in _faults(stream, file):
            return f"{file.name}, {fault}"
    return None


def find_more_values(file: CsvFile) -> str | None:
    """The first row of a file of one column that looks like several values; None where none does."""
    if not file.heading.is_one_column:
        return None
    with file.open() as stream:
        for number, record in _records(stream):
            if number > file.heading.skip and re.search(
                MORE_VALUES_PATTERN.encode(), record.strip()
            ):
                return (
                    f"{file.name}, line {number}: more than one value under 1 heading. Correct the line; or, where "
                    "the mark within belongs to the value, add ?delimiter=, to the source's address."
                )
    return None


def _faults(stream: BinaryIO, file: CsvFile) -> Iterator[str]:
    usual: bytes | None = None
    for number, record in _records(stream):
        if len(record) > LONGEST_LINE:
            yield f"line {number}: longer than a line can be; most likely a quotation mark is not closed."
        end = _end_of(record)
        usual = usual or end
        if end and usual and end != usual:
            yield (
                f"line {number}: ends in {_LINE_ENDS[end]}, the lines before it in {_LINE_ENDS[usual]}. "
                "Save the file with one kind of line end."
            )
        yield from _faults_of_record(record, number, file)


def _faults_of_record(record: bytes, number: int, file: CsvFile) -> Iterator[str]:
    try:
        text = record.decode()
    except UnicodeDecodeError as error:
        line = number + record.count(b"\n", 0, error.start)
        yield f"line {line}: not UTF-8 text. Save the file as UTF-8."
        return
    if not text.strip("\r\n") or number <= file.heading.skip:
        return
    try:
        values = len(next(csv.reader([text], delimiter=file.heading.delimiter, strict=True), []))
    except csv.Error:
        yield (
            f'line {number}: broken quoting. Close every quotation mark, and double those inside a value ("").'
        )
        return
    if values != file.wide:
        counted = "1 value" if values == 1 else f"{values} values"
        yield f"line {number}: {counted} under {file.wide} headings. Correct the line."


def _records(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Each record with the number of its first line; one that has no end after the longest line is cut there."""
    pieces: list[bytes] = []
    first, number, quotes, size = 1, 0, 0, 0
    while piece := stream.readline(LONGEST_LINE + 2):
        pieces.append(piece)
        quotes += piece.count(b'"')
        size += len(piece)
        is_whole = piece.endswith(b"\n") and quotes % 2 == 0
        number += piece.endswith(b"\n")
        if is_whole or size > LONGEST_LINE:
            yield first, b"".join(pieces)
            pieces, first, quotes, size = [], number + 1, 0, 0
    if pieces:
        yield first, b"".join(pieces)


def _end_of(record: bytes) -> bytes:
    return b"\r\n" if record.endswith(b"\r\n") else b"\n" if record.endswith(b"\n") else b""
