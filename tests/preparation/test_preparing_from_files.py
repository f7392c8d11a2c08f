"""From source files to files that are sent: the same profiles give the same bytes, whatever they came as."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from ccexport.preparation.mapping import parse_mapping
from ccexport.preparation.prepare import prepare
from ccexport.segments.source import open_source
from tests.preparation.counting import files_of_a_run

MAPPING = parse_mapping(["email=EMail", "first_name=First", "cf:full={First} {Last}"])
NAMES = ["Ana", "Zoë", "O'Brien", 'A "B", C', "王 ", "", " \tx", "long " * 12]


def profiles(count: int) -> list[dict[str, str]]:
    pick = random.Random(7)
    return [
        {
            "CustomerId": f"{n:05}",
            "EMail": pick.choice(
                ["", "x", f"p{n}@b.de", f"P{n // 2}@b.de", "q" * 50 + f"{n}@b.de"]
            ),
            "First": pick.choice(NAMES),
            "Last": pick.choice(NAMES),
        }
        for n in range(count)
    ]


def write(folder: Path, rows: list[dict[str, str]], ending: str) -> str:
    folder.mkdir()
    members = [{"CustomerId": r["CustomerId"], "Segment": s} for r in rows for s in ("S", "T")]
    for name, content in (("Customer", rows), ("SegmentMembership", members)):
        table = pa.Table.from_pylist(content)
        if ending == "csv":
            pyarrow.csv.write_csv(table, folder / f"{name}.csv")
        else:
            pq.write_table(table, folder / f"{name}.parquet", row_group_size=2_048)
    return f"file:{folder}"


def digests(url: str, threads: int) -> list[str]:
    with open_source(url, threads=threads) as source:
        prepared = prepare(source, ["S", "T"], MAPPING)
    files = files_of_a_run(prepared, MAPPING.fields, max_rows=3_000)
    return [hashlib.sha256(file).hexdigest() for file in files]


def test_the_same_profiles_give_the_same_files_whatever_the_threads_the_order_and_the_format(
    tmp_path: Path,
) -> None:
    rows = profiles(20_000)
    shuffled = random.Random(8).sample(rows, len(rows))
    urls = [
        write(tmp_path / "a", rows, "csv"),
        write(tmp_path / "b", shuffled, "csv"),
        write(tmp_path / "c", shuffled, "parquet"),
    ]
    expected = digests(urls[0], 1)
    assert len(expected) > 3
    for url in urls:
        for threads in (1, 2) if url != urls[0] else (2,):
            assert digests(url, threads) == expected
