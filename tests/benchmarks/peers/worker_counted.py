"""`ccexport worker --until-idle` with a stop-watch around each transaction that writes, its commit, and each fsync.

python tests/benchmarks/peers/worker_counted.py FILE.json
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine
from sqlmodel import Session

from ccexport.store.database import engine

_SPENT = {"transactions": 0.0, "commits": 0.0, "fsyncs": 0.0}  # seconds
_TIMES = dict.fromkeys(_SPENT, 0)
_LOCK = threading.Lock()
_WRITING, _COMMIT, _FSYNC = engine.writing, Session.commit, os.fsync


@contextmanager
def _writing(of: Engine) -> Iterator[Session]:
    with _timed("transactions"), _WRITING(of) as session:
        yield session


def _commit(session: Session) -> None:
    with _timed("commits"):
        _COMMIT(session)


def _fsync(handle: int) -> None:
    with _timed("fsyncs"):
        _FSYNC(handle)


@contextmanager
def _timed(what: str) -> Iterator[None]:
    started = time.perf_counter()
    try:
        yield
    finally:
        with _LOCK:
            _TIMES[what] += 1
            _SPENT[what] += time.perf_counter() - started


if __name__ == "__main__":
    engine.writing = _writing  # before anybody else imports it
    Session.commit = _commit  # type: ignore[method-assign]
    os.fsync = _fsync  # type: ignore[assignment]
    from ccexport.commands.main import main

    result = Path(sys.argv[1])
    sys.argv = ["ccexport", "worker", "--until-idle"]
    try:
        main()
    finally:
        spent = {f"{what}_seconds": round(seconds, 4) for what, seconds in _SPENT.items()}
        result.write_text(json.dumps(_TIMES | spent))
