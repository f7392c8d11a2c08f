"""`dataverse:https://ORG.crm.dynamics.com`: the tables of Customer Insights in Dataverse, through its Web API.

They are read once, page by page, into an encrypted copy that the engine of files asks. See `copies.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import ibis.expr.types as ir

from ccexport.errors import SourceError
from ccexport.segments.copies import COPIES, CopiedTable
from ccexport.segments.engine import (
    connect,
    identifier,
    json_names,
    read_parquet,
    shown_columns,
)
from ccexport.segments.places import Means
from ccexport.segments.sealed_files import address_of, let_open
from ccexport.segments.spec import SourceSpec
from ccexport.segments.trouble import translated
from ccexport.segments.web_api import Refused, WebApi

_MEMBERSHIPS = "msdynci_segmentmembership"
_KEY = "msdynci_customerid"
# All that memberships are read by; of other tables every column is read.
_OF_MEMBERSHIPS = (_KEY, "msdynci_segments", "msdynci_segmentmembershiptype")
_NOT_THERE, _NOT_UNDERSTOOD = 404, 400


class Dataverse:
    """An open organization. A `Place`."""

    kind = "dataverse"
    default_tables = ("msdynci_customerprofile", _MEMBERSHIPS)
    default_key = _KEY

    def __init__(self, spec: SourceSpec, means: Means) -> None:
        """Raises `SourceError` where a setting is missing. Asks nothing yet."""
        self._api = WebApi(spec.address.removeprefix("dataverse:"), means.pause)
        self._copy = COPIES.of(
            self._api.organization, means.copies_in, means.now, fresh=means.fresh
        )
        self._names = {"customers": self.default_tables[0], "memberships": self.default_tables[1]}
        self.backend = connect(means.threads, means.memory_limit_mb)
        let_open(self.backend, self._copy.key)

    def profiles(self, table: str, key: str) -> ir.Table:
        self._names |= {"customers": table, "key": key}
        return self._opened(table, (key,), key)

    def table(self, table: str, needed: Sequence[str]) -> ir.Table:
        self._names["memberships"] = table
        if table in self.backend.list_tables():
            return self.backend.table(table)
        return self._opened(table, needed, None)

    def has(self, table: str) -> bool:
        try:
            self._read(table, ())
        except Refused:
            return False
        return True

    def called(self, table: str) -> str:
        return table

    def json_names(self, text: ir.StringValue) -> ir.ArrayValue:
        return json_names(text)

    def freshness(self) -> Mapping[str, str]:
        return {self._api.organization: f"{self._copy.began_at:%Y-%m-%dT%H:%M:%SZ}"}

    def refuse_changes(self) -> None:
        """The copy stays as it is."""

    def wait_until_still(self) -> None:
        """As above."""

    @contextmanager
    def translated(self) -> Iterator[None]:
        with translated(self._names):
            yield

    def _opened(self, table: str, needed: Sequence[str], key: str | None) -> ir.Table:
        found = self._read(table, needed)
        if not found.rows:
            raise SourceError(
                f"{table} of Dataverse has no rows. Run Customer Insights' unification and segments, or name other "
                "tables in the source's address."
            )
        for column in needed:
            if column not in found.columns:
                raise SourceError(
                    f"{table} of Dataverse has no column {column}. It has: {', '.join(found.columns[:8])}. "
                    "Name the right one in the source's address."
                )
        rows = read_parquet([address_of(path) for path in found.files], alike=found.alike)
        self.backend.raw_sql(
            f"CREATE VIEW {identifier(table)} AS SELECT {shown_columns(found.columns, key)} FROM {rows}"  # noqa: S608  # our own text
        )
        return self.backend.table(table)

    def _read(self, table: str, needed: Sequence[str]) -> CopiedTable:
        """Entity sets have a name of their own, mostly the table's with an s."""
        columns = (
            _OF_MEMBERSHIPS if table == _MEMBERSHIPS and set(needed) <= set(_OF_MEMBERSHIPS) else ()
        )
        try:
            return self._copied(f"{table}s", columns)
        except Refused as refused:
            if refused.status != _NOT_THERE:
                raise
        try:
            return self._copied(table, columns)
        except Refused as refused:
            raise SourceError(
                f"Dataverse has no table {table}, or the application may not see it ({refused.status}). Name the right "
                "one in the source's address."
            ) from refused

    def _copied(self, entity_set: str, columns: Sequence[str]) -> CopiedTable:
        try:
            return self._copy.table(self._api, entity_set, columns)
        except Refused as refused:
            if refused.status != _NOT_UNDERSTOOD or not columns:
                raise
        return self._copy.table(self._api, entity_set)  # an older organization may lack a column
