"""Our own path, as a run takes it: source → prepared rows → encrypted contacts and rejections, and the planned files.

python with_ccexport.py SOURCE_FOLDER OUTPUT_FOLDER
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
from ccexport.preparation.preview import REJECTIONS_SCHEMA, contacts_schema, split
from ccexport.preparation.stream import prepared_rows

from ccexport.preparation.duplicates import text_hashes
from ccexport.preparation.files import plan_batches
from ccexport.preparation.mapping import mapping_from_dict, suggest_mapping
from ccexport.segments.source import open_source
from ccexport.store.run_files import RunFiles, RunFileWriter


def main(source_folder: Path, output: Path) -> None:
    key = os.urandom(32)
    files = RunFiles(output / "runs", lambda: (key,))
    with open_source(f"file:{source_folder}") as source:
        mapping = mapping_from_dict(suggest_mapping(source.attribute_names))
        with (
            files.writer(1, "contacts", contacts_schema(mapping.fields)) as contacts,
            files.writer(1, "rejections", REJECTIONS_SCHEMA) as rejections,
        ):
            counts = Counter[str]()
            rows = prepared_rows(source, ["All", "Half"], mapping)
            written = _written(rows, mapping.fields, contacts, rejections, counts)
            list(plan_batches(written, mapping.fields))
    (output / "summary.txt").write_text(
        f"{counts['read']} {counts['prepared']} {counts['truncated']}"
    )


def _written(
    rows: Iterable[pa.RecordBatch],
    fields: Sequence[str],
    contacts: RunFileWriter,
    rejections: RunFileWriter,
    counts: Counter[str],
) -> Iterator[pa.RecordBatch]:
    for batch in rows:
        kept, rejected, cut = split(batch, fields)
        counts.update(read=batch.num_rows, prepared=kept.num_rows, truncated=cut)
        contacts.write(kept)
        rejections.write(rejected)
        text_hashes(kept.column("email")).tobytes()
        yield kept


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
