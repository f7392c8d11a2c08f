"""The tables. Rows are read by other rooms as they are and written by the classes of this room alone.

Times are aware UTC. States are text by value. The invariants that can be said as constraints are said here.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    text,
)
from sqlmodel import Field, SQLModel

from ccexport.states import DEFAULT_GUARD, BatchState, RunState, Trigger, WaitingFor
from ccexport.store.database.columns import parent_column, state_column, utc_column


class Connection(SQLModel, table=True):
    """A signed-in Constant Contact account, under a name of the people's own."""

    __tablename__ = "connection"
    __table_args__ = (UniqueConstraint("name_key", name="one_connection_a_name"),)

    id: int = Field(default=None, primary_key=True)  # given by the database
    name: str
    name_key: str  # the name case-folded: "Marketing" and "marketing" are one name
    account_id: str  # Constant Contact's encoded_account_id: compared before each run
    organization: str
    contributors: bool  # whether contributors may use it, besides administrators
    export_user: str  # as whom runs read the source
    needs_sign_in: bool
    created_at: datetime = Field(sa_column=utc_column())


class Token(SQLModel, table=True):
    """The encrypted token pair of a connection, and who is renewing it just now."""

    __tablename__ = "token"

    connection_id: int = Field(
        sa_column=parent_column("connection", on_delete="CASCADE", primary=True)
    )
    pair: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    version: int  # grows by one with each new pair
    expires_at: datetime = Field(sa_column=utc_column())
    issued_at: datetime = Field(sa_column=utc_column())
    renewed_by: str | None = None  # the one refresher; others wait for `version` to grow
    renewed_until: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))


class Consent(SQLModel, table=True):
    """Who agreed, when, to which text; kept when the connection is removed."""

    __tablename__ = "consent"

    id: int = Field(default=None, primary_key=True)  # given by the database
    connection_id: int | None = Field(
        default=None, sa_column=parent_column("connection", on_delete="SET NULL")
    )
    connection_name: str
    agreed_by: str
    agreed_at: datetime = Field(sa_column=utc_column())
    text_version: str


class Export(SQLModel, table=True):
    """What is sent where: segments, mapping, list, schedule. Without a connection it is detached."""

    __tablename__ = "export"
    __table_args__ = (UniqueConstraint("name_key", name="one_export_a_name"),)

    id: int = Field(default=None, primary_key=True)  # given by the database
    name: str
    name_key: str
    connection_id: int | None = Field(
        default=None, sa_column=parent_column("connection", on_delete="SET NULL")
    )
    list_id: str
    list_name: str
    mode: str
    schedule: str  # "refresh", "off", or times of its own: see ccexport/schedules.py
    guard: int | None = Field(
        default=DEFAULT_GUARD, sa_column=Column(Integer)
    )  # percent of the ledger's people; None: nobody is asked
    next_run_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    revision: int = 1  # grows with each edit: two people editing at once are told
    # the address that hears of begin and end of each run, encrypted, and how people see it
    ping: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    ping_shown: str | None = None
    created_by: str
    created_at: datetime = Field(sa_column=utc_column())
    updated_at: datetime = Field(sa_column=utc_column())


class ExportSegment(SQLModel, table=True):
    """One segment of an export."""

    __tablename__ = "export_segment"

    export_id: int = Field(sa_column=parent_column("export", on_delete="CASCADE", primary=True))
    position: int = Field(primary_key=True)
    segment: str


class FieldMapping(SQLModel, table=True):
    """One contact field of an export and what fills it."""

    __tablename__ = "field_mapping"

    export_id: int = Field(sa_column=parent_column("export", on_delete="CASCADE", primary=True))
    position: int = Field(primary_key=True)
    contact_field: str
    attribute: str  # an attribute, "=constant" or a template with {Attribute}


class Run(SQLModel, table=True):
    """One execution of an export, with a copy of the export as it was then."""

    __tablename__ = "run"
    __table_args__ = (
        Index(
            "one_live_run_an_export",
            "export_id",
            unique=True,
            # PostgreSQL's has the same by the migrations: said here, each command would load its dialect
            sqlite_where=text("finished_at IS NULL"),
        ),
    )

    id: int = Field(default=None, primary_key=True)  # given by the database
    export_id: int | None = Field(
        default=None, sa_column=parent_column("export", on_delete="SET NULL")
    )
    connection_id: int | None = Field(
        default=None, sa_column=parent_column("connection", on_delete="SET NULL")
    )
    export_name: str
    connection_name: str
    account_id: str
    list_id: str
    list_name: str
    segments: list[str] = Field(sa_column=Column(JSON, nullable=False))
    mapping: list[list[str]] = Field(sa_column=Column(JSON, nullable=False))
    mode: str
    trigger: Trigger = Field(sa_column=state_column(Trigger))
    requested_by: str
    retry_of: int | None = None
    guard: int | None = None
    question: dict[str, Any] | None = Field(
        default=None, sa_column=Column(JSON(none_as_null=True))
    )  # what the guard asked last: see ccexport/store/approvals.py
    approved_by: str | None = None  # the present question
    resync: bool = False  # sends once more what was confirmed before, whatever its mode

    state: RunState = Field(sa_column=state_column(RunState))
    resume_state: RunState | None = Field(
        default=None, sa_column=state_column(RunState, nullable=True)
    )
    waiting_for: WaitingFor | None = Field(
        default=None, sa_column=state_column(WaitingFor, nullable=True)
    )
    waiting_until: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    waiting_detail: str | None = Field(
        default=None, sa_column=Column(Text)
    )  # the sentence for people
    waits: int = 0  # waits in a row without progress: the next one is longer
    error: str | None = Field(default=None, sa_column=Column(Text))
    cancel_requested_by: str | None = None
    stop_reason: str | None = Field(default=None, sa_column=Column(Text))  # nothing more is sent
    refused_in_row: int = 0  # halves of refused files, since the last file that was taken
    halvings: int = 0  # refused files that were halved

    due_at: datetime | None = Field(
        default=None, sa_column=utc_column(nullable=True)
    )  # by its schedule
    queued_at: datetime = Field(sa_column=utc_column(index=True))
    started_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    finished_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    seconds: dict[str, float] = Field(
        default_factory=dict, sa_column=Column(JSON, nullable=False)
    )  # of work, by stage

    read_count: int = 0
    rejected_count: int = 0
    prepared_count: int = 0
    new_count: int = 0
    changed_count: int = 0
    unchanged_count: int = 0
    suppressed_count: int = 0
    to_remove_count: int = 0  # to be taken off the list, known before anything is sent
    removed_count: int = 0
    truncated_count: int = 0
    submitted_count: int = 0
    unsubscribed_count: int = 0
    failed_count: int = 0
    rejections: dict[str, int] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))

    lease_owner: str | None = Field(default=None, index=True)
    lease_until: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    files_deleted_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))

    @property
    def is_held(self) -> bool:
        """Whether it waits until somebody answers what the guard asks."""
        waits = self.state is RunState.WAITING and self.waiting_for is WaitingFor.APPROVAL
        return waits and self.question is not None and self.approved_by is None

    @property
    def accepted_count(self) -> int:
        """What Constant Contact took: an estimate, since its counters overlap."""
        return self.submitted_count - self.unsubscribed_count - self.failed_count

    @property
    def not_sent_count(self) -> int:
        """What was to be sent and was not: not yet, or not any more where the run has ended."""
        to_send = self.prepared_count - self.unchanged_count - self.suppressed_count
        return to_send - self.submitted_count


class RunEvent(SQLModel, table=True):
    """One line of a run's history: what, when, who."""

    __tablename__ = "run_event"

    id: int = Field(default=None, primary_key=True)  # given by the database
    run_id: int = Field(sa_column=parent_column("run", on_delete="CASCADE"))
    at: datetime = Field(sa_column=utc_column())
    who: str
    batch_number: int | None = None
    what: str
    detail: str = Field(default="", sa_column=Column(Text, nullable=False))


class Batch(SQLModel, table=True):
    """One file of a run: a range of rows of its contacts, and what became of it."""

    __tablename__ = "batch"
    __table_args__ = (
        UniqueConstraint("run_id", "number", name="one_batch_a_number"),
        UniqueConstraint("file_name", name="one_batch_a_file_name"),
    )

    id: int = Field(default=None, primary_key=True)  # given by the database
    run_id: int = Field(sa_column=parent_column("run", on_delete="CASCADE"))
    number: int
    first_row: int  # below 0: of an earlier preparation, its rows are in no file
    rows: int
    bytes: int
    digest: str  # SHA-256 of the file: prepared again, it must be the same
    file_name: str  # unique, the only handle for finding a lost POST again
    state: BatchState = Field(sa_column=state_column(BatchState))
    attempts: int = 0  # of sending this file
    halvings: int = 0  # how often the file it was planned in has been halved to come to this one
    sending_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    submitted_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    finished_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    activity_id: str | None = None
    person_count: int | None = None
    error_count: int | None = None
    correctable_count: int | None = None
    unsubscribed_count: int | None = None
    failed_rows: int = 0  # by our judgement of the counters
    errors: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))


class RunAddresses(SQLModel, table=True):
    """Encrypted hashes of what a live run sends: they tell who was sent already, and what its end confirms."""

    __tablename__ = "run_addresses"

    run_id: int = Field(sa_column=parent_column("run", on_delete="CASCADE", primary=True))
    rows: bytes = Field(sa_column=Column(LargeBinary, nullable=False))  # in the order of the rows
    staying: bytes = Field(
        sa_column=Column(LargeBinary, nullable=False)
    )  # of batches of an earlier preparation
    observed: bytes | None = Field(
        default=None, sa_column=Column(LargeBinary)
    )  # who had left the list, and who was there again
    leaving: bytes | None = Field(
        default=None, sa_column=Column(LargeBinary)
    )  # who is to be taken off the list


class FailedRow(SQLModel, table=True):
    """One row of a batch that Constant Contact named as failed, and its words without addresses."""

    __tablename__ = "failed_row"

    batch_id: int = Field(sa_column=parent_column("batch", on_delete="CASCADE", primary=True))
    row: int = Field(primary_key=True)  # of the file, counted from 0: line 2 is row 0
    words: str = Field(sa_column=Column(Text, nullable=False))


class Worker(SQLModel, table=True):
    """A worker process; alive while its heartbeat is fresh."""

    __tablename__ = "worker"

    id: str = Field(primary_key=True)
    host: str
    pid: int
    version: str
    started_at: datetime = Field(sa_column=utc_column())
    heartbeat_at: datetime = Field(sa_column=utc_column())
    stopped_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))


class ApiUsage(SQLModel, table=True):
    """Pacing and the day's budget of one application key, shared by all processes."""

    __tablename__ = "api_usage"

    application: str = Field(primary_key=True)  # a digest of the client id
    next_slot: float  # seconds since 1970: when the next request may start
    day: date
    used: int
    exhausted: bool  # Constant Contact itself said that the day's requests are gone


class OAuthSignIn(SQLModel, table=True):
    """A sign-in at Constant Contact that was begun on a page: used once, within ten minutes."""

    __tablename__ = "oauth_sign_in"

    ticket: str = Field(primary_key=True)  # a digest of what the page's button carries
    state: str | None = Field(default=None, index=True)  # a digest of the state, once begun
    browser: str | None = None  # a digest of the cookie of the browser that began it
    verifier: bytes | None = Field(default=None, sa_column=Column(LargeBinary))  # encrypted
    connection_name: str
    contributors: bool
    asked_by: str
    created_at: datetime = Field(sa_column=utc_column())
    used_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    ended_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    refusal: str | None = Field(default=None, sa_column=Column(Text))  # where it ended badly


class ListCache(SQLModel, table=True):
    """The lists of a connection's account as of a time, so that a page need not wait for them."""

    __tablename__ = "list_cache"

    connection_id: int = Field(
        sa_column=parent_column("connection", on_delete="CASCADE", primary=True)
    )
    as_of: datetime = Field(sa_column=utc_column())
    lists: list[dict[str, Any]] = Field(sa_column=Column(JSON, nullable=False))


class RefreshSchedule(SQLModel, table=True):
    """When the source's segments are read again and the exports due on it run. One row, id 1."""

    __tablename__ = "refresh_schedule"

    id: int = Field(primary_key=True)
    weekdays: list[int] = Field(sa_column=Column(JSON, nullable=False))  # 0 is Monday; all: daily
    times: list[str] = Field(sa_column=Column(JSON, nullable=False))  # HH:MM, at most four
    zone: str
    next_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))  # None: off
    changed_by: str
    changed_at: datetime = Field(sa_column=utc_column())


class Refresh(SQLModel, table=True):
    """One reading of the source's segments."""

    __tablename__ = "refresh"

    id: int = Field(default=None, primary_key=True)  # given by the database
    trigger: Trigger = Field(sa_column=state_column(Trigger))
    requested_by: str
    due_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    started_at: datetime = Field(sa_column=utc_column(index=True))
    finished_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    runs_queued: int = 0
    error: str | None = Field(default=None, sa_column=Column(Text))


class SegmentSize(SQLModel, table=True):
    """How many members a segment had at a refresh."""

    __tablename__ = "segment_size"

    refresh_id: int = Field(sa_column=parent_column("refresh", on_delete="CASCADE", primary=True))
    segment: str = Field(primary_key=True)
    members: int


class Backup(SQLModel, table=True):
    """One attempt at a backup of the store; without `finished_at` it is under way, or was killed."""

    __tablename__ = "backup"

    id: int = Field(default=None, primary_key=True)  # given by the database
    started_at: datetime = Field(sa_column=utc_column())
    finished_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    file: str  # its name, without the folder
    rows: int = 0
    bytes: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    error: str | None = Field(default=None, sa_column=Column(Text))
