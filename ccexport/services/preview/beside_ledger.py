"""What a run would send of the people prepared: compared with the ledger as a run does it; the list is not read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ccexport.preparation.contacts import plan_files
from ccexport.preparation.mapping import FieldMapping
from ccexport.preparation.prepare import prepare
from ccexport.runs.comparing import Verdict, compare
from ccexport.segments.source import Source
from ccexport.services.preview.preview_values import Whole
from ccexport.states import Mode
from ccexport.store.exports import ExportView
from ccexport.store.ledger_rows import Sent
from ccexport.store.ledgers import Known

READING_REQUESTS = 4  # asked for, looked at, downloaded, counted


@dataclass(frozen=True)
class BesideLedger:
    """Of the contacts of a preview who is new, changed, unchanged or has left; and the files of those who are sent."""

    mode: Mode
    new: int
    changed: int
    unchanged: int
    suppressed: int
    files: int
    bytes: int
    mapping_changed: bool

    @property
    def goes(self) -> int:
        return self.new + self.changed

    def requests(self, counts: Whole) -> int:
        """An estimate, as that of the whole."""
        others = counts.requests - counts.files
        return others + self.files + (READING_REQUESTS if self.mode is not Mode.FULL else 0)

    def said(self) -> str | None:
        """What a person should know who wonders about the numbers."""
        if self.mode is Mode.FULL or not self.mapping_changed:
            return None
        if self.changed and not self.unchanged:
            return "Everybody is sent again, since the mapping changed after the last run."
        return f"{self.changed:,} are sent again; the mapping changed after the last run."


def nobody_known(counts: Whole, mode: Mode) -> BesideLedger:
    """Beside a ledger that is empty everybody is new."""
    return BesideLedger(mode, counts.prepared, 0, 0, 0, counts.files, counts.bytes, False)


def beside_ledger(
    source: Source,
    view: ExportView,
    types: Mapping[str, str],
    known: Known,
    key: bytes,
) -> BesideLedger:
    """Prepare as a run does, and compare. Raises what `prepare` and the source raise."""
    mapping, mode = FieldMapping(view.mapping), Mode(view.export.mode)
    contacts = prepare(source, view.segments, mapping, types).contacts
    found = compare(Sent(*contacts.hashes(key)), known, None, mode)
    plan = [planned for _, planned in plan_files(contacts.only(found.goes), mapping.fields)]
    return BesideLedger(
        mode=mode,
        new=found.count(Verdict.NEW),
        changed=found.count(Verdict.CHANGED),
        unchanged=found.count(Verdict.UNCHANGED),
        suppressed=found.count(Verdict.SUPPRESSED),
        files=len(plan),
        bytes=sum(each.bytes for each in plan),
        mapping_changed=known.mapping is not None and known.mapping != tuple(view.mapping),
    )
