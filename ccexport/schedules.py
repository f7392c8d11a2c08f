"""When work happens by itself: an export's schedule as text, and times of day on weekdays in a zone.

Pure: no clock, no store. Clock changes follow Debian's cron, whose rule is cronsim's: a time of day that a change
leaves out (02:30 on the day the clock jumps from 02:00 to 03:00) is the first instant after the jump, 03:00; one that
comes twice is the first of the two; a cron expression whose minutes or hours begin with a star goes by elapsed time.
Times come in their order, and two that fall on one instant are one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from heapq import merge
from itertools import islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError

from ccexport.errors import UsageError

# A worker looks every few seconds; a time that is missed by more means that none was there.
LATE_AFTER = timedelta(minutes=5)
EVERY_DAY = (0, 1, 2, 3, 4, 5, 6)  # 0 is Monday
DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
SHORT_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MAX_TIMES_A_DAY = 4
MAX_EVERY = timedelta(days=7)
MAX_CRON_CHARACTERS = 200

_EVERY = re.compile(r"every ([1-9]\d{0,4}) (minute|hour)s?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
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
        days = ",".join(str((day + 1) % 7) for day in self.weekdays)  # cron's week begins on Sunday
        each = (
            _cron_times(f"{at.minute} {at.hour} * * {days}", self.zone, after) for at in self.times
        )
        return list(islice(_each_once(merge(*each), after), count))


@dataclass(frozen=True)
class Every:
    """Again and again after the same while, counted from 1970 in UTC: no clock change moves it."""

    count: int
    unit: str  # "minutes" or "hours"

    @property
    def while_(self) -> timedelta:
        return timedelta(minutes=self.count * (60 if self.unit == "hours" else 1))

    def next_times(self, after: datetime, count: int) -> list[datetime]:
        """The next `count` instants later than `after`, aware UTC, the earliest first."""
        done = (after - _EPOCH) // self.while_
        return [_EPOCH + self.while_ * (done + number) for number in range(1, count + 1)]


@dataclass(frozen=True)
class Cron:
    """A cron expression of five fields in a zone."""

    expression: str
    zone: str

    def next_times(self, after: datetime, count: int) -> list[datetime]:
        """The next `count` instants later than `after`; fewer when it does not come again within 50 years."""
        times = _cron_times(self.expression, self.zone, after)
        return list(islice(_each_once(times, after), count))


def next_times(schedule: str, after: datetime, count: int) -> list[datetime]:
    """The next `count` times of an export's schedule, aware UTC; none for `refresh` and `off`."""
    times = read_schedule(schedule)
    return times.next_times(after, count) if times else []


def check_schedule(text: str) -> str:
    """An export's schedule as it is stored: spaces folded, weekdays in their order. Raises `UsageError`."""
    text = " ".join(text.split())
    return write_schedule(read_schedule(text)) or text


def write_schedule(times: Recurrence | Every | Cron | None) -> str:
    """The text of an export's own times; empty for None. A recurrence has one time of day."""
    match times:
        case Recurrence():
            days = ",".join(SHORT_DAYS[day] for day in times.weekdays)
            begin = "daily" if times.is_daily else f"weekly {days}"
            return f"{begin} {times.times[0]:%H:%M} {times.zone}"
        case Every():
            return f"every {times.count} {times.unit}"
        case Cron():
            return f"cron {times.expression} {times.zone}"
        case None:
            return ""


def read_schedule(text: str) -> Recurrence | Every | Cron | None:
    """An export's own times; None for `refresh` and `off`. Raises `UsageError`."""
    match text.split():
        case ["refresh"] | ["off"]:
            return None
        case ["daily", at, zone] if _TIME.fullmatch(at):
            return Recurrence(EVERY_DAY, (_check_time(at),), check_zone(zone))
        case ["weekly", days, at, zone] if _TIME.fullmatch(at):
            return Recurrence(_check_days(days), (_check_time(at),), check_zone(zone))
        case ["every", _, _]:
            return _check_every(text)
        case ["cron", *fields]:
            return _check_cron(fields)
    raise UsageError(
        f'"{text[:200]}" is not a schedule. Use refresh, off, "daily 06:30 Europe/Berlin", '
        '"weekly mon,thu 06:30 Europe/Berlin", "every 30 minutes", "every 2 hours", or '
        '"cron 30 6 * * 1-5 Europe/Berlin".'
    )


def _check_days(text: str) -> tuple[int, ...]:
    """Such as `mon,thu`."""
    days = text.lower().split(",")
    unknown = next((day for day in days if day not in SHORT_DAYS), None)
    if unknown is not None:
        raise UsageError(
            f'"{unknown[:200]}" is not a weekday. Write weekdays as {",".join(SHORT_DAYS)}, '
            "with commas and without spaces between them."
        )
    return tuple(sorted({SHORT_DAYS.index(day) for day in days}))


def _check_every(text: str) -> Every:
    found = _EVERY.fullmatch(" ".join(text.split()))
    every = Every(int(found[1]), f"{found[2]}s") if found else None
    if every is None or every.while_ > MAX_EVERY:
        raise UsageError(
            f'"{text[:200]}" is not a schedule. Write "every 30 minutes" or "every 2 hours"; '
            "at least a minute, at most 168 hours."
        )
    return every


def _check_cron(fields: Sequence[str]) -> Cron:
    """Five fields and a zone, of an expression that comes."""
    if len(fields) != 6 or sum(map(len, fields)) > MAX_CRON_CHARACTERS:
        raise UsageError(
            "A cron schedule has five fields (minute, hour, day, month, weekday) and a time zone: "
            '"cron 30 6 * * 1-5 Europe/Berlin".'
        )
    cron = Cron(" ".join(fields[:5]), check_zone(fields[5]))
    try:
        comes = cron.next_times(_EPOCH, 1)
    except CronSimError as error:
        # cronsim finds 30 February by the day alone
        what = "never comes or is out of its range" if "day-of-month" in str(error) else "is wrong"
        raise UsageError(
            f'"{cron.expression}" is not a cron expression: its {str(error).removeprefix("Bad ")} '
            f"{what}. Its fields are minute, hour, day, month, weekday: 30 6 * * 1-5."
        ) from None
    if not comes:
        raise UsageError(
            f'"{cron.expression}" never comes: no day is all that it asks for. '
            "Check its day, month and weekday."
        )
    return cron


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
    match read_schedule(schedule):
        case Recurrence() as recurrence:
            return describe_recurrence(recurrence)
        case Every() as every:
            return f"every {every.unit.removesuffix('s')}" if every.count == 1 else schedule
        case Cron() as cron:
            return f"by cron {cron.expression} ({cron.zone})"
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


def _cron_times(expression: str, zone: str, after: datetime) -> Iterator[datetime]:
    """From the clock's reading of `after` on, aware UTC; may begin before `after` where the clock goes back."""
    for moment in CronSim(expression, after.astimezone(ZoneInfo(zone))):
        yield moment.astimezone(UTC)


def _each_once(moments: Iterable[datetime], after: datetime) -> Iterator[datetime]:
    """Those later than `after`, in their order, each once."""
    for moment in moments:
        if moment > after:
            yield moment
            after = moment


def is_late(due_at: datetime | None, queued_at: datetime) -> bool:
    """Whether a schedule's time was missed: no worker was there when it was due."""
    return due_at is not None and queued_at - due_at > LATE_AFTER
