"""What was sent of a few people, read back from the files of runs that are kept on this machine.

A ledger has the hash of the line that was confirmed last, so a line that is found is that very one. None is found of
those whose run's files are deleted, lie on another machine, or who were sent by themselves as a test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ccexport.errors import StoreError
from ccexport.preparation.contacts import with_lines
from ccexport.preparation.duplicates import is_among
from ccexport.preparation.files import values_of
from ccexport.preparation.hashes import text_hashes
from ccexport.preparation.mapping import FieldMapping
from ccexport.states import RunFile
from ccexport.store.database.tables import Run
from ccexport.store.vault.run_files import RunFiles

MOST_ROWS = 3_000_000  # looked through, the newest first: some seconds


@dataclass(frozen=True)
class SentLine:
    """A line as it was sent, by contact field, and whose it is."""

    customer_id: str
    values: Mapping[str, str]


class SentBefore:
    """Lines of runs (of one export, to one list; the newest first) by their hashes."""

    def __init__(self, runs: Sequence[Run], run_files: RunFiles) -> None:
        self._runs, self._files = runs, run_files

    def lines(self, hashes: np.ndarray) -> Mapping[int, SentLine]:
        """Those of the lines that are found, by their hash."""
        found: dict[int, SentLine] = {}
        read = 0
        for run in self._runs:
            wanted = np.setdiff1d(hashes, np.array(list(found), dtype=np.uint64))
            read += run.submitted_count
            if not len(wanted) or read > MOST_ROWS:
                break
            try:
                found.update(self._in_run(run, wanted))
            except StoreError:  # it is damaged, or no key opens it
                continue
        return found

    def _in_run(self, run: Run, wanted: np.ndarray) -> Iterator[tuple[int, SentLine]]:
        fields = FieldMapping(tuple((pair[0], pair[1]) for pair in run.mapping)).fields
        for batch in self._files.stream(run.id, RunFile.CONTACTS):
            rows = with_lines(batch)
            hashes = text_hashes(rows.column("line"))
            for place in np.flatnonzero(is_among(hashes, wanted)).tolist():
                [row] = rows.slice(place, 1).to_pylist()
                values = dict(zip(fields, values_of(row["line"]), strict=True))
                yield int(hashes[place]), SentLine(row["customer_id"], values)
