"""The table of exports, and what one does with those that are selected."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import pandas as pd
import streamlit as st
from streamlit.errors import StreamlitPageNotFoundError

from ccexport.errors import CcexportError
from ccexport.schedules import describe_schedule
from ccexport.services.connections.connections import Connections, what_waits
from ccexport.services.exports.exports import Exports
from ccexport.services.names import MAX_NAME_CHARACTERS
from ccexport.services.operations.refreshes import Refreshes
from ccexport.services.people.access import Person, Role
from ccexport.services.people.roles import Action
from ccexport.store.database.tables import Run
from ccexport.store.exports import ExportView
from ccexport.ui import flash, page
from ccexport.ui.format import EXPORT_STATES, listed
from ccexport.ui.page import plain
from ccexport.ui.screens.runs import PAGES, STATE_WORDS, link
from ccexport.ui.screens.schedule_form import open_schedule, schedule_form
from ccexport.ui.ticked import Ticked
from ccexport.words import counted

ANY = "Any"
NEVER = "Never run"
SORTS = ("Name", "Last run", "Next run", "List")
MAX_SEGMENTS_SHOWN = 3
_ASKED = "exports_asked"  # which dialog is open
_BUTTONS = {  # each with what it asks the table of roles for
    "run": Action.RUN_EXPORT,
    "edit": Action.CHANGE_EXPORT,
    "duplicate": Action.DUPLICATE_EXPORT,
    "off": Action.SCHEDULE_EXPORT,
    "on": Action.SCHEDULE_EXPORT,
    "remove": Action.REMOVE_EXPORT,
}
_NOTHING_SHARED = "No connection is shared with you. Ask an administrator to share one."


@dataclass(frozen=True)
class Listed:
    """An export with its newest run, and when it runs next by itself."""

    view: ExportView
    last: Run | None
    next_at: datetime | None

    @property
    def id(self) -> int:
        return self.view.export.id

    @property
    def name(self) -> str:
        return self.view.export.name


def all_exports() -> list[Listed]:
    """Every export by name: three questions to the store, however many there are."""
    exports, refreshes = Exports(page.installation()), Refreshes(page.installation())
    last, refresh = exports.last_runs(), refreshes.schedule()
    next_refresh = refresh.next_at if refresh else None
    return [
        Listed(view, last.get(view.export.id), _next_at(view, next_refresh))
        for view in exports.views()
    ]


def _next_at(view: ExportView, next_refresh: datetime | None) -> datetime | None:
    if view.state != "active":
        return None
    return next_refresh if view.export.schedule == "refresh" else view.export.next_run_at


def say_what_waits() -> None:
    """Connections whose exports wait for an administrator."""
    for view in Connections(page.installation()).views():
        for words in what_waits(view):
            st.warning(plain(words), icon=":material/front_hand:")


# --- search, filter, sort ------------------------------------------------------------------------


def filtered(exports: Sequence[Listed]) -> list[Listed]:
    """Those that match what was typed and chosen; the address holds it."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(
            "Search",
            key="exports_search",
            type="search",
            placeholder="Name, list, segment or connection",
            live=True,
            width=280,
            bind="query-params",
        )
        state = st.selectbox(
            "State", [ANY, *_state_choices()], key="exports_state", width=180, bind="query-params"
        )
        order = st.selectbox("Sort by", SORTS, key="exports_sort", width=140, bind="query-params")
    words = (text or "").casefold().split()
    found = [
        each
        for each in exports
        if _matches(each, words) and (state == ANY or state in _states(each))
    ]
    return sorted(found, key=lambda each: _sort_key(each, order or SORTS[0]))


def _state_choices() -> list[str]:
    return [
        *(words for words, _, _ in EXPORT_STATES.values()),
        *(f"Last run: {words.lower()}" for words, _ in STATE_WORDS.values()),
        NEVER,
    ]


def _states(each: Listed) -> tuple[str, str]:
    last = f"Last run: {STATE_WORDS[each.last.state][0].lower()}" if each.last else NEVER
    return EXPORT_STATES[each.view.state][0], last


def _matches(each: Listed, words: Sequence[str]) -> bool:
    export = each.view.export
    texts = (export.name, export.list_name, each.view.connection_name or "", *each.view.segments)
    text = "\n".join(texts).casefold()
    return all(word in text for word in words)


def _sort_key(each: Listed, order: str) -> tuple[float | str, str]:
    export = each.view.export
    if order == "Last run":
        return (-each.last.queued_at.timestamp() if each.last else 0.0, export.name_key)
    if order == "Next run":
        return (each.next_at.timestamp() if each.next_at else float("inf"), export.name_key)
    return (export.list_name.casefold() if order == "List" else export.name_key, export.name_key)


# --- table ---------------------------------------------------------------------------------------


def table(exports: Sequence[Listed]) -> list[Listed]:
    """A row an export; gives the ticked ones."""
    ticked = Ticked("exports_table", [each.id for each in exports])
    st.dataframe(
        pd.DataFrame([_row(each) for each in exports]),
        key=ticked.key,
        hide_index=True,
        height="content" if len(exports) <= 12 else 460,
        column_config=_columns(),
        on_select=ticked.select,
        selection_mode="multi-row",
        placeholder="",
        alt="Exports; select rows to act on them",
    )
    return [each for each in exports if each.id in set(ticked.ids)]


def _row(each: Listed) -> dict[str, Any]:
    export, last = each.view.export, each.last
    counted_run = last if last and last.started_at else None  # before that, zero would mislead
    return {
        "Name": export.name,
        "State": [EXPORT_STATES[each.view.state][0]],
        "Last run": [STATE_WORDS[last.state][0]] if last else [],
        "Ran at": last.queued_at if last else None,
        "Accepted": counted_run.accepted_count if counted_run else None,
        "Left out": counted_run.rejected_count if counted_run else None,
        "List": export.list_name or export.list_id,
        "Next run": each.next_at,
        "Schedule": describe_schedule(export.schedule),
        "Segments": listed(each.view.segments, MAX_SEGMENTS_SHOWN),
        "Connection": each.view.connection_name or "none: detached",
        "Prepared": counted_run.prepared_count if counted_run else None,
    }


def _columns() -> dict[str, Any]:
    text, number = st.column_config.TextColumn, st.column_config.NumberColumn
    badge = st.column_config.MultiselectColumn
    state_words, state_colours, _ = zip(*EXPORT_STATES.values(), strict=True)
    run_words, run_colours = zip(*STATE_WORDS.values(), strict=True)
    return {
        "Name": text(width=200, pinned=True),
        "State": badge(options=list(state_words), color=list(state_colours), width=90),
        "Last run": badge(options=list(run_words), color=list(run_colours), width=165),
        "Ran at": _time_column("Ran at (UTC)"),
        **{
            name: number(format="localized", width=80)
            for name in ("Accepted", "Left out", "Prepared")
        },
        "List": text(width=150),
        "Connection": text(width=140),
        "Segments": text(width=220),
        "Schedule": text(width=180),
        "Next run": _time_column("Next run (UTC)"),
    }


def _time_column(label: str) -> Any:
    return st.column_config.DatetimeColumn(
        label, format="D MMM YYYY, HH:mm", timezone="UTC", width=150
    )


# --- actions -------------------------------------------------------------------------------------


def actions(chosen: Sequence[Listed], by: Person) -> None:
    """What one can do with the selected exports; without one, the bar says how to begin."""
    one = chosen[0] if len(chosen) == 1 else None
    on = [each for each in chosen if each.view.state != "off"]
    off = [each for each in chosen if each.view.state == "off"]
    views = [each.view for each in chosen]
    button = _Buttons(Exports(page.installation()).why_not(_BUTTONS.values(), views, by=by))
    with st.container(horizontal=True, vertical_alignment="center"):
        if button("run", "Run" if len(chosen) < 2 else f"Run {len(chosen)}", "play_arrow", chosen):
            _run(chosen, by)
        if button("edit", "Edit", "edit", one):
            _open(one)
        button("duplicate", "Duplicate", "content_copy", one, _ask, "duplicate")
        if button("off", "Turn off", "pause_circle", on):
            _turn_off(on, by)
        button("on", "Turn on", "play_circle", off, _ask, "on")
        button("remove", "Remove", "delete", chosen, _ask, "remove")
        st.caption(
            f"{counted(len(chosen), 'export')} selected"
            if chosen
            else "Select rows to act on them."
        )
    asked = st.session_state.get(_ASKED)
    if asked == "duplicate" and one:
        _duplicate(one, by)
    elif asked == "on" and off:
        _turn_on(off, by)
    elif asked == "remove" and chosen:
        _remove(chosen, by)
    else:
        _close()  # what was to be asked about is ticked no more


@dataclass(frozen=True)
class _Buttons:
    """Draws a button of the bar: disabled without what it needs, and with the reason where the person may not."""

    refused: Mapping[Action, str]

    def __call__(self, name: str, label: str, icon: str, needs: object, *on_click: Any) -> bool:
        why_not = self.refused.get(_BUTTONS[name])
        return st.button(
            label,
            key=f"exports_{name}",
            icon=f":material/{icon}:",
            disabled=not needs or why_not is not None,
            help=plain(why_not) if why_not else None,
            on_click=on_click[0] if on_click else None,
            args=on_click[1:],
        )


def _ask(dialog: str) -> None:
    """Open a dialog; it stays open over a run of the page."""
    st.session_state[_ASKED] = dialog


def _close() -> None:
    st.session_state.pop(_ASKED, None)


def add_button(by: Person) -> None:
    """To the set-up of a new one; a contributor needs a connection that is shared."""
    shared = by.role is Role.ADMINISTRATOR or Connections(page.installation()).usable(by=by)
    clicked = st.button(
        "Add export",
        key="exports_add",
        type="primary",
        icon=":material/add:",
        disabled=not shared,
        help=None if shared else _NOTHING_SHARED,
    )
    if clicked:
        _open(None)


def _open(one: Listed | None) -> None:
    query = {"export": str(one.id)} if one else {}
    try:
        st.switch_page(str(PAGES / "export.py"), query_params=query)
    except StreamlitPageNotFoundError:  # as when a page runs by itself
        page.go_to(f"{page.installation().settings.base_path}/export?{urlencode(query)}")


def _run(chosen: Sequence[Listed], by: Person) -> None:
    exports = Exports(page.installation())
    queued: dict[int, str] = {}

    def queue(each: Listed) -> None:
        queued[exports.queue(each.id, by=by).id] = each.name

    failed = _each(chosen, queue)
    st.session_state["exports_queued"] = queued
    _finish("", failed)


def _turn_off(chosen: Sequence[Listed], by: Person) -> None:
    failed = _each(chosen, lambda each: Exports(page.installation()).turn_off(each.id, by=by))
    done = len(chosen) - len(failed)
    said = f"{counted(done, 'export')} turned off: run only when asked to."
    _finish(said if done else "", failed)


@st.dialog("Turn on", on_dismiss=_close)
def _turn_on(chosen: Sequence[Listed], by: Person) -> None:
    names = plain(listed([each.name for each in chosen]))
    st.markdown(f"{names}: when to run by itself?")
    if "exports_on_when" not in st.session_state:
        open_schedule("refresh", "exports_on")
    refreshes = Refreshes(page.installation()).next_five()
    schedule = schedule_form("exports_on", refreshes, may_be_off=False)
    wrong = schedule is None
    if st.button("Turn on", key="exports_on_confirm", type="primary", disabled=wrong) and schedule:
        with page.errors_shown():
            for each in chosen:
                Exports(page.installation()).turn_on(each.id, schedule, by=by)
            _finish(f"{names}: runs {plain(describe_schedule(schedule))}.", [])


@st.dialog("Duplicate export", on_dismiss=_close)
def _duplicate(one: Listed, by: Person) -> None:
    name = st.text_input(
        "Name of the copy",
        f"Copy of {one.name}"[:MAX_NAME_CHARACTERS],
        key="exports_duplicate_name",
        max_chars=MAX_NAME_CHARACTERS,
    )
    st.caption("The copy is off: it runs only when asked to, until you turn it on.")
    if st.button("Duplicate", key="exports_duplicate_confirm", type="primary"):
        with page.errors_shown():
            copy = Exports(page.installation()).duplicate(one.id, name, by=by)
            _finish(f"“{plain(copy.export.name)}” is made. It is off.", [])


@st.dialog("Remove exports", on_dismiss=_close)
def _remove(chosen: Sequence[Listed], by: Person) -> None:
    names = "\n".join(f"- {plain(each.name)}" for each in chosen)
    st.markdown(
        f"{names}\n\nThis cannot be undone. The history of runs stays, and what was sent stays at Constant Contact."
    )
    label = "Remove" if len(chosen) == 1 else f"Remove {len(chosen)} exports"
    if st.button(label, key="exports_remove_confirm", type="primary"):
        failed = _each(chosen, lambda each: Exports(page.installation()).remove(each.id, by=by))
        done = len(chosen) - len(failed)
        _finish(f"{counted(done, 'export')} removed." if done else "", failed)


def _each(chosen: Sequence[Listed], act: Callable[[Listed], object]) -> list[str]:
    """Act on each; one that cannot be holds up no other. Gives what went wrong."""
    failed = []
    for each in chosen:
        try:
            act(each)
        except CcexportError as error:
            failed.append(str(error))
    return failed


def _finish(said: str, failed: Sequence[str]) -> None:
    """Draw the page anew, and say there what happened."""
    _close()
    st.session_state["exports_failed"] = list(failed)
    flash.say("exports", said)


def say_what_happened() -> None:
    """The outcome of what was done just before."""
    state = st.session_state
    failed: list[str] = state.pop("exports_failed", [])
    queued: Mapping[int, str] = state.pop("exports_queued", {})
    flash.show("exports")
    for trouble in failed:
        st.error(plain(trouble))
    if queued:
        st.success(f"{counted(len(queued), 'run')} queued.", icon=":material/check_circle:")
        with st.container(horizontal=True):
            for run_id, name in list(queued.items())[:10]:
                link("run", f"Run {run_id} of {plain(name[:60])}", run=run_id)
