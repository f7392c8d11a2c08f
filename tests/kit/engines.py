"""Engines of one process that share what they have learned of their database, and the SQL that they have made.

Nearly every test has a store and a source, and so engines, of its own, where an installation has one for as long as it
lives: without this each test would make the SQL of the same statements anew, a fifth of what many compute.
"""

from __future__ import annotations

from typing import Any

import ibis.expr.types as ir
import sqlalchemy
from ibis.backends.sql import SQLBackend
from sqlalchemy import Dialect, Engine, event
from sqlalchemy.util import LRUCache

_dialects: dict[tuple[str, str], Dialect] = {}  # by database and driver, once it has seen a server
_statements: LRUCache[Any, Any] = LRUCache(1_000)
_questions: LRUCache[Any, str] = LRUCache(200)
_compile = SQLBackend.compile


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


def compile_once(backend: SQLBackend, question: ir.Expr, /, **options: Any) -> str:
    """In place of Ibis'; a question is found again where it is asked of the same tables of an engine set up alike."""
    if options.get("params"):  # which need not be hashable
        return _compile(backend, question, **options)
    key = (type(backend), question.op(), *sorted(options.items()))
    if key not in _questions:
        _questions[key] = _compile(backend, question, **options)
    return _questions[key]
