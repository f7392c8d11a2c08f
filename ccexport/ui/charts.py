"""Charts: what happened by day, how long runs took, where a run's profiles went. Colours hold on light and dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from ccexport.services.runs.described import Funnel
from ccexport.store.history import DaySums, RunTime
from ccexport.words import duration, moment

ON_THE_LIST = "On the list"
WORKED_ON = "Being worked on"
UNSUBSCRIBED = "Had unsubscribed"
FAILED = "Failed"
LEFT_OUT = "Left out"
NOT_SENT = "Not sent"
UNCHANGED = "Unchanged"
SUPPRESSED = "Had left the list"
COLOURS = {
    ON_THE_LIST: "#2f7fd1",
    WORKED_ON: "#3aa6a0",
    UNSUBSCRIBED: "#8d75cf",
    FAILED: "#d8483d",
    LEFT_OUT: "#d1922a",
    UNCHANGED: "#7b9a4c",
    SUPPRESSED: "#b3668f",
    NOT_SENT: "#87919f",
}
_HEIGHT = 270
_MINUTES, _SECONDS = "minutes", "seconds"


def volumes(sums: Sequence[DaySums], first: date, last: date, *, key: str) -> None:
    """Profiles by day and by what became of them; days without runs are gaps. Words where there is nothing to draw."""
    rows = [
        {"day": _utc(each.day), "date": f"{each.day}", "what": what, "profiles": count}
        for each in sums
        for what, count in _what_became(each).items()
        if count
    ]
    if not rows:
        st.caption("No profile has been sent or left out in these runs.")
        return
    kinds = [kind for kind in COLOURS if any(row["what"] == kind for row in rows)]
    days = (last - first).days + 1
    chart = (
        alt.Chart(pd.DataFrame(rows, columns=["day", "date", "what", "profiles"]))
        .mark_bar(width={"band": 0.8} if days <= 62 else 2)
        .encode(
            x=alt.X(
                "utcyearmonthdate(day):T",
                title=None,
                axis=alt.Axis(format="%-d %b", labelOverlap=True, tickCount=8, grid=False),
                scale=alt.Scale(type="utc", domain=[_utc(first), _utc(last + timedelta(days=1))]),
            ),
            y=alt.Y("profiles:Q", title=None, axis=alt.Axis(format="~s", tickCount=4)),
            color=_colour(kinds),
            order=alt.Order("order:Q"),
            tooltip=[
                alt.Tooltip("date:N", title="Day (UTC)"),
                alt.Tooltip("what:N", title="Became"),
                alt.Tooltip("profiles:Q", title="Profiles", format=","),
            ],
        )
        .transform_calculate(order=_order(kinds))
        .properties(height=_HEIGHT)
    )
    st.altair_chart(chart, key=key, alt=_say_volumes(sums, days))


def times(runs: Sequence[RunTime], *, key: str) -> None:
    """How long each run took, by when it was queued; one dot a run."""
    longest = max((run.seconds for run in runs), default=0.0)
    unit, divisor = (_MINUTES, 60.0) if longest >= 120 else (_SECONDS, 1.0)
    rows = [
        {
            "queued": run.queued_at,
            "at": moment(run.queued_at),
            "took": run.seconds / divisor,
            "run": f"{run.run_id} · {run.export_name[:60]}",
            "time": duration(run.seconds),
            "work": duration(run.work_seconds),
        }
        for run in runs
    ]
    chart = (
        alt.Chart(pd.DataFrame(rows))
        .mark_circle(size=42, color=COLOURS[ON_THE_LIST], opacity=0.7)
        .encode(
            x=alt.X(
                "queued:T",
                title=None,
                scale=alt.Scale(type="utc"),
                axis=alt.Axis(format="%-d %b", labelOverlap=True, tickCount=8, grid=False),
            ),
            y=alt.Y("took:Q", title=unit, axis=alt.Axis(tickCount=4)),
            tooltip=[
                alt.Tooltip("run:N", title="Run"),
                alt.Tooltip("at:N", title="Queued"),
                alt.Tooltip("time:N", title="Took"),
                alt.Tooltip("work:N", title="Working time"),
            ],
        )
        .properties(height=_HEIGHT)
    )
    middle = sorted(run.seconds for run in runs)[len(runs) // 2]
    alt_text = (
        f"How long each of {len(runs):,} runs took; half of them took {duration(middle)} or less."
    )
    st.altair_chart(chart, key=key, alt=alt_text)


def funnel(found: Funnel, *, key: str) -> None:
    """Three bars of one scale: what was read, what was prepared of it, what was sent of that."""
    spec = deepcopy(_funnel_spec(found))  # what is shown changes it
    st.vega_lite_chart(spec=spec, key=key, alt=say_funnel(found))


@lru_cache(maxsize=256)  # many look at one live run, and Altair checks each chart anew
def _funnel_spec(found: Funnel) -> dict[str, Any]:
    steps = {
        "Read": {LEFT_OUT: found.left_out},
        "Prepared": {
            NOT_SENT: found.not_sent,
            UNCHANGED: found.unchanged,
            SUPPRESSED: found.suppressed,
        },
        "Sent": {
            ON_THE_LIST: found.accepted,
            WORKED_ON: found.in_progress,
            UNSUBSCRIBED: found.unsubscribed,
            FAILED: found.failed,
        },
    }
    rows = _funnel_rows(steps, {"Read": found.prepared, "Prepared": found.sent})
    kinds = [kind for kind in COLOURS if any(row["what"] == kind for row in rows)]
    going_on = "Goes on"
    chart = (
        alt.Chart(pd.DataFrame(rows))
        .mark_bar(cornerRadius=2)
        .encode(
            y=alt.Y("step:N", title=None, sort=list(steps), axis=alt.Axis(labelLimit=90)),
            x=alt.X("profiles:Q", title=None, axis=alt.Axis(format="~s", tickCount=5)),
            color=alt.Color(
                "what:N",
                title=None,
                scale=alt.Scale(
                    domain=[going_on, *kinds],
                    range=["#a9c4e4", *(COLOURS[kind] for kind in kinds)],
                ),
                legend=_legend(),
            ),
            order=alt.Order("place:Q"),
            tooltip=[
                alt.Tooltip("step:N", title="Step"),
                alt.Tooltip("what:N", title="Became"),
                alt.Tooltip("profiles:Q", title="Profiles", format=","),
            ],
        )
        .properties(height=240)
    )
    spec: dict[str, Any] = chart.to_dict()
    return spec


def say_funnel(found: Funnel) -> str:
    """The chart in words."""
    stayed = f"{found.unchanged:,} unchanged, " if found.unchanged else ""
    stayed += f"{found.suppressed:,} had left the list, " if found.suppressed else ""
    return (
        f"{found.read:,} read, {found.left_out:,} left out, {found.prepared:,} prepared, {stayed}{found.sent:,} sent, "
        f"{found.accepted:,} on the list, {found.unsubscribed:,} had unsubscribed, {found.failed:,} failed."
    )


def _funnel_rows(
    steps: Mapping[str, Mapping[str, int]], going_on: Mapping[str, int]
) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for step, parts in steps.items():
        parts = {"Goes on": going_on.get(step, 0), **parts}
        rows += [
            {"step": step, "what": what, "profiles": count, "place": place}
            for place, (what, count) in enumerate(parts.items())
            if count > 0
        ]
    return rows


def _what_became(sums: DaySums) -> dict[str, int]:
    return {
        ON_THE_LIST: sums.accepted,
        UNSUBSCRIBED: sums.unsubscribed,
        FAILED: sums.failed,
        LEFT_OUT: sums.left_out,
    }


def _colour(kinds: Sequence[str]) -> alt.Color:
    return alt.Color(
        "what:N",
        title=None,
        scale=alt.Scale(domain=list(kinds), range=[COLOURS[kind] for kind in kinds]),
        legend=_legend(),
    )


def _legend() -> alt.Legend:
    return alt.Legend(orient="top", columns=2, symbolType="square", offset=8)


def _order(kinds: Sequence[str]) -> str:
    """A Vega expression: the place of a kind, so that bars are stacked in the legend's order."""
    names = ", ".join(f"'{kind}'" for kind in kinds)
    return f"indexof([{names}], datum.what)"


def _utc(day: date) -> str:
    return f"{day:%Y-%m-%d}T00:00:00Z"


def _say_volumes(sums: Sequence[DaySums], days: int) -> str:
    sent, left_out = sum(each.sent for each in sums), sum(each.left_out for each in sums)
    runs = sum(each.runs for each in sums)
    return (
        f"In {days:,} days {runs:,} runs sent {sent:,} contacts and left {left_out:,} profiles out."
    )
