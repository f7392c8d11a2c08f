"""The kinds of columns that tables have: times in UTC, states as text by value, references to another table."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Column, DateTime, Dialect, Enum, ForeignKey, Integer, TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC in, aware UTC out, on every database; SQLite alone would give naive times back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone is not stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def utc_column(*, nullable: bool = False, index: bool = False) -> Column[datetime]:
    return Column(UtcDateTime(), nullable=nullable, index=index)


def state_column(kind: type[StrEnum], *, nullable: bool = False) -> Column[Any]:
    values = Enum(
        kind,
        native_enum=False,
        create_constraint=False,
        length=40,
        values_callable=lambda members: [member.value for member in members],
    )
    return Column(values, nullable=nullable)


def parent_column(table: str, *, on_delete: str, primary: bool = False) -> Column[int]:
    return Column(
        Integer,
        ForeignKey(f"{table}.id", ondelete=on_delete),
        primary_key=primary,
        nullable=on_delete == "SET NULL",
        index=not primary,
    )
