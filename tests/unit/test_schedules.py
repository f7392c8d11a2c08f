"""Schedules: which instants they name, through clock changes, in zones of every kind."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from ccexport.errors import UsageError
from ccexport.schedules import (
    EVERY_DAY,
    check_recurrence,
    check_schedule,
    check_zone,
    describe_recurrence,
    describe_schedule,
    next_times,
    zone_names,
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(moments: list[datetime], zone: str) -> list[str]:
    """As the clocks of a zone show them, with their distance from UTC."""
    return [each.astimezone(ZoneInfo(zone)).isoformat(timespec="minutes") for each in moments]


# zone, time of day, after (UTC), the next three as the zone's clocks show them
CLOCK_CHANGES = [
    pytest.param(
        "Europe/Berlin",
        "02:30",
        "2026-03-28T00:00",
        ["2026-03-28T02:30+01:00", "2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"],
        id="berlin-spring-02:30-does-not-exist",
    ),
    pytest.param(
        "Europe/Berlin",
        "02:00",
        "2026-03-28T12:00",
        ["2026-03-29T03:00+02:00", "2026-03-30T02:00+02:00", "2026-03-31T02:00+02:00"],
        id="berlin-spring-the-first-minute-of-the-gap",
    ),
    pytest.param(
        "Europe/Berlin",
        "03:00",
        "2026-03-28T12:00",
        ["2026-03-29T03:00+02:00", "2026-03-30T03:00+02:00", "2026-03-31T03:00+02:00"],
        id="berlin-spring-the-end-of-the-gap",
    ),
    pytest.param(
        "Europe/Berlin",
        "02:30",
        "2026-10-24T00:00",
        ["2026-10-24T02:30+02:00", "2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"],
        id="berlin-autumn-02:30-twice",
    ),
    pytest.param(
        "Europe/Berlin",
        "02:30",
        "2026-10-25T00:30",  # the first of the two is just over
        ["2026-10-26T02:30+01:00", "2026-10-27T02:30+01:00", "2026-10-28T02:30+01:00"],
        id="berlin-autumn-the-second-02:30-is-not-another",
    ),
    pytest.param(
        "Europe/Berlin",
        "06:30",
        "2026-10-24T12:00",
        ["2026-10-25T06:30+01:00", "2026-10-26T06:30+01:00", "2026-10-27T06:30+01:00"],
        id="berlin-autumn-the-wall-clock-counts",
    ),
    pytest.param(
        "America/New_York",
        "02:30",
        "2026-03-07T12:00",
        ["2026-03-08T03:00-04:00", "2026-03-09T02:30-04:00", "2026-03-10T02:30-04:00"],
        id="new-york-spring",
    ),
    pytest.param(
        "America/New_York",
        "01:30",
        "2026-10-31T12:00",
        ["2026-11-01T01:30-04:00", "2026-11-02T01:30-05:00", "2026-11-03T01:30-05:00"],
        id="new-york-autumn",
    ),
    pytest.param(
        "Australia/Lord_Howe",
        "02:15",
        "2026-10-03T00:00",
        ["2026-10-04T02:30+11:00", "2026-10-05T02:15+11:00", "2026-10-06T02:15+11:00"],
        id="lord-howe-spring-half-an-hour",
    ),
    pytest.param(
        "Australia/Lord_Howe",
        "01:45",
        "2026-04-04T00:00",
        ["2026-04-05T01:45+11:00", "2026-04-06T01:45+10:30", "2026-04-07T01:45+10:30"],
        id="lord-howe-autumn-half-an-hour",
    ),
    pytest.param(
        "Pacific/Apia",
        "02:30",
        "2011-12-29T13:00",
        ["2011-12-31T00:00+14:00", "2011-12-31T02:30+14:00", "2012-01-01T02:30+14:00"],
        id="apia-a-whole-day-left-out",
    ),
    pytest.param(
        "UTC",
        "02:30",
        "2026-03-28T02:30",  # that very time is over
        ["2026-03-29T02:30+00:00", "2026-03-30T02:30+00:00", "2026-03-31T02:30+00:00"],
        id="utc",
    ),
]


@pytest.mark.parametrize(("zone", "at", "after", "expected"), CLOCK_CHANGES)
def test_a_daily_time_comes_once_a_day_through_clock_changes(
    zone: str, at: str, after: str, expected: list[str]
) -> None:
    found = next_times(f"daily {at} {zone}", utc(after), 3)
    assert local(found, zone) == expected
    assert all(each.tzinfo is UTC for each in found)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])
@pytest.mark.parametrize("at", ["00:00", "01:59", "02:00", "02:29", "02:30", "03:00", "23:59"])
def test_a_year_has_as_many_times_as_days(zone: str, at: str) -> None:
    found = next_times(f"daily {at} {zone}", utc("2026-01-01T12:00"), 365)
    days = [each.astimezone(ZoneInfo(zone)).date() for each in found]
    assert found == sorted(set(found))
    assert len(set(days)) == 365


@pytest.mark.parametrize("schedule", ["refresh", "off"])
def test_without_times_of_its_own_a_schedule_has_none(schedule: str) -> None:
    assert next_times(schedule, utc("2026-01-01T00:00"), 5) == []


def test_weekdays_and_times_of_a_recurrence_are_in_their_order() -> None:
    found = check_recurrence([4, 0, 0], ["18:00", "06:30"], "Europe/Berlin")
    assert local(found.next_times(utc("2026-01-02T06:00"), 4), "Europe/Berlin") == [
        "2026-01-02T18:00+01:00",
        "2026-01-05T06:30+01:00",
        "2026-01-05T18:00+01:00",
        "2026-01-09T06:30+01:00",
    ]


def test_two_times_that_a_clock_change_makes_one_are_one() -> None:
    found = check_recurrence(EVERY_DAY, ["02:15", "02:45", "03:00"], "Europe/Berlin")
    assert local(found.next_times(utc("2026-03-28T12:00"), 2), "Europe/Berlin") == [
        "2026-03-29T03:00+02:00",
        "2026-03-30T02:15+02:00",
    ]


@pytest.mark.parametrize(
    ("weekdays", "times", "zone", "words"),
    [
        ([], ["06:30"], "UTC", "No weekday"),
        ([7], ["06:30"], "UTC", "No weekday"),
        ([0], [], "UTC", "one to 4 times a day; 0 were given"),
        ([0], ["01:00", "02:00", "03:00", "04:00", "05:00"], "UTC", "5 were given"),
        ([0], ["06:30", " 06:30"], "UTC", "06:30 is given twice"),
        ([0], ["24:00"], "UTC", '"24:00" is not a time of day'),
        ([0], ["6:30"], "UTC", '"6:30" is not a time of day'),
        ([0], ["06:30"], "Europe/Berln", "Europe/Berlin"),
    ],
)
def test_a_recurrence_filled_in_wrongly_is_refused_by_what_is_wrong(
    weekdays: list[int], times: list[str], zone: str, words: str
) -> None:
    with pytest.raises(UsageError) as caught:
        check_recurrence(weekdays, times, zone)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "Europe", "../etc/passwd", "\x00", "x" * 300, "/etc/passwd"])
def test_what_is_no_zone_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(UsageError, match="is not a time zone"):
        check_zone(name)


@pytest.mark.parametrize("text", ["", "daily", "daily 25:00 UTC", "daily 06:30", "hourly", "OFF"])
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a schedule"):
        check_schedule(text)


def test_spaces_of_a_schedule_are_folded() -> None:
    assert check_schedule("  daily  06:30   Europe/Berlin ") == "daily 06:30 Europe/Berlin"


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ("refresh", "with each refresh"),
        ("off", "off"),
        ("daily 06:30 Europe/Berlin", "daily at 06:30 (Europe/Berlin)"),
    ],
)
def test_a_schedule_is_said_in_words(schedule: str, said: str) -> None:
    assert describe_schedule(schedule) == said


@pytest.mark.parametrize(
    ("weekdays", "said"),
    [
        (EVERY_DAY, "daily"),
        ([0, 1, 2, 3, 4], "Monday to Friday"),
        ([5, 6], "Saturday, Sunday"),
        ([0, 2, 3, 4], "Monday, Wednesday, Thursday, Friday"),
        ([6], "Sunday"),
    ],
)
def test_a_recurrence_is_said_in_words(weekdays: list[int], said: str) -> None:
    found = check_recurrence(weekdays, ["06:30", "12:00", "18:00"], "UTC")
    assert describe_recurrence(found) == f"{said} at 06:30, 12:00 and 18:00 (UTC)"


def test_every_zone_that_can_be_chosen_is_accepted() -> None:
    names = zone_names()
    assert {"UTC", "Europe/Berlin", "Australia/Lord_Howe"} <= set(names)
    for name in names:
        assert check_zone(name) == name
