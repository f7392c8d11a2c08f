"""One run as a person wants to see it: how far it is, how long it will take, where each profile went, and why.

`describe` and what it calls are pure; `RunProgress` reads the store and, when asked for them, the run's files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice

from ccexport.assembly import Parts
from ccexport.constantcontact.model import line_of
from ccexport.errors import NotFound, SetupError
from ccexport.redaction import redact
from ccexport.services.access import Person
from ccexport.services.exports import Exports
from ccexport.services.permission import may, require
from ccexport.services.roles import Action
from ccexport.services.runs import REJECTED_HEADER, Runs
from ccexport.services.spreadsheets import to_spreadsheet_csv
from ccexport.states import BatchState, RunState, WaitingFor
from ccexport.store.budget import SPACING_MARGIN
from ccexport.store.history import HistoryStore
from ccexport.store.tables import Batch, Run, RunEvent

STAGES = (RunState.PREPARING, RunState.UPLOADING, RunState.CONFIRMING)
SHOWN_REJECTIONS = 200  # rows of the table on the page; the download has all
_SENT = (BatchState.SUBMITTED, BatchState.COMPLETED, BatchState.FAILED)
_LINE = re.compile(r"^Line (\d{1,9}):\s*(.*)", re.DOTALL)  # as V2 documents it and V3 sends it
_HEADER_LINES = 1  # line 1 is the header: line N is the file's row N - 2, counted from 0


@dataclass(frozen=True)
class Funnel:
    """Where each profile of a run is now.

    `read == left_out + prepared`, `prepared == unchanged + suppressed + not_sent + sent`,
    `sent == in_progress + accepted + unsubscribed + failed`.
    """

    read: int
    left_out: int
    prepared: int
    unchanged: int
    suppressed: int
    not_sent: int
    sent: int
    in_progress: int  # at Constant Contact, which has not said yet what became of them
    accepted: int
    unsubscribed: int
    failed: int


@dataclass(frozen=True)
class Stage:
    """A stage of a run; `is_now` while it is worked on or waits there."""

    state: RunState
    done: int  # files, of `total`; 0 of 0 where the stage has no files
    total: int
    is_now: bool
    is_done: bool
    seconds: float  # of work, waiting left out


@dataclass(frozen=True)
class Progress:
    """A run at one moment. `seconds_left` is an estimate, None where nothing is known to base it on."""

    run: Run
    batches: tuple[Batch, ...]
    funnel: Funnel
    stages: tuple[Stage, ...]
    fraction_done: float
    seconds_left: float | None
    workers: int  # alive

    @property
    def is_final(self) -> bool:
        return self.run.state.is_final

    @property
    def batches_ended(self) -> int:
        return sum(batch.state.is_final for batch in self.batches)

    @property
    def batches_sent(self) -> int:
        return sum(batch.state in _SENT for batch in self.batches)


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

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._history = HistoryStore(parts.engine, parts.now)

    def of(self, run_id: int) -> Progress:
        """Raises `NotFound`."""
        return self.of_run(self._parts.runs.get(run_id))

    def of_run(self, run: Run, *, workers: int | None = None) -> Progress:
        """The same of a run that was just read; `workers` where their number is known already."""
        is_live = not run.state.is_final
        if workers is None:
            workers = len(self._parts.workers.alive()) if is_live else 0
        return describe(
            run,
            self._parts.batches.of_run(run.id),
            now=self._parts.now(),
            spacing_seconds=SPACING_MARGIN / self._parts.settings.cc_requests_per_second,
            previous=self._history.previous(run) if is_live else None,
            workers=workers,
        )

    def batches(self, run_id: int) -> list[Batch]:
        """By number."""
        return self._parts.batches.of_run(run_id)

    def events(self, run_id: int) -> list[RunEvent]:
        return self._parts.runs.events(run_id)

    def run_again(self, run_id: int, *, by: Person) -> Run:
        """Queue the export as it is now. Raises `NotFound` when it was removed, `Conflict` while a run is live."""
        run = self._parts.runs.get(run_id)
        if run.export_id is None:
            raise NotFound(
                f'The export "{run.export_name}" has been removed, so it cannot run again.'
            )
        name = self._parts.exports.get(run.export_id).export.name
        return Exports(self._parts).queue(name, by=by)

    # --- which profiles --------------------------------------------------------------------------

    def failed_rows(
        self, run_id: int, batch_number: int | None = None, *, by: Person
    ) -> list[FailedRow]:
        """The service's errors of a run, or of one file, with whom each is about. Reads the run's contacts file.

        The service may quote an address: it is masked for those who may not see values.
        """
        by = require(self._parts, by, Action.SEE_EXPORTS, "run", str(run_id))
        sees_values = may(self._parts, by, Action.SEE_VALUES)
        batches = self._parts.batches.of_run(run_id)
        unnamed = Runs(self._parts).failures(run_id).unnamed_by_file
        rows: list[FailedRow] = []
        for batch in batches:
            if batch_number in (None, batch.number):
                rows += self._rows_of(run_id, batch) if batch.errors else []
                rows += _unnamed(batch.number, unnamed.get(batch.number, 0))
        return rows if sees_values else [replace(row, text=redact(row.text)) for row in rows]

    def _rows_of(self, run_id: int, batch: Batch) -> list[FailedRow]:
        found = self._errors_of(run_id, batch)
        rows = [line - _HEADER_LINES - 1 for line, _ in found if line is not None]
        ids = self._customer_ids(run_id, batch, [row for row in rows if 0 <= row < batch.rows])
        return [
            FailedRow(
                batch.number,
                line,
                ids.get(line - _HEADER_LINES - 1) if line is not None else None,
                text,
            )
            for line, text in found
        ]

    def _errors_of(self, run_id: int, batch: Batch) -> list[tuple[int | None, str]]:
        """(line of the file, words): the rows that were named, and before them what was said of no row."""
        named = [row for _, row in self._parts.batches.failed_rows(run_id, batch.number)]
        if not named:
            return [read_error(text) for text in batch.errors]
        said = {row.words for row in named}
        texts = [text for text in batch.errors if line_of(text)[0] is None and text not in said]
        return [
            *((None, text) for text in texts),
            *((row.row + _HEADER_LINES + 1, row.words) for row in named),
        ]

    def _customer_ids(self, run_id: int, batch: Batch, rows: Sequence[int]) -> dict[int, str]:
        """Row of the file, counted from 0 → its profile; empty when the run's files are gone or damaged."""
        from ccexport.steps.preparing import CONTACTS  # brings Arrow along

        if not rows or not self._parts.run_files.exists(run_id, CONTACTS):
            return {}
        first = min(rows)
        try:
            table = self._parts.run_files.rows(
                run_id, CONTACTS, batch.first_row + first, max(rows) - first + 1
            )
        except SetupError:
            return {}
        column = table.column("customer_id")
        return {row: str(column[row - first]) for row in rows if row - first < len(column)}

    def has_rejections(self, run_id: int) -> bool:
        """Whether the list of those left out is still kept."""
        from ccexport.steps.preparing import REJECTIONS  # brings Arrow along

        return self._parts.run_files.exists(run_id, REJECTIONS)

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
        run, wanted = self._parts.runs.get(run_id), search.strip().casefold()
        rows = (
            row
            for row in Runs(self._parts).rejected(run_id, by=by)
            if (reason is None or row[2] == reason)
            and (not wanted or any(wanted in row[place].casefold() for place in (0, 1, 3)))
        )
        found = tuple(islice(rows, most))
        if wanted:
            return Rejected(found, len(found) + sum(1 for _ in rows))
        return Rejected(found, run.rejections.get(reason, 0) if reason else run.rejected_count)

    def rejected_csv(self, run_id: int, *, by: Person) -> bytes:
        """All profiles left out, as CSV for a spreadsheet: UTF-8 with BOM, formulas disarmed. Raises `NotFound`."""
        require(self._parts, by, Action.SEE_VALUES, "run", str(run_id))
        return to_spreadsheet_csv(REJECTED_HEADER, Runs(self._parts).rejected(run_id, by=by))


def _unnamed(batch_number: int, count: int) -> list[FailedRow]:
    rows = "1 more row" if count == 1 else f"{count:,} more rows"
    text = f"{rows} failed; Constant Contact did not say which, so a retry cannot send them."
    return [FailedRow(batch_number, None, None, text)] if count else []


# --- pure: a run described -----------------------------------------------------------------------


def describe(
    run: Run,
    batches: Sequence[Batch],
    *,
    now: datetime,
    spacing_seconds: float,
    previous: Run | None = None,
    workers: int = 0,
) -> Progress:
    """A run at `now`; `spacing_seconds` lie between two requests, `previous` is the last one of the same export."""
    return Progress(
        run=run,
        batches=tuple(batches),
        funnel=_funnel(run, batches),
        stages=_stages(run, batches),
        fraction_done=_fraction_done(run, batches),
        seconds_left=_seconds_left(run, batches, now, spacing_seconds, previous),
        workers=workers,
    )


def stage_of(run: Run) -> RunState:
    """The stage a run is in, also while it waits there."""
    if run.state is RunState.WAITING:
        return run.resume_state or RunState.PREPARING
    return run.state


def _funnel(run: Run, batches: Iterable[Batch]) -> Funnel:
    sent = run.submitted_count
    in_progress = sum(batch.rows for batch in batches if batch.state is BatchState.SUBMITTED)
    in_progress = min(in_progress, sent)
    return Funnel(
        read=run.read_count,
        left_out=run.rejected_count,
        prepared=run.prepared_count,
        unchanged=run.unchanged_count,
        suppressed=run.suppressed_count,
        not_sent=run.prepared_count - run.unchanged_count - run.suppressed_count - sent,
        sent=sent,
        in_progress=in_progress,
        accepted=sent - in_progress - run.unsubscribed_count - run.failed_count,
        unsubscribed=run.unsubscribed_count,
        failed=run.failed_count,
    )


def _stages(run: Run, batches: Sequence[Batch]) -> tuple[Stage, ...]:
    now = stage_of(run)
    sent = sum(batch.state in _SENT for batch in batches)
    ended = sum(batch.state.is_final for batch in batches)
    total = len(batches)
    is_prepared = total > 0 or run.prepared_count > 0 or now in STAGES[1:]
    done = {
        RunState.PREPARING: is_prepared,
        RunState.UPLOADING: 0 < total == sent,
        RunState.CONFIRMING: 0 < total == ended and run.state.is_final,
    }
    counts = {RunState.UPLOADING: sent, RunState.CONFIRMING: ended}
    return tuple(
        Stage(
            state=stage,
            done=counts.get(stage, 0),
            total=total if stage in counts else 0,
            is_now=now is stage,
            is_done=done[stage],
            seconds=run.seconds.get(stage.value, 0.0),
        )
        for stage in STAGES
    )


def _fraction_done(run: Run, batches: Sequence[Batch]) -> float:
    """Preparing counts for a tenth; sending and confirming for half of the rest each, by rows."""
    if run.state.is_final:
        return 1.0
    rows = sum(batch.rows for batch in batches)
    if not rows:
        return 0.05 if stage_of(run) is RunState.PREPARING else 0.0
    sent = sum(batch.rows for batch in batches if batch.state in _SENT)
    ended = sum(batch.rows for batch in batches if batch.state.is_final)
    return 0.1 + 0.45 * (sent + ended) / rows


def _seconds_left(
    run: Run,
    batches: Sequence[Batch],
    now: datetime,
    spacing_seconds: float,
    previous: Run | None,
) -> float | None:
    """By the pace of the files that have ended; before the first, by the export's previous run."""
    stage = stage_of(run)
    if run.state.is_final or run.state is RunState.WAITING or stage is RunState.QUEUED:
        return None
    if stage is RunState.PREPARING:
        if previous is None or run.started_at is None:
            return None
        return max(0.0, sum(previous.seconds.values()) - (now - run.started_at).total_seconds())
    rows = sum(batch.rows for batch in batches)
    ended = sum(batch.rows for batch in batches if batch.state.is_final)
    floor = spacing_seconds * sum(batch.state is BatchState.PENDING for batch in batches)
    worked = sum(run.seconds.get(each.value, 0.0) for each in STAGES[1:])
    if ended and worked:
        return max(floor, worked / ended * (rows - ended))
    if previous is None:
        return None
    took = sum(previous.seconds.get(each.value, 0.0) for each in STAGES[1:])
    scale = rows / previous.submitted_count if previous.submitted_count else 1.0
    return max(floor, took * min(scale, 1.0) - worked) if took else None


# --- pure: words ---------------------------------------------------------------------------------

REASONS = {
    "missing_email": "No email address",
    "invalid_email": "The email address is not valid",
    "email_too_long": "The email address has more than 80 characters",
    "duplicate": "Another profile with the same address is sent",
    "value_too_long": "A value is too long and cannot be cut",
    "invalid_value": "A value is not valid for its field",
}
WAITING_WORDS = {
    WaitingFor.QUOTA: "Today's requests to Constant Contact are used up",
    WaitingFor.SIGN_IN: "Somebody has to sign in at Constant Contact again",
    WaitingFor.APPROVAL: "An administrator has to act first",
    WaitingFor.QUEUE: "The account's queue at Constant Contact is full",
    WaitingFor.SERVICE: "Constant Contact does not answer as it should",
}


def headline(progress: Progress) -> str:
    """The run in one sentence."""
    run, funnel = progress.run, progress.funnel
    place = f"“{run.list_name or run.list_id}”"
    match stage_of(run):
        case RunState.QUEUED:
            begins = "shortly" if progress.workers else "as soon as a worker runs"
            return f"Queued: it begins {begins}."
        case RunState.PREPARING:
            segments = ", ".join(f"“{segment}”" for segment in run.segments)
            return f"Reading {segments} and checking each profile; nothing has been sent yet."
        case RunState.UPLOADING:
            files = f"{progress.batches_sent:,} of {_files(len(progress.batches))}"
            return f"{_contacts(funnel.prepared)} are going to {place}: {files} sent."
        case RunState.CONFIRMING:
            open_files = len(progress.batches) - progress.batches_ended
            return (
                f"All {_contacts(funnel.sent)} are at Constant Contact, which still works on "
                f"{_files(open_files)}."
            )
        case RunState.SKIPPED:
            return f"There was nothing to send to {place}."
        case _:
            return _outcome(run, funnel, place)


def _outcome(run: Run, funnel: Funnel, place: str) -> str:
    if funnel.sent == 0:
        start = {
            RunState.CANCELED: "Canceled before anything was sent",
            RunState.FAILED: "Nothing was sent",
        }.get(run.state, "None of the profiles could be sent")
        read = f"; {funnel.read:,} profiles were read" if funnel.read else ""
        return f"{start} to {place}{read}."
    are = "is" if funnel.accepted == 1 else "are"
    parts = [
        _part(funnel.left_out, "was left out", "were left out"),
        _part(funnel.unsubscribed, "had unsubscribed", "had unsubscribed"),
        _part(funnel.failed, "failed", "failed"),
        _part(funnel.not_sent, "was not sent", "were not sent"),
        _part(funnel.unchanged, "was unchanged", "were unchanged"),
    ]
    remarks = ", ".join(part for part in parts if part)
    sentence = f"{funnel.accepted:,} of {funnel.read:,} profiles {are} on {place}"
    sentence = f"{sentence}; {remarks}." if remarks else f"{sentence}."
    return f"Canceled: {sentence}" if run.state is RunState.CANCELED else sentence


def _part(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}" if count else ""


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"


def _contacts(count: int) -> str:
    return "1 contact" if count == 1 else f"{count:,} contacts"


def duration(seconds: float) -> str:
    """`3 s`, `2 min 5 s`, `1 h 20 min`: two units at most."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def time_taken(run: Run, now: datetime) -> timedelta | None:
    """From start to end, or until now; None before the start."""
    return None if run.started_at is None else (run.finished_at or now) - run.started_at


def read_error(text: str) -> tuple[int | None, str]:
    """The line an error of the service names, and the rest of it."""
    match = _LINE.match(text)
    return (int(match[1]), match[2]) if match else (None, text)
