"""Copies of a Dataverse's tables: encrypted Parquet files of one reading, which go when nobody holds it any more.

Their key is in memory alone, so what a killed process leaves behind says nothing to anybody; the next one clears it
away. Screens and commands of one process share a copy for some minutes; a run reads anew. Where a reading broke off,
the next one goes on behind the last page that came whole.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import threading
import uuid
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ccexport.clock import Now
from ccexport.errors import SourceError
from ccexport.processes import is_dead, new_worker_name
from ccexport.segments.sealed_files import seal
from ccexport.segments.web_api import Page, Refused, WebApi
from ccexport.segments.wire import said

log = logging.getLogger(__name__)

SHARED_FOR = timedelta(minutes=10)
GOES_ON_WITHIN = timedelta(
    hours=1
)  # after its begin: what was read earlier is too old to go with the rest
_PAGES_PER_FILE = 2  # 10,000 rows: an engine that reads a file holds all of it, once a thread
_OWNER = "owner"


@dataclass
class _Reading:
    """How far a table is read: the files written, and where it goes on."""

    next_url: str | None
    files: list[Path] = field(default_factory=list)
    waiting: list[pa.Table] = field(default_factory=list)
    columns: dict[str, None] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    rows: int = 0
    headings: set[tuple[str, ...]] = field(default_factory=set)  # of the files


@dataclass(frozen=True)
class CopiedTable:
    """A table's files, and its columns in their order; `alike`: whether every file has the same ones."""

    files: Sequence[Path]
    columns: Sequence[str]
    rows: int
    alike: bool


class Copy:
    """One reading of an organization's tables, each read when it is first asked for."""

    def __init__(self, base: Path | None, began_at: datetime) -> None:
        """`base`: where copies lie; without one, a temporary folder."""
        self.key = os.urandom(32)
        self.began_at = began_at
        self._folder = _new_folder(base)
        self._gone = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._readings: dict[tuple[str, Sequence[str]], _Reading] = {}
        self._lock = threading.Lock()

    def has_broken_off(self) -> bool:
        """Whether a table is read by half."""
        return any(reading.next_url for reading in list(self._readings.values()))

    def table(self, api: WebApi, entity_set: str, columns: Sequence[str] = ()) -> CopiedTable:
        """A table, read to its end. Raises what `WebApi.page` raises; called again, it goes on from there."""
        name = (entity_set, columns)
        with self._lock:
            first = _Reading(api.first_url(entity_set, columns))
            reading = self._readings.setdefault(name, first)
            try:
                while reading.next_url is not None:
                    self._take(reading, api.page(reading.next_url))
            except Refused:
                del self._readings[name]
                raise
            columns, alike = list(reading.columns), len(reading.headings) == 1
            return CopiedTable(reading.files, columns, reading.rows, alike)

    def _take(self, reading: _Reading, page: Page) -> None:
        """Keep a page, and move on to the next one. Where keeping it fails, it is asked for again."""
        if page.next_url in (reading.seen | {reading.next_url}):
            raise SourceError("Dataverse says that a page is followed by one before it. Try again.")
        found = [arrow_of(page.rows)] if page.rows else []
        waiting = [*reading.waiting, *found]
        if waiting and (page.next_url is None or len(waiting) >= _PAGES_PER_FILE):
            table = pa.concat_tables(waiting, promote_options="default")
            reading.files.append(self._write(table))
            reading.headings.add(tuple(table.column_names))
            waiting = []
            log.info("dataverse: %d rows read", reading.rows + len(page.rows))
        reading.waiting = waiting
        reading.rows += len(page.rows)
        reading.columns.update(dict.fromkeys(name for each in found for name in each.column_names))
        reading.seen.add(reading.next_url or "")
        reading.next_url = page.next_url

    def _write(self, table: pa.Table) -> Path:
        path = self._folder / f"{uuid.uuid4().hex}.parquet"
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="lz4")
        try:
            seal(path, sink.getvalue().to_pybytes(), self.key)
        except OSError as error:
            raise SourceError(
                f"The source's copy cannot be written to {self._folder.parent} ({error.strerror}). Make room there."
            ) from error
        return path


class Copies:
    """The newest copy of each organization that this process reads."""

    def __init__(self) -> None:
        self._newest: dict[tuple[str, Path | None], Copy] = {}
        self._lock = threading.Lock()

    def of(self, organization: str, base: Path | None, now: Now, *, fresh: bool) -> Copy:
        """A copy to read from: `fresh` takes none that was read to its end before."""
        with self._lock:
            found = self._newest.get((organization, base))
            if found is not None and _serves(found, now(), fresh=fresh):
                return found
            copy = self._newest[organization, base] = Copy(base, now())
            return copy


COPIES = Copies()


def _serves(copy: Copy, now: datetime, *, fresh: bool) -> bool:
    age = abs(now - copy.began_at)
    if copy.has_broken_off():
        return age < GOES_ON_WITHIN
    return not fresh and age < SHARED_FOR


def arrow_of(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Rows of JSON as columns of text; what a name with @ says about others is left out."""
    names = dict.fromkeys(name for row in rows for name in row if "@" not in name)
    return pa.table({name: _texts([said(row.get(name)) for row in rows]) for name in names})


def _texts(values: Sequence[str | None]) -> pa.StringArray:
    """A column of text. Made of its buffers: to look at a list, Arrow imports pandas (half a second, 40 MB)."""
    encoded = [b"" if value is None else value.encode(errors="replace") for value in values]
    offsets = np.zeros(len(values) + 1, dtype=np.int32)
    np.cumsum(np.fromiter(map(len, encoded), np.int32, len(encoded)), out=offsets[1:])
    present = np.fromiter((value is not None for value in values), bool, len(values))
    buffers: Iterable[Any] = (np.packbits(present, bitorder="little"), offsets, b"".join(encoded))
    valid, places, text = map(pa.py_buffer, buffers)
    return pa.StringArray.from_buffers(len(values), places, text, valid)


def _new_folder(base: Path | None) -> Path:
    if base is None:
        return Path(tempfile.mkdtemp(prefix="ccexport-"))
    try:
        base.mkdir(mode=0o700, parents=True, exist_ok=True)
        _clear_away(base)
        folder = base / uuid.uuid4().hex
        folder.mkdir(mode=0o700)
        (folder / _OWNER).write_text(new_worker_name(), encoding="utf-8")
    except OSError as error:
        raise SourceError(
            f"The source's copy cannot be written to {base} ({error.strerror}). Give ccexport a folder to write to "
            "(CCEXPORT_DATA_DIR)."
        ) from error
    return folder


def _clear_away(base: Path) -> None:
    """Delete what processes left that were killed: nobody has the key to it."""
    for owner in base.glob(f"*/{_OWNER}"):
        if is_dead(owner.read_text(encoding="utf-8")):
            shutil.rmtree(owner.parent, ignore_errors=True)
