"""`file:DIR`: a folder with tables as Parquet, CSV, CSV packed by gzip, folders of parts, or Delta, read by DuckDB."""

from __future__ import annotations

import gzip
import io
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.backends.duckdb import Backend

from ccexport.clock import Now, utc_now
from ccexport.errors import SourceError
from ccexport.segments.csv_fault import MORE_VALUES_PATTERN, CsvFile, find_fault
from ccexport.segments.csv_heading import HEAD_BYTES, Heading, column_name, read_heading
from ccexport.segments.engine import (
    connect,
    identifier,
    json_names,
    literal,
    read_csv,
    read_parquet,
)
from ccexport.segments.found_files import FoundTable, find_table
from ccexport.segments.rewriting import Rewriter
from ccexport.segments.spec import SourceSpec
from ccexport.segments.steadiness import Pause, Watch, refuse_unfinished
from ccexport.segments.trouble import (
    BLANK_KEY,
    MARK_INSIDE,
    MORE_VALUES,
    explain_blank_key,
    translated,
)


class Folder:
    """An open folder of tables. A `Place`."""

    kind = "file"
    default_tables = ("Customer", "SegmentMembership")
    default_key = "CustomerId"

    def __init__(
        self,
        spec: SourceSpec,
        *,
        threads: int | None,
        memory_limit_mb: int,
        now: Now = utc_now,
        pause: Pause = time.sleep,
    ) -> None:
        """Raises `SourceError` where there is no such folder."""
        self._spec, self._folder = spec, spec.folder
        if not self._folder.is_dir():
            raise SourceError(
                f'The source folder "{self._folder}" does not exist. Set CCEXPORT_SOURCE_URL to another.'
            )
        self.backend: Backend = connect(threads, memory_limit_mb)
        self._rewriter = Rewriter(self.backend)
        self._names: dict[str, str] = {}
        self._found: dict[str, FoundTable] = {}
        self._csv: list[CsvFile] = []
        self._watched: dict[str, Watch] = {}
        self._now, self._pause = now, pause

    # --- a Place ---------------------------------------------------------------------------------

    def profiles(self, table: str, key: str) -> ir.Table:
        found = self._find(table)
        self._names |= {"customers": found.name, "key": key}
        self._create_view(table, found, needed=(key,), key=key)
        if found.form == "parquet":
            self._refuse_blank_keys(table, found, key)
        return self._checked(table, found, "profiles")

    def table(self, table: str, needed: Sequence[str]) -> ir.Table:
        found = self._find(table)
        self._names.setdefault("memberships", found.name)
        if table not in self.backend.list_tables():
            self._create_view(table, found, needed=needed)
        return self._checked(table, found, "memberships")

    def has(self, table: str) -> bool:
        return find_table(self._folder, table) is not None

    def called(self, table: str) -> str:
        return self._found[table].name if table in self._found else table

    def json_names(self, text: ir.StringValue) -> ir.ArrayValue:
        return json_names(text)

    def freshness(self) -> Mapping[str, str]:
        return {
            found.name: _moment(max(path.stat().st_mtime for path in found.files()))
            for found in self._found.values()
        }

    def refuse_changes(self) -> None:
        for watched in self._watched.values():
            watched.check()

    def wait_until_still(self) -> None:
        for watched in self._watched.values():
            watched.wait_until_still(self._pause)

    @contextmanager
    def translated(self) -> Iterator[None]:
        names = {"customers": "Customer", "memberships": "SegmentMembership"} | self._names
        with translated(names, self._csv):
            yield

    # --- one table -------------------------------------------------------------------------------

    def _find(self, table: str) -> FoundTable:
        if table in self._found:
            return self._found[table]
        found = find_table(self._folder, table)
        if found is None:
            raise SourceError(self._missing(table))
        self._found[table] = found
        for path in found.files():
            if path.name.endswith(".csv"):
                refuse_unfinished(path, self._now, self._pause)
        self._watched[table] = Watch(found.files)
        return found

    def _missing(self, table: str) -> str:
        what = (
            f"has no {table}.parquet or {table}.csv" if any(self._folder.iterdir()) else "is empty"
        )
        return (
            f'The source folder "{self._folder}" {what}. '
            f"Put {' and '.join(self.default_tables)} there as .parquet or .csv."
        )

    def _create_view(
        self, table: str, found: FoundTable, *, needed: Sequence[str], key: str | None = None
    ) -> None:
        if found.form == "delta":
            from ccexport.segments.delta import register_delta

            register_delta(self.backend, table, found.path)
            columns = self.backend.table(table).columns
            check_columns(found.name, columns, needed)
            return
        files = _with_content(found)
        if found.form == "csv":
            reads, columns = self._read_csv(found, files, needed)
        else:
            reads = read_parquet([str(path) for path in files])
            columns = self._parquet_columns(found, files, needed)
        selected = _selected(reads, columns, found, key, one_value=self._is_one_column(files))
        self.backend.raw_sql(f"CREATE VIEW {identifier(table)} AS {selected}")

    def _read_csv(
        self, found: FoundTable, files: Sequence[Path], needed: Sequence[str]
    ) -> tuple[str, dict[str, str]]:
        """(what reads all the files, columns as they are there → as people use them)."""
        by_heading: dict[tuple[Heading, bool], list[str]] = {}
        for path in files:
            file = self._open_csv(path, needed)
            check_columns(file.name, file.heading.columns, needed)
            self._csv.append(file)
            is_plain = file.heading.encoding == "utf-8"
            place = str(path) if is_plain else self._rewriter.address_of(file)
            by_heading.setdefault((file.heading, place.endswith(".gz")), []).append(place)
        reads = [read_csv(paths, heading) for (heading, _), paths in by_heading.items()]
        parts = [f"SELECT * FROM {each}" for each in reads]  # noqa: S608  # our own text
        columns = {name: name for heading, _ in by_heading for name in heading.columns}
        return "(" + " UNION ALL BY NAME ".join(parts) + ")", columns

    def _open_csv(self, path: Path, needed: Sequence[str]) -> CsvFile:
        if path.name.endswith(".gz"):
            refuse_broken_gzip(path)
        opened = partial(open_bytes, path)
        with opened() as stream:
            head = stream.read(HEAD_BYTES)
        heading = read_heading(
            path.name,
            head,
            needed,
            delimiter=self._spec.delimiter,
            encoding=self._spec.encoding,
        )
        return CsvFile(path.name, opened, heading, path)

    def _is_one_column(self, files: Sequence[Path]) -> bool:
        return any(each.path in files and each.heading.is_one_column for each in self._csv)

    def _parquet_columns(
        self, found: FoundTable, files: Sequence[Path], needed: Sequence[str]
    ) -> dict[str, str]:
        """Columns as they are there → as people use them. The engine's own list would rename some."""
        names: dict[str, str] = {}
        with self.translated():
            for path in files:
                with naming(path):
                    names |= {name: column_name(name) for name in pq.read_schema(path).names}
        check_columns(found.name, list(names.values()), needed)
        return names

    def _refuse_blank_keys(self, table: str, found: FoundTable, key: str) -> None:
        text = f"{identifier(key)}::VARCHAR"
        may_be = f"({text} < '!' OR {text} > '~')"  # most keys begin with a letter or digit: nothing is trimmed
        is_blank = f"{identifier(key)} IS NULL OR ({may_be} AND trim({text}) = '')"
        blank = f"SELECT 1 FROM {identifier(table)} WHERE {is_blank} LIMIT 1"  # noqa: S608  # our own text
        with self.translated():
            if self.backend.raw_sql(blank).fetchall():
                raise SourceError(explain_blank_key(found.name, key))

    def _checked(self, table: str, found: FoundTable, content: str) -> ir.Table:
        with self.translated():
            first = self.backend.raw_sql(f"SELECT 1 FROM {identifier(table)} LIMIT 1")  # noqa: S608  # our own text
            if not first.fetchall():
                raise SourceError(
                    f"{found.name} holds no {content}, a header alone. Export it anew."
                )
            return self.backend.table(table)

    def _refuse_faults(self, found: FoundTable) -> None:
        """Raise `SourceError` for what is wrong with a file of CSV in which the engine found no row."""
        for file in self._csv:
            if file.path in found.files() and (fault := find_fault(file)):
                raise SourceError(fault)


def _with_content(found: FoundTable) -> list[Path]:
    """The files, without empty parts of CSV. Raises `SourceError` for a file without a byte."""
    files = found.files()
    filled = [path for path in files if path.stat().st_size]
    if filled and found.is_parts and found.form == "csv":
        return filled
    for path in files:
        if path not in filled:
            raise SourceError(f"{path.name} is empty (0 bytes). Export it anew.")
    return files


def _selected(
    reads: str, columns: Mapping[str, str], found: FoundTable, key: str | None, *, one_value: bool
) -> str:
    """The rows under the names that people use; what must not be in them raises where a query meets it.

    A look at the whole file of its own would cost as much as the query.
    """
    shown = {
        column: identifier(column) + (f" AS {identifier(used)}" if column != used else "")
        for column, used in columns.items()
    }
    if found.form == "csv":
        first = identifier(next(iter(columns)))
        mark = f"starts_with({first}, chr(65279))"
        failed = f"error({literal(MARK_INSIDE + found.name)})"
        checked = key or next(iter(columns))
        quoted = identifier(checked)
        cases = f"WHEN {mark} THEN {failed} "
        if one_value:
            several = f"regexp_matches({first}, {literal(MORE_VALUES_PATTERN)})"
            cases += f"WHEN {several} THEN error({literal(MORE_VALUES)}) "
        if key is not None:
            cases += f"WHEN trim({quoted}) <> '' THEN {quoted} ELSE error({literal(BLANK_KEY)}) "
        else:
            cases += f"ELSE {quoted} "
        shown[checked] = f"CASE {cases}END AS {quoted}"
    return f"SELECT {', '.join(shown.values())} FROM {reads}"  # noqa: S608  # our own text


def check_columns(name: str, columns: Sequence[str], needed: Sequence[str]) -> None:
    """Refuse columns that cannot be told apart, and a table without those that are needed. Raises `SourceError`."""
    for column in needed:
        if column not in columns:
            raise SourceError(
                f"{name} has no column {column}.{_has(columns)} "
                f"Name {'the column' if len(needed) == 1 else 'the columns'} {' and '.join(needed)} as written here."
            )
    refuse_repeated(name, columns)


def refuse_repeated(name: str, columns: Sequence[str]) -> None:
    """Raise `SourceError` for a column without a name, and for two that differ in letter case or blanks alone."""
    seen: set[str] = set()
    for number, column in enumerate(columns, start=1):
        if not column:
            raise SourceError(f"{name}: column {number} has no name. Name it in the header.")
        if column.lower() in seen:
            raise SourceError(
                f'{name} has two columns "{column}", but for letter case or blanks. Rename one of them.'
            )
        seen.add(column.lower())


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Raise `SourceError` naming the file for what Arrow says of it."""
    try:
        yield
    except pa.ArrowException as error:
        raise SourceError(
            f"{path.name} is damaged or not what its name says. Write it anew."
        ) from error


def _has(columns: Sequence[str]) -> str:
    """What a table has, unless its first line is a row of somebody's data."""
    if any("@" in column or column.isdigit() for column in columns):
        return " Its first line looks like a row, not like a header."
    return f" It has: {', '.join(columns[:8])}."


def open_bytes(path: Path) -> BinaryIO:
    """A file's bytes, unpacked where they are packed."""
    if path.name.endswith(".gz"):
        return io.BufferedReader(cast("io.RawIOBase", gzip.open(path, "rb")))
    return path.open("rb")


def refuse_broken_gzip(path: Path) -> None:
    """Raise `SourceError` for a packed file that was cut: the engine would read what is there, and say nothing."""
    try:
        with gzip.open(path, "rb") as stream:
            while stream.read(1_048_576):
                pass
    except (EOFError, OSError) as error:
        raise SourceError(
            f"{path.name} is cut off or not packed by gzip. Write it anew."
        ) from error


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
