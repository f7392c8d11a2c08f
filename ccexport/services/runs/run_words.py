"""A run in words: the headline, and why it waits. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from ccexport.services.runs.described import Funnel, Progress, stage_of
from ccexport.states import RunState, WaitingFor
from ccexport.store.approvals import Question
from ccexport.store.database.tables import Run
from ccexport.words import counted

WAITING_WORDS = {
    WaitingFor.QUOTA: "Today's requests to Constant Contact are used up",
    WaitingFor.SIGN_IN: "Somebody has to sign in at Constant Contact again",
    WaitingFor.APPROVAL: "An administrator has to act first",
    WaitingFor.QUEUE: "The account's queue at Constant Contact is full",
    WaitingFor.SERVICE: "Constant Contact does not answer as it should",
}

_TAKEN_OFF = ("person was taken off the list", "people were taken off the list")


def waits_for(run: Run) -> str:
    """What a waiting run waits for, as a clause."""
    if run.is_held:
        return "Somebody has to approve or decline it"
    return WAITING_WORDS[run.waiting_for or WaitingFor.SERVICE]


def say_held(run: Run) -> str:
    """What a held run asks, in plain words; empty where it asks nothing."""
    asked = Question.of(run)
    if asked is None or not run.is_held:
        return ""
    place = f"“{run.list_name or run.list_id}”"
    whole = f"{asked.placed:,} whom this export has placed on {place}"
    parts = []
    if asked.sent:
        people = "person who is" if asked.sent == 1 else "people who are"
        parts.append(f"send {asked.sent:,} {people} new or changed")
    if asked.removed:
        parts.append(f"take {counted(asked.removed, 'person', 'people')} off the list")
    return (
        f"It would {' and '.join(parts)}, beside {whole}. It asks because that is more than {asked.guard} % of them. "
        "Nothing was sent yet. Approve it if you expect that; decline it to end it, then look at the segments."
    )


def headline(progress: Progress) -> str:
    """The run in one sentence."""
    run, funnel = progress.run, progress.funnel
    place = f"“{run.list_name or run.list_id}”"
    match stage_of(run):
        case RunState.QUEUED:
            begins = "shortly" if progress.workers else "as soon as a worker runs"
            return f"Queued: it begins {begins}."
        case RunState.PREPARING if run.is_held:
            return f"Read and checked: this run asks before it sends anything to {place}."
        case RunState.PREPARING:
            segments = ", ".join(f"“{segment}”" for segment in run.segments)
            return f"Reading {segments} and checking each profile; nothing has been sent yet."
        case RunState.UPLOADING:
            files = f"{progress.batches_sent:,} of {counted(len(progress.batches), 'file')}"
            going = funnel.prepared - funnel.unchanged - funnel.suppressed
            return f"{counted(going, 'contact')} are going to {place}: {files} sent."
        case RunState.CONFIRMING:
            open_files = len(progress.batches) - progress.batches_ended
            if not open_files and run.to_remove_count:
                of = f"{run.removed_count:,} of {counted(run.to_remove_count, 'person', 'people')}"
                return f"Taking off {place} who is in none of the segments any more: {of} so far."
            return (
                f"All {counted(funnel.sent, 'contact')} are at Constant Contact, which still works on "
                f"{counted(open_files, 'file')}."
            )
        case RunState.SKIPPED:
            return run.error or f"There was nothing to send to {place}."
        case _:
            return _outcome(run, funnel, place)


def _outcome(run: Run, funnel: Funnel, place: str) -> str:
    stays = funnel.unchanged + funnel.suppressed
    if funnel.sent == 0 and stays and stays == funnel.prepared:
        return _nothing_changed(run, funnel, place)
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
        _part(funnel.suppressed, "had left the list", "had left the list"),
        _part(run.removed_count, *_TAKEN_OFF),
    ]
    remarks = ", ".join(part for part in parts if part)
    sentence = f"{funnel.accepted:,} of {funnel.read:,} profiles {are} on {place}"
    sentence = f"{sentence}; {remarks}." if remarks else f"{sentence}."
    return f"Canceled: {sentence}" if run.state is RunState.CANCELED else sentence


def _nothing_changed(run: Run, funnel: Funnel, place: str) -> str:
    parts = [
        _part(funnel.unchanged, "is unchanged", "are unchanged"),
        _part(funnel.suppressed, "had left the list", "had left the list"),
        _part(funnel.left_out, "was left out", "were left out"),
    ]
    remarks = ", ".join(part for part in parts if part)
    taken_off = _part(run.removed_count, *_TAKEN_OFF)
    beside = f" {taken_off}." if taken_off else ""
    return f"Nothing new for {place}, so nothing was sent: of {counted(funnel.read, 'profile')} {remarks}.{beside}"


def _part(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}" if count else ""


def time_taken(run: Run, now: datetime) -> timedelta | None:
    """From start to end, or until now; None before the start."""
    return None if run.started_at is None else (run.finished_at or now) - run.started_at
