"""The tables of the API: its tokens, which exports each may reach, and the keys that make a repeated start one run."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from ccexport.store.database.columns import parent_column, utc_column


class ApiToken(SQLModel, table=True):
    """A program that may call the API. Of the token itself only a hash is kept."""

    __tablename__ = "api_token"
    __table_args__ = (
        UniqueConstraint("name_key", name="one_api_token_a_name"),
        UniqueConstraint("digest", name="one_api_token_a_digest"),
    )

    id: int = Field(default=None, primary_key=True)  # given by the database
    name: str
    name_key: str  # casefolded
    digest: str  # SHA-256, hex
    # False: those of `api_token_export` alone, also once none of them is left
    all_exports: bool
    is_read_only: bool
    created_by: str
    created_at: datetime = Field(sa_column=utc_column())
    expires_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    last_used_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))


class ApiTokenExport(SQLModel, table=True):
    """An export that a token may reach; goes with the export, so that no later one inherits it."""

    __tablename__ = "api_token_export"

    token_id: int = Field(sa_column=parent_column("api_token", on_delete="CASCADE", primary=True))
    export_id: int = Field(sa_column=parent_column("export", on_delete="CASCADE", primary=True))


class ApiStart(SQLModel, table=True):
    """The run that an `Idempotency-Key` started, written in the transaction that queued it."""

    __tablename__ = "api_start"

    token_id: int = Field(sa_column=parent_column("api_token", on_delete="CASCADE", primary=True))
    key: str = Field(primary_key=True)  # SHA-256 of what was sent, hex
    at: datetime = Field(sa_column=utc_column(index=True))
    run_id: int = Field(sa_column=parent_column("run", on_delete="CASCADE"))
    asked: str  # for what, so that a key is not used for something else
