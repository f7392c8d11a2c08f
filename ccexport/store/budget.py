"""Pacing and the day's budget of an application key, shared by every process that uses the store.

Constant Contact allows 4 requests a second and 10,000 a UTC day for an application key, over all accounts
(V3 guide, rate limits). Slots are handed out a little further apart than that: a request may reach the
other side sooner or later after its slot than the one before it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from ccexport.clock import Now, utc_now
from ccexport.errors import QuotaExceeded
from ccexport.store.database.engine import reading, writing
from ccexport.store.database.tables import ApiUsage

SPACING_MARGIN = 1.12


@dataclass(frozen=True)
class DayBudget:
    """Requests of the present UTC day."""

    used: int
    limit: int
    exhausted: bool  # Constant Contact said so, whatever our count
    resets_at: datetime

    @property
    def left(self) -> int:
        return 0 if self.exhausted else max(0, self.limit - self.used)


class BudgetStore:
    """Hands out request slots. `application` is the client id; only a digest of it is stored."""

    def __init__(
        self,
        engine: Engine,
        application: str,
        *,
        requests_per_second: float,
        requests_per_day: int,
        now: Now = utc_now,
    ) -> None:
        self._engine = engine
        self._application = hashlib.sha256(application.encode()).hexdigest()[:16]
        self._spacing_seconds = SPACING_MARGIN / requests_per_second
        self._limit = requests_per_day
        self._now = now

    def reserve_slot(self) -> float:
        """Seconds until the next request may start, fewer than none where its moment has passed meanwhile. Counts it.

        Raises `QuotaExceeded` when the day has none left.
        """
        now = self._now()
        with self._locked_row(now) as row:
            if row.exhausted or row.used >= self._limit:
                raise QuotaExceeded("Today's requests to Constant Contact are used up.")
            slot = _next_slot(row.next_slot, now.timestamp(), self._spacing_seconds)
            row.next_slot = slot + self._spacing_seconds
            row.used += 1
        after = max(
            now, self._now()
        )  # the store took its time; a clock that was set back meanwhile counts for nothing
        return slot - after.timestamp()

    def missed_slot(self) -> None:
        """No request was made in a slot that was reserved: it costs nothing of the day."""
        with self._locked_row(self._now()) as row:
            row.used = max(0, row.used - 1)

    def start_now(self) -> None:
        """A request starts outside the slots: it counts, and the next one is not to follow it too closely."""
        now = self._now()
        with self._locked_row(now) as row:
            row.next_slot = max(row.next_slot, now.timestamp() + self._spacing_seconds)
            row.used += 1

    def mark_exhausted(self) -> None:
        """Constant Contact answered that the day's quota is gone."""
        with self._locked_row(self._now()) as row:
            row.exhausted = True

    def today(self) -> DayBudget:
        now = self._now()
        with reading(self._engine) as session:
            row = session.get(ApiUsage, self._application)
        same_day = row is not None and not _is_new_day(row.day, now)
        return DayBudget(
            used=row.used if row and same_day else 0,
            limit=self._limit,
            exhausted=bool(row and same_day and row.exhausted),
            resets_at=next_reset(now),
        )

    @contextmanager
    def _locked_row(self, now: datetime) -> Iterator[ApiUsage]:
        """The row of today, for one process at a time; what is changed is committed."""
        with writing(self._engine) as session:
            row = session.get(ApiUsage, self._application, with_for_update=True)
            if row is None:
                self._make_row(session, now)
                row = session.get_one(ApiUsage, self._application, with_for_update=True)
            if _is_new_day(row.day, now):
                row.day, row.used, row.exhausted = now.date(), 0, False
            session.add(row)
            yield row

    def _make_row(self, session: Session, now: datetime) -> None:
        row = ApiUsage(
            application=self._application, next_slot=0.0, day=now.date(), used=0, exhausted=False
        )
        with suppress(IntegrityError), session.begin_nested():  # another was faster
            session.add(row)


def next_reset(now: datetime) -> datetime:
    """The next 00:00 UTC, when the day's budget begins anew."""
    tomorrow: date = now.astimezone(UTC).date() + timedelta(days=1)
    return datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=UTC)


def _is_new_day(counted: date, now: datetime) -> bool:
    """A clock set back over midnight does not forget what was used: yesterday goes on counting as today."""
    return now.date() > counted or counted - now.date() > timedelta(days=1)


def _next_slot(stored: float, now: float, spacing: float) -> float:
    """The stored slot, unless it lies further ahead than any queue of ours: then the clock was set back."""
    return now if stored > now + max(60.0, 240 * spacing) else max(stored, now)
