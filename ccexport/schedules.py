"""When work happens by itself: an export's schedule as text, and times of day on weekdays in a zone.

Pure: no clock, no store. A time of day that a zone's clock change leaves out (02:30 on the day it jumps from 02:00 to
03:00) is the first instant after the jump, 03:00; one that comes twice is the first of the two. So each day has each of
its times once, in their order; two times that fall on one instant are one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from ccexport.errors import UsageError

# A worker looks every few seconds; a time that is missed by more means that none was there.
LATE_AFTER = timedelta(minutes=5)
EVERY_DAY = (0, 1, 2, 3, 4, 5, 6)  # 0 is Monday
DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MAX_TIMES_A_DAY = 4

_DAILY = re.compile(r"daily ([01]\d|2[0-3]):([0-5]\d) (\S+)")
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True)
class Recurrence:
    """Times of day, without seconds, on weekdays (0 is Monday) of a zone; sorted, each once."""

    weekdays: tuple[int, ...]
    times: tuple[time, ...]
    zone: str

    @property
    def is_daily(self) -> bool:
        return self.weekdays == EVERY_DAY

    def next_times(self, after: datetime, count: int) -> list[datetime]:
        """The next `count` instants later than `after`, aware UTC, the earliest first."""
        return list(islice(self._times_after(after), count))

    def _times_after(self, after: datetime) -> Iterator[datetime]:
        zone = ZoneInfo(self.zone)
        # a day skipped whole (Apia, 30 December 2011) falls on the next one: begin a little before
        day, last = after.astimezone(zone).date() - timedelta(days=2), after
        while True:
            if day.weekday() in self.weekdays:
                for at in self.times:
                    moment = _instant(day, at, zone)
                    if moment > last:
                        yield moment
                        last = moment
            day += timedelta(days=1)


def next_times(schedule: str, after: datetime, count: int) -> list[datetime]:
    """The next `count` times of an export's schedule, aware UTC; none for `refresh` and `off`."""
    recurrence = daily_recurrence(schedule)
    return recurrence.next_times(after, count) if recurrence else []


def daily_recurrence(schedule: str) -> Recurrence | None:
    """The times of `daily HH:MM ZONE`; None for `refresh` and `off`. Raises `UsageError`."""
    found = _DAILY.fullmatch(check_schedule(schedule))
    if found is None:
        return None
    return Recurrence(EVERY_DAY, (time(int(found[1]), int(found[2])),), found[3])


def check_schedule(text: str) -> str:
    """`refresh`, `off`, or `daily HH:MM ZONE`; spaces folded. Raises `UsageError`."""
    text = " ".join(text.split())
    if text in ("refresh", "off"):
        return text
    found = _DAILY.fullmatch(text)
    if found is None:
        raise UsageError(
            f'"{text[:200]}" is not a schedule. Use refresh, off, or a daily time with its zone: '
            '"daily 06:30 Europe/Berlin".'
        )
    check_zone(found[3])
    return text


def check_recurrence(weekdays: Sequence[int], times: Sequence[str], zone: str) -> Recurrence:
    """Weekdays (0 is Monday) and one to four distinct times `HH:MM`, sorted. Raises `UsageError`."""
    if not weekdays or not set(weekdays) <= set(EVERY_DAY):
        raise UsageError("No weekday was chosen. Choose at least one, or daily.")
    found = [_check_time(text) for text in times]
    if not 1 <= len(found) <= MAX_TIMES_A_DAY:
        raise UsageError(
            f"A refresh has one to {MAX_TIMES_A_DAY} times a day; {len(found)} were given."
        )
    twice = next((at for at in found if found.count(at) > 1), None)
    if twice is not None:
        raise UsageError(f"{twice:%H:%M} is given twice. Give each time once.")
    return Recurrence(tuple(sorted(set(weekdays))), tuple(sorted(found)), check_zone(zone))


def check_zone(name: str) -> str:
    """Raises `UsageError`, with near names, for what is not a time zone of the IANA database."""
    name = name.strip()
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of zones, as "Europe"
        known = {zone.casefold(): zone for zone in zone_names()}
        near = difflib.get_close_matches(name.casefold()[:60], known, n=2)
        hint = " or ".join(known[found] for found in near) or (
            "a name such as Europe/Berlin, America/New_York or UTC"
        )
        raise UsageError(f'"{name[:200]}" is not a time zone. Use {hint}.') from None
    return name


def zone_names() -> list[str]:
    """All zones a person may choose, sorted; those of the shape Region/City, and UTC."""
    names = {name for name in available_timezones() if "/" in name}
    return sorted({name for name in names if not name.startswith(("Etc/", "SystemV/"))} | {"UTC"})


def describe_schedule(schedule: str) -> str:
    """An export's schedule as people read it: "with each refresh", "daily at 06:30 (Europe/Berlin)", "off"."""
    recurrence = daily_recurrence(schedule)
    if recurrence is not None:
        return describe_recurrence(recurrence)
    return "with each refresh" if schedule == "refresh" else "off"


def describe_recurrence(recurrence: Recurrence) -> str:
    """Such as `daily at 06:30 and 18:00 (Europe/Berlin)`, `Monday to Friday at 06:30 (UTC)`."""
    days = _describe_days(recurrence.weekdays)
    times = [f"{at:%H:%M}" for at in recurrence.times]
    said = " and ".join([", ".join(times[:-1]), times[-1]] if times[1:] else times)
    return f"{days} at {said} ({recurrence.zone})"


def _describe_days(weekdays: tuple[int, ...]) -> str:
    if weekdays == EVERY_DAY:
        return "daily"
    first, last = weekdays[0], weekdays[-1]
    if len(weekdays) > 2 and weekdays == tuple(range(first, last + 1)):
        return f"{DAY_NAMES[first]} to {DAY_NAMES[last]}"
    return ", ".join(DAY_NAMES[number] for number in weekdays)


def _check_time(text: str) -> time:
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise UsageError(f'"{text[:200]}" is not a time of day. Write it as 06:30 or 18:00.')
    return time(int(found[1]), int(found[2]))


def _instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    """When the zone's clocks first show `at` or, on a day that leaves it out, the first thing after it."""
    wanted = datetime.combine(day, at)
    early = wanted.replace(tzinfo=zone).astimezone(UTC)  # fold 0: the first of two
    if early.astimezone(zone).replace(tzinfo=None) == wanted:
        return early
    return _end_of_gap(wanted, zone)


def _end_of_gap(wanted: datetime, zone: ZoneInfo) -> datetime:
    """The instant of the jump over `wanted`: it lies between what the offsets of after and before make of it."""
    low = wanted.replace(tzinfo=zone, fold=1).astimezone(UTC)  # still before the jump
    high = wanted.replace(tzinfo=zone, fold=0).astimezone(UTC)  # after it, or just on it
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(zone).replace(tzinfo=None) >= wanted:
            high = middle
        else:
            low = middle
    return high


def is_late(due_at: datetime | None, queued_at: datetime) -> bool:
    """Whether a schedule's time was missed: no worker was there when it was due."""
    return due_at is not None and queued_at - due_at > LATE_AFTER
