"""What the API takes and answers, field by field: the document is made of it, and tests hold the answers to it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ccexport.states import BatchState, Mode, RunState, Trigger, WaitingFor


class _Exact(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Error(_Exact):
    error: str = Field(description="One line: what happened, and what to do.")


class StartRun(_Exact):
    full: bool = Field(default=False, description="Send everybody once more, whatever the mode.")


class Started(_Exact):
    run: int
    url: str = Field(description="Where the run is asked for, below the dashboard's path.")


class Live(Error):
    run: int | None = Field(default=None, description="The run that is live.")


class Ended(_Exact):
    run: int
    state: RunState


class NotEnded(Error):
    run: int | None = Field(default=None, description="Absent where there is no such run.")
    state: RunState | None = None


class Ended422(Error):
    run: int
    state: RunState


class Refreshed(_Exact):
    runs: list[int]


class Timings(_Exact):
    preparing: float
    uploading: float
    confirming: float


class Counts(_Exact):
    read: int
    rejected: int
    prepared: int
    new: int
    changed: int
    unchanged: int
    submitted: int
    accepted: int
    unsubscribed: int
    failed: int
    removed: int
    suppressed: int
    truncated: int


class Batch(_Exact):
    number: int
    rows: int
    bytes: int
    state: BatchState
    activity_id: str | None
    file_name: str | None
    attempts: int
    person_count: int | None
    error_count: int | None
    correctable_count: int | None
    unsubscribed_count: int | None
    failed: int
    failed_unnamed: int
    errors: list[str]


class Guard(_Exact):
    """What the guard asked before a run changed a large share of its people."""

    percent: int
    sent: int
    removed: int
    placed: int
    approved_by: str | None


class Removal(_Exact):
    """One request that takes people off the list."""

    number: int
    people: int
    state: str
    activity_id: str | None
    attempts: int
    removed: int | None
    errors: list[str]


class RunInShort(_Exact):
    id: int
    export: str
    connection: str
    list_id: str
    trigger: Trigger
    retry_of: int | None
    mode: Mode
    resync: bool
    state: RunState
    error: str | None
    waiting_for: WaitingFor | None
    waiting_until: datetime | None
    requested_by: str
    due_at: datetime | None
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    timings: Timings = Field(description="Seconds of work, waiting left out.")
    counts: Counts
    not_sent: int
    to_remove: int
    guard: Guard | None
    rejections: dict[str, int]


class Run(RunInShort):
    batches: list[Batch]
    removals: list[Removal] | None = Field(default=None, description="Of mode mirror alone.")


class Export(_Exact):
    name: str
    connection: str | None
    list_id: str
    segments: list[str]
    mapping: dict[str, str]
    mode: Mode
    schedule: str
    guard: str
    ping: str | None = Field(description="Masked.")
    next_run_at: datetime | None
    state: Literal["active", "off", "detached"]
    last_run: RunInShort | None


class PreviewCounts(_Exact):
    read: int
    rejected: int
    prepared: int
    new: int
    changed: int
    unchanged: int
    suppressed: int
    to_remove: int
    truncated: int


class Preview(_Exact):
    export: str
    list_id: str
    counts: PreviewCounts
    rejections: dict[str, int]
    warnings: list[dict[str, Any]]
    members_without_profile: int
    asks_first: bool = Field(description="Whether a run would wait until somebody approves it.")
    mapping_changed: bool
    files: int
    bytes: int
    requests: int
    seconds_at_least: int
