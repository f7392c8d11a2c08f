"""What a run would send of the people prepared: compared with the ledger as a run does it; the list is not read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ccexport.constantcontact.protocol import MAX_IDS_REMOVED, PAGE_SIZE
from ccexport.preparation.contacts import Contacts, plan_files
from ccexport.preparation.prepare import prepare
from ccexport.runs.comparing import Verdict, compare
from ccexport.runs.guard import Change, change_of
from ccexport.runs.leaving import LeftOut, hashes_of_keys, leaving
from ccexport.segments.source import Source
from ccexport.services.preview.preview_values import Question, Whole
from ccexport.states import Mode
from ccexport.store.ledger_rows import Sent, nobody
from ccexport.store.ledgers import Known

EXAMPLES = 5  # of those who are new, changed, or left
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
    change: Change | None = None  # as the guard counts it; None where nobody is known
    to_remove: int = 0  # by the ledger; who has left the list by then need not be taken off it
    examples: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # count → the first keys

    @property
    def goes(self) -> int:
        return self.new + self.changed

    def requests(self, counts: Whole) -> int:
        """An estimate, as that of the whole."""
        others = counts.requests - counts.files
        reading = READING_REQUESTS if self.mode is not Mode.FULL else 0
        return others + self.files + reading + self._removing()

    def _removing(self) -> int:
        """Ids looked up one by one or by the list's pages, then 500 people a request, and a look at what came of it."""
        if not self.to_remove:
            return 0
        pages = -(-(self.unchanged + self.changed + self.to_remove) // PAGE_SIZE)
        return min(self.to_remove, pages) + -(-self.to_remove // MAX_IDS_REMOVED) + 1

    def asks(self, guard: int | None) -> bool:
        """Whether a run would wait for an approval; one that is the export's first, or asked for in full, does not."""
        return self.change is not None and self.change.is_large(guard)

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
    source: Source, question: Question, mode: Mode, known: Known, key: bytes
) -> BesideLedger:
    """Prepare as a run does, and compare. Raises what `prepare` and the source raise."""
    mapping = question.mapping
    prepared = prepare(source, question.segments, mapping, dict(question.types))
    contacts = prepared.contacts
    rows = Sent(*contacts.hashes(key))
    found = compare(rows, known, None, mode)
    to_remove = 0
    if mode is Mode.MIRROR and prepared.read:  # where nobody was read, a run takes nobody off
        left_out = LeftOut(prepared.rejections, _without_profile(source, question, prepared.read))
        to_remove = leaving(rows, left_out, known, None, list, key).unseen
    plan = [planned for _, planned in plan_files(contacts.only(found.goes), mapping.fields)]
    return BesideLedger(
        mode=mode,
        new=found.count(Verdict.NEW),
        changed=found.count(Verdict.CHANGED),
        unchanged=found.count(Verdict.UNCHANGED),
        suppressed=found.count(Verdict.SUPPRESSED),
        files=len(plan),
        bytes=sum(each.bytes for each in plan),
        mapping_changed=known.mapping is not None and known.mapping != mapping.pairs,
        change=change_of(found, known, mode, mapping.pairs, removed=to_remove),
        to_remove=to_remove,
        examples={
            each.name.lower(): _first_keys(contacts.only(found.verdicts == each))
            for each in Verdict
            if each is not Verdict.UNCHANGED
        },
    )


def _first_keys(contacts: Contacts) -> tuple[str, ...]:
    keys = contacts.take(0, min(len(contacts), EXAMPLES)).column("customer_id")
    return tuple(keys.to_pylist())


def _without_profile(source: Source, question: Question, read: int) -> np.ndarray:
    if not source.strangers(question.segments, found=read).without_profile:
        return nobody()
    return hashes_of_keys(source.keys_without_profile(question.segments))
