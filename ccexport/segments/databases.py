"""A source in a database, through any engine of Ibis: tables `Customer` and `SegmentMembership`, or others by name."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import ibis
import ibis.expr.types as ir
from ibis.backends import BaseBackend

from ccexport.errors import SourceError
from ccexport.settings import mask_password

Opened = tuple[BaseBackend, ir.Table, ir.Table, dict[str, str]]


def open_database(url: str) -> Opened:
    """Open an Ibis connection URL. Raises `SourceError`, with the URL's password masked."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    names = {
        "customers": query.pop("customer_table", "Customer"),
        "memberships": query.pop("membership_table", "SegmentMembership"),
    }
    try:
        backend = ibis.connect(urlunsplit(parts._replace(query=urlencode(query))))
        customers, memberships = (_table(backend, name) for name in names.values())
    except Exception as error:  # each engine has errors of its own, and no base in common
        raise SourceError(
            f"The source {mask_password(url)} cannot be opened ({type(error).__name__}). Check "
            f"CCEXPORT_SOURCE_URL, and that the tables {' and '.join(names.values())} are there."
        ) from error
    for table, needed in ((customers, ("CustomerId",)), (memberships, ("CustomerId", "Segment"))):
        for column in needed:
            if column not in table.columns:
                raise SourceError(
                    f"The table {table.get_name()} of the source has no column {column}."
                )
    return backend, customers, memberships, names


def _table(backend: BaseBackend, name: str) -> ir.Table:
    """A table by its name, or by schema and name with a point between."""
    schema, point, table = name.rpartition(".")
    if not point or name in backend.list_tables():  # a point may be part of a name
        return backend.table(name)
    return backend.table(table, database=schema)
