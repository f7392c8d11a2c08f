"""Reads the CSV that Constant Contact exports: a stream in, addresses out, never a file on this machine's disk."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ccexport.constantcontact.answers import Answer, error_of, nonsense
from ccexport.errors import ConstantContactRefused


def read_export_emails(answer: Answer, chunks: Iterable[bytes]) -> Iterator[str]:
    """Stream the addresses of an exported CSV, lower case: UTF-8 with or without BOM, columns in any order.

    `answer` carries status and headers, `chunks` its body. Contacts without an address are passed over. Raises
    what the status means, and `ConstantContactRefused` when there is no column of addresses.
    """
    if not 200 <= answer.status <= 299:
        raise error_of(answer)
    rows = csv.reader(_lines(chunks))
    try:
        column = _email_column(next(rows, []))
        for row in rows:
            if len(row) > column and (email := row[column].strip()):
                yield email.lower()
    except csv.Error:
        raise nonsense(answer, "not CSV") from None  # the cause could quote a row


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    reader = io.BufferedReader(_Chunks(iter(chunks)))
    return iter(io.TextIOWrapper(reader, encoding="utf-8-sig", errors="replace", newline=""))


class _Chunks(io.RawIOBase):
    """Pieces of bytes as a file, for the standard library's decoder and CSV reader."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = chunk
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def _email_column(header: Sequence[str]) -> int:
    names = [re.sub(r"[\s_-]+", " ", name).strip().casefold() for name in header]
    for wanted in ("email address", "email"):
        if wanted in names:
            return names.index(wanted)
    raise ConstantContactRefused(
        "Constant Contact's export holds no column of email addresses. Its format has changed: report this."
    )
