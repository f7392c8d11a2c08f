"""C39: the store behind PgBouncer, which gives each transaction whichever of its connections is free."""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url
from sqlmodel import col, update

from ccexport.store.database.engine import open_engine, writing
from ccexport.store.database.tables import Worker
from ccexport.store.workers import WorkerStore
from tests.kit.clocks import Clock
from tests.kit.offline import offline_parts
from tests.kit.ports import free_port
from tests.kit.stores import empty_postgres

PGBOUNCER = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="apt-get install pgbouncer")
ROUNDS = 12  # psycopg prepares a statement that it has seen five times


@pytest.fixture
def pooled_url(postgres_url: str, tmp_path: Path) -> Iterator[str]:
    """An empty database behind a pooler with two connections, in transaction mode."""
    url = make_url(empty_postgres(postgres_url))
    host = url.query.get("host") or url.host or "127.0.0.1"
    port = f" port={url.port}" if url.port else ""
    listens = free_port()
    config = tmp_path / "pgbouncer.ini"
    config.write_text(
        f"[databases]\ncc = host={host}{port} dbname={url.database} user={url.username}"
        f"{f' password={url.password}' if url.password else ''}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {listens}\nunix_socket_dir =\n"
        "auth_type = any\npool_mode = transaction\ndefault_pool_size = 2\nmax_client_conn = 200\n"
    )
    as_whom = _as_whom(Path(str(host)))
    for folder in (tmp_path, *tmp_path.parents):
        if folder.is_relative_to("/tmp") and folder != Path("/tmp"):  # noqa: S108  # of this test
            folder.chmod(folder.stat().st_mode | 0o055)
    process = subprocess.Popen(
        [PGBOUNCER or "", *as_whom, str(config)], stderr=subprocess.PIPE, text=True
    )
    try:
        _wait_for(listens, process)
        yield f"postgresql+psycopg://app@127.0.0.1:{listens}/cc"
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _as_whom(host: Path) -> list[str]:
    """It does not run as root: then as the user who may open the server's socket."""
    if getpass.getuser() != "root":
        return []
    return ["-u", host.owner() if host.is_dir() and host.owner() != "root" else "nobody"]


def _wait_for(port: int, process: subprocess.Popen[str]) -> None:
    for _ in range(300):
        if process.poll() is not None:
            raise RuntimeError(process.stderr.read() if process.stderr else "it ended")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the pooler does not answer")


def test_a_store_behind_a_pooler_migrates_and_serves_two_workers(
    pooled_url: str, tmp_path: Path, clock: Clock
) -> None:
    installation = offline_parts(tmp_path, clock, pooled_url)
    engines = [open_engine(pooled_url) for _ in range(2)]

    def work(number: int) -> None:
        """The same statements, more often than what is prepared from then on, as where a run's files are stored."""
        engine, name = engines[number % 2], f"worker {number}"
        WorkerStore(engine, clock).started(name, host="h", pid=number, version="1")
        for _ in range(ROUNDS):
            with writing(engine) as session:
                for _ in range(ROUNDS):
                    session.exec(update(Worker).where(col(Worker.id) == name).values(pid=number))
            WorkerStore(engine, clock).beat(name)

    with ThreadPoolExecutor(8) as workers:
        list(workers.map(work, range(8)))
    assert len(installation.workers.alive()) == 8
    assert installation.runs.claim("one") is None
    for engine in (*engines, installation.engine):
        engine.dispose()
