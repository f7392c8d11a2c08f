"""The nouns of the V3 API as values: account, list, custom field, activity, contact."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

Item = TypeVar("Item")

TERMINAL_STATES = frozenset({"completed", "failed", "cancelled", "timed_out", "time_out"})


@dataclass(frozen=True)
class Account:
    """Whom a token belongs to. `account_id` is `encoded_account_id`, their stable identity of an account."""

    account_id: str
    organization: str
    contact_email: str = field(default="", repr=False)


@dataclass(frozen=True)
class ContactList:
    """A contact list. `membership_count` is None where it was not asked for; times are UTC."""

    list_id: str
    name: str
    deleted: bool = False
    membership_count: int | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True)
class CustomField:
    """A custom field; `name` is what follows `cf:` in a file's header, `label` what people see."""

    name: str
    label: str
    type: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Activity:
    """A bulk job of theirs. A counter that is None is not known, which is not zero.

    `person_count` is the contacts in the file; `items_total_count` counts the header too. `errors` are their words.
    """

    activity_id: str
    state: str
    file_name: str = ""
    percent_done: int | None = None
    created_at: datetime | None = None
    person_count: int | None = None
    error_count: int | None = None
    correctable_count: int | None = None
    cannot_add_count: int | None = None
    items_total_count: int | None = None
    items_completed_count: int | None = None
    list_count: int | None = None  # of a job that changes who is on lists
    errors: tuple[str, ...] = field(default=(), repr=False)
    results_id: str | None = None

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended, in whichever way. A state we do not know has not."""
        return self.state in TERMINAL_STATES

    @property
    def is_completed(self) -> bool:
        """Whether the job ran to its end. That is not success: look at the counters."""
        return self.state == "completed"


@dataclass(frozen=True)
class Contact:
    """A contact. `email` is lower case, None for contacts known by phone only."""

    contact_id: str
    email: str | None = field(default=None, repr=False)
    permission: str = ""
    list_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class ContactCounts:
    """Contacts of the whole account by permission; None is not known."""

    total: int | None = None
    explicit: int | None = None
    implicit: int | None = None
    pending: int | None = None
    unsubscribed: int | None = None


@dataclass(frozen=True)
class Page(Generic[Item]):
    """One page of a collection; `next_path` is where the next one is, None at the end."""

    items: tuple[Item, ...]
    next_path: str | None


_LINE = re.compile(r"\s*line\s+#?(\d{1,9})\s*[:\-,.]\s*(.*)", re.IGNORECASE | re.DOTALL)


_HEADER_LINES = 1


def line_number(row: int) -> int:
    """The line of a file, counted from 1 with the header, that holds a row counted from 0."""
    return row + _HEADER_LINES + 1


def line_of(error_text: str) -> tuple[int | None, str]:
    """Split `Line 3: Invalid birthday` into the row it is about and what is said: (1, "Invalid birthday").

    Rows count from zero; their line 1 is the header, so line N is row N - 2. None where there is no usable line.
    """
    match = _LINE.fullmatch(error_text)
    row = -1 if match is None else int(match[1]) - line_number(0)
    if match is None or row < 0:
        return None, error_text.strip()
    return row, match[2].strip()
