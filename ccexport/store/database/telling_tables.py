"""The tables of telling: who is told, what there is to tell, and the outbox between them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

from ccexport.states import Told
from ccexport.store.database.columns import parent_column, state_column, utc_column


class Webhook(SQLModel, table=True):
    """An address that is told of changes, and what went to it last."""

    __tablename__ = "webhook"
    __table_args__ = (UniqueConstraint("url", name="one_webhook_an_address"),)

    id: int = Field(default=None, primary_key=True)  # given by the database
    url: str
    secret: bytes = Field(sa_column=Column(LargeBinary, nullable=False))  # encrypted
    # encrypted; signs beside the new one until `old_until`
    old_secret: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    old_until: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    events: list[str] = Field(sa_column=Column(JSON, nullable=False))
    is_on: bool = True  # off once it answered 410
    created_by: str
    created_at: datetime = Field(sa_column=utc_column())


class Telling(SQLModel, table=True):
    """A change of state of an export: written with the change, told later."""

    __tablename__ = "telling"

    id: int = Field(default=None, primary_key=True)  # given by the database
    message_id: str  # the same at every attempt, so that a repeat is recognized
    at: datetime = Field(sa_column=utc_column())
    what: Told = Field(sa_column=state_column(Told))
    reason: str  # what a run waits for; empty elsewhere
    subject: str = ""  # such as "refresh" or "connection 3"; empty for runs
    export_id: int | None = Field(
        default=None, sa_column=parent_column("export", on_delete="SET NULL")
    )
    body: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))


class Delivery(SQLModel, table=True):
    """One telling to one webhook: the outbox."""

    __tablename__ = "delivery"

    telling_id: int = Field(sa_column=parent_column("telling", on_delete="CASCADE", primary=True))
    webhook_id: int = Field(sa_column=parent_column("webhook", on_delete="CASCADE", primary=True))
    attempts: int = 0
    next_at: datetime | None = Field(
        default=None, sa_column=utc_column(nullable=True, index=True)
    )  # None: nothing more is tried
    delivered_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    answer: str = ""  # of the last attempt


class Notification(SQLModel, table=True):
    """A channel to people (mail, Slack, Teams …) by Apprise, and how it went last."""

    __tablename__ = "notification"
    __table_args__ = (UniqueConstraint("name_key", name="one_notification_a_name"),)

    id: int = Field(default=None, primary_key=True)  # given by the database
    name: str
    name_key: str
    url: bytes = Field(sa_column=Column(LargeBinary, nullable=False))  # encrypted
    shown: str  # the address as people see it, its secrets masked
    events: list[str] = Field(sa_column=Column(JSON, nullable=False))
    last_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))
    last_error: str = ""  # of the last attempt; empty where it was taken
    created_by: str
    created_at: datetime = Field(sa_column=utc_column())


class Notice(SQLModel, table=True):
    """One telling to one channel. Several go out together as one message: they share `together`."""

    __tablename__ = "notice"

    telling_id: int = Field(sa_column=parent_column("telling", on_delete="CASCADE", primary=True))
    notification_id: int = Field(
        sa_column=parent_column("notification", on_delete="CASCADE", primary=True)
    )
    # the message's id, from its first attempt on: a repeat holds the same
    together: str | None = Field(default=None, index=True)
    attempts: int = 0
    next_at: datetime | None = Field(
        default=None, sa_column=utc_column(nullable=True, index=True)
    )  # None: nothing more is tried
    delivered_at: datetime | None = Field(default=None, sa_column=utc_column(nullable=True))


class Ping(SQLModel, table=True):
    """A call that an export's ping address is still to get: taken out before it is made, since there is one try."""

    __tablename__ = "ping"

    id: int = Field(default=None, primary_key=True)  # given by the database
    export_id: int = Field(sa_column=parent_column("export", on_delete="CASCADE"))
    suffix: str  # "/start", "" or "/fail"
    at: datetime = Field(sa_column=utc_column())


class Pause(SQLModel, table=True):
    """That nothing starts by itself: one row while it is so."""

    __tablename__ = "pause"

    id: int = Field(default=1, primary_key=True)
    reason: str
    since: datetime = Field(sa_column=utc_column())
    by: str
