"""Engines of one process that share what they have learned of their database.

Nearly every test has a store, and so an engine, of its own, where an installation has one for as long as it lives:
without this each test would make the SQL of the same statements anew, a fifth of what many compute.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy
from sqlalchemy import Dialect, Engine, event
from sqlalchemy.util import LRUCache

_dialects: dict[tuple[str, str], Dialect] = {}  # by database and driver, once it has seen a server
_statements: LRUCache[Any, Any] = LRUCache(1_000)


def create_engine(*arguments: Any, **options: Any) -> Engine:
    """In place of SQLAlchemy's; statements made for one engine are found again only under the same dialect."""
    engine = sqlalchemy.create_engine(
        *arguments, execution_options={"compiled_cache": _statements}, **options
    )
    kind = (engine.dialect.name, engine.dialect.driver)
    if kind in _dialects:
        engine.dialect = _dialects[kind]
    else:  # SQLAlchemy's own listener came first: by now the dialect knows the server
        event.listen(engine, "connect", lambda *_: _dialects.setdefault(kind, engine.dialect))
    return engine
