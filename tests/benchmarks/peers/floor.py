"""The floor: DuckDB reads both files and touches every value. Nothing is prepared or written.

python floor.py SOURCE_FOLDER OUTPUT_FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb


def main(source: Path) -> None:
    connection = duckdb.connect(config={"threads": 2})
    for name in ("Customer", "SegmentMembership"):
        path = source / f"{name}.parquet"
        table = (
            f"'{path}'" if path.exists() else f"read_csv('{source}/{name}.csv', all_varchar=true)"
        )
        query = f"SELECT count(*), max(strlen(COLUMNS(*))) FROM {table}"  # noqa: S608  # our own text
        connection.execute(query).fetchall()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
