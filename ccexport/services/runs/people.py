"""What became of a person: every export and run that an address was in, from the runs' own files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ccexport.clock import iso
from ccexport.errors import SourceError, StoreError, UsageError
from ccexport.installation import Installation
from ccexport.preparation.emails import as_sent
from ccexport.preparation.mapping import suggest_mapping
from ccexport.services.people.access import Person
from ccexport.services.people.permission import require
from ccexport.services.people.roles import Action
from ccexport.states import BatchState, RunFile
from ccexport.store.database.tables import Batch, FailedRow, Run

ACCEPTED, FAILED = "accepted", "failed"
PERHAPS_UNSUBSCRIBED, PERHAPS_FAILED = "unsubscribed?", "failed?"
PENDING, SENT, NOT_SENT = "pending", "sent", "not_sent"
_BEFORE_THE_END = {
    BatchState.PENDING: (PENDING, "prepared, not sent yet"),
    BatchState.SENDING: (SENT, "being sent"),
    BatchState.SUBMITTED: (SENT, "Constant Contact works on the file"),
    BatchState.CANCELED: (NOT_SENT, "the run ended before the file was sent"),
}

STANDS = {  # in a ledger
    "placed": "placed on the list",
    "left": "left the list, not put back",
    "unsure": "sent in a file of which it is not known who arrived; sent again",
    "allowed": "may be put back",
}


@dataclass(frozen=True)
class Found:
    """The document of `people find`, and what the person who asked should know besides."""

    document: Mapping[str, Any]
    remarks: tuple[str, ...]


class People:
    """Questions about one person."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    def find(self, email: str, *, by: Person) -> Found:
        """By address, in whatever case. Reads the files of every run that are kept on this machine, newest first."""
        require(self._installation, by, Action.FIND_PERSON, "person")
        wanted = as_sent(email)
        if "@" not in wanted:
            raise UsageError("That is not an email address; write for example ana@example.com.")
        ids, remarks = self.ids_now(wanted)
        entries: list[dict[str, Any]] = []
        not_searched = 0
        for run in self._installation.runs.latest(limit=None):
            try:
                entries += self._in_run(run, wanted, ids)
            except StoreError:
                not_searched += 1
        if not_searched:
            remarks.append(
                f"{not_searched:,} runs could not be searched: their files are no longer kept here."
            )
        known = dict.fromkeys([*ids, *(entry["customer_id"] for entry in entries)])
        document = {
            "email": wanted,
            "customer_ids": sorted(known),
            "runs": entries,
            "ledgers": self._ledgers(wanted, remarks),
        }
        return Found(document, tuple(remarks))

    def _ledgers(self, email: str, remarks: list[str]) -> list[dict[str, Any]]:
        """Where the person stands in the ledger of each export."""
        try:
            found = self._installation.ledgers.stands(self.hash_of(email))
        except StoreError as error:
            remarks.append(f"The ledgers were not searched: {error}")
            return []
        names = {view.export.id: view.export.name for view in self._installation.exports.views()}
        return [
            {
                "export": names.get(each.export_id),
                "list_id": each.list_id,
                "state": each.standing.name.lower(),
                "since": iso(each.at),
            }
            for each in found
        ]

    def hash_of(self, email: str) -> int:
        """As ledgers know an address. Raises `StoreError` where their key cannot be opened."""
        from ccexport.preparation.columns import text_array  # these bring Arrow along
        from ccexport.preparation.keyed import keyed_hashes

        [found] = keyed_hashes(text_array([email]), self._installation.ledgers.hash_key())
        return int(found)

    def ids_now(self, email: str) -> tuple[list[str], list[str]]:
        """Whose address it is in the source at present, in any attribute that an export takes addresses from."""
        try:
            with self._installation.open_source() as source:
                known = source.attribute_names
                mapped = {
                    dict(view.mapping)["email"] for view in self._installation.exports.views()
                }
                names = mapped or {suggest_mapping(known).get("email", "")}
                found = [source.keys_of(name, email) for name in names if name in known]
        except SourceError as error:
            return [], [f"The source was not searched: {error}"]
        return sorted({key for keys in found for key in keys}), []

    def _in_run(self, run: Run, email: str, ids: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Raises `StoreError` where the run's files are gone."""
        from ccexport.preparation.blanking import Person as Someone  # these bring Arrow along

        if not run.read_count:
            return
        files = self._installation.run_files
        goes = run.new_count + run.changed_count
        rows = files.find(run.id, RunFile.CONTACTS, Someone(email).rows) if goes else []
        if rows:
            batches = self._installation.batches.of_run(run.id)
            named = {
                batch.first_row + row.row: row
                for batch, row in self._installation.batches.failed_rows(run.id)
            }
            for number, row in rows:
                outcome, detail = _fate(number, batches, named)
                yield _entry(run, row["customer_id"], outcome, detail)
        if run.suppressed_count:
            for _, row in files.find(run.id, RunFile.SUPPRESSED, Someone(email).rows):
                yield _entry(
                    run, row["customer_id"], RunFile.SUPPRESSED.value, "left the list, not put back"
                )
        if run.to_remove_count:
            for _, row in files.find(run.id, RunFile.LEAVING, Someone(email).rows):
                detail = "in none of the segments any more, so to be taken off the list"
                yield _entry(run, row["customer_id"], RunFile.LEAVING.value, detail)
        if run.rejected_count:
            for _, row in files.find(run.id, RunFile.REJECTIONS, Someone(email, ids).rows):
                reason, _, field = row["reason"].partition(": ")
                yield _entry(run, row["customer_id"], reason, _left_out(field, row["sent_instead"]))


def _left_out(field: str, instead: str) -> str:
    if instead:
        return f"left out; profile {instead} was sent"
    return f"left out for its {field}" if field else "left out"


def _entry(run: Run, customer_id: str, outcome: str, detail: str) -> dict[str, Any]:
    return {
        "run": run.id,
        "export": run.export_name,
        "at": iso(run.finished_at or run.queued_at),
        "customer_id": customer_id,
        "outcome": outcome,
        "detail": detail,
    }


def _fate(number: int, batches: Sequence[Batch], named: Mapping[int, FailedRow]) -> tuple[str, str]:
    """What became of a row of the run's contacts, as far as the service's counters and words tell."""
    batch = next((b for b in batches if b.first_row <= number < b.first_row + b.rows), None)
    if batch is None:
        return PENDING, "prepared, not sent yet"
    if batch.state in _BEFORE_THE_END:
        return _BEFORE_THE_END[batch.state]
    if number in named:
        return FAILED, named[number].words
    if batch.state is BatchState.FAILED:
        return FAILED, " ".join(batch.errors[:2])
    return _as_counted(
        batch, sum(batch.first_row <= each < batch.first_row + batch.rows for each in named)
    )


def _as_counted(batch: Batch, named: int) -> tuple[str, str]:
    """A row of an imported file that nothing was said of: others of the file may leave it open."""
    file = f"file {batch.number} of {batch.rows:,} contacts"
    unnamed = max(0, batch.failed_rows - named)
    opted_out = batch.unsubscribed_count or 0
    open_cases = [
        f"{count:,} {what}"
        for count, what in ((opted_out, "had unsubscribed"), (unnamed, "failed"))
        if count
    ]
    if not open_cases:
        return ACCEPTED, f"in {file}, all of which were accepted or named"
    words = f"in {file}, {' and '.join(open_cases)} without being named"
    if unnamed >= batch.rows:
        return FAILED, words
    return (PERHAPS_UNSUBSCRIBED if opted_out else PERHAPS_FAILED), words
