"""The tables of people: who signs in, their sign-ins, and who did what."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column
from sqlmodel import Field, SQLModel

from ccexport.store.database.columns import utc_column


class User(SQLModel, table=True):
    """Somebody who signs in, or may. Their role is the one that a claim gives, else the one that was given here."""

    __tablename__ = "user"

    email: str = Field(primary_key=True)  # case-folded
    name: str  # as the provider says it
    given_role: str | None = None  # on the screen People, by a command, or as a first administrator
    claimed_role: str | None = None  # by the groups at the provider, at the last sign-in
    added_by: str
    created_at: datetime = Field(sa_column=utc_column())
    seen_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    removed_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))


class UserSession(SQLModel, table=True):
    """One sign-in at the provider, in one browser: it ends by itself when nobody uses it, and at sign-out."""

    __tablename__ = "user_session"

    id: str = Field(primary_key=True)  # a digest of what is unique in the provider's answer
    email: str = Field(index=True)
    started_at: datetime = Field(sa_column=utc_column())
    seen_at: datetime = Field(sa_column=utc_column(index=True))
    ended_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))


class AuditEvent(SQLModel, table=True):
    """Who did what to what, or was refused it. Rows are only ever added; retention deletes the old."""

    __tablename__ = "audit_event"

    id: int = Field(default=None, primary_key=True)  # given by the database
    at: datetime = Field(sa_column=utc_column(index=True))
    who: str = Field(index=True)
    role: str
    action: str = Field(index=True)
    outcome: str  # "done" or "refused"
    target_kind: str
    target_name: str
    came_from: str  # the person's network address; empty for commands
    before: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    after: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
