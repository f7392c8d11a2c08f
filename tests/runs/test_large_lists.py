"""A run's list is written to disk piece by piece, encrypted; where it cannot be, nobody is taken for one who left."""

from __future__ import annotations

import errno
import socket
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from ccexport.constantcontact.model import Activity
from ccexport.runs import listing
from ccexport.runs.listing import ON_LIST, list_pieces, write_list
from ccexport.runs.pipeline import execute_run
from ccexport.sandbox.server import running_sandbox
from ccexport.store.database.tables import Run
from ccexport.store.moves import Held
from ccexport.worker import Worker
from tests.constantcontact.wire import client_of, server
from tests.kit.house import House, behaviour, furnished, people, write_source
from tests.runs.changing import counts, renamed, said

TEN = people(10)
FEW, MANY = 40_000, 200_000
LINES_AT_ONCE = 1_000


@pytest.fixture(params=["changes", "mirror"])
def house(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[House]:
    """Ten people on the list. Then one leaves it, two leave the segment, one changes, and one is new."""
    with (
        running_sandbox(behaviour()) as sandbox,
        furnished(tmp_path, sandbox, TEN, mode=request.param) as house,
    ):
        assert counts(house.run())["new"] == 10
        house.take_off(TEN[3]["EMail"])
        write_source(house.source, [*renamed(TEN[2:], 1), *people(1, first=11)])
        yield house


def test_the_memory_that_reading_takes_does_not_grow_with_the_list(tmp_path: Path) -> None:
    with running_sandbox(behaviour()) as sandbox, closing(House(tmp_path, sandbox)) as house:
        few, many = held_meanwhile(house, FEW), held_meanwhile(house, MANY)
        assert many < 1.5 * few
        tools = Worker(house.installation).tools
        sizes = [len(piece) for piece in list_pieces(Run(id=MANY), tools)]
        assert sum(sizes) == MANY
        assert max(sizes) < FEW / 2, "it is read again piece by piece as well"
        [path] = house.settings.data_dir.rglob(f"{MANY}/{ON_LIST}*")
        assert b"example.com" not in path.read_bytes()


def held_meanwhile(house: House, people: int) -> int:
    """Bytes held at most while so many people are read: by Python, and by Arrow for what is being written."""
    run, tools = Run(id=people), Worker(house.installation).tools
    by_arrow: list[int] = []

    def serve(connection: socket.socket) -> None:
        for piece in export_of(people):
            connection.sendall(piece)
            by_arrow.append(pa.total_allocated_bytes())
        connection.shutdown(socket.SHUT_RDWR)

    tracemalloc.start()
    with server(serve) as port, closing(client_of(port)) as client:
        done = Activity(activity_id="a1", state="completed")
        assert write_list(run, done, client, tools) == people
    _, by_python = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return by_python + max(by_arrow) - min(by_arrow)


def export_of(people: int) -> Iterator[bytes]:
    """An answer without a length: it ends where the connection does."""
    yield b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nConnection: close\r\n\r\n"
    yield b"Email address\r\n"
    for first in range(0, people, LINES_AT_ONCE):
        numbers = range(first, first + LINES_AT_ONCE)
        yield "".join(f"somebody{n}@example.com\r\n" for n in numbers).encode()


@pytest.mark.parametrize("short", [MemoryError, pa.ArrowMemoryError], ids=["python", "arrow"])
def test_where_memory_is_short_for_the_list_new_and_changed_people_go_and_nobody_is_away(
    house: House, monkeypatch: pytest.MonkeyPatch, short: type[MemoryError]
) -> None:
    def out_of_memory(_texts: list[str]) -> pa.Array:
        raise short("malloc of size 1048576 failed")

    with monkeypatch.context() as patched:
        patched.setattr(listing, "text_array", out_of_memory)
        document = house.run()
    assert counts(document) == {"new": 1, "changed": 1, "unchanged": 7, "suppressed": 0}
    assert document["counts"]["removed"] == 0
    [told] = said(house, document["id"], "list not read")
    assert told.startswith("The memory did not suffice to read who is on the list.")
    assert (document["state"] == "completed_with_errors") == (document["mode"] == "mirror")
    assert counts(house.run())["suppressed"] == 1, "the next run finds who left"
    assert TEN[3]["EMail"] not in house.members()


def test_where_the_disk_is_full_for_the_list_the_run_waits_and_then_is_exact(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(_texts: list[str]) -> pa.Array:
        raise OSError(errno.ENOSPC, "No space left on device")

    run_id = house.queue()
    held = Held(run_id, "a worker")
    assert house.installation.runs.claim(held.worker, run_id=run_id) is not None
    with monkeypatch.context() as patched:
        patched.setattr(listing, "text_array", no_room)
        execute_run(held, Worker(house.installation).tools)
    document = house.document(run_id)
    assert (document["state"], document["waiting_for"]) == ("waiting", "service")
    assert (len(house.members()), document["batches"]) == (9, [])
    [told] = said(house, run_id, "waiting")
    assert "is full. Free some space; the run then goes on by itself." in told
    house.work()
    document = house.document(run_id)
    assert counts(document) == {"new": 1, "changed": 1, "unchanged": 6, "suppressed": 1}
    assert document["counts"]["removed"] == (2 if document["mode"] == "mirror" else 0)
