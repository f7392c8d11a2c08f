"""The whole store as lines of JSON, and back: the same for SQLite and PostgreSQL, at any revision of the tables.

The first line says what follows; a table is a line with its columns, then a line a row; the last line counts them.
Tables are taken as the database has them, not as this code knows them: an older backup has older tables.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Generator, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Date,
    DateTime,
    Engine,
    LargeBinary,
    MetaData,
    Table,
    func,
    select,
    text,
)

from ccexport.errors import StoreError
from ccexport.store.database.engine import snapshot
from ccexport.store.database.migrate import revision_of

_ROWS_A_TIME = 1_000
# what is of the moment: revision (said in the first line), processes, sign-ins under way
_LEFT_OUT = frozenset({"alembic_version", "worker", "oauth_sign_in"})


def dump_lines(engine: Engine, about: Mapping[str, Any]) -> Generator[bytes]:
    """Every row as it was at one moment; `about` goes into the first line beside the revision."""
    with snapshot(engine) as connection:
        yield _line({**about, "revision": revision_of(connection)})
        rows = 0
        for table in tables_of(connection).sorted_tables:
            if table.name in _LEFT_OUT:
                continue
            columns = list(table.columns)
            yield _line({"table": table.name, "columns": [column.name for column in columns]})
            found = connection.execution_options(yield_per=_ROWS_A_TIME).execute(select(table))
            for row in found:
                pairs = zip(columns, row, strict=True)
                yield _line([_to_json(column, value) for column, value in pairs])
                rows += 1
        yield _line({"rows": rows})


def tables_of(connection: Connection) -> MetaData:
    """The tables as the database has them, parents before children in `sorted_tables`."""
    found = MetaData()
    found.reflect(connection)
    for table in found.tables.values():
        for column in table.columns:
            if isinstance(column.type, JSON):
                column.type.none_as_null = True
    return found


def load_lines(connection: Connection, lines: Iterable[bytes]) -> int:
    """Put rows into the empty tables, which are of the dump's revision; how many. Raises `StoreError`."""
    tables = tables_of(connection).tables
    waiting: list[Sequence[Any]] = []
    columns: list[Column[Any]] = []
    said, rows = None, 0
    for line in lines:
        entry = json.loads(line)
        if isinstance(entry, list):
            waiting.append(entry)
            rows += 1
        if waiting and (isinstance(entry, dict) or len(waiting) >= _ROWS_A_TIME):
            _insert(connection, columns, waiting)
            waiting = []
        if isinstance(entry, dict) and "table" in entry:
            table = tables[entry["table"]]
            columns = [table.columns[name] for name in entry["columns"]]
        elif isinstance(entry, dict):
            said = entry["rows"]
    if said != rows:
        raise StoreError("The backup is not complete. Nothing was changed; take another backup.")
    count_on(connection, tables.values())
    return rows


def _insert(
    connection: Connection, columns: Sequence[Column[Any]], rows: Sequence[Sequence[Any]]
) -> None:
    values = [
        {column.name: _from_json(column, value) for column, value in zip(columns, row, strict=True)}
        for row in rows
    ]
    connection.execute(columns[0].table.insert(), values)


def count_on(connection: Connection, tables: Iterable[Table]) -> None:
    """PostgreSQL's counters of new rows go on after the rows that were put in; SQLite has none."""
    if connection.dialect.name != "postgresql":
        return
    for table in tables:
        column = table.columns.get("id")
        if column is None or column.type.python_type is not int:
            continue
        last = connection.execute(select(func.max(column))).scalar()
        sequence = f"pg_get_serial_sequence('{table.name}', 'id')"
        connection.execute(
            text(f"SELECT setval({sequence}, :last) WHERE {sequence} IS NOT NULL"),
            {"last": last or 1},
        )


def _to_json(column: Column[Any], value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return value


def _from_json(column: Column[Any], value: Any) -> Any:
    if value is None:
        return None
    if isinstance(column.type, LargeBinary):
        return base64.b64decode(value)
    if isinstance(column.type, DateTime):
        return datetime.fromisoformat(value)
    if isinstance(column.type, Date):
        return date.fromisoformat(value)
    return value


def _line(entry: object) -> bytes:
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
