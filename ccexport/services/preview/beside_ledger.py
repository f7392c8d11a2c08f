"""What a run would send of the people prepared: compared with the ledger as a run does it; the list is not read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from ccexport.constantcontact.protocol import MAX_IDS_REMOVED, PAGE_SIZE
from ccexport.preparation.contacts import Contacts, plan_files
from ccexport.preparation.files import values_of
from ccexport.preparation.prepare import prepare
from ccexport.runs.comparing import Verdict, compare
from ccexport.runs.guard import Change, change_of
from ccexport.runs.leaving import LeftOut, hashes_of_keys, left_the_segments, placed_by
from ccexport.segments.masking import mask_value
from ccexport.segments.source import Source
from ccexport.services.preview.preview_values import Question, Whole
from ccexport.services.preview.sent_before import SentLine
from ccexport.states import Mode
from ccexport.store.ledger_rows import NO_LINE, Sent, nobody
from ccexport.store.ledgers import Known

EXAMPLES = 5  # of those who are new, changed, or left
LinesOf = Callable[[np.ndarray], Mapping[int, SentLine]]
READING_REQUESTS = 4  # asked for, looked at, downloaded, counted


@dataclass(frozen=True)
class Changed:
    """One whose line is another by now: of each contact field that differs (its value as sent, and as it is now).

    `fields` is None where the line that was sent is not kept here.
    """

    customer_id: str
    fields: Mapping[str, tuple[str, str]] | None

    def said(self) -> str:
        if self.fields is None:
            return f"{self.customer_id} changed; what was sent is not kept here any more"
        pairs = (
            f"{name}: {a or '(empty)'} → {b or '(empty)'}" for name, (a, b) in self.fields.items()
        )
        return f"{self.customer_id} changed, {', '.join(pairs)}"


@dataclass(frozen=True)
class Samples:
    """Some of those who changed, and of those who would be taken off: these as they were sent, where that is kept."""

    changed: tuple[Changed, ...] = ()
    to_remove: tuple[SentLine, ...] = ()
    unnamed: int = (
        0  # of those looked for to be taken off, who are not found in any file that is kept here
    )

    def lines(self) -> list[str]:
        """Each in words."""
        return [
            *(each.said() for each in self.changed),
            *(
                f"{one.customer_id} would go: {one.values['email'].rstrip()}"
                for one in self.to_remove
            ),
        ]

    def masked(self) -> Samples:
        """As somebody may see them who may not see values; keys stay."""
        changed = (
            replace(
                each,
                fields=each.fields
                and {name: (mask_value(a), mask_value(b)) for name, (a, b) in each.fields.items()},
            )
            for each in self.changed
        )
        to_remove = (
            SentLine(
                each.customer_id, {name: mask_value(value) for name, value in each.values.items()}
            )
            for each in self.to_remove
        )
        return Samples(tuple(changed), tuple(to_remove), self.unnamed)


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
    samples: Samples = field(default_factory=Samples)

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
    source: Source, question: Question, mode: Mode, known: Known, key: bytes, sent: LinesOf | None
) -> BesideLedger:
    """Prepare as a run does, and compare. Raises what `prepare` and the source raise.

    `sent` finds lines that were sent, by their hashes; without it there are no samples.
    """
    mapping = question.mapping
    prepared = prepare(source, question.segments, mapping, dict(question.types))
    contacts = prepared.contacts
    rows = Sent(*contacts.hashes(key))
    found = compare(rows, known, None, mode)
    goes = nobody()
    if mode is Mode.MIRROR and prepared.read:  # where nobody was read, a run takes nobody off
        left_out = LeftOut(prepared.rejections, _without_profile(source, question, prepared.read))
        goes = left_the_segments(rows, left_out, known.own, None, key)
        goes = goes[~placed_by(known.others, goes)]
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
        change=change_of(found, known, mode, mapping.pairs, removed=len(goes)),
        to_remove=len(goes),
        examples={
            each.name.lower(): _first_keys(contacts.only(found.verdicts == each))
            for each in Verdict
            if each is not Verdict.UNCHANGED
        },
        samples=_samples(contacts, rows, goes, known, mapping.fields, sent) if sent else Samples(),
    )


def _samples(
    contacts: Contacts,
    rows: Sent,
    goes: np.ndarray,
    known: Known,
    fields: Sequence[str],
    sent: LinesOf,
) -> Samples:
    order = np.argsort(rows.who)
    before = np.empty(len(rows), dtype=np.uint64)
    before[order] = known.own.line_of(rows.who[order])
    other = np.flatnonzero((before != NO_LINE) & (before != rows.line))[:EXAMPLES]
    removed = known.own.line_of(goes[:EXAMPLES])
    found = sent(np.concatenate([before[other], removed]))
    named = tuple(found[each] for each in removed.tolist() if each in found)
    changed = tuple(
        _changed(contacts.take(place, 1), fields, found.get(int(before[place])))
        for place in other.tolist()
    )
    return Samples(changed, named, len(removed) - len(named))


def _changed(contact: pa.RecordBatch, fields: Sequence[str], before: SentLine | None) -> Changed:
    [row] = contact.to_pylist()
    if before is None:
        return Changed(row["customer_id"], None)
    now = dict(zip(fields, values_of(row["line"]), strict=True))
    pairs = {
        name: (before.values.get(name, "").rstrip(), now.get(name, "").rstrip())
        for name in dict.fromkeys([*now, *before.values])
    }
    return Changed(row["customer_id"], {n: pair for n, pair in pairs.items() if pair[0] != pair[1]})


def _first_keys(contacts: Contacts) -> tuple[str, ...]:
    keys = contacts.take(0, min(len(contacts), EXAMPLES)).column("customer_id")
    return tuple(keys.to_pylist())


def _without_profile(source: Source, question: Question, read: int) -> np.ndarray:
    if not source.strangers(question.segments, found=read).without_profile:
        return nobody()
    return hashes_of_keys(source.keys_without_profile(question.segments))
