"""`cdm:PLACE`: a Common Data Model folder, as Customer Insights' exports and Synapse Link leave it.

What `model.json` names is read, and nothing else: runs of before lie beside the newest one.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

import ibis.expr.types as ir

from ccexport.errors import SourceError, SourceUnavailable
from ccexport.segments.csv_fault import CsvFile
from ccexport.segments.csv_heading import HEAD_BYTES, Heading, encoding_of
from ccexport.segments.engine import (
    connect,
    identifier,
    json_names,
    literal,
    read_csv,
    shown_columns,
)
from ccexport.segments.lakes import Lake
from ccexport.segments.model_json import FILE, Entity, Model, Partition, paths_of, read_model
from ccexport.segments.rewriting import Rewriter
from ccexport.segments.spec import SourceSpec
from ccexport.segments.steadiness import Watch
from ccexport.segments.trouble import translated

_DELETED, _WRITTEN, _VERSION = "IsDelete", "SinkModifiedOn", "versionnumber"
_ROW_IDS = ("Id", "SegmentMembershipId", "Identifier")
_MOMENTS = ("%m/%d/%Y %I:%M:%S %p", "%d.%m.%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S")


class CommonData:
    """An open folder with a `model.json`. A `Place`."""

    kind = "cdm"
    default_tables = ("Customer", "SegmentMembership")
    default_key = "CustomerId"

    def __init__(self, spec: SourceSpec, *, threads: int | None, memory_limit_mb: int) -> None:
        """Raises `SourceError` where there is no such folder, or no `model.json` in it."""
        self._spec = spec
        self._lake = Lake(spec.address.removeprefix("cdm:").rstrip("/"))
        self._model = self._read_model()
        self.backend = connect(threads, memory_limit_mb)
        self._rewriter = Rewriter(self.backend)
        self._names = {"customers": self.default_tables[0], "memberships": self.default_tables[1]}
        self._csv: list[CsvFile] = []
        self._local = [self._lake.local / FILE] if self._lake.local else []
        self._watch = Watch(lambda: self._local)
        self._begun = "" if self._lake.local else self._lake.stamp(FILE)

    # --- a Place ---------------------------------------------------------------------------------

    def profiles(self, table: str, key: str) -> ir.Table:
        self._names |= {"customers": table, "key": key}
        return self._opened(table, (key,), key)

    def table(self, table: str, needed: Sequence[str]) -> ir.Table:
        self._names["memberships"] = table
        if table in self.backend.list_tables():
            return self.backend.table(table)
        return self._opened(table, needed, None)

    def has(self, table: str) -> bool:
        return table in self._model.entities

    def called(self, table: str) -> str:
        return table

    def json_names(self, text: ir.StringValue) -> ir.ArrayValue:
        return json_names(text)

    def freshness(self) -> Mapping[str, str]:
        return {FILE: self._model.modified_at} if self._model.modified_at else {}

    def refuse_changes(self) -> None:
        self._watch.check()

    def wait_until_still(self) -> None:
        """A snapshot is written before `model.json` names it."""
        self.refuse_changes()

    @contextmanager
    def translated(self) -> Iterator[None]:
        with translated(self._names, self._csv):
            yield

    # --- model.json ------------------------------------------------------------------------------

    def _read_model(self) -> Model:
        lake = self._lake
        if lake.local is not None and not lake.local.is_dir():
            raise SourceError(
                f'The source folder "{lake.local}" does not exist. Set CCEXPORT_SOURCE_URL to another.'
            )
        if not lake.exists(FILE):
            raise SourceError(self._without_model())
        with lake.open(FILE) as file:
            content = file.read()
        try:
            return read_model(content.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise SourceError(f"{FILE} is not UTF-8 text. Export it anew.") from error

    def _without_model(self) -> str:
        local = self._lake.local
        manifests = list(local.glob("*.manifest.cdm.json")) if local else self._remote_manifest()
        if manifests:
            return (
                f"The source folder has a manifest.cdm.json and no {FILE}. Only {FILE} can be read: point the source "
                "at the folder that has one."
            )
        return (
            f"The source folder has no {FILE}. Point the source at the folder of the export that holds one "
            "(CustomerInsights_…/NAME)."
        )

    def _remote_manifest(self) -> list[str]:
        name = "default.manifest.cdm.json"
        return [name] if self._lake.exists(name) else []

    # --- one entity ------------------------------------------------------------------------------

    def _opened(self, table: str, needed: Sequence[str], key: str | None) -> ir.Table:
        entity = self._entity(table)
        columns = tuple(name for name, _ in entity.attributes)
        for column in needed:
            if column not in columns:
                raise SourceError(
                    f"{table} has no attribute {column} in {FILE}. It has: {', '.join(columns[:8])}. "
                    "Name the right one in the source's address."
                )
        reads = [self._read(entity, partition, columns) for partition in entity.partitions]
        filled = [each for each in reads if each is not None]
        if not filled:
            raise SourceError(f"{table} holds nothing: its files are empty. Export it anew.")
        rows = " UNION ALL ".join(f"SELECT * FROM {each}" for each in filled)  # noqa: S608  # our own text
        latest = _latest(f"({rows})", columns, key)
        self.backend.raw_sql(
            f"CREATE VIEW {identifier(table)} AS SELECT {shown_columns(columns, key)} FROM {latest}"  # noqa: S608  # our own text
        )
        if self._begun and self._lake.stamp(FILE) != self._begun:
            raise SourceUnavailable(
                f"{FILE} changed while it was read. Nothing was sent. Try again (a run reads again by itself)."
            )
        self._watch = Watch(lambda: self._local)
        return self.backend.table(table)

    def _entity(self, table: str) -> Entity:
        entity = self._model.entities.get(table)
        if entity is None:
            names = ", ".join(list(self._model.entities)[:8]) or "none"
            raise SourceError(
                f"{FILE} has no entity {table}. It has: {names}. Name the right one in the source's address."
            )
        if not entity.partitions:
            raise SourceError(
                f"{FILE} names no file of {table}: it is a schema alone. Export it anew."
            )
        return entity

    def _read(self, entity: Entity, partition: Partition, columns: tuple[str, ...]) -> str | None:
        """SQL that reads a file of an entity; None where nothing is in it."""
        path = self._found(entity, partition)
        if self._lake.size(path) == 0:
            return None
        opened: partial[BinaryIO] = partial(self._lake.open, path)
        with opened() as file:
            head = file.read(HEAD_BYTES)
        encoding = encoding_of(head, self._spec.encoding or partition.encoding)
        heading = Heading(columns, partition.delimiter, 0, encoding)
        name = path.rpartition("/")[2]
        _check_width(name, head, heading, entity, partition)
        file_read = CsvFile(name, opened, heading)
        if partition.has_quotes:
            self._csv.append(file_read)
        local = self._lake.local
        if local is not None:
            self._local.append(local / path)
        as_it_is = local is not None and encoding == "utf-8"
        address = (
            str(Path(local or "") / path) if as_it_is else self._rewriter.address_of(file_read)
        )
        quote = '"' if partition.has_quotes else ""
        return read_csv([address], heading, header=partition.header, quote=quote)

    def _found(self, entity: Entity, partition: Partition) -> str:
        for path in paths_of(partition.location):
            if self._lake.exists(path):
                return path
        name = partition.location.rpartition("/")[2]
        raise SourceError(
            f"{FILE} names {name} for {entity.name}, and it is not in the source's folder. Point the source at the "
            "folder in which it lies, or copy it there."
        )


def _check_width(
    name: str, head: bytes, heading: Heading, entity: Entity, partition: Partition
) -> None:
    """Refuse a file that has more or fewer columns than `model.json` says: its values would stand under wrong names."""
    text = head.decode(heading.encoding, errors="replace").lstrip("\ufeff")
    lines, delimiter = io.StringIO(text, newline=""), heading.delimiter
    if partition.has_quotes:
        row = next(csv.reader(lines, delimiter=delimiter), [])
    else:
        row = next(csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE), [])
    if len(row) != len(heading.columns):
        raise SourceError(
            f"{name} has {len(row)} columns, and {FILE} gives {entity.name} {len(heading.columns)} attributes. "
            "Export it anew, so that both are of one time."
        )


def _latest(rows: str, columns: Sequence[str], key: str | None) -> str:
    """Of a table to which every change was appended, the newest state of each row, without those deleted."""
    if _DELETED not in columns:
        return rows
    by = next((each for each in _ROW_IDS if each in columns), key or columns[0])
    order = []
    if _VERSION in columns:
        order.append(f"try_cast({identifier(_VERSION)} AS HUGEINT) DESC NULLS LAST")
    if _WRITTEN in columns:
        written = identifier(_WRITTEN)
        forms = "[" + ", ".join(map(literal, _MOMENTS)) + "]"
        order.append(
            f"coalesce(try_cast({written} AS TIMESTAMP), try_strptime({written}, {forms})) DESC NULLS LAST"
        )
    newest = (
        f"row_number() OVER (PARTITION BY {identifier(by)} ORDER BY {', '.join(order) or '1'}) = 1"
    )
    deleted = f"lower(trim({identifier(_DELETED)})) IN ('true', '1')"
    return f"(SELECT * FROM (SELECT * FROM {rows} QUALIFY {newest}) WHERE NOT coalesce({deleted}, false))"  # noqa: S608  # our own text
