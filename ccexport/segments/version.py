"""Whether a source is another than before, by a look at its files alone."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator
from pathlib import Path

from ccexport.errors import SourceError
from ccexport.segments.spec import SourceSpec, read_spec
from ccexport.segments.steadiness import stamps_of

LOOK_AGAIN_SECONDS = 600  # at a database, whose changes cannot be seen from outside


def source_version(url: str) -> Hashable:
    """Changes when the source's files do; for a database, every ten minutes."""
    try:
        spec = read_spec(url)
    except SourceError as error:
        return str(error)
    if spec.kind == "file" or (spec.kind == "cdm" and "://" not in spec.address):
        return stamps_of(_files(spec))
    return int(time.monotonic() // LOOK_AGAIN_SECONDS)


def _files(spec: SourceSpec) -> Iterator[Path]:
    if spec.file is not None:
        yield spec.file
    if spec.kind == "cdm":
        yield spec.folder / "model.json"
        return
    tables = {spec.profiles.table or "Customer"}
    for each in spec.memberships:
        tables |= {each.table or "SegmentMembership", *each.tables.values()}
    if spec.segment_names:
        tables.add(spec.segment_names.table)
    for path in spec.folder.iterdir() if spec.folder.is_dir() else ():
        if path.name.split(".")[0] in tables or path.name in tables:
            yield from path.rglob("*") if path.is_dir() else (path,)
