"""Run files: encrypted, durable at a clean end, readable by row range."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from ccexport.errors import StoreError
from ccexport.store.vault import run_files
from ccexport.store.vault.run_files import ROWS_PER_GROUP, RunFiles

KEY = b"k" * 32
SCHEMA = pa.schema([("customer_id", pa.string()), ("email", pa.string())])


def batch(first: int, count: int) -> pa.RecordBatch:
    numbers = range(first, first + count)
    emails = [f"person{n}@example.com" for n in numbers]
    return pa.record_batch([[str(n) for n in numbers], emails], schema=SCHEMA)


@pytest.fixture
def files(tmp_path: Path) -> RunFiles:
    return RunFiles(tmp_path / "runs", lambda: [KEY])


def write(files: RunFiles, rows: int, rows_a_time: int = 10_000) -> None:
    with files.writer(7, "contacts", SCHEMA) as writer:
        for first in range(0, rows, rows_a_time):
            writer.write(batch(first, min(rows_a_time, rows - first)))
        assert not files.exists(7, "contacts")
    assert writer.rows == rows


@pytest.mark.parametrize("rows", [0, 1, ROWS_PER_GROUP, ROWS_PER_GROUP + 1, 40_000])
def test_what_was_written_is_read_in_order(files: RunFiles, rows: int) -> None:
    write(files, rows)
    assert files.exists(7, "contacts")
    keys = [key for b in files.stream(7, "contacts") for key in b.column("customer_id").to_pylist()]
    assert keys == [str(n) for n in range(rows)]


@pytest.mark.parametrize(
    ("first", "count", "found"),
    [
        (0, 3, range(3)),
        (ROWS_PER_GROUP - 1, 2, range(ROWS_PER_GROUP - 1, ROWS_PER_GROUP + 1)),
        (20_000, 20_000, range(20_000, 40_000)),
        (39_999, 5, range(39_999, 40_000)),
        (40_000, 5, range(0)),
    ],
)
def test_a_range_of_rows_is_read(files: RunFiles, first: int, count: int, found: range) -> None:
    write(files, 40_000)
    rows = files.rows(7, "contacts", first, count)
    assert rows.schema == SCHEMA
    assert rows.column("customer_id").to_pylist() == [str(n) for n in found]


def test_nothing_of_a_profile_is_on_disk_in_the_clear(files: RunFiles, tmp_path: Path) -> None:
    write(files, 100)
    [path] = [p for p in tmp_path.rglob("*") if p.is_file()]
    content = path.read_bytes()
    for word in (b"person1", b"example", b"customer_id", b"email"):
        assert word not in content
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700


def test_a_file_is_refused_with_another_key_under_another_name_and_when_damaged(
    files: RunFiles, tmp_path: Path
) -> None:
    write(files, 100)
    with pytest.raises(
        StoreError, match="contacts of run 7 is damaged or was written with another"
    ):
        RunFiles(tmp_path / "runs", lambda: [b"x" * 32]).rows(7, "contacts", 0, 1)
    path = tmp_path / "runs" / "7" / "contacts.parquet"
    path.with_name("rejections.parquet").write_bytes(path.read_bytes())
    with pytest.raises(StoreError, match="rejections of run 7 is damaged"):
        files.rows(7, "rejections", 0, 1)
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match="is damaged") as caught:
        files.rows(7, "contacts", 0, 1)
    assert "\n" not in str(caught.value)


def write_half(files: RunFiles) -> None:
    with files.writer(7, "contacts", SCHEMA) as writer:
        writer.write(batch(0, 50_000))
        writer.write(pa.record_batch([["x"] * ROWS_PER_GROUP], ["other"]))


def test_an_error_while_writing_leaves_the_earlier_file_and_no_other(
    files: RunFiles, tmp_path: Path
) -> None:
    write(files, 3)
    with pytest.raises(ValueError, match="Schema"):
        write_half(files)
    assert [p.name for p in (tmp_path / "runs" / "7").iterdir()] == ["contacts.parquet"]
    assert files.rows(7, "contacts", 0, 9).num_rows == 3


def test_a_full_disk_is_said_in_one_line(
    files: RunFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(run_files.os, "fsync", full)
    with pytest.raises(StoreError, match=r"The disk that holds .* is full"):
        write(files, 3)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_deleted_files_are_gone_and_the_message_says_which(files: RunFiles) -> None:
    write(files, 3)
    files.delete(7)
    files.delete(7)
    assert not files.exists(7, "contacts")
    with pytest.raises(StoreError, match="The file contacts of run 7 is not there any more"):
        files.rows(7, "contacts", 0, 1)


@pytest.mark.parametrize("name", ["../contacts", "a/b", "", "Contacts", ".hidden"])
def test_a_name_cannot_lead_elsewhere(files: RunFiles, name: str) -> None:
    with pytest.raises(ValueError, match="is not the name"):
        files.exists(7, name)


def test_the_data_plane_imports_neither_pandas_nor_the_rest_of_the_store() -> None:
    code = (
        "import sys, ccexport.store.vault.run_files, ccexport.segments.source, ccexport.preparation.prepare\n"
        "print([m for m in sys.modules if m in ('pandas', 'sqlmodel', 'sqlalchemy')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
