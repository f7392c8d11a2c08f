"""One table of inputs, the same lines and rejections out of every engine."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ccexport.preparation.mapping import FieldMapping
from ccexport.preparation.prepare import prepare
from ccexport.segments.source import Segment, open_source
from tests.kit.house import grow_old
from tests.kit.spark import lend_to_spark
from tests.kit.stores import empty_postgres

UTC = datetime.UTC
KEYS = [f"k{n:02}" for n in range(14)]
ROWS: dict[str, pa.Array] = {
    "CustomerId": pa.array(KEYS),
    "EMail": pa.array(
        [
            "fred@example.com",
            "moana@example.pf",
            "f@example.com",
            " ANA@example.com\t",
            "\u00a0ana@example.com",
            "\u212aim@example.com",
            "kim@example.com",
            "\u200bben@example.com",
            "dee@\u00adexample.com",
            "cem@example.com; x@example.org",
            "",
            None,
            "i\u0130@example.com",
            "x" * 60 + "@example.com",
        ]
    ),
    "FirstName": pa.array(["Jeff", "Asif", "  An\ra ", "é" * 60, *['O\'Hara, "D"'] * 10]),
    "Moment": pa.array([datetime.datetime(2024, 2, 29, 7, 8, 9, tzinfo=UTC), None] * 7),
    "Day": pa.array([datetime.date(2024, 2, 29), None] * 7),
    "Share": pa.array([1.5, 2.0, None, 1001.0, 1e15, 0.1, -3.0] * 2),
    "Price": pa.array([Decimal("5.10"), None] * 7, pa.decimal128(9, 2)),
    "Is": pa.array([True, False] * 7),
    "Count": pa.array([1, None] * 7, pa.int64()),
}
MEMBERS = {
    "CustomerId": pa.array([*KEYS, "k00", "gone", None]),
    "Segment": pa.array([*["News"] * 14, "News", "News", "News"]),
}
TABLES = {"Customer": ROWS, "SegmentMembership": MEMBERS}
MAPPING = FieldMapping(
    (
        ("email", "EMail"),
        ("first_name", "FirstName"),
        ("last_name", "Moment"),
        ("job_title", "Day"),
        ("company_name", "Share"),
        ("street", "Price"),
        ("city", "Is"),
        ("state", "Count"),
    )
)
Outcome = tuple[list[str], list[dict[str, Any]], list[Segment], int]


def outcome(address: str) -> Outcome:
    with open_source(address) as source:
        found = prepare(source, ["News"], MAPPING)
        contacts = found.contacts.take(0, len(found.contacts))
        unmatched = source.strangers(["News"], found=found.read).without_profile
        return (
            contacts.column("line").to_pylist(),
            found.rejections.to_pylist(),
            source.segments(),
            unmatched,
        )


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("engines")
    for name, columns in TABLES.items():
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
        grow_old(folder / f"{name}.parquet")
    return folder


@pytest.fixture(scope="module")
def from_files(parquet: Path) -> Outcome:
    found = outcome(f"file:{parquet}")
    assert len(found[0]) + len(found[1]) == 14
    assert found[2:] == ([Segment("News", 14)], 1)
    return found


@pytest.fixture(scope="module")
def postgres(postgres_url: str) -> str:
    address = empty_postgres(postgres_url).replace("postgresql+psycopg://", "postgres://")
    backend = ibis.connect(address)
    for name, columns in TABLES.items():
        backend.create_table(name, ibis.memtable(pa.table(columns)))
    backend.disconnect()
    return address


def test_postgresql_gives_what_files_give(from_files: Outcome, postgres: str) -> None:
    assert outcome(postgres) == from_files


def test_postgresql_reads_segments_written_as_json(postgres: str) -> None:
    backend = ibis.connect(postgres)
    texts = ['{"Segments": ["A", "B"]}', '["A"]', "[]", None]
    rows = pa.table({"CustomerId": KEYS[:4], "Segments": pa.array(texts, pa.string())})
    backend.create_table("JsonMembership", ibis.memtable(rows))
    backend.disconnect()
    mark = "&" if "?" in postgres else "?"
    with open_source(f"{postgres}{mark}membership_table=JsonMembership") as source:
        assert source.segments() == [Segment("A", 2), Segment("B", 1)]


def test_a_duckdb_file_gives_what_files_give(
    from_files: Outcome, parquet: Path, tmp_path: Path
) -> None:
    backend = ibis.duckdb.connect(tmp_path / "crm.duckdb")
    for name in TABLES:
        backend.raw_sql(f"CREATE TABLE {name} AS FROM '{parquet / name}.parquet'")
    backend.disconnect()
    assert outcome(f"duckdb://{tmp_path / 'crm.duckdb'}?read_only=true") == from_files


def test_a_delta_table_gives_what_files_give(from_files: Outcome, tmp_path: Path) -> None:
    deltalake = pytest.importorskip("deltalake")
    for name, columns in TABLES.items():
        deltalake.write_deltalake(str(tmp_path / name), pa.table(columns))
    assert outcome(f"file:{tmp_path}") == from_files


@pytest.mark.filterwarnings("ignore")  # PySpark's own, of pandas and of its sockets
def test_spark_gives_what_files_give(from_files: Outcome, parquet: Path) -> None:
    """C17; C11 to C13 as elsewhere. Who lets go of a source leaves the session to others who have it open."""
    address = lend_to_spark(parquet)
    with open_source(address) as page:
        assert outcome(address) == from_files
        assert page.count(page.customers) == 14
