"""Retrying a run: what failed of it goes out again as a run of its own, and only that."""

from __future__ import annotations

from dataclasses import dataclass

from ccexport.errors import Conflict, NotFound
from ccexport.installation import Installation
from ccexport.services.people.access import Person
from ccexport.services.people.permission import audited, require
from ccexport.services.people.roles import Action
from ccexport.services.runs.progress import RunProgress
from ccexport.services.runs.runs import Runs
from ccexport.services.runs.spreadsheets import to_spreadsheet_csv
from ccexport.states import RunFile
from ccexport.store.database.tables import Run

FAILED_HEADER = ("customer_id", "file", "line", "words")


@dataclass(frozen=True)
class Retry:
    """The new run, how many rows it sends, and how many failed that are not in it since nobody named them."""

    run: Run
    rows: int
    unnamed: int


class Retries:
    """What people do with runs of which something failed."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    def retry(self, run_id: int, *, by: Person) -> Retry:
        """Queue it. Raises `Conflict` or `NotFound` where there is nothing to retry, or nothing left to do it with."""
        run = self._installation.runs.get(run_id)
        connection = Runs(self._installation).connection_of(run)
        by = require(
            self._installation, by, Action.RETRY_RUN, "run", str(run_id), connection=connection
        )
        self._check_may_run(run)
        found = Runs(self._installation).failures(run_id)
        if not found.count:
            raise Conflict(_nothing_to_retry(run, found.unnamed))
        self._check_files(run)
        after = {"export": run.export_name, "rows": found.count}
        with audited(self._installation, by, Action.RETRY_RUN, "run", str(run_id), after=after):
            new = self._installation.due.queue_again(run, requested_by=by.name)
        return Retry(new, found.count, found.unnamed)

    def failed_csv(self, run_id: int, *, by: Person) -> bytes:
        """What Constant Contact said of a run's files, as CSV for a spreadsheet, with whose row it is about."""
        require(self._installation, by, Action.SEE_VALUES, "run", str(run_id))
        rows = RunProgress(self._installation).failed_rows(run_id, by=by)
        return to_spreadsheet_csv(
            FAILED_HEADER,
            (
                (row.customer_id or "", str(row.batch_number), str(row.line or ""), row.text)
                for row in rows
            ),
        )

    def is_offered(self, run: Run) -> bool:
        """Whether something of the run failed that a retry could send: for the page's button."""
        is_kept = run.files_deleted_at is None and run.export_id is not None
        return run.state.is_final and run.failed_count > 0 and is_kept

    def _check_may_run(self, run: Run) -> None:
        if not run.state.is_final:
            raise Conflict(
                f"Run {run.id} is still live ({run.state}). Wait for its end, or cancel it."
            )
        if run.export_id is None or run.connection_id is None:
            gone = "export" if run.export_id is None else "connection"
            raise NotFound(
                f'Run {run.id} cannot be retried: its {gone} has been removed. Set up "{run.export_name}" anew.'
            )
        for later in self._installation.runs.retries_of(run.id):
            if later.submitted_count:
                raise Conflict(
                    f"Run {later.id} has retried run {run.id} already. Retry run {later.id} if some of it failed too."
                )

    def _check_files(self, run: Run) -> None:
        if run.files_deleted_at is None and self._installation.run_files.exists(
            run.id, RunFile.CONTACTS
        ):
            return
        where = (
            "no longer kept (CCEXPORT_RETENTION_DAYS)"
            if run.files_deleted_at
            else "not on this machine"
        )
        raise NotFound(
            f"Run {run.id} cannot be retried: its files are {where}. Run the export again instead."
        )


def _nothing_to_retry(run: Run, unnamed: int) -> str:
    if not unnamed:
        return f"Nothing of run {run.id} failed at Constant Contact, so there is nothing to retry."
    rows = "1 row" if unnamed == 1 else f"{unnamed:,} rows"
    return (
        f"{rows} of run {run.id} failed, but Constant Contact did not say which, so they cannot be sent by themselves. "
        "Run the export again instead."
    )
