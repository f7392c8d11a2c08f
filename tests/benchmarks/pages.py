"""How long each page's script takes on a large history: 500 exports, 10,000 runs, 300,000 batches.

    python -m tests.benchmarks.pages [--postgres URL] [--repeats 5] [--output FILE.json]

The store is filled by bulk statements in a folder of its own (SQLite), or in the empty database at URL. Each page is
run as a visitor's first look at it, through `AppTest`; the first run is not counted, the median of the others is.
Exit code 1 where a page takes longer than it may.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, func, insert, select
from streamlit.testing.v1 import AppTest

from ccexport.clock import utc_now
from ccexport.states import BatchState, RunState, Trigger, WaitingFor
from ccexport.store.database.engine import open_engine, writing
from ccexport.store.database.migrate import migrate
from ccexport.store.database.tables import (
    Batch,
    Connection,
    Export,
    ExportSegment,
    FieldMapping,
    Run,
    RunEvent,
    Worker,
)
from tests.benchmarks.measure import machine, report, say

ROOT = Path(__file__).resolve().parents[2]
EXPORTS, RUNS, BATCHES_A_RUN = 500, 10_000, 30
LIMIT_SECONDS = 0.5
ROWS_A_BATCH = 1_000
CHUNK = 10_000  # rows a statement
DAYS = 90  # over which the runs are spread
OTHER_PAGES = ("exports", "export", "segments", "connections", "refresh", "system")
_ENDS = [RunState.SUCCEEDED] * 16 + [
    RunState.COMPLETED_WITH_ERRORS,
    RunState.FAILED,
    RunState.CANCELED,
    RunState.SKIPPED,
]


def main() -> int:
    """Fill, measure, report."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as name:
        url = arguments.postgres or f"sqlite:///{name}/ccexport.db"
        _set_environment(Path(name), url)
        engine = open_engine(url)
        migrate(engine)
        started = time.perf_counter()
        fill(engine)
        say(f"filled in {time.perf_counter() - started:.1f} s")
        rows = _count(engine)
        seconds = {
            label: measure(page, query, arguments.repeats) for label, page, query in _pages()
        }
        document = {
            "benchmark": "pages",
            "database": engine.dialect.name,
            "rows": rows,
            "repeats": arguments.repeats,
            "limit_seconds": LIMIT_SECONDS,
            "median_seconds": seconds,
            "too_slow": [label for label, took in seconds.items() if took > LIMIT_SECONDS],
            "machine": machine(),
        }
        engine.dispose()
    report(document, arguments.output)
    return 1 if document["too_slow"] else 0


def measure(page: str, query: dict[str, str], repeats: int) -> float:
    """The median seconds of a page's script. Raises `RuntimeError` where the page shows an exception."""
    seconds = []
    for number in range(repeats + 1):
        test = AppTest.from_file(str(ROOT / "pages" / f"{page}.py"), default_timeout=120)
        for key, value in query.items():
            test.query_params[key] = value
        started = time.perf_counter()
        test.run()
        took = time.perf_counter() - started
        if test.exception:
            raise RuntimeError(f"{page}: {test.exception[0].value}")
        if test.error and page not in OTHER_PAGES:
            raise RuntimeError(f"{page}: {test.error[0].value}")
        if number:
            seconds.append(took)
    median = round(statistics.median(seconds), 3)
    say(f"{page} {query or ''}: {median:.3f} s")
    return median


# --- filling -------------------------------------------------------------------------------------


def fill(engine: Engine, *, exports: int = EXPORTS, runs: int = RUNS) -> None:
    """Rows as a long life leaves them; five of the newest runs are live. Deterministic but for the present time."""
    now = utc_now()
    _insert(engine, Connection, [_connection(number, now) for number in range(1, 6)])
    _insert(engine, Export, (_export(number, now) for number in range(1, exports + 1)))
    _insert(engine, ExportSegment, (_segment(number) for number in range(1, exports + 1)))
    _insert(engine, FieldMapping, (row for n in range(1, exports + 1) for row in _mapping(n)))
    _insert(engine, Run, (_run(number, runs, exports, now) for number in range(1, runs + 1)))
    _insert(engine, Batch, (row for n in range(1, runs + 1) for row in _batches(n, runs)))
    _insert(engine, RunEvent, (row for n in range(1, runs + 1) for row in _events(n, runs, now)))
    worker = {"host": "h", "pid": 1, "version": "1", "started_at": now}
    _insert(engine, Worker, [{"id": "w", "heartbeat_at": now + timedelta(hours=1), **worker}])


def _insert(engine: Engine, table: Any, rows: Any) -> None:
    chunk: list[dict[str, Any]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == CHUNK:
            _write(engine, table, chunk)
            chunk = []
    _write(engine, table, chunk)


def _write(engine: Engine, table: Any, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        with writing(engine) as session:
            session.connection().execute(insert(table.__table__), rows)


def _connection(number: int, now: datetime) -> dict[str, Any]:
    return {
        "name": f"Connection {number}",
        "name_key": f"connection {number}",
        "account_id": f"a{number}",
        "organization": f"Organization {number}",
        "contributors": True,
        "export_user": "ana",
        "needs_sign_in": number == 5,
        "created_at": now,
    }


def _export(number: int, now: datetime) -> dict[str, Any]:
    daily = number % 3 == 0
    return {
        "name": f"Export {number}",
        "name_key": f"export {number}",
        "connection_id": None if number % 50 == 0 else 1 + number % 5,
        "list_id": f"list-{number}",
        "list_name": f"List {number}",
        "mode": "full",
        "schedule": "daily 06:30 Europe/Berlin" if daily else "refresh",
        "next_run_at": now + timedelta(minutes=number) if daily else None,
        "revision": 1,
        "created_by": "ana",
        "created_at": now,
        "updated_at": now,
    }


def _segment(number: int) -> dict[str, Any]:
    return {"export_id": number, "position": 0, "segment": f"Segment {number % 40}"}


def _mapping(number: int) -> Iterator[dict[str, Any]]:
    for position, (contact_field, attribute) in enumerate(_FIELDS):
        yield {
            "export_id": number,
            "position": position,
            "contact_field": contact_field,
            "attribute": attribute,
        }


_FIELDS = [["email", "EMail"], ["first_name", "FirstName"], ["last_name", "LastName"]]


def _state(number: int, runs: int) -> RunState:
    live = (RunState.UPLOADING, RunState.CONFIRMING, RunState.WAITING, RunState.QUEUED)
    from_end = runs - number
    return live[from_end] if from_end < len(live) else _ENDS[number * 7 % len(_ENDS)]


def _run(number: int, runs: int, exports: int, now: datetime) -> dict[str, Any]:
    state, export = _state(number, runs), 1 + number % exports
    queued_at = now - timedelta(days=DAYS * (runs - number) / runs, seconds=30)
    prepared = BATCHES_A_RUN * ROWS_A_BATCH
    sent = 0 if state in (RunState.QUEUED, RunState.SKIPPED) else prepared
    waits = state is RunState.WAITING
    return {
        "id": number,
        "export_id": export,
        "connection_id": 1 + export % 5,
        "export_name": f"Export {export}",
        "connection_name": f"Connection {1 + export % 5}",
        "account_id": "a",
        "list_id": f"list-{export}",
        "list_name": f"List {export}",
        "segments": [f"Segment {export % 40}"],
        "mapping": _FIELDS,
        "mode": "full",
        "trigger": list(Trigger)[number % 3],
        "requested_by": "ana",
        "state": state,
        "resume_state": RunState.UPLOADING if waits else None,
        "waiting_for": WaitingFor.SIGN_IN if waits else None,
        "error": "The list is gone. Choose another." if state is RunState.FAILED else None,
        "queued_at": queued_at,
        "started_at": None if state is RunState.QUEUED else queued_at,
        "finished_at": queued_at + timedelta(seconds=20 + number % 300) if state.is_final else None,
        "seconds": {"preparing": 2.0, "uploading": 8.0, "confirming": 10.0},
        "read_count": sent + 50,
        "rejected_count": 50,
        "prepared_count": sent,
        "submitted_count": sent,
        "unsubscribed_count": min(sent, 30),
        "failed_count": min(sent, 5),
        "rejections": {"missing_email": 30, "duplicate": 20},
        "waits": 0,
        "unchanged_count": 0,
        "suppressed_count": 0,
        "removed_count": 0,
        "truncated_count": 0,
    }


def _batches(number: int, runs: int) -> Iterator[dict[str, Any]]:
    is_final = _state(number, runs).is_final
    for batch in range(1, BATCHES_A_RUN + 1):
        yield {
            "run_id": number,
            "number": batch,
            "first_row": (batch - 1) * ROWS_A_BATCH,
            "rows": ROWS_A_BATCH,
            "bytes": ROWS_A_BATCH * 41,
            "digest": f"{number:032x}{batch:032x}",
            "file_name": f"ccexport-run{number}-{batch:04}.csv",
            "state": BatchState.COMPLETED if is_final or batch < 15 else BatchState.SUBMITTED,
            "attempts": 1,
            "activity_id": f"activity-{number}-{batch}",
            "person_count": ROWS_A_BATCH,
            "error_count": 0,
            "correctable_count": 0,
            "unsubscribed_count": 1,
            "failed_rows": 0,
            "errors": ["Line 2: Invalid birthday"] if batch == 1 else [],
        }


def _events(number: int, runs: int, now: datetime) -> Iterator[dict[str, Any]]:
    """The run's own, and of the newest runs the batches' too."""
    base = {"run_id": number, "at": now, "detail": ""}
    for what in ("queued", "preparing", "uploading", "confirming", _state(number, runs).value):
        yield {**base, "who": "w", "what": what, "batch_number": None}
    if runs - number < 50:
        for batch in range(1, BATCHES_A_RUN + 1):
            for what in ("batch sending", "batch submitted", "batch completed"):
                yield {**base, "who": "w", "what": what, "batch_number": batch}


# --- helpers -------------------------------------------------------------------------------------


def _pages() -> list[tuple[str, str, dict[str, str]]]:
    """Label, page and query; the pages that are there."""
    ended = next(n for n in range(RUNS, 0, -1) if _state(n, RUNS) is RunState.SUCCEEDED)
    mine = [
        ("home", "home", {}),
        ("runs", "runs", {}),
        ("runs, all time", "runs", {"days": "all"}),
        ("runs, one export", "runs", {"export": "Export 7", "days": "all"}),
        ("run, ended", "run", {"run": str(ended)}),
        ("run, live", "run", {"run": str(RUNS)}),
    ]
    others: list[tuple[str, str, dict[str, str]]] = [(name, name, {}) for name in OTHER_PAGES]
    return [each for each in mine + others if (ROOT / "pages" / f"{each[1]}.py").exists()]


def _count(engine: Engine) -> dict[str, int]:
    tables: Sequence[Any] = (Export, Run, Batch, RunEvent)
    with engine.connect() as connection:
        return {
            table.__tablename__: connection.execute(
                select(func.count()).select_from(table.__table__)
            ).scalar_one()
            for table in tables
        }


def _set_environment(folder: Path, url: str) -> None:
    for name in [name for name in os.environ if name.startswith("CCEXPORT_")]:
        del os.environ[name]
    os.environ["CCEXPORT_DATA_DIR"] = str(folder)
    os.environ["CCEXPORT_DATABASE_URL"] = url
    os.environ["CCEXPORT_SOURCE_URL"] = f"file:{ROOT / 'data' / 'sample'}"
    os.environ["CCEXPORT_CC_CLIENT_ID"] = "benchmark"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--postgres", metavar="URL", help="an empty database, instead of SQLite")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
