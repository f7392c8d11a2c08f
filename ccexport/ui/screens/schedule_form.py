"""When an export runs by itself: the fields of the form, and the next times. Keys begin with the screen's own word."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time
from zoneinfo import ZoneInfo

import streamlit as st

from ccexport.clock import utc_now
from ccexport.errors import UsageError
from ccexport.schedules import (
    DAY_NAMES,
    Cron,
    Every,
    Recurrence,
    next_times,
    read_schedule,
    write_schedule,
    zone_names,
)
from ccexport.ui.page import plain
from ccexport.words import moment

WHEN = {
    "refresh": "With each refresh",
    "daily": "Every day at a time",
    "weekly": "On weekdays at a time",
    "every": "Again and again",
    "cron": "By a cron expression",
    "off": "Only when asked to",
}
NEXT = 5


def open_schedule(schedule: str, prefix: str) -> None:
    """Fill the fields with a schedule."""
    times = read_schedule(schedule)
    state = st.session_state
    state[f"{prefix}_when"] = schedule.split()[0]
    state[f"{prefix}_time"] = times.times[0] if isinstance(times, Recurrence) else time(6, 30)
    state[f"{prefix}_days"] = list(times.weekdays) if isinstance(times, Recurrence) else [0]
    state[f"{prefix}_zone"] = times.zone if isinstance(times, Recurrence | Cron) else _zone_here()
    state[f"{prefix}_count"] = times.count if isinstance(times, Every) else 2
    state[f"{prefix}_unit"] = times.unit if isinstance(times, Every) else "hours"
    state[f"{prefix}_cron"] = times.expression if isinstance(times, Cron) else "30 6 * * 1-5"


def schedule_form(
    prefix: str, refreshes: Sequence[datetime], *, may_be_off: bool = True
) -> str | None:
    """The schedule as it is filled in, with the next five times below; None where it is none, and why is shown.

    `refreshes`: the next times of the refresh.
    """
    try:
        return _fields(prefix, refreshes, may_be_off=may_be_off)
    except UsageError as error:
        st.error(plain(str(error)))
        return None


def _fields(prefix: str, refreshes: Sequence[datetime], *, may_be_off: bool) -> str:
    choices = [each for each in WHEN if may_be_off or each != "off"]
    when = st.radio(
        "Runs",
        choices,
        format_func=WHEN.__getitem__,
        key=f"{prefix}_when",
        horizontal=True,
        persist_state="session",
    )
    if when == "off":
        st.caption("It runs at the press of a button alone.")
        return "off"
    if when == "refresh":
        _say_next(refreshes, "No refresh is scheduled.", "UTC")
        return "refresh"
    if when == "every":
        schedule, zone = _every(prefix), _zone_here()
    elif when == "cron":
        schedule, zone = _cron(prefix)
    else:
        schedule, zone = _at_a_time(prefix, weekly=when == "weekly")
    _say_next(next_times(schedule, utc_now(), NEXT), "It does not come again.", zone)
    return schedule


def _at_a_time(prefix: str, *, weekly: bool) -> tuple[str, str]:
    days = list(range(7))
    if weekly:
        days = st.pills(
            "Weekdays",
            days,
            selection_mode="multi",
            format_func=DAY_NAMES.__getitem__,
            key=f"{prefix}_days",
            persist_state="session",
        )
        if not days:
            raise UsageError("No weekday was chosen. Choose at least one.")
    at_column, zone_column = st.columns([2, 3])
    at = at_column.time_input(
        "Time of day", key=f"{prefix}_time", step=900, persist_state="session"
    )
    zone = _zone(prefix, zone_column)
    return write_schedule(Recurrence(tuple(sorted(days)), (at,), zone)), zone


def _every(prefix: str) -> str:
    count_column, unit_column = st.columns([2, 3])
    count = count_column.number_input(
        "Every", 1, 10_080, key=f"{prefix}_count", persist_state="session"
    )
    unit = unit_column.selectbox(
        "Unit", ("minutes", "hours"), key=f"{prefix}_unit", persist_state="session"
    )
    st.caption(
        "Counted in UTC, so no clock change moves it. A time at which the run before is still live is skipped."
    )
    return f"every {count} {unit}"


def _cron(prefix: str) -> tuple[str, str]:
    text_column, zone_column = st.columns([2, 3])
    expression = text_column.text_input(
        "Minute, hour, day, month, weekday",
        key=f"{prefix}_cron",
        max_chars=100,
        persist_state="session",
    )
    zone = _zone(prefix, zone_column)
    return f"cron {' '.join(expression.split())} {zone}", zone


def _zone(prefix: str, column: st.delta_generator.DeltaGenerator) -> str:
    return column.selectbox(
        "Time zone", zone_names(), key=f"{prefix}_zone", persist_state="session"
    )


def _zone_here() -> str:
    """The browser's, where it is known."""
    return st.context.timezone if st.context.timezone in zone_names() else "UTC"


def _say_next(times: Sequence[datetime], otherwise: str, zone: str) -> None:
    if not times:
        st.caption(otherwise)
        return
    there = ZoneInfo(zone)
    said = ", ".join(f"{at.astimezone(there):%a %d %b %H:%M}" for at in times)
    first = "" if zone == "UTC" else f"; the first is {moment(times[0])}"
    st.caption(plain(f"Next: {said} ({zone}){first}."))
