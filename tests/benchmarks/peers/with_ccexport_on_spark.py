"""Our own path, as in `with_ccexport.py`, over the tables of a Spark session.

python with_ccexport_on_spark.py SOURCE_FOLDER OUTPUT_FOLDER: its Parquet files are the session's tables, as a catalog's
would be. Beside the summary lies `own_peak_mb.txt`: of this process, without Spark's own in Java.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from tests.benchmarks.peers import with_ccexport
from tests.benchmarks.peers.with_spark import MASTER, MEMORY, session_over


def main(source: Path, output: Path) -> None:
    session = session_over(source)
    for name in ("Customer", "SegmentMembership"):
        session.read.parquet(str(source / f"{name}.parquet")).createOrReplaceTempView(name)
    options = f"spark.master={MASTER}&spark.driver.memory={MEMORY}"
    with_ccexport.main(f"pyspark://?{options}", output)
    session.stop()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    (output / "own_peak_mb.txt").write_text(str(peak))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
