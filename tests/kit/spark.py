"""Spark for tests: one Java a process, told to be soon ready rather than fast in the end."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

MASTER = "local[2]"
_OPTIONS = {
    "spark.master": MASTER,
    # Tests ask few questions of each kind: most of Java's time would go into making its own code faster.
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.session.timeZone": "UTC",
}


def lend_to_spark(folder: Path) -> str:
    """The address of a session whose tables are the Parquet files of a folder; who opens it as a source ends it.

    Skips where there is no Spark or no Java. Tests that call it stand in `TOGETHER`, since Java takes long to start.
    """
    sql = pytest.importorskip("pyspark.sql")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    builder = sql.SparkSession.builder.config("spark.sql.warehouse.dir", str(folder / "warehouse"))
    for name, value in _OPTIONS.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    for file in folder.glob("*.parquet"):
        session.read.parquet(str(file)).createOrReplaceTempView(file.stem)
    return f"pyspark://?spark.master={MASTER}"
