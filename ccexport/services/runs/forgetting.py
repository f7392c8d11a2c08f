"""Forgetting a person: their rows in the files of ended runs become blank. Counts, reasons and row numbers stay.

What Constant Contact holds of them, and the source itself, are not ours to change: a person who stays in a segment of
the source is sent again by the next run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ccexport.errors import Conflict, StoreError, UsageError
from ccexport.installation import Installation
from ccexport.preparation.emails import as_sent
from ccexport.services.people.access import Person
from ccexport.services.people.permission import audited, require
from ccexport.services.people.roles import Action
from ccexport.services.runs.people import People
from ccexport.states import RunFile
from ccexport.store.database.tables import Run


@dataclass(frozen=True)
class Forgotten:
    """How many rows of how many runs are blank; runs whose files cannot be read; whether the source has them."""

    rows: int
    runs: int
    unreadable_runs: int
    is_in_source: bool
    ledgers: int  # that knew them; of one who had left a list the hash of the address stays, so that they stay away


class Forgetting:
    """Takes one person out of what the runs kept."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    def forget(self, email: str, *, by: Person) -> Forgotten:
        """By address, in whatever case; and by the profiles that had it. The address itself is nowhere noted.

        Raises `Conflict`, before anything is changed, while the person is in a run that has not ended.
        """
        by = require(self._installation, by, Action.FORGET_PERSON, "person")
        wanted = as_sent(email)
        if "@" not in wanted:
            raise UsageError("That is not an email address; write for example ana@example.com.")
        found = People(self._installation)
        in_source = found.ids_now(wanted)[0]
        runs = self._installation.runs.latest(limit=None)
        ids, unreadable = self._ids(runs, wanted, set(in_source))
        affected = [run for run in runs if self._is_in(run, wanted, ids)]
        if live := [str(run.id) for run in affected if not run.state.is_final]:
            raise Conflict(
                f"This person is in a run that has not ended ({', '.join(live)}). Wait for its end, or cancel it; "
                "then start this again. Nothing was changed."
            )
        with audited(
            self._installation,
            by,
            Action.FORGET_PERSON,
            "person",
            "",
            after={"runs": len(affected)},
        ):
            rows = sum(self._blank(run, wanted, ids) for run in affected)
            self._drop_lists(runs)
            ledgers = self._installation.ledgers.forget(found.hash_of(wanted))
        return Forgotten(rows, len(affected), unreadable, bool(in_source), ledgers)

    def _ids(self, runs: Iterable[Run], email: str, ids: set[str]) -> tuple[set[str], int]:
        """The keys of all profiles that ever had the address here; how many runs cannot be read."""
        from ccexport.preparation.blanking import Person as Someone  # brings Arrow along

        unreadable = 0
        for run in runs:
            for name in self._files(run):
                try:
                    rows = self._installation.run_files.find(run.id, name, Someone(email).rows)
                except StoreError:
                    unreadable += 1
                    continue
                ids |= {row["customer_id"] for _, row in rows}
        return ids - {""}, unreadable

    def _is_in(self, run: Run, email: str, ids: set[str]) -> bool:
        from ccexport.preparation.blanking import Person as Someone  # brings Arrow along

        theirs, files = Someone(email, ids).rows, self._installation.run_files
        try:
            return any(files.find(run.id, name, theirs) for name in self._files(run))
        except StoreError:
            return False

    def _blank(self, run: Run, email: str, ids: set[str]) -> int:
        from ccexport.preparation.blanking import Blanking  # these bring Arrow along
        from ccexport.preparation.blanking import Person as Someone

        blanking = Blanking(Someone(email, ids))
        for name in self._files(run):
            self._installation.run_files.rewrite(run.id, name, blanking)
        if self._installation.runs.get(run.id).files_deleted_at is not None:
            self._installation.run_files.delete(
                run.id
            )  # their time was over while they were rewritten
        return blanking.rows

    def _drop_lists(self, runs: Iterable[Run]) -> None:
        """Who was on a list, where a worker died before it could delete that file."""
        from ccexport.runs.listing import ON_LIST  # brings Arrow along

        for run in runs:
            if run.state.is_final:
                self._installation.run_files.drop(run.id, ON_LIST)

    def _files(self, run: Run) -> list[str]:
        files = self._installation.run_files
        return [name for name in RunFile if files.exists(run.id, name)]
