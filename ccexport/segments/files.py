"""A folder with Customer.parquet|csv and SegmentMembership.parquet|csv, read by DuckDB in memory.

DuckDB keeps everything in memory: it has no folder for temporary files, because they would hold profiles in the clear
(the DuckDB of the wheel encrypts them only with an extension that is not part of it).
"""

from __future__ import annotations

import csv
import time
from dataclasses import dataclass
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends.duckdb import Backend

from ccexport.clock import Now, utc_now
from ccexport.errors import SourceError
from ccexport.segments.steadiness import Pause, Watch, refuse_unfinished
from ccexport.segments.trouble import BLANK_KEY, INNER_MARK, explain_blank_key, translated

_CSV_BUFFER_BYTES = (
    8_000_000  # a quarter of DuckDB's own choice: as fast, and each thread has several
)
_CUSTOMERS, _MEMBERSHIPS = "Customer", "SegmentMembership"
_NEEDED = {_CUSTOMERS: ("CustomerId",), _MEMBERSHIPS: ("CustomerId", "Segment")}
_CONTENT = {_CUSTOMERS: "profiles", _MEMBERSHIPS: "memberships"}


@dataclass(frozen=True)
class OpenedFolder:
    """Two files as tables. `names`: theirs, under "customers" and "memberships"; `watch`: as they were before."""

    backend: Backend
    customers: ir.Table
    memberships: ir.Table
    names: dict[str, str]
    watch: Watch


def open_folder(
    url: str,
    *,
    threads: int | None,
    memory_limit_mb: int,
    now: Now = utc_now,
    pause: Pause = time.sleep,
) -> OpenedFolder:
    """Open the two files of `file:DIR`. Raises `SourceError` where one is missing, empty or lacks a column."""
    folder = Path(url.removeprefix("file:").removeprefix("//")).expanduser()
    if not folder.is_dir():
        raise SourceError(
            f'The source folder "{folder}" does not exist. Set CCEXPORT_SOURCE_URL to another.'
        )
    paths = {table: _find(folder, table) for table in _NEEDED}
    names = {"customers": paths[_CUSTOMERS].name, "memberships": paths[_MEMBERSHIPS].name}
    for path in paths.values():
        if path.suffix == ".csv":
            refuse_unfinished(path, now, pause)
    watch = Watch(paths.values())
    backend = connect(threads, memory_limit_mb)
    try:
        with translated(names):
            for table, path in paths.items():
                _create_view(backend, table, path)
                _check(backend, table, path)
            customers, memberships = backend.table(_CUSTOMERS), backend.table(_MEMBERSHIPS)
            return OpenedFolder(backend, customers, memberships, names, watch)
    except BaseException:
        backend.disconnect()
        raise


def _find(folder: Path, table: str) -> Path:
    for ending in ("parquet", "csv"):
        path = folder / f"{table}.{ending}"
        if path.is_file():
            return path
    what = "is empty" if not any(folder.iterdir()) else f"has no {table}.parquet or {table}.csv"
    raise SourceError(
        f'The source folder "{folder}" {what}. Put Customer and SegmentMembership there as .parquet or .csv.'
    )


def connect(threads: int | None, memory_limit_mb: int) -> Backend:
    """An engine with nothing in it, that reads what it is given and keeps what it must in memory."""
    pa.set_memory_pool(
        pa.system_memory_pool()
    )  # Arrow's own keeps what is freed; this one gives it back
    options: dict[str, object] = {
        "memory_limit": f"{memory_limit_mb}MB",
        "temp_directory": "",
        "preserve_insertion_order": False,  # the order of a result is asked for where it matters
        # The tables are always joined in the order written: profiles stream past the smaller side. A guess at the
        # number of lines of a CSV file would turn that round, and keep the profiles in memory.
        "disabled_optimizers": "join_order,build_side_probe_side",
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    if threads:
        options["threads"] = threads
    return ibis.duckdb.connect(":memory:", **options)


def _create_view(backend: Backend, table: str, path: Path) -> None:
    if path.stat().st_size == 0:
        raise SourceError(f"{path.name} is empty (0 bytes). Export it anew.")
    if path.suffix == ".csv":
        columns = _header(path)
        _check_columns(table, path, columns)
        types = ", ".join(f"{_literal(name)}: 'VARCHAR'" for name in columns)
        read = (
            f"read_csv({_literal(str(path))}, auto_detect=false, header=true, columns={{{types}}}, "
            "delim=',', quote='\"', escape='\"', nullstr='', strict_mode=true, "
            f"buffer_size={_CSV_BUFFER_BYTES})"
        )
    else:
        read = f"read_parquet({_literal(str(path))}, binary_as_string=true)"
        _check_columns(table, path, backend.sql(f"SELECT * FROM {read}").columns)  # noqa: S608  # our own text
    if path.suffix == ".csv":
        # Raised by whatever query meets it: a look at the whole file of its own would cost as much as the query.
        read = f'(SELECT * REPLACE ({_checked_key(table, path)} AS "CustomerId") FROM {read})'  # noqa: S608  # our own text
    backend.raw_sql(f'CREATE VIEW "{table}" AS SELECT * FROM {read}')  # noqa: S608  # our own text


def _checked_key(table: str, path: Path) -> str:
    """The key of a CSV file. With a byte-order mark in it, it begins the second of two files that were joined."""
    key = '"CustomerId"'
    mark = f"WHEN contains({key}, '\ufeff') THEN error({_literal(f'{INNER_MARK}<{path}>')})"
    blank = f"WHEN coalesce(trim({key}), '') = '' THEN error({_literal(BLANK_KEY)})"
    return f"CASE {mark} {blank if table == _CUSTOMERS else ''} ELSE {key} END"


def _header(path: Path) -> list[str]:
    try:
        # Bytes that are not UTF-8 are let through: they may come long after the header, which is read with a block.
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            columns = next(csv.reader(file, strict=True), [])
            "".join(columns).encode()
    except UnicodeEncodeError as error:
        raise SourceError(
            f"{path.name}, line 1: not UTF-8 text. Save the file as UTF-8."
        ) from error
    except csv.Error as error:
        raise SourceError(f"{path.name}, line 1: broken quoting. Correct the header.") from error
    return columns


def _check_columns(table: str, path: Path, columns: list[str] | tuple[str, ...]) -> None:
    for needed in _NEEDED[table]:
        if needed not in columns:
            raise SourceError(
                f"{path.name} has no column {needed}. It has: {', '.join(columns[:8])}. "
                f"Name the columns {' and '.join(_NEEDED[table])} as they are written here."
            )
    seen: set[str] = set()
    for number, column in enumerate(columns, start=1):
        if not column.strip():
            raise SourceError(f"{path.name}: column {number} has no name. Name it in the header.")
        if column.lower() in seen:
            raise SourceError(f'{path.name} has two columns "{column}". Rename one of them.')
        seen.add(column.lower())


def _check(backend: Backend, table: str, path: Path) -> None:
    if table == _CUSTOMERS and path.suffix == ".parquet":
        is_blank = "coalesce(trim(\"CustomerId\"::VARCHAR), '') = ''"
        blank = f'SELECT 1 FROM "{table}" WHERE {is_blank} LIMIT 1'  # noqa: S608  # our own text
        if backend.raw_sql(blank).fetchall():
            raise SourceError(explain_blank_key(path.name))
    if not backend.raw_sql(f'SELECT 1 FROM "{table}" LIMIT 1').fetchall():  # noqa: S608  # our own text
        raise SourceError(
            f"{path.name} holds no {_CONTENT[table]}, a header alone. Export it anew."
        )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
