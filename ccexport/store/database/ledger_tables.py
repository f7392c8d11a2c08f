"""The tables of ledgers: whom an export placed on a list, sealed, and how a run read that list."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, Column, LargeBinary, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from ccexport.states import BatchState
from ccexport.store.database.columns import parent_column, state_column, utc_column


class Ledger(SQLModel, table=True):
    """What an export knows of one list of one account; moved to another list or account it gets another ledger."""

    __tablename__ = "ledger"
    __table_args__ = (
        UniqueConstraint(
            "export_id", "account_id", "list_id", name="one_ledger_an_export_and_list"
        ),
    )

    id: int = Field(default=None, primary_key=True)  # given by the database
    export_id: int = Field(sa_column=parent_column("export", on_delete="CASCADE"))
    account_id: str
    list_id: str = Field(index=True)
    bits: int  # the first so many bits of a hash say which part it is in
    mapping: list[list[str]] = Field(
        sa_column=Column(JSON, nullable=False)
    )  # of the last run that ended
    created_at: datetime = Field(sa_column=utc_column())
    updated_at: datetime = Field(sa_column=utc_column())


class LedgerPart(SQLModel, table=True):
    """The people of a ledger whose hashes begin alike, as a sealed table of columns."""

    __tablename__ = "ledger_part"

    ledger_id: int = Field(sa_column=parent_column("ledger", on_delete="CASCADE", primary=True))
    part: int = Field(primary_key=True)
    placed: int
    gone: int  # who left the list
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class LedgerKey(SQLModel, table=True):
    """What addresses are hashed with in all ledgers, encrypted. One row, id 1; it outlives the store's keys."""

    __tablename__ = "ledger_key"

    id: int = Field(primary_key=True)
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class ListReading(SQLModel, table=True):
    """How a run read who is on its list: asked for, being written there, then read, or in vain."""

    __tablename__ = "list_reading"

    run_id: int = Field(sa_column=parent_column("run", on_delete="CASCADE", primary=True))
    asked_at: datetime = Field(sa_column=utc_column())
    activity_id: str | None = None
    people: int | None = None  # once it is read
    trouble: str | None = Field(default=None, sa_column=Column(Text))  # why it is of no use


class Removal(SQLModel, table=True):
    """Some of the people whom a run takes off its list, with one request, and what became of it."""

    __tablename__ = "removal"
    __table_args__ = (UniqueConstraint("run_id", "number", name="one_removal_a_number"),)

    id: int = Field(default=None, primary_key=True)  # given by the database
    run_id: int = Field(sa_column=parent_column("run", on_delete="CASCADE"))
    number: int
    looked_up: int  # of those who leave, in their order: whose ids were asked for
    people: int  # of them, those who were found on the list
    sealed: bytes | None = Field(
        default=None, sa_column=Column(LargeBinary)
    )  # who they are, while the run is live
    state: BatchState = Field(sa_column=state_column(BatchState))
    attempts: int = 0
    sending_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    submitted_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    finished_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    activity_id: str | None = None
    removed: int = 0  # by Constant Contact's counters
    errors: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
