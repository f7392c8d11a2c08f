"""Sources of a few rows, and what a run would send of them: for tests of files and values that went wrong elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ccexport.errors import SourceError
from ccexport.preparation.mapping import FieldMapping
from ccexport.preparation.prepare import prepare
from ccexport.segments.source import open_source

HEADING = "CustomerId,EMail,FirstName,LastName\n"
ANA, BEN, CEM = (
    "1,ana@example.com,Ana,Diaz",
    "2,ben@example.com,Ben,Ode",
    "3,cem@example.com,Cem,Ak",
)
MAPPING = FieldMapping((("email", "EMail"), ("first_name", "FirstName"), ("last_name", "LastName")))
Content = str | bytes | pa.Table
Sent = tuple[list[str], list[tuple[str, str]]]


def write(path: Path, content: Content) -> None:
    if isinstance(content, pa.Table):
        path = path.with_suffix(".parquet")
        pq.write_table(content, path)
    else:
        path = path if path.suffix else path.with_suffix(".csv")
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    grow_old(path)


def grow_old(path: Path, seconds: float = 3_600) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def sent(path: Path, mapping: FieldMapping = MAPPING, options: str = "") -> Sent:
    """(the lines that a run would send, customer and reason of those left out)."""
    with open_source(f"file:{path}{options}") as source:
        found = prepare(source, ["News"], mapping)
        count = len(found.contacts)
        taken = found.contacts.take(0, count).column("line").to_pylist() if count else []
        lines = [line.rstrip() for line in taken]
        rejected = found.rejections.to_pylist()
    assert found.read == len(lines) + len(rejected)
    return lines, [(row["customer_id"], row["reason"]) for row in rejected]


def rows_of(path: Path) -> list[dict[str, str | None]]:
    """The profiles as they are read: all that a test of reading needs, and much sooner there than lines."""
    with open_source(f"file:{path}") as source:
        batches = source.stream(source.customers)
        return [row for batch in batches for row in batch.to_pylist()]


def refused(path: Path, options: str = "") -> str:
    with pytest.raises(SourceError) as caught:
        sent(path, options=options)
    said = str(caught.value)
    assert "\n" not in said
    assert "@example" not in said
    return said


THREE = ["ana@example.com,Ana,Diaz", "ben@example.com,Ben,Ode", "cem@example.com,Cem,Ak"]
Make = Callable[..., Path]


def parquet(**columns: pa.Array) -> pa.Table:
    usual = {"CustomerId": pa.array(["1"]), "EMail": pa.array(["a@example.com"])}
    names = {"FirstName": pa.array(["A"]), "LastName": pa.array(["B"])}
    return pa.table(usual | names | columns)
