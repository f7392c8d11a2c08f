"""An export's own times: on weekdays, again and again, by cron; what never comes is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccexport.errors import UsageError
from ccexport.schedules import (
    SHORT_DAYS,
    check_schedule,
    describe_schedule,
    next_times,
    read_schedule,
    write_schedule,
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(moments: list[datetime], zone: str) -> list[str]:
    """As the clocks of a zone show them, with their distance from UTC."""
    return [each.astimezone(ZoneInfo(zone)).isoformat(timespec="minutes") for each in moments]


# schedule, after (UTC), the next ones as the zone's clocks show them
TIMES = [
    pytest.param(
        "weekly mon,thu 06:30 Europe/Berlin",
        "2026-01-05T05:30",  # that very time is over
        ["2026-01-08T06:30+01:00", "2026-01-12T06:30+01:00", "2026-01-15T06:30+01:00"],
        id="weekly",
    ),
    pytest.param(
        "weekly sun 02:30 Europe/Berlin",
        "2026-03-23T00:00",
        ["2026-03-29T03:00+02:00", "2026-04-05T02:30+02:00"],
        id="weekly-in-the-hour-left-out",
    ),
    pytest.param(
        "weekly sun 02:30 Europe/Berlin",
        "2026-10-25T00:30",  # the first of the two is over
        ["2026-11-01T02:30+01:00", "2026-11-08T02:30+01:00"],
        id="weekly-in-the-hour-that-comes-twice",
    ),
    pytest.param(
        "every 30 minutes",
        "2026-03-29T00:10",
        ["2026-03-29T00:30+00:00", "2026-03-29T01:00+00:00", "2026-03-29T01:30+00:00"],
        id="every-30-minutes-whatever-the-clocks-do",
    ),
    pytest.param(
        "every 2 hours",
        "2026-01-05T10:00",
        ["2026-01-05T12:00+00:00", "2026-01-05T14:00+00:00"],
        id="every-2-hours",
    ),
    pytest.param(
        "cron 30 6 * * 1-5 Europe/Berlin",
        "2026-01-09T05:30",
        ["2026-01-12T06:30+01:00", "2026-01-13T06:30+01:00"],
        id="cron-on-working-days",
    ),
    pytest.param(
        "cron 30 2 * * * Europe/Berlin",
        "2026-03-28T12:00",
        ["2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"],
        id="cron-in-the-hour-left-out",
    ),
    pytest.param(
        "cron 15,45 2 * * * Europe/Berlin",
        "2026-03-28T12:00",
        ["2026-03-29T03:00+02:00", "2026-03-30T02:15+02:00", "2026-03-30T02:45+02:00"],
        id="cron-two-times-in-the-hour-left-out-are-one",
    ),
    pytest.param(
        "cron 30 2 * * * Europe/Berlin",
        "2026-10-24T12:00",
        ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"],
        id="cron-in-the-hour-that-comes-twice",
    ),
    pytest.param(
        "cron 15,45 2 * * * Europe/Berlin",
        "2026-10-25T01:20",  # in the second of the two hours
        ["2026-10-26T02:15+01:00", "2026-10-26T02:45+01:00"],
        id="cron-in-the-second-hour-is-not-another",
    ),
    pytest.param(
        "cron */30 * * * * Europe/Berlin",
        "2026-10-25T00:30",
        [
            "2026-10-25T02:00+01:00",
            "2026-10-25T02:30+01:00",
            "2026-10-25T03:00+01:00",
        ],
        id="cron-with-a-star-goes-by-elapsed-time-when-clocks-go-back",
    ),
    pytest.param(
        "cron */30 * * * * Europe/Berlin",
        "2026-03-29T00:30",
        ["2026-03-29T03:00+02:00", "2026-03-29T03:30+02:00"],
        id="cron-with-a-star-goes-by-elapsed-time-when-clocks-jump",
    ),
    pytest.param(
        "cron 15 2 * * * Australia/Lord_Howe",
        "2026-10-03T00:00",
        ["2026-10-04T02:30+11:00", "2026-10-05T02:15+11:00"],
        id="cron-where-clocks-move-by-half-an-hour",
    ),
    pytest.param(
        "cron 0 6 29 2 * UTC",
        "2026-01-01T00:00",
        ["2028-02-29T06:00+00:00", "2032-02-29T06:00+00:00"],
        id="cron-on-29-february",
    ),
    pytest.param(
        "cron 0 6 l * * UTC",
        "2026-01-01T00:00",
        ["2026-01-31T06:00+00:00", "2026-02-28T06:00+00:00"],
        id="cron-on-the-last-day-of-a-month",
    ),
]


@pytest.mark.parametrize(("schedule", "after", "expected"), TIMES)
def test_a_schedule_comes_at_its_times(schedule: str, after: str, expected: list[str]) -> None:
    times = read_schedule(schedule)
    zone = getattr(times, "zone", "UTC")
    found = next_times(schedule, utc(after), len(expected))
    assert local(found, zone) == expected
    assert all(each.tzinfo is UTC for each in found)


@given(
    schedule=st.sampled_from(
        [
            "daily 02:30 Europe/Berlin",
            "weekly sat,sun 02:15 America/New_York",
            "every 7 hours",
            "cron 0,30 1-3 * * * Europe/Berlin",
            "cron */20 * * * * Australia/Lord_Howe",
            "cron 10 0 * * 0 America/Santiago",
        ]
    ),
    after=st.integers(0, 2 * 365 * 86_400).map(
        lambda s: utc("2026-01-01T00:00") + timedelta(seconds=s)
    ),
)
def test_the_times_of_a_schedule_are_the_same_from_wherever_one_looks(
    schedule: str, after: datetime
) -> None:
    """Otherwise a time would be lost or come twice when the worker moves on from one to the next."""
    first, *rest = next_times(schedule, after, 6)
    assert after < first
    assert next_times(schedule, first, 5) == rest
    assert rest == sorted(set(rest))


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("weekly  thu,mon   06:30 UTC", "weekly mon,thu 06:30 UTC"),
        ("weekly MON,mon 06:30 UTC", "weekly mon 06:30 UTC"),
        ("weekly mon,tue,wed,thu,fri,sat,sun 06:30 UTC", "daily 06:30 UTC"),
        ("every 1 hour", "every 1 hours"),
        ("every  30  minutes", "every 30 minutes"),
        (" cron 30 6 * *  1-5 Europe/Berlin ", "cron 30 6 * * 1-5 Europe/Berlin"),
        ("daily 06:30 Europe/Berlin", "daily 06:30 Europe/Berlin"),
        ("refresh", "refresh"),
        ("off", "off"),
    ],
)
def test_a_schedule_is_stored_in_one_form(text: str, stored: str) -> None:
    assert check_schedule(text) == stored
    assert check_schedule(stored) == stored


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cron 0 6 30 2 * UTC", "never comes"),
        ("cron 0 6 31 4,6,9,11 * UTC", "never comes"),
        ("cron 0 6 */31 2 MON#2 UTC", "never comes"),
        ("cron 0 25 * * * UTC", "its hour is wrong"),
        ("cron 61 * * * * UTC", "its minute is wrong"),
        ("cron 0 6 * * 1-5", "five fields"),
        ("cron 0 0 6 * * 1-5 UTC", "five fields"),
        ("cron 30 6 * * 1-5 Europe/Berln", "Europe/Berlin"),
        ("cron", "five fields"),
        (f"cron {'1,' * 200}1 6 * * * UTC", "five fields"),
        ("weekly 06:30 UTC", "is not a schedule"),
        ("weekly monday 06:30 UTC", '"monday" is not a weekday'),
        ("weekly mon, 06:30 UTC", '"" is not a weekday'),
        ("weekly mon 24:00 UTC", "is not a schedule"),
        ("weekly mon 06:30 Europe", "is not a time zone"),
        ("every 0 minutes", "is not a schedule"),
        ("every 90 days", "is not a schedule"),
        ("every 169 hours", "at most 168 hours"),
        ("every \u0663 hours", "is not a schedule"),
        ("hourly", "is not a schedule"),
    ],
)
def test_what_is_no_schedule_is_refused_in_one_line_that_says_why(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_schedule(text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ("weekly mon,thu 06:30 Europe/Berlin", "Monday, Thursday at 06:30 (Europe/Berlin)"),
        ("every 30 minutes", "every 30 minutes"),
        ("every 1 hours", "every hour"),
        ("cron 30 6 * * 1-5 UTC", "by cron 30 6 * * 1-5 (UTC)"),
    ],
)
def test_a_schedule_is_said_in_words(schedule: str, said: str) -> None:
    assert describe_schedule(schedule) == said


@given(days=st.sets(st.sampled_from(SHORT_DAYS), min_size=1), hour=st.integers(0, 23))
def test_a_schedule_that_is_written_is_read_as_it_was(days: set[str], hour: int) -> None:
    times = read_schedule(f"weekly {','.join(days)} {hour:02}:05 Europe/Berlin")
    assert read_schedule(write_schedule(times)) == times
