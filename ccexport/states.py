"""The states of a run and of a batch, and the moves between them. Each state says what is true in the world.

`RUN_MOVES` and `BATCH_MOVES` are the only places that say which move is legal; the store checks them before it writes.
"""

from __future__ import annotations

from enum import StrEnum


class RunState(StrEnum):
    """Where a run is; a state without a way out is final."""

    QUEUED = "queued"  # a row; nothing read, nothing sent
    PREPARING = "preparing"  # the source is being read; nothing sent
    UPLOADING = (
        "uploading"  # files and batches are durable; some batches are not yet at Constant Contact
    )
    CONFIRMING = "confirming"  # every batch has been sent; Constant Contact still works on some
    WAITING = "waiting"  # goes on by itself or after a person acted; `waiting_for` says on what
    SUCCEEDED = "succeeded"  # every profile prepared was accepted
    COMPLETED_WITH_ERRORS = (
        "completed_with_errors"  # finished, some rows or batches were not accepted
    )
    FAILED = "failed"  # stopped; `error` says why and what to do
    CANCELED = "canceled"  # a person stopped it
    SKIPPED = "skipped"  # there was nothing to do

    @property
    def is_final(self) -> bool:
        return not RUN_MOVES[self]


class RunFile(StrEnum):
    """What a run keeps on disk, encrypted."""

    CONTACTS = "contacts"  # key and line of each, in the order in which they are sent
    REJECTIONS = "rejections"  # the profiles that are left out, each with its reason
    SUPPRESSED = "suppressed"  # who left the list and is not put back
    LEAVING = "leaving"  # who is in none of the segments any more, and is taken off the list


class WaitingFor(StrEnum):
    """What a waiting run waits for."""

    QUOTA = "quota"  # the day's API budget; resets at 00:00 UTC
    SIGN_IN = "sign_in"  # a person has to sign in at Constant Contact again
    APPROVAL = "approval"  # of an administrator (consent, or an export user), or of a large change
    QUEUE = "queue"  # the account's queue of 1,000 activities is full
    SERVICE = "service"  # Constant Contact does not answer, or answers with its own errors


class BatchState(StrEnum):
    """Where a batch (one file) is."""

    PENDING = "pending"  # prepared, nothing sent
    SENDING = "sending"  # committed before the POST; found after a crash it means: outcome unknown
    SUBMITTED = "submitted"  # Constant Contact gave us an activity id
    COMPLETED = "completed"  # the activity ended; its counters say what happened
    FAILED = "failed"  # refused, itself or the file that it is a half of, or the activity did not complete
    CANCELED = "canceled"  # never sent: the run was canceled or stopped before

    @property
    def is_final(self) -> bool:
        return not BATCH_MOVES[self]


class EventKind(StrEnum):
    """What a line of a run's history tells, where it is not the state that the run moved to."""

    QUEUED = "queued"
    TAKEN_OVER = "taken over"  # by another worker
    STOPPED = "stopped"  # nothing more is sent, what is sent is followed
    CANCEL_REQUESTED = "cancel requested"
    PREPARED_AGAIN = "prepared again"
    ADDRESSES_CHANGED = "addresses changed"
    WITHOUT_PROFILE = "members without a profile"
    LIST_NOT_READ = "list not read"  # who left it is not known then
    LEDGER_BEGUN_ANEW = "ledger begun anew"  # none of the keys opened the one there was
    MAPPING_CHANGED = "mapping changed"  # so nearly every line is another
    APPROVED = "approved"  # what the guard asked
    DECLINED = "declined"
    WITHDRAWN = "approval withdrawn"  # who gave it lost the right before the run went on
    REMOVED = "taken off the list"
    NOT_REMOVED = "not taken off the list"
    RESTORED = "restored"  # from a backup
    BATCH_PENDING = "batch pending"
    BATCH_SENDING = "batch sending"
    BATCH_SUBMITTED = "batch submitted"
    BATCH_COMPLETED = "batch completed"
    BATCH_FAILED = "batch failed"
    BATCH_CANCELED = "batch canceled"
    BATCH_HALVED = "batch halved"

    @classmethod
    def of_batch(cls, state: BatchState) -> EventKind:
        """The line that a batch's move to `state` adds."""
        return cls(f"batch {state.value}")


class Told(StrEnum):
    """What is told about an export when its state changes."""

    FAILED = "run.failed"
    COMPLETED_WITH_ERRORS = "run.completed_with_errors"
    NEEDS_PERSON = "run.needs_person"  # waits for a sign-in or an approval
    RECOVERED = "run.recovered"  # the first good end after any of these
    SUCCEEDED = "run.succeeded"
    REFRESH_FAILED = "refresh.failed"
    SIGN_IN_EXPIRES = "sign_in.expires_soon"  # nobody used a connection for long
    WORKER_MISSING = "worker.missing"  # something is due and nobody works
    OVERDUE = "export.overdue"  # its time passed and no run began


class Rejection(StrEnum):
    """Why a profile is left out of a run, before anything is sent."""

    MISSING_EMAIL = "missing_email"
    INVALID_EMAIL = "invalid_email"
    EMAIL_TOO_LONG = "email_too_long"
    DUPLICATE = "duplicate"
    VALUE_TOO_LONG = "value_too_long"
    INVALID_VALUE = "invalid_value"


class Trigger(StrEnum):
    """Why a run was queued."""

    MANUAL = "manual"
    SCHEDULE = "schedule"
    REFRESH = "refresh"
    RETRY = "retry"


class Mode(StrEnum):
    """What a run sends."""

    FULL = "full"  # everything each time
    CHANGES = "changes"  # who is new, or has another line than the one confirmed; people who left stay away
    MIRROR = "mirror"  # as `changes`; who is in none of the segments any more is taken off the list


DEFAULT_GUARD = 20  # percent
GUARD_FROM = 100  # people: fewer are never asked about

_LIVE = frozenset({RunState.PREPARING, RunState.UPLOADING, RunState.CONFIRMING, RunState.WAITING})
_ENDS = frozenset(
    {
        RunState.SUCCEEDED,
        RunState.COMPLETED_WITH_ERRORS,
        RunState.FAILED,
        RunState.CANCELED,
        RunState.SKIPPED,
    }
)

RUN_MOVES: dict[RunState, frozenset[RunState]] = {
    RunState.QUEUED: frozenset(
        {RunState.PREPARING, RunState.WAITING, RunState.CANCELED, RunState.FAILED}
    ),
    RunState.PREPARING: frozenset({RunState.UPLOADING, RunState.WAITING}) | _ENDS,
    RunState.UPLOADING: frozenset({RunState.CONFIRMING, RunState.WAITING}) | _ENDS,
    RunState.CONFIRMING: frozenset({RunState.UPLOADING, RunState.WAITING}) | _ENDS,
    RunState.WAITING: (_LIVE - {RunState.WAITING}) | {RunState.CANCELED, RunState.FAILED},
    RunState.SUCCEEDED: frozenset(),
    RunState.COMPLETED_WITH_ERRORS: frozenset(),
    RunState.FAILED: frozenset(),
    RunState.CANCELED: frozenset(),
    RunState.SKIPPED: frozenset(),
}

BATCH_MOVES: dict[BatchState, frozenset[BatchState]] = {
    BatchState.PENDING: frozenset({BatchState.SENDING, BatchState.CANCELED, BatchState.FAILED}),
    BatchState.SENDING: frozenset({BatchState.SUBMITTED, BatchState.PENDING, BatchState.FAILED}),
    BatchState.SUBMITTED: frozenset({BatchState.COMPLETED, BatchState.FAILED}),
    BatchState.COMPLETED: frozenset(),
    BatchState.FAILED: frozenset(),
    BatchState.CANCELED: frozenset(),
}
