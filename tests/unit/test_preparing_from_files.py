"""From source files to planned files: the same profiles give the same bytes, whatever they came as."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from ccexport.preparation.files import PlannedBatch, plan_batches
from ccexport.preparation.mapping import parse_mapping
from ccexport.preparation.preview import split
from ccexport.preparation.stream import prepared_rows
from ccexport.segments.source import open_source

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


def planned(folder: Path, rows: list[dict[str, str]], ending: str) -> list[PlannedBatch]:
    folder.mkdir()
    members = [{"CustomerId": r["CustomerId"], "Segment": s} for r in rows for s in ("S", "T")]
    for name, content in (("Customer", rows), ("SegmentMembership", members)):
        table = pa.Table.from_pylist(content)
        if ending == "csv":
            pyarrow.csv.write_csv(table, folder / f"{name}.csv")
        else:
            pq.write_table(table, folder / f"{name}.parquet", row_group_size=300)
    with open_source(f"file:{folder}") as source:
        parts = prepared_rows(source, ["S", "T"], MAPPING, rows_per_part=700)
        contacts = (split(batch, MAPPING.fields)[0] for batch in parts)
        return list(plan_batches(contacts, MAPPING.fields, max_rows=500))


def test_the_same_profiles_give_the_same_files_in_any_order_from_csv_and_from_parquet(
    tmp_path: Path,
) -> None:
    rows = profiles(2_000)
    shuffled = random.Random(8).sample(rows, len(rows))
    expected = planned(tmp_path / "a", rows, "csv")
    assert len(expected) > 2
    assert planned(tmp_path / "b", shuffled, "csv") == expected
    assert planned(tmp_path / "c", shuffled, "parquet") == expected
