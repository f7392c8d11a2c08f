"""What counters amount to: of an activity for its batch, of the batches for their run. Pure.

`completed` does not mean that every row landed; only the counters say so (V3 reference, activities).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from ccexport.states import BatchState, RunState


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


@dataclass(frozen=True)
class Outcome:
    """A batch's end: of its rows, `failed_rows` did not arrive and `unsubscribed` had opted out."""

    state: BatchState
    failed_rows: int
    unsubscribed: int
    problem: str = ""


@dataclass(frozen=True)
class RunTotals:
    """The sums a run ends with, in profiles and rows."""

    read: int
    prepared: int
    submitted: int
    unsubscribed: int
    failed: int
    batches: int
    failed_batches: int


def judge_activity(activity: Counters, rows: int) -> Outcome:
    """What became of a batch of `rows` whose activity has ended."""
    unsubscribed = min(activity.cannot_add_count or 0, rows)
    if not activity.is_completed:
        return Outcome(
            BatchState.FAILED, rows, 0, f"Constant Contact ended the activity as {activity.state}."
        )
    failed = (activity.error_count or 0) + (activity.correctable_count or 0)
    problem = ""
    if activity.person_count is not None and activity.person_count != rows:
        problem = f"Constant Contact counted {activity.person_count} contacts in a file of {rows}."
        failed += max(0, rows - activity.person_count)
    return Outcome(BatchState.COMPLETED, min(failed, rows - unsubscribed), unsubscribed, problem)


def judge_run(totals: RunTotals, *, canceled: bool) -> tuple[RunState, str | None]:
    """The state a run ends in, and what to tell about it. Zero is never plain success."""
    if canceled:
        return RunState.CANCELED, None
    if totals.read == 0:
        return RunState.SKIPPED, (
            "The segments have no members, so nothing was sent. Check the segments in the source."
        )
    if totals.prepared == 0:
        return RunState.COMPLETED_WITH_ERRORS, (
            f"None of the {totals.read:,} profiles can be sent, so nothing was. See why each was left out."
        )
    if totals.failed_batches and totals.failed_batches == totals.batches:
        return RunState.FAILED, (
            "Constant Contact accepted none of the files. Their words are with each batch; then run the export again."
        )
    if totals.failed or totals.submitted != totals.prepared:
        return RunState.COMPLETED_WITH_ERRORS, None
    return RunState.SUCCEEDED, None


def first_words(errors: Iterable[str], most: int = 100) -> list[str]:
    """The first of an activity's errors; the service names no maximum."""
    return [text for _, text in zip(range(most), errors, strict=False)]
