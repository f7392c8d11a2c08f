"""Our own path, as a run takes it: source → lines and rejections → encrypted run files, and the planned files.

python with_ccexport.py SOURCE OUTPUT_FOLDER: the source is a folder, or an address such as postgres://…
"""

from __future__ import annotations

import atexit
import gc

gc.disable()  # as the commands do while they import
atexit.register(gc.freeze)  # and at their end

import os  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

from ccexport.preparation.contacts import CONTACTS_SCHEMA, REJECTIONS_SCHEMA, plan_files  # noqa: E402
from ccexport.preparation.mapping import mapping_from_dict, suggest_mapping  # noqa: E402
from ccexport.preparation.prepare import prepare  # noqa: E402
from ccexport.segments.source import open_source  # noqa: E402
from ccexport.store.vault.run_files import RunFiles  # noqa: E402

gc.freeze()
gc.enable()


def main(source_address: str, output: Path) -> None:
    key = os.urandom(32)
    files = RunFiles(output / "runs", lambda: (key,))
    address = source_address if "://" in source_address else f"file:{source_address}"
    with open_source(address) as source:
        mapping = mapping_from_dict(suggest_mapping(source.attribute_names))
        prepared = prepare(source, ["All", "Half"], mapping)
    contacts = prepared.contacts
    with files.writer(1, "rejections", REJECTIONS_SCHEMA) as rejections:
        for batch in prepared.rejections.to_batches():
            rejections.write(batch)
    with files.writer(1, "contacts", CONTACTS_SCHEMA) as writer:
        for batch, _ in plan_files(contacts, mapping.fields):
            writer.write(batch)
    contacts.hashes(key[:16])
    (output / "summary.txt").write_text(f"{prepared.read} {len(contacts)} {prepared.truncated}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
