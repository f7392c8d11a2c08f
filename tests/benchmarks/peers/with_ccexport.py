"""Our own path, as a run takes it: source → prepared rows → encrypted contacts and rejections, and the planned files.

python with_ccexport.py SOURCE_FOLDER OUTPUT_FOLDER
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ccexport.preparation.files import BatchPlanner
from ccexport.preparation.mapping import mapping_from_dict, suggest_mapping
from ccexport.preparation.preview import REJECTIONS_SCHEMA, contacts_schema, split
from ccexport.preparation.stream import prepared_rows
from ccexport.segments.source import open_source
from ccexport.store.run_files import RunFiles


def main(source_folder: Path, output: Path) -> None:
    key = os.urandom(32)
    files = RunFiles(output / "runs", lambda: (key,))
    read = prepared = truncated = 0
    with open_source(f"file:{source_folder}") as source:
        mapping = mapping_from_dict(suggest_mapping(source.attribute_names))
        planner, planned = BatchPlanner(mapping.fields), []
        with (
            files.writer(1, "contacts", contacts_schema(mapping.fields)) as contacts_file,
            files.writer(1, "rejections", REJECTIONS_SCHEMA) as rejections_file,
        ):
            for batch in prepared_rows(source, ["All", "Half"], mapping):
                contacts, rejections, cut = split(batch, mapping.fields)
                contacts_file.write(contacts)
                rejections_file.write(rejections)
                planned += planner.add(contacts)
                read, prepared = read + batch.num_rows, prepared + contacts.num_rows
                truncated += cut
            planned += planner.finish()
    (output / "summary.txt").write_text(f"{read} {prepared} {truncated}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
