"""What the page Refresh is made of: the schedule with its next times, what runs with it, the last refreshes, sizes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from ccexport.schedules import (
    DAY_NAMES,
    EVERY_DAY,
    MAX_TIMES_A_DAY,
    Recurrence,
    describe_recurrence,
    is_late,
    zone_names,
)
from ccexport.services.operations.refreshes import Refreshes
from ccexport.services.people.access import Person
from ccexport.store.refreshes import RefreshView
from ccexport.ui import flash, page
from ccexport.ui.page import plain
from ccexport.words import moment

WORKER_COMMAND = "python -m ccexport worker"
SHOWN_REFRESHES = 20
SHOWN_SIZES = 12  # refreshes in a sparkline
SHOWN_EXPORTS = 10
_DRAFT = ("refresh_days", "refresh_times", "refresh_zone")
_HALF_HOURS = [f"{minutes // 60:02}:{minutes % 60:02}" for minutes in range(0, 24 * 60, 30)]
_STATES = {
    "asked": "waits for a worker",
    "running": "running",
    "failed": "failed",
    "done": "done",
}


def overview(refreshes: Refreshes, *, by: Person) -> None:
    """Whether and when it happens by itself, and the buttons for now and for never."""
    recurrence, times = refreshes.recurrence(), refreshes.next_five()
    if recurrence is None or not times:
        st.info(
            "No refresh happens by itself. Choose days, times and a zone below and select Save; or refresh now.",
            icon=":material/sync_disabled:",
        )
    else:
        st.markdown(
            f"Refreshes **{plain(describe_recurrence(recurrence))}**. "
            f"Next: **{local_time(times[0], recurrence.zone)}**"
        )
    if not refreshes.is_worker_alive():
        st.warning(
            "No worker is alive: a refresh that is due or asked for waits until one is there. Start one:",
            icon=":material/engineering:",
        )
        st.code(WORKER_COMMAND, language=None)
    with st.container(horizontal=True):
        if st.button("Refresh now", key="refresh_now", icon=":material/sync:"):
            refreshes.ask(by=by)
            st.rerun()
        if times and st.button("Turn off", key="refresh_turn_off", icon=":material/sync_disabled:"):
            refreshes.turn_off(by=by)
            flash.say("refresh", "No refresh happens by itself any more.")


def schedule_form(refreshes: Refreshes, *, by: Person) -> None:
    """Days, times and zone; beside them, as they are chosen, the next five times."""
    saved = refreshes.recurrence()
    _begin_draft(saved)
    choice, next_times = st.columns([3, 2], gap="large")
    with choice:
        days = st.pills(
            "Days",
            list(EVERY_DAY),
            selection_mode="multi",
            format_func=lambda number: DAY_NAMES[number][:3],
            key="refresh_days",
        )
        times = st.multiselect(
            "Times of day",
            sorted({*_HALF_HOURS, *st.session_state["refresh_times"]}),
            max_selections=MAX_TIMES_A_DAY,
            accept_new_options=True,
            placeholder="Choose, or type one such as 06:45",
            help="Up to four. A time that a clock change leaves out is the first moment after it; one that comes "
            "twice is the first of the two.",
            key="refresh_times",
        )
        names = zone_names()
        chosen = st.session_state["refresh_zone"]
        zone = st.selectbox(
            "Time zone",
            names if chosen in names else sorted([*names, chosen]),
            placeholder="Type to search",
            key="refresh_zone",
        )
        if st.button("Save", key="refresh_save", type="primary", icon=":material/save:"):
            with page.errors_shown():
                refreshes.set_schedule(days, times, zone, by=by)
                _forget_draft()
                flash.say("refresh", "The schedule is saved.")
    with next_times:
        _would_be_next(refreshes, days, times, zone)
    row = refreshes.schedule()
    if row is not None:
        st.caption(f"Last changed by {plain(row.changed_by)}, {moment(row.changed_at)}")


def exports_with_it(refreshes: Refreshes) -> None:
    """Which exports run with each refresh."""
    views = refreshes.exports()
    if not views:
        st.info(
            "No export runs with a refresh yet. Set the schedule of an export to run with each refresh.",
            icon=":material/upload:",
        )
        return
    rows = [
        {
            "Export": view.export.name,
            "Connection": view.connection_name or "",
            "List": view.export.list_name,
            "Segments": ", ".join(view.segments),
        }
        for view in views
    ]
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        height=_height(len(rows), SHOWN_EXPORTS),
        key="refresh_exports",
        alt="Exports that run with each refresh",
    )


def last_refreshes(refreshes: Refreshes, *, by: Person) -> None:
    """The last refreshes, drawn anew while one is waited for, and the whole page once it has ended."""

    @st.fragment(run_every="2s" if refreshes.is_waited_for() else None)
    def live() -> None:
        page.begin_again(by)
        with page.errors_shown():
            found = refreshes.latest(SHOWN_REFRESHES)
            _show_refreshes(found)
        waits = any(view.state in ("asked", "running") for view in found)
        if st.session_state.get("refresh_waited") and not waits:
            st.session_state["refresh_waited"] = False
            st.rerun()
        st.session_state["refresh_waited"] = waits

    live()


def sizes(refreshes: Refreshes) -> None:
    """How large each segment is, against the refresh before, and over the last ones."""
    found = refreshes.all_sizes(SHOWN_SIZES)
    if not found:
        st.caption("The sizes of the segments are shown here after the first refresh.")
        return
    rows = [
        {
            "Segment": name,
            "Members": history[-1].members,
            "Change": history[-1].members - history[-2].members if history[1:] else None,
            "Over the last refreshes": [each.members for each in history],
            "As of": moment(history[-1].at),
        }
        for name, history in found.items()
    ]
    st.dataframe(
        pd.DataFrame(rows).astype({"Change": "Int64"}),
        hide_index=True,
        height=_height(len(rows), SHOWN_EXPORTS),
        column_config={
            "Members": st.column_config.NumberColumn(format="localized"),
            "Change": st.column_config.NumberColumn(format="localized"),
            "Over the last refreshes": st.column_config.LineChartColumn(y_min=0),
        },
        placeholder="",
        key="refresh_sizes",
        alt="Members of each segment over the last refreshes",
    )


def local_time(moment: datetime, zone: str) -> str:
    """`Fri 27 Nov 2026, 06:30 (Europe/Berlin)`, as Markdown."""
    return f"{_on_clocks_of(moment, zone)} ({plain(zone)})"


def _on_clocks_of(moment: datetime, zone: str) -> str:
    there = moment.astimezone(ZoneInfo(zone))
    return f"{there:%a} {there.day} {there:%b %Y, %H:%M}"


def _begin_draft(saved: Recurrence | None) -> None:
    """What the widgets hold when the page opens: what is saved, else daily in UTC with no time chosen."""
    fresh: tuple[object, ...] = (list(EVERY_DAY), ["06:00"], "UTC")
    if saved is not None:
        fresh = (list(saved.weekdays), [f"{at:%H:%M}" for at in saved.times], saved.zone)
    for key, value in zip(_DRAFT, fresh, strict=True):
        st.session_state.setdefault(key, value)


def _forget_draft() -> None:
    for key in _DRAFT:
        st.session_state.pop(key, None)


def _would_be_next(
    refreshes: Refreshes, days: Sequence[int], times: Sequence[str], zone: str
) -> None:
    st.markdown(f"**The next five times** ({plain(zone)})")
    if not days or not times:
        st.caption("Choose days and times.")
        return
    with page.errors_shown():
        lines = []
        for each in refreshes.would_be_next(days, times, zone):
            in_utc = "" if zone == "UTC" else f" · {each.astimezone(UTC):%H:%M} UTC"
            lines.append(f"- {_on_clocks_of(each, zone)}{in_utc}")
        st.markdown("\n".join(lines))


def _show_refreshes(found: Sequence[RefreshView]) -> None:
    if not found:
        st.caption("There has been no refresh yet. Select Refresh now to count all segments.")
        return
    if found[0].state == "failed":
        st.error(
            f"The last refresh failed; no run was queued. {plain(found[0].refresh.error or '')}"
        )
    elif found[0].refresh.error:
        st.warning(f"Of the last refresh: {plain(found[0].refresh.error)}")
    if found[0].state in ("asked", "running"):
        who = plain(found[0].refresh.requested_by)
        st.info(f"A refresh asked for by {who} {_STATES[found[0].state]} …", icon=":material/sync:")
    st.dataframe(
        pd.DataFrame([_refresh_row(view) for view in found]),
        hide_index=True,
        height=_height(len(found), SHOWN_EXPORTS),
        column_config={
            name: st.column_config.NumberColumn(format="localized")
            for name in ("Segments", "Members", "Runs queued")
        },
        placeholder="",
        key="refresh_latest",
        alt="The last refreshes",
    )


def _refresh_row(view: RefreshView) -> dict[str, object]:
    refresh = view.refresh
    late = is_late(refresh.due_at, refresh.started_at) and view.state != "asked"
    seconds = (
        (refresh.finished_at - refresh.started_at).total_seconds() if refresh.finished_at else None
    )
    return {
        "Began": moment(refresh.started_at),
        "State": _STATES[view.state] + (", late" if late else ""),
        "Members": view.members,
        "Runs queued": refresh.runs_queued,
        "Note": refresh.error or "",
        "Segments": view.segments,
        "Seconds": None if seconds is None else round(seconds, 1),
        "Due": moment(refresh.due_at) if view.state != "asked" else "now",
        "Asked for by": refresh.requested_by,
    }


def _height(rows: int, most: int) -> int:
    """Pixels for a table of so many rows, with its header."""
    return 35 * (min(rows, most) + 1) + 3
