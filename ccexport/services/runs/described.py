"""A run at one moment: how far it is, how long it will take, where each profile is. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ccexport.states import BatchState, RunState
from ccexport.store.database.tables import Batch, Run

STAGES = (RunState.PREPARING, RunState.UPLOADING, RunState.CONFIRMING)
_SENT = (BatchState.SUBMITTED, BatchState.COMPLETED, BatchState.FAILED)


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
        not_sent=run.not_sent_count,
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
