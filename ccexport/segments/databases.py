"""A source in a database, through any engine of Ibis. It is read, never written to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
from ibis.backends import BaseBackend

from ccexport.errors import CcexportError, SourceError
from ccexport.segments.lost import told
from ccexport.segments.spark import connect_to_spark
from ccexport.segments.spec import SourceSpec
from ccexport.segments.trouble import translated

_QUESTION_SECONDS = 1_800  # for one question, or one piece of its answer
# Of a connection to PostgreSQL: a server that went away without a word is missed after two minutes.
_PATIENCE = {
    "connect_timeout": "10",
    "keepalives_idle": "60",
    "keepalives_interval": "15",
    "keepalives_count": "4",
}


class Database:
    """An open connection to a database. A `Place`."""

    kind = "database"
    default_tables = ("Customer", "SegmentMembership")
    default_key = "CustomerId"

    def __init__(self, spec: SourceSpec) -> None:
        """Raises `SourceError`, with the address's password masked."""
        self._spec = spec
        self._names = {"customers": "Customer", "memberships": "SegmentMembership"}
        try:
            self.backend: BaseBackend = _connect(spec.address)
        except Exception as error:  # each engine has errors of its own, and no base in common
            raise told(error, f"The source {spec.shown}") or SourceError(
                f"The source {spec.shown} cannot be opened ({type(error).__name__}). Check "
                "CCEXPORT_SOURCE_URL, and that the database answers."
            ) from error

    def profiles(self, table: str, key: str) -> ir.Table:
        self._names |= {"customers": table, "key": key}
        return self.table(table, (key,))

    def table(self, table: str, needed: Sequence[str]) -> ir.Table:
        if table != self._names["customers"]:
            self._names["memberships"] = table
        try:
            found = _table(self.backend, table)
        except Exception as error:  # as above
            raise told(error, f"The source {self._spec.shown}") or SourceError(
                f"The source {self._spec.shown} has no table {table}, or it may not be read "
                f"({type(error).__name__}). Name the table in the address, and give its user the right to read it."
            ) from error
        for column in needed:
            if column not in found.columns:
                raise SourceError(
                    f"The table {table} of the source has no column {column}. "
                    f"It has: {', '.join(found.columns[:8])}."
                )
        return found

    def has(self, table: str) -> bool:
        try:
            _table(self.backend, table)
        except Exception:  # noqa: BLE001  # as above; what is wrong with it is said where it is opened
            return False
        return True

    def called(self, table: str) -> str:
        return table

    def json_names(self, text: ir.StringValue) -> ir.ArrayValue:
        whole = text.cast("json")
        names: ir.ArrayValue = (
            text.lstrip().startswith("[").ifelse(whole.array, whole["Segments"].array)
        )
        return names

    def freshness(self) -> Mapping[str, str]:
        return {}

    def refuse_changes(self) -> None:
        """A database shows one state to one query by itself."""

    def wait_until_still(self) -> None:
        """As above."""

    @contextmanager
    def translated(self) -> Iterator[None]:
        name = f"The database ({self.backend.name})"
        with translated(self._names | {"engine": name}):
            try:
                yield
            except Exception as error:  # as above
                if not isinstance(error, CcexportError) and (known := told(error, name)):
                    raise known from error
                raise


def _connect(address: str) -> BaseBackend:
    """Read-only where the engine knows that, and with an end to every question."""
    if address.startswith(("postgres:", "postgresql:")):
        return _connect_to_postgresql(address)
    if address.startswith("duckdb:") and "read_only" not in address.partition("?")[2]:
        return ibis.connect(address + ("&" if "?" in address else "?") + "read_only=true")
    if not address.startswith("pyspark:"):
        return ibis.connect(address)
    return connect_to_spark(dict(parse_qsl(address.partition("?")[2])))


def _connect_to_postgresql(address: str) -> BaseBackend:
    """What the address or the server says of the time for a question comes first; but nothing is ever written."""
    given = dict(parse_qsl(address.partition("?")[2]))
    options = f"-c default_transaction_read_only=on {given.get('options', '')}".strip()
    try:
        backend = ibis.connect(address, **(_PATIENCE | given | {"options": options}))
    except Exception as error:
        if "startup parameter" not in str(error):
            raise
        # A pooler: others use its connections after us, so nothing is set in one for longer than a transaction.
        backend = ibis.connect(address, **(_PATIENCE | given))
        _connection_of(backend).read_only = True
        return backend
    connection = _connection_of(backend)
    if connection.execute("SHOW statement_timeout").fetchone() == ("0",):
        connection.execute(f"SET statement_timeout = '{_QUESTION_SECONDS}s'")
    return backend


def _connection_of(backend: Any) -> Any:
    return backend.con


def _table(backend: BaseBackend, name: str) -> ir.Table:
    found = _found(backend, name)
    return _with_zones(backend, name, found) if backend.name == "pyspark" else found


def _with_zones(backend: Any, name: str, table: ir.Table) -> ir.Table:
    """Spark's own `timestamp` is a moment in time, shown in the session's zone; Ibis does not tell it from others."""
    kinds = {field.name: field.dataType.typeName() for field in backend._session.table(name).schema}
    moments = {
        column: table[column].cast(dt.Timestamp(timezone="UTC"))
        for column in table.columns
        if kinds.get(column) == "timestamp"
    }
    return table.mutate(**moments) if moments else table


def _found(backend: BaseBackend, name: str) -> ir.Table:
    """A table by its name, or by schema (and catalog) and name with points between."""
    *where, last = name.split(".")
    if not where or name in backend.list_tables():  # a point may be part of a name
        return backend.table(name)
    return backend.table(last, database=where[0] if len(where) == 1 else tuple(where))
