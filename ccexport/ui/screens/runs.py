"""What the page Runs is made of: filters kept in the address, charts, the table; and links that other screens use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pandas as pd
import streamlit as st
from streamlit.errors import StreamlitPageNotFoundError

from ccexport.clock import utc_now
from ccexport.services.people.access import Person
from ccexport.services.people.permission import may
from ccexport.services.people.roles import Action
from ccexport.services.runs.described import Progress
from ccexport.services.runs.overview import History
from ccexport.services.runs.run_words import time_taken, waits_for
from ccexport.states import BatchState, RunState, Trigger
from ccexport.store.database.tables import Run
from ccexport.store.history import RunFilter
from ccexport.ui import charts, page
from ccexport.ui.choices import ALL_TIME, DAYS_CHOICES
from ccexport.ui.page import plain
from ccexport.words import duration, lasting, moment

PAGES = Path(__file__).resolve().parents[3] / "pages"
PAGE_SIZE = 25
ANY = "Any"
GO_ICON = ":material/arrow_forward:"
STATE_WORDS: Mapping[RunState, tuple[str, str]] = {  # what people read, and its colour
    RunState.QUEUED: ("Queued", "gray"),
    RunState.PREPARING: ("Preparing", "blue"),
    RunState.UPLOADING: ("Uploading", "blue"),
    RunState.CONFIRMING: ("Confirming", "blue"),
    RunState.WAITING: ("Waiting", "orange"),
    RunState.SUCCEEDED: ("Succeeded", "green"),
    RunState.COMPLETED_WITH_ERRORS: ("Completed with errors", "orange"),
    RunState.FAILED: ("Failed", "red"),
    RunState.CANCELED: ("Canceled", "gray"),
    RunState.SKIPPED: ("Skipped", "gray"),
}
BATCH_WORDS: Mapping[BatchState, tuple[str, str]] = {
    BatchState.PENDING: ("Not sent yet", "gray"),
    BatchState.SENDING: ("Sending", "blue"),
    BatchState.SUBMITTED: ("Sent", "blue"),
    BatchState.COMPLETED: ("Completed", "green"),
    BatchState.FAILED: ("Failed", "red"),
    BatchState.CANCELED: ("Canceled", "gray"),
}
TRIGGER_WORDS = {
    Trigger.MANUAL: "By hand",
    Trigger.SCHEDULE: "Own schedule",
    Trigger.REFRESH: "Refresh",
    Trigger.RETRY: "Retry",
}
# what the filter offers → the states it means; the second is how the address calls it
STATE_CHOICES: Mapping[str, tuple[str, tuple[RunState, ...]]] = {
    "Running or waiting": ("live", tuple(state for state in RunState if not state.is_final)),
    "Ended badly": ("bad", (RunState.FAILED, RunState.COMPLETED_WITH_ERRORS)),
    **{words: (state.value, (state,)) for state, (words, _) in STATE_WORDS.items()},
}
DEFAULT_DAYS = "Last 30 days"


# --- links, for other screens too ----------------------------------------------------------------


def link(name: str, label: str, *, icon: str = GO_ICON, **query: str | int) -> None:
    """A link to a screen, as in `link("run", "Open", run=42)`; an ordinary one where the menu does not know it."""
    values = {key: str(value) for key, value in query.items()}
    try:
        st.page_link(str(PAGES / f"{name}.py"), label=label, icon=icon, query_params=values)
    except StreamlitPageNotFoundError:  # as when a page runs by itself
        st.markdown(f"[{label}]({_address(name, values)})")


def link_for_administrators(name: str, label: str, *, icon: str = GO_ICON, by: Person) -> None:
    """A link to a screen of administrators; who is none reads whose it is."""
    if may(page.installation(), by, Action.SEE_ADMINISTRATION):
        link(name, label, icon=icon)
    else:
        st.caption("for administrators", width="content")


def go_to_run(run_id: int) -> None:
    """Leave for the screen of a run, so that the browser's Back leads here again, filters and all."""
    page.go_to(_address("run", {"run": str(run_id)}))


def bold(text: str) -> str:
    """A name in bold; blanks at its ends would undo it."""
    return f"**{plain(text.strip())}**"


def short(text: str, most: int = 60) -> str:
    """A name for one line; the screen it leads to has the whole."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def _address(name: str, query: Mapping[str, str]) -> str:
    address = f"{page.installation().settings.base_path}/{name}"
    return f"{address}?{urlencode(query)}" if query else address


def run_badge(state: RunState) -> None:
    words, colour = STATE_WORDS[state]
    st.badge(words, color=colour)  # type: ignore[arg-type]  # one of Streamlit's colours


# --- a live run, for Home too --------------------------------------------------------------------


def waiting_words(run: Run) -> str | None:
    """Why a run waits, and until when; None for one that does not wait."""
    if run.state is not RunState.WAITING or run.waiting_for is None:
        return None
    words = f"Waiting. {waits_for(run)}."
    if run.is_held:
        return words
    if run.waiting_until is None:
        return f"{words} The run then goes on by itself."
    left = (run.waiting_until - utc_now()).total_seconds()
    if left <= 0:
        return f"{words} It goes on now."
    return (
        f"{words} It goes on at {moment(run.waiting_until)}, in {lasting(timedelta(seconds=left))}."
    )


def progress_bar(progress: Progress) -> None:
    """How far a live run is, and how long it will take; nothing for one that was not begun."""
    if progress.run.state is RunState.QUEUED:
        return
    if progress.run.state is RunState.WAITING:
        left = ""
    elif progress.seconds_left is None:
        left = ", time remaining not known yet"
    else:
        left = f", about {lasting(timedelta(seconds=progress.seconds_left))} remaining"
    percent = f"{progress.fraction_done:.0%} done"
    files = (
        f", {progress.batches_ended:,} of {len(progress.batches):,} files"
        if progress.batches
        else ""
    )
    st.progress(min(1.0, progress.fraction_done), text=f"{percent}{files}{left}")


# --- filters -------------------------------------------------------------------------------------


def filters(history: History) -> RunFilter:
    """What the person chose; the address holds it, so that it can be kept and mailed."""
    with st.container(horizontal=True, key="runs_filters"):
        export = _choice("export", "Export", [ANY, *history.export_names()], ANY)
        state = _choice("state", "State", [ANY, *STATE_CHOICES], ANY, _STATE_NAMES)
        trigger = _choice("trigger", "Started by", [ANY, *_TRIGGERS], ANY, _TRIGGER_NAMES)
        days = _choice("days", "Queued", [*DAYS_CHOICES, ALL_TIME], DEFAULT_DAYS, _DAYS_NAMES)
    return RunFilter(
        export=None if export == ANY else export,
        states=() if state == ANY else STATE_CHOICES[state][1],
        trigger=None if trigger == ANY else _TRIGGERS[trigger],
        since=history.since_days(DAYS_CHOICES.get(days)),
    )


def _choice(
    name: str, label: str, options: list[str], default: str, names: Mapping[str, str] | None = None
) -> str:
    """A select box whose value the address holds, by its short name, unless it is the default."""
    key = f"runs_{name}"
    names = names or {}
    if key not in st.session_state:
        asked = st.query_params.get(name, "")
        by_short_name = {names.get(option, option): option for option in options}
        st.session_state[key] = by_short_name.get(asked, default)
    if st.session_state[key] not in options:
        st.session_state[key] = default
    chosen = str(st.selectbox(label, options, key=key, on_change=_first_page, width=170))
    if chosen == default:
        st.query_params.pop(name, None)
    elif st.query_params.get(name) != names.get(chosen, chosen):
        st.query_params[name] = names.get(chosen, chosen)
    return chosen


def _first_page() -> None:
    st.session_state["runs_page"] = 1


_TRIGGERS = {words: trigger for trigger, words in TRIGGER_WORDS.items()}
_STATE_NAMES = {words: name for words, (name, _) in STATE_CHOICES.items()}
_TRIGGER_NAMES = {words: trigger.value for words, trigger in _TRIGGERS.items()}
_DAYS_NAMES = {words: str(days) for words, days in DAYS_CHOICES.items()} | {ALL_TIME: "all"}


# --- charts and table ----------------------------------------------------------------------------


def history_charts(history: History, wanted: RunFilter) -> None:
    """Volumes by day beside the durations of the newest runs."""
    sums, times = history.daily(wanted), history.times(wanted)
    if not sums:
        return
    left, right = st.columns(2)
    with left:
        st.subheader("Profiles by day", anchor=False)
        first = wanted.since.date() if wanted.since else sums[0].day
        charts.volumes(sums, first, max(utc_now().date(), sums[-1].day), key="runs_volumes")
    with right:
        st.subheader("How long runs took", anchor=False)
        if times:
            charts.times(times, key="runs_times")
        else:
            st.caption("None of these runs has ended yet.")


def table(runs: Sequence[Run], *, key: str) -> None:
    """Runs, a row each; its button opens the run."""
    now = utc_now()
    rows = [_row(run, now) for run in runs]

    def open_clicked() -> None:
        click = st.session_state.get(f"{key}_open")
        if click is not None:
            st.session_state[f"{key}_go"] = runs[click["row"]].id

    st.dataframe(
        pd.DataFrame(rows),
        key=key,
        hide_index=True,
        height="content",
        placeholder="",
        column_config=_columns(f"{key}_open", open_clicked),
        alt="Runs, the newest first",
    )
    if (run_id := st.session_state.pop(f"{key}_go", None)) is not None:
        go_to_run(run_id)


def _row(run: Run, now: Any) -> dict[str, Any]:
    took = time_taken(run, now)
    return {
        "Run": f"{run.id}",
        "Export": run.export_name,
        "State": [STATE_WORDS[run.state][0]],
        "Queued at": run.queued_at,
        "Duration": duration(took.total_seconds()) if took else "",
        "Read": run.read_count,
        "Left out": run.rejected_count,
        "Accepted": run.accepted_count if run.state.is_final else None,
        "Failed": run.failed_count,
        "Started by": TRIGGER_WORDS[run.trigger],
        "List": run.list_name or run.list_id,
    }


def _columns(open_key: str, open_clicked: Any) -> dict[str, Any]:
    number = st.column_config.NumberColumn
    words, colours = zip(*STATE_WORDS.values(), strict=True)
    return {
        "Run": st.column_config.ButtonColumn(
            "Run", key=open_key, on_click=open_clicked, type="secondary", width=64, pinned=True
        ),
        "Export": st.column_config.TextColumn(width=165),
        "State": st.column_config.MultiselectColumn(
            options=list(words), color=list(colours), width=150
        ),
        "List": st.column_config.TextColumn(width="medium"),
        "Queued at": st.column_config.DatetimeColumn(
            "Queued at (UTC)", format="YYYY-MM-DD HH:mm", timezone="UTC", width=125
        ),
        "Duration": st.column_config.TextColumn(width=90, alignment="right"),
        **{
            name: number(format="localized", width=74)
            for name in ("Read", "Left out", "Accepted", "Failed")
        },
    }
