"""A source that is still being written, or written anew while it is read, and files that hold what no cell may."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ccexport.clock import utc_now
from ccexport.errors import SourceError
from ccexport.runs.pipeline import execute_run
from ccexport.sandbox.server import running_sandbox
from ccexport.segments.source import Source, open_source
from ccexport.segments.text import as_text
from ccexport.states import RunState, WaitingFor
from ccexport.store.moves import Held
from ccexport.worker import Worker
from tests.kit.house import House, behaviour, people, write_source

CUSTOMERS = "CustomerId,EMail\n1,ana@example.com\n2,dora@example.co"
MEMBERS = "CustomerId,Segment\n1,All\n2,All\n"
WRITTEN_AT = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with running_sandbox(behaviour()) as sandbox:
        house = House(tmp_path, sandbox)
        write_source(house.source, people(3))
        house.connect()
        house.set_up_export()
        yield house
        house.close()


def write(folder: Path, customers: str, members: str = MEMBERS) -> None:
    for name, text in (("Customer.csv", customers), ("SegmentMembership.csv", members)):
        path = folder / name
        path.write_bytes(text.encode())
        os.utime(path, (WRITTEN_AT.timestamp(), WRITTEN_AT.timestamp()))


def opened(folder: Path, *, age: float, pauses: list[float] | None = None) -> Source:
    pauses = [] if pauses is None else pauses
    now = WRITTEN_AT + timedelta(seconds=age)
    return open_source(f"file:{folder}", now=lambda: now, pause=pauses.append)


def read(source: Source) -> list[str]:
    rows = source.stream(source.customers.order_by("CustomerId"))
    return [row["EMail"] for batch in rows for row in batch.to_pylist()]


@pytest.mark.parametrize("age", [0, 59, -30])
def test_a_last_line_without_its_end_in_a_new_file_is_looked_at_twice_and_refused(
    tmp_path: Path, age: float
) -> None:
    """C25"""
    write(tmp_path, CUSTOMERS)
    pauses: list[float] = []
    with pytest.raises(SourceError, match=r"Customer\.csv was written less than a minute ago"):
        opened(tmp_path, age=age, pauses=pauses)
    assert len(pauses) == 1


def test_a_last_line_that_is_finished_meanwhile_is_read_whole(tmp_path: Path) -> None:
    """C25"""
    write(tmp_path, CUSTOMERS)

    def finish(_seconds: float) -> None:
        write(tmp_path, CUSTOMERS + "m\n")

    with open_source(f"file:{tmp_path}", now=lambda: WRITTEN_AT, pause=finish) as source:
        assert read(source) == ["ana@example.com", "dora@example.com"]


@pytest.mark.parametrize(("end", "age"), [("", 60), ("\n", 0), ("\r\n", 0)])
def test_a_file_that_was_still_for_a_minute_or_ends_its_last_line_is_read_at_once(
    tmp_path: Path, end: str, age: float
) -> None:
    """C25"""
    write(
        tmp_path,
        (CUSTOMERS + end).replace("\n", "\r\n" if "\r" in end else "\n").replace("\r\r", "\r"),
    )
    pauses: list[float] = []
    with opened(tmp_path, age=age, pauses=pauses) as source:
        assert read(source) == ["ana@example.com", "dora@example.co"]
    assert pauses == []


def append(path: Path) -> None:
    with path.open("a") as file:
        file.write("3,All\n")


def rename_over(path: Path) -> None:
    other = path.with_suffix(".new")
    other.write_bytes(path.read_bytes())
    other.rename(path)


@pytest.mark.parametrize("change", [append, rename_over, Path.unlink, Path.touch])
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, change: object) -> None:
    """C25"""
    write(tmp_path, CUSTOMERS + "\n")

    def read_meanwhile() -> None:
        with opened(tmp_path, age=600) as source:
            read(source)
            change(tmp_path / "SegmentMembership.csv")  # type: ignore[operator]

    with pytest.raises(SourceError, match=r"SegmentMembership\.csv changed while it was read"):
        read_meanwhile()


def test_a_run_whose_source_changes_while_it_prepares_waits_and_reads_it_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C25"""
    check = Source.check_segments
    sent_before: list[int] = []

    def overwritten_once(source: Source, names: list[str]) -> None:
        check(source, names)
        if not sent_before:
            write_source(house.source, people(2))
        sent_before.append(len(house.members()))

    monkeypatch.setattr(Source, "check_segments", overwritten_once)
    document = house.run()
    assert document["state"] == "succeeded"
    assert [each for each in waits_of(house, document["id"]) if "changed while it was read" in each]
    assert sent_before == [0, 0]
    assert len(house.members()) == 2


def test_a_run_waits_a_minute_for_a_last_line_that_has_no_end(house: House) -> None:
    """C25"""
    path = house.source / "Customer.csv"
    path.write_text(path.read_text().rstrip())
    run_id = house.queue()
    held = Held(run_id, "a worker")
    assert house.installation.runs.claim(held.worker, run_id=run_id) is not None
    execute_run(held, Worker(house.installation).tools)
    run = house.installation.runs.get(run_id)
    assert (run.state, run.waiting_for) == (RunState.WAITING, WaitingFor.SERVICE)
    assert run.waiting_until is not None
    assert run.waiting_until - utc_now() > timedelta(seconds=50)
    assert "last line has no end" in waits_of(house, run_id)[-1]
    assert house.members() == {}


def waits_of(house: House, run_id: int) -> list[str]:
    """What a run waited for, in its order."""
    events = house.installation.runs.events(run_id)
    return [event.detail for event in events if event.what == RunState.WAITING]


@pytest.mark.parametrize(
    ("customers", "members", "where"),
    [
        (
            "\ufeffCustomerId,EMail\n1,a@example.com\n\ufeff2,b@example.com\n",
            MEMBERS,
            "Customer.csv, line 3",
        ),
        (
            CUSTOMERS + "\n",
            MEMBERS + "\ufeffCustomerId,Segment\n2,All\n",
            "SegmentMembership.csv, line 4",
        ),
    ],
)
def test_a_byte_order_mark_within_a_file_is_told_by_its_line(
    tmp_path: Path, customers: str, members: str, where: str
) -> None:
    write(tmp_path, customers, members)

    def read_both() -> None:
        with opened(tmp_path, age=600) as source:
            read(source)
            source.segments()

    with pytest.raises(SourceError, match=f"{where}: a byte-order mark within the") as caught:
        read_both()
    assert "example.com" not in str(caught.value)


NESTED = [
    (pa.array([["ana@example.com"]]), r"array<string>"),
    (pa.array([{"home": "ana@example.com"}]), r"struct<home: string>"),
]


@pytest.mark.parametrize(("values", "type_"), NESTED, ids=["list", "struct"])
def test_a_mapped_column_of_lists_or_structs_is_refused_at_set_up_and_when_a_run_starts(
    house: House, values: pa.Array, type_: str
) -> None:
    """C19"""
    (house.source / "Customer.csv").unlink()
    names = {"FirstName": ["Ana"], "LastName": ["Diaz"]}
    table = pa.table({"CustomerId": ["0000001"], "EMail": values, **names})
    pq.write_table(table, house.source / "Customer.parquet")
    with pytest.raises(SourceError, match=f'"EMail" of Customer.parquet .*{type_}'):
        house.set_up_export("Second")
    document = house.run()
    assert document["state"] == "failed"
    assert '"EMail" of Customer.parquet' in document["error"]
    assert house.members() == {}


def test_a_column_of_lists_that_nobody_maps_is_in_nobodys_way(tmp_path: Path) -> None:
    """C19"""
    write(tmp_path, CUSTOMERS)
    (tmp_path / "Customer.csv").unlink()
    table = pa.table({"CustomerId": ["1"], "EMail": ["ana@example.com"], "Tags": [["a", "b"]]})
    pq.write_table(table, tmp_path / "Customer.parquet")
    with opened(tmp_path, age=0) as source:
        source.check_types(["EMail"])
        assert read(source) == ["ana@example.com"]


def test_a_moments_text_asks_no_engine_for_a_bare_letter_in_its_pattern() -> None:
    """Spark takes the T between date and time for a part of the pattern, and does not know it."""
    moments = as_text(ibis.table({"At": "timestamp"}, name="Customer"))
    written = ibis.to_sql(moments, dialect="pyspark")
    assert "ddT" not in written
    assert "HH:mm:ss" in written
