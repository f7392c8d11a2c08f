"""One run as a person wants to see it: how far it is, and which profiles failed or were left out, and why.

Reads the store and, when asked for them, the run's files; the pure part is in `described.py` and `run_words.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from ccexport.constantcontact.model import line_number, line_of
from ccexport.errors import NotFound, SetupError
from ccexport.installation import Installation
from ccexport.redaction import redact
from ccexport.services.exports.exports import Exports
from ccexport.services.people.access import Person
from ccexport.services.people.permission import may, require
from ccexport.services.people.roles import Action
from ccexport.services.runs.described import Progress, describe
from ccexport.services.runs.runs import REJECTED_HEADER, Runs
from ccexport.services.runs.spreadsheets import to_spreadsheet_csv
from ccexport.states import RunFile
from ccexport.store.budget import SPACING_MARGIN
from ccexport.store.database.tables import Batch, Run, RunEvent
from ccexport.store.history import HistoryStore
from ccexport.words import SUPPRESSED

SHOWN_REJECTIONS = 200  # rows of the table on the page; the download has all


@dataclass(frozen=True)
class FailedRow:
    """One error of the service. `customer_id` is None where it names no line, or the run's files are gone.

    The last of a file may be ours: how many more of its rows failed than the service named.
    """

    batch_number: int
    line: int | None  # of the file that was sent; the header is line 1
    customer_id: str | None
    text: str


@dataclass(frozen=True)
class Rejected:
    """The first profiles left out that match, and how many match."""

    rows: tuple[tuple[str, ...], ...]  # customer_id, email, reason, sent_instead
    matching: int


class RunProgress:
    """Questions about one run, and running its export anew."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._history = HistoryStore(installation.engine, installation.now)

    def of(self, run_id: int) -> Progress:
        """Raises `NotFound`."""
        return self.of_run(self._installation.runs.get(run_id))

    def of_run(self, run: Run, *, workers: int | None = None) -> Progress:
        """The same of a run that was just read; `workers` where their number is known already."""
        is_live = not run.state.is_final
        if workers is None:
            workers = len(self._installation.workers.alive()) if is_live else 0
        return describe(
            run,
            self._installation.batches.of_run(run.id),
            now=self._installation.now(),
            spacing_seconds=SPACING_MARGIN / self._installation.settings.cc_requests_per_second,
            previous=self._history.previous(run) if is_live else None,
            workers=workers,
        )

    def batches(self, run_id: int) -> list[Batch]:
        """By number."""
        return self._installation.batches.of_run(run_id)

    def events(self, run_id: int) -> list[RunEvent]:
        return self._installation.runs.events(run_id)

    def run_again(self, run_id: int, *, by: Person) -> Run:
        """Queue the export as it is now. Raises `NotFound` when it was removed, `Conflict` while a run is live."""
        run = self._installation.runs.get(run_id)
        if run.export_id is None:
            raise NotFound(
                f'The export "{run.export_name}" has been removed, so it cannot run again.'
            )
        name = self._installation.exports.get(run.export_id).export.name
        return Exports(self._installation).queue(name, by=by)

    # --- which profiles --------------------------------------------------------------------------

    def failed_rows(
        self, run_id: int, batch_number: int | None = None, *, by: Person
    ) -> list[FailedRow]:
        """The service's errors of a run, or of one file, with whom each is about. Reads the run's contacts file.

        The service may quote an address: it is masked for those who may not see values.
        """
        by = require(self._installation, by, Action.SEE_EXPORTS, "run", str(run_id))
        sees_values = may(self._installation, by, Action.SEE_VALUES)
        batches = self._installation.batches.of_run(run_id)
        unnamed = Runs(self._installation).failures(run_id).unnamed_by_file
        rows: list[FailedRow] = []
        for batch in batches:
            if batch_number in (None, batch.number):
                rows += self._rows_of(run_id, batch) if batch.errors else []
                rows += _unnamed(batch.number, unnamed.get(batch.number, 0))
        return rows if sees_values else [replace(row, text=redact(row.text)) for row in rows]

    def _rows_of(self, run_id: int, batch: Batch) -> list[FailedRow]:
        found = self._errors_of(run_id, batch)
        rows = [row for row, _ in found if row is not None]
        ids = self._customer_ids(run_id, batch, [row for row in rows if 0 <= row < batch.rows])
        return [
            FailedRow(
                batch.number,
                None if row is None else line_number(row),
                None if row is None else ids.get(row),
                text,
            )
            for row, text in found
        ]

    def _errors_of(self, run_id: int, batch: Batch) -> list[tuple[int | None, str]]:
        """(row of the file, words): the rows that were named, and before them what was said of no row."""
        named = [row for _, row in self._installation.batches.failed_rows(run_id, batch.number)]
        if not named:
            return [line_of(text) for text in batch.errors]
        said = {row.words for row in named}
        texts = [text for text in batch.errors if line_of(text)[0] is None and text not in said]
        return [
            *((None, text) for text in texts),
            *((row.row, row.words) for row in named),
        ]

    def _customer_ids(self, run_id: int, batch: Batch, rows: Sequence[int]) -> dict[int, str]:
        """Row of the file, counted from 0 → its profile; empty when the run's files are gone or damaged."""
        if not rows or not self._installation.run_files.exists(run_id, RunFile.CONTACTS):
            return {}
        first = min(rows)
        try:
            table = self._installation.run_files.rows(
                run_id, RunFile.CONTACTS, batch.first_row + first, max(rows) - first + 1
            )
        except SetupError:
            return {}
        column = table.column("customer_id")
        return {row: str(column[row - first]) for row in rows if row - first < len(column)}

    def has_rejections(self, run_id: int) -> bool:
        """Whether the list of those left out is still kept."""
        return self._installation.run_files.exists(run_id, RunFile.REJECTIONS)

    def rejected(
        self,
        run_id: int,
        *,
        by: Person,
        reason: str | None = None,
        search: str = "",
        most: int = SHOWN_REJECTIONS,
    ) -> Rejected:
        """Profiles left out of a run for a reason, or with `search` in key or address. Raises `NotFound`."""
        run, wanted = self._installation.runs.get(run_id), search.strip().casefold()
        rows = (
            row
            for row in Runs(self._installation).rejected(run_id, by=by)
            if reason in (None, row[2].partition(": ")[0])
            and (not wanted or any(wanted in row[place].casefold() for place in (0, 1, 3)))
        )
        found = tuple(islice(rows, most))
        if wanted:
            return Rejected(found, len(found) + sum(1 for _ in rows))
        counts = {**run.rejections, SUPPRESSED: run.suppressed_count}
        return Rejected(found, counts.get(reason, 0) if reason else sum(counts.values()))

    def rejected_csv(self, run_id: int, *, by: Person) -> bytes:
        """All profiles left out, as CSV for a spreadsheet: UTF-8 with BOM, formulas disarmed. Raises `NotFound`."""
        require(self._installation, by, Action.SEE_VALUES, "run", str(run_id))
        return to_spreadsheet_csv(REJECTED_HEADER, Runs(self._installation).rejected(run_id, by=by))


def _unnamed(batch_number: int, count: int) -> list[FailedRow]:
    rows = "1 more row" if count == 1 else f"{count:,} more rows"
    text = f"{rows} failed; Constant Contact did not say which, so a retry cannot send them."
    return [FailedRow(batch_number, None, None, text)] if count else []
