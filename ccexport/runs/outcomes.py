"""What counters amount to: of an activity for its batch, of the batches for their run. Pure.

`completed` does not mean that every row landed; only the counters say so (V3 reference, activities).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Protocol

from ccexport.constantcontact.model import line_of
from ccexport.states import BatchState, RunState

SHOWN_WORDS = 3  # of their sentences in an error of ours
_CHECK_THE_KEYS = (
    "Check the segments in the source, and that both sides write a key alike: where members have no profile, the "
    "timeline shows a key of each side."
)


class Counters(Protocol):
    """The part of an activity that is judged; None is "not known"."""

    @property
    def state(self) -> str: ...
    @property
    def is_completed(self) -> bool: ...
    @property
    def person_count(self) -> int | None: ...
    @property
    def error_count(self) -> int | None: ...
    @property
    def correctable_count(self) -> int | None: ...
    @property
    def cannot_add_count(self) -> int | None: ...
    @property
    def items_completed_count(self) -> int | None: ...
    @property
    def errors(self) -> Sequence[str]: ...


class Ended(Protocol):
    """The part of a batch that says how its activity ended."""

    @property
    def number(self) -> int: ...
    @property
    def state(self) -> BatchState: ...
    @property
    def activity_id(self) -> str | None: ...
    @property
    def submitted_at(self) -> datetime | None: ...
    @property
    def errors(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class Outcome:
    """A batch's end: of its rows, `failed_rows` did not arrive and `unsubscribed` had opted out.

    `named`: row of the file, counted from 0 → what was said of it; there may be fewer of them than rows that failed.
    """

    state: BatchState
    failed_rows: int
    unsubscribed: int
    problem: str = ""
    named: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RunTotals:
    """The sums a run ends with, in profiles and rows."""

    read: int
    prepared: int
    to_send: int  # of those prepared; the others are unchanged, or have left the list
    submitted: int
    unsubscribed: int
    failed: int
    batches: int
    failed_batches: int
    not_sent: int = 0  # rows of batches that were canceled
    stop_reason: str = ""  # why nothing more was sent
    placed: int = 0  # before, where nothing was read
    to_remove: int = 0  # who was to be taken off the list, in requests that did not do it
    stay: int = 0  # of people placed before, who would have been taken off it had that been certain


def judge_activity(activity: Counters, rows: int) -> Outcome:
    """What became of a batch of `rows` whose activity has ended."""
    unsubscribed = min(activity.cannot_add_count or 0, rows)
    named = named_rows(activity.errors, rows)
    if not activity.is_completed:
        problem = f"Constant Contact ended the activity as {activity.state}."
        return Outcome(BatchState.FAILED, rows, 0, problem, named)
    if activity.error_count is None and activity.correctable_count is None:
        failed = len(named)  # without their counters, their words are what there is
    else:
        failed = (activity.error_count or 0) + (activity.correctable_count or 0)
    problem = ""
    if activity.person_count is not None and activity.person_count != rows:
        problem = f"Constant Contact counted {activity.person_count} contacts in a file of {rows}."
        failed += max(0, rows - activity.person_count)
    failed = min(failed, rows - unsubscribed)
    named = (
        named if failed else {}
    )  # what is said of other rows than the failed ones does not make them fail
    return Outcome(BatchState.COMPLETED, failed, unsubscribed, problem, named)


def judge_removal(activity: Counters, people: int) -> tuple[int, str]:
    """How many of `people` a job has taken off the list, by its counters, and what to say where not all."""
    if not activity.is_completed:
        return 0, f"Constant Contact ended the activity as {activity.state}."
    done = activity.items_completed_count
    if done is None or done >= people:
        return people, ""
    return max(done, 0), f"Constant Contact counted {done:,} of {people:,}."


def named_rows(errors: Iterable[str], rows: int) -> dict[int, str]:
    """Row of the file, counted from 0 → what was said of it, for errors with the line of one of its rows."""
    found: dict[int, str] = {}
    for text in errors:
        row, words = line_of(text)
        if row is not None and row < rows:
            found[row] = f"{found[row]}; {words}" if row in found else words
    return found


def judge_run(totals: RunTotals, *, canceled: bool) -> tuple[RunState, str | None]:
    """The state a run ends in, and what to tell about it. Zero is never plain success."""
    if canceled:
        return RunState.CANCELED, None
    if totals.read == 0 and totals.placed:
        return RunState.COMPLETED_WITH_ERRORS, (
            f"The segments have not a single member with a profile any more, though {totals.placed:,} people were "
            f"placed on the list before. Nothing was sent, and nobody is taken off the list. {_CHECK_THE_KEYS}"
        )
    if totals.read == 0:
        return RunState.SKIPPED, (
            f"The segments have no members with a profile, so nothing was sent. {_CHECK_THE_KEYS}"
        )
    if totals.prepared == 0:
        return RunState.COMPLETED_WITH_ERRORS, (
            f"None of the {totals.read:,} profiles can be sent, so nothing was. See why each was left out."
        )
    if totals.stop_reason:
        return _judge_stopped(totals)
    if totals.failed_batches and totals.failed_batches == totals.batches:
        return RunState.FAILED, (
            "Constant Contact accepted none of the files. Their words are with each batch; then run the export again."
        )
    if totals.to_remove or totals.stay:
        return RunState.COMPLETED_WITH_ERRORS, _say_not_removed(totals)
    if totals.failed or totals.submitted != totals.to_send:
        return RunState.COMPLETED_WITH_ERRORS, None
    return RunState.SUCCEEDED, None


def _say_not_removed(totals: RunTotals) -> str:
    if totals.to_remove:
        return (
            f"{totals.to_remove:,} people who are in none of the segments any more may still be on the list: Constant "
            "Contact did not confirm that they were taken off it. The next run tries again."
        )
    return (
        f"{totals.stay:,} people are in none of the segments any more and stay on the list all the same, since it is "
        "not known who is on it. The next run tries again; the timeline says why."
    )


def _judge_stopped(totals: RunTotals) -> tuple[RunState, str]:
    not_sent = totals.not_sent
    rest = f" {not_sent:,} of {totals.to_send:,} contacts were not sent." if not_sent else ""
    words = f"{totals.stop_reason}{rest} Change what this names, then run the export again."
    none_taken = totals.submitted == totals.failed
    state = RunState.FAILED if not_sent or none_taken else RunState.COMPLETED_WITH_ERRORS
    return state, words


def repeated_failure(batches: Iterable[Ended]) -> str | None:
    """What to tell when two files sent one after the other failed over there with the same words; else None."""
    sent = sorted(
        (batch for batch in batches if batch.activity_id and batch.submitted_at),
        key=lambda batch: (batch.submitted_at, batch.number),
    )
    for first, second in pairwise(sent):
        both_failed = first.state is second.state is BatchState.FAILED
        if both_failed and first.errors and list(first.errors) == list(second.errors):
            said = " ".join(first.errors[:SHOWN_WORDS])
            return (
                f"Two files in a row failed at Constant Contact with the same words: {quoted(said)}"
            )
    return None


def quoted(words: str) -> str:
    """Words of the service at the end of a sentence of ours."""
    return f'"{words}"' if words.endswith((".", "!", "?")) else f'"{words}".'


def first_words(errors: Iterable[str], most: int = 100) -> list[str]:
    """The first of an activity's errors; the service names no maximum."""
    return [text for _, text in zip(range(most), errors, strict=False)]
