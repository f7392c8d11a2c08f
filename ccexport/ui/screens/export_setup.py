"""Setting up an export: the parts of its form. The draft lives in the session, under `export_…`, until it is saved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import streamlit as st

from ccexport.errors import CcexportError, MappingError, SetupError, UsageError
from ccexport.preparation.mapping import FieldMapping, mapping_from_dict
from ccexport.schedules import describe_schedule
from ccexport.services.connections.connections import Connections, what_waits
from ccexport.services.exports.export_values import MOST_PERCENT, guard_text
from ccexport.services.exports.exports import ExportDraft, Exports
from ccexport.services.names import MAX_NAME_CHARACTERS
from ccexport.services.operations.refreshes import Refreshes
from ccexport.services.people.access import Person, Role
from ccexport.services.people.roles import Action
from ccexport.states import DEFAULT_GUARD, GUARD_FROM, Mode
from ccexport.store.database.tables import Connection
from ccexport.store.exports import ExportView
from ccexport.ui import flash, page
from ccexport.ui.format import count
from ccexport.ui.page import plain
from ccexport.ui.screens import run_in_full, send_one
from ccexport.ui.screens.list_picker import Account, list_picker
from ccexport.ui.screens.mapping_form import mapping_form, open_mapping
from ccexport.ui.screens.mapping_preview import live
from ccexport.ui.screens.runs import go_to_run, link, link_for_administrators
from ccexport.ui.screens.schedule_form import WHEN, open_schedule, schedule_form
from ccexport.words import MODE_WORDS, moment

MAX_PING_CHARACTERS = 2_000
_DRAFT = "export_"  # what begins so in the session is the draft


@dataclass(frozen=True)
class Filled:
    """The form as it is filled in now. `mapping` is None where it does not fit; `problem` then says why."""

    name: str
    connection: Connection | None
    list_id: str
    segments: tuple[str, ...]
    mapping: FieldMapping | None
    problem: str | None
    schedule: str | None  # None where it is none
    mode: str
    guard: str
    ping: str
    types: Mapping[str, str]

    @property
    def missing(self) -> list[str]:
        """What is still to be filled in, as people call it."""
        wanted = (
            ("a connection", self.connection),
            ("a list", self.list_id),
            ("a segment", self.segments),
            ("a data matching that fits", self.mapping),
            ("a schedule that comes", self.schedule),
            ("a name", self.name.strip()),
        )
        return [words for words, value in wanted if not value]


# --- the draft -----------------------------------------------------------------------------------


def open_draft(export_id: int | None) -> ExportView | None:
    """Begin a draft when the page was opened for another export than before. Raises `NotFound`."""
    view = page.installation().exports.get(export_id) if export_id is not None else None
    if st.session_state.get("export_open") != (export_id or 0):
        start_draft(view)
    return view


def start_draft(view: ExportView | None) -> None:
    """Forget what was filled in and begin with the export as it is stored; None: with a new one."""
    for key in [key for key in st.session_state if str(key).startswith(_DRAFT)]:
        del st.session_state[key]
    state = st.session_state
    state["export_open"] = view.export.id if view else 0
    state["export_revision"] = view.export.revision if view else None
    state["export_name"] = view.export.name if view else ""
    state["export_connection"] = view.export.connection_id if view else None
    state["export_list"] = view.export.list_id if view else None
    state["export_list_names"] = {view.export.list_id: view.export.list_name} if view else {}
    state["export_segments"] = list(view.segments) if view else []
    state["export_ping"] = (view.export.ping_shown or "") if view else ""
    state["export_mode"] = view.export.mode if view else Mode.FULL.value
    guard = view.export.guard if view else DEFAULT_GUARD
    state["export_guarded"] = guard is not None
    state["export_guard"] = DEFAULT_GUARD if guard is None else guard
    open_schedule(view.export.schedule if view else "refresh", "export")
    open_mapping(view.mapping if view else None)


# --- as it is, for who may not change it ---------------------------------------------------------


def why_not_changed(view: ExportView, by: Person) -> str | None:
    """Why this person may not change the export; None where they may."""
    action = Action.CHANGE_EXPORT
    return Exports(page.installation()).why_not([action], [view], by=by).get(action)


def as_it_is(view: ExportView, why_not_changed: str) -> Filled:
    """The export as it is stored, and why there is no form: nothing to fill in that could not be saved."""
    st.info(plain(why_not_changed), icon=":material/lock:")
    export = view.export
    with st.container(border=True):
        st.subheader(plain(export.name), anchor=False)
        for what, words in (
            ("List", export.list_name or export.list_id),
            ("Connection", view.connection_name or "none: detached"),
            ("Segments", ", ".join(view.segments)),
            ("Data matching", ", ".join(f"{field} ← {value}" for field, value in view.mapping)),
            ("Sends", MODE_WORDS[Mode(export.mode)][1]),
            ("Asks first", _say_guard(export.guard)),
            ("Runs", describe_schedule(export.schedule)),
            ("Pings", export.ping_shown or "nobody"),
        ):
            st.markdown(f"**{what}:** {plain(words)}")
    link("exports", "Back to Exports", icon=":material/arrow_back:")
    mapping = FieldMapping(view.mapping)
    return Filled(
        name=export.name,
        connection=None,
        list_id=export.list_id,
        segments=view.segments,
        mapping=mapping,
        problem=None,
        schedule=export.schedule,
        mode=export.mode,
        guard=guard_text(export.guard),
        ping=export.ping_shown or "",
        types={},
    )


# --- the form ------------------------------------------------------------------------------------


def form(by: Person) -> Filled:
    """Connection, list, segments, data matching, schedule, name."""
    with st.container(border=True):
        st.subheader("Where to", anchor=False)
        connection = _connection(by)
        account = Account(connection.id, connection.name) if connection else None
        list_id = list_picker(account, by)
    with st.container(border=True):
        st.subheader("Who", anchor=False)
        segments = _segments()
    with st.container(border=True):
        st.subheader("Data matching", anchor=False)
        pairs, types = mapping_form(account, by)
        mapping, problem = _mapping(pairs)
    with st.container(border=True):
        st.subheader("What is sent", anchor=False)
        mode = _mode()
        guard = _guard()
    with st.container(border=True):
        st.subheader("When, and its name", anchor=False)
        schedule = schedule_form("export", Refreshes(page.installation()).next_five())
        name = st.text_input(
            "Name of the export",
            key="export_name",
            max_chars=MAX_NAME_CHARACTERS,
            placeholder="Spring newsletter",
            persist_state="session",
        )
        ping = _ping()
    return Filled(
        name=name,
        connection=connection,
        list_id=list_id,
        segments=segments,
        mapping=mapping,
        problem=problem,
        schedule=schedule,
        mode=mode,
        guard=guard,
        ping=ping,
        types=types,
    )


def _connection(by: Person) -> Connection | None:
    """The connections that this person may use; None where none is chosen."""
    views = {view.connection.id: view for view in Connections(page.installation()).usable(by=by)}
    usable = {each: view.connection for each, view in views.items()}
    if not usable:
        _say_none_is_usable(by)
        return None
    _choose_only(usable)
    chosen = st.selectbox(
        "Connection",
        list(usable),
        format_func=lambda found: f"{usable[found].name} · {usable[found].organization}",
        index=None,
        key="export_connection",
        placeholder="Choose a connection",
        required=True,
        on_change=_forget_list,
        persist_state="session",
    )
    connection = usable.get(chosen) if chosen is not None else None
    if connection is not None and connection.needs_sign_in:
        st.warning("Constant Contact no longer accepts its sign-in. Sign in again there first.")
        link_for_administrators("connections", "Go to Connections", by=by)
    if connection is not None:
        for words in what_waits(views[connection.id]):
            st.warning(plain(words))
    return connection


def _say_none_is_usable(by: Person) -> None:
    if by.role is not Role.ADMINISTRATOR:
        st.info("There is no connection that you may use. Ask an administrator to share one.")
        return
    st.info("There is no connection that you may use yet. Add one under Settings > Connections.")
    link("connections", "Go to Connections", icon=":material/link:")


def _choose_only(usable: Mapping[int, Connection]) -> None:
    chosen = st.session_state.get("export_connection")
    if chosen is not None and chosen not in usable:
        st.warning("You may no longer use its connection, or it is gone. Choose another.")
        st.session_state["export_connection"] = None
    elif chosen is None and st.session_state["export_open"] == 0 and len(usable) == 1:
        st.session_state["export_connection"] = next(iter(usable))


def _forget_list() -> None:
    """A list belongs to one account."""
    st.session_state["export_list"] = None


def _segments() -> tuple[str, ...]:
    try:
        sizes = {segment.name: segment for segment in live().segments()}
    except SetupError as error:
        st.warning(
            f"The segments cannot be read: {plain(str(error))} What is stored stays as it is."
        )
        sizes = {}
    chosen = st.session_state.get("export_segments", [])
    gone = [name for name in chosen if name not in sizes]
    labels = {name: f"{each.shown} · {count(each.members)}" for name, each in sizes.items()}
    labels |= {name: f"{name} · not in the source" for name in gone}
    found = st.multiselect(
        "Segments",
        list(labels),
        format_func=lambda name: labels.get(name, name),
        key="export_segments",
        placeholder="Choose one or more",
        help="A profile in several of them is sent once.",
        persist_state="session",
    )
    if sizes and gone:
        st.warning("A segment is gone from the source. Take it out, or put it back there.")
    return tuple(found)


def _mode() -> str:
    """What each run sends."""
    modes = [mode.value for mode in Mode]
    chosen = st.radio(
        "What each run sends",
        modes,
        format_func=lambda mode: MODE_WORDS[Mode(mode)][0],
        captions=[MODE_WORDS[Mode(mode)][1] for mode in modes],
        key="export_mode",
        label_visibility="collapsed",
        persist_state="session",
    )
    return str(chosen)


def _guard() -> str:
    """Above which share of the people placed so far a run asks before it sends; as `check_guard` reads it."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        is_guarded = st.toggle(
            "Ask before a large change",
            key="export_guarded",
            help="A run that would send or remove more people than this waits until somebody approves it. First runs, "
            f"full ones that somebody asks for, and changes of fewer than {GUARD_FROM} people do not ask.",
            persist_state="session",
        )
        percent = st.number_input(
            "More than so many percent of the people placed",
            min_value=0,
            max_value=MOST_PERCENT,
            step=5,
            key="export_guard",
            disabled=not is_guarded,
            width=320,
            persist_state="session",
        )
    return guard_text(int(percent) if is_guarded else None)


def _say_guard(guard: int | None) -> str:
    if guard is None:
        return "never"
    return (
        f"before more than {guard} % of the people placed, and {GUARD_FROM} at least, would change"
    )


def _ping() -> str:
    """The address that hears of each run; masked as soon as it is saved."""
    if (saved := st.session_state.pop("export_ping_saved", None)) is not None:
        st.session_state["export_ping"] = saved
    return st.text_input(
        "Ping address (optional)",
        key="export_ping",
        max_chars=MAX_PING_CHARACTERS,
        placeholder="https://hc-ping.com/…",
        help="It is called at each run's begin (/start), good end, and any other end (/fail), as healthchecks.io "
        "expects it: the service there tells when no run came. Shown masked once it is saved.",
        persist_state="session",
    )


def _mapping(pairs: Mapping[str, str]) -> tuple[FieldMapping | None, str | None]:
    """The mapping, or what is wrong with it as a sentence."""
    if "email" not in pairs:
        return None, "Choose the attribute that holds the email address."
    try:
        return mapping_from_dict(pairs), None
    except (MappingError, UsageError) as error:
        return None, str(error)


# --- saving --------------------------------------------------------------------------------------


def save_bar(view: ExportView | None, filled: Filled, by: Person) -> None:
    """Save, which runs nothing; afterwards what one can do next."""
    missing = filled.missing
    with st.container(horizontal=True, vertical_alignment="center"):
        clicked = st.button(
            "Save",
            key="export_save",
            type="primary",
            icon=":material/save:",
            disabled=bool(missing),
        )
        if view is not None and st.button(
            "Run",
            key="export_run",
            icon=":material/play_arrow:",
            help="Queues a run of the export as it was saved last.",
        ):
            _run(view, by)
        if view is not None:
            run_in_full.button(view, by=by)
            send_one.button(view, by=by)
        link("exports", "Back to Exports", icon=":material/arrow_back:")
    st.caption(
        f"Still needs {_and(missing)}."
        if missing
        else "Saving checks everything with Constant Contact and does not run it."
    )
    flash.show("export")
    if clicked:
        _save(view, filled, by)


def _save(view: ExportView | None, filled: Filled, by: Person) -> None:
    exports, draft = Exports(page.installation()), _draft(filled)
    try:
        with st.spinner("Checking it with the source and Constant Contact …"):
            if view is None:
                saved = exports.add(draft, by=by)
            else:
                revision = st.session_state["export_revision"]
                saved = exports.update(view.export.id, draft, by=by, revision=revision)
    except CcexportError as error:
        st.error(plain(str(error)))
        _offer_theirs(view)
        return
    st.session_state["export_open"] = saved.export.id
    st.session_state["export_revision"] = saved.export.revision
    st.session_state["export_ping_saved"] = saved.export.ping_shown or ""
    st.query_params["export"] = str(saved.export.id)
    flash.say(
        "export",
        f"“{plain(saved.export.name)}” is saved. Nothing was sent: it runs "
        f"{WHEN[str(st.session_state['export_when'])].lower()}, or when you select Run.",
    )


def _offer_theirs(view: ExportView | None) -> None:
    """Where somebody changed it meanwhile: theirs beside what is filled in here, and a way to take it."""
    if view is None or view.export.revision == st.session_state["export_revision"]:
        return
    st.markdown(
        f"**As it is stored now** ({moment(view.export.updated_at)}): list "
        f"{plain(view.export.list_name)}; segments {plain(', '.join(view.segments))}; matching "
        f"{plain(', '.join(f'{field} ← {value}' for field, value in view.mapping))}; runs "
        f"{plain(view.export.schedule)}. What you filled in is still here, unsaved."
    )
    st.button(
        "Take theirs, forget mine",
        key="export_take_theirs",
        icon=":material/refresh:",
        on_click=start_draft,
        args=(view,),
    )


def _run(view: ExportView, by: Person) -> None:
    with page.errors_shown():
        run = Exports(page.installation()).queue(view.export.id, by=by)
        go_to_run(run.id)


def _draft(filled: Filled) -> ExportDraft:
    if filled.connection is None or filled.mapping is None or filled.schedule is None:
        raise UsageError("The export is not filled in yet.")
    return ExportDraft(
        name=filled.name,
        connection=filled.connection.name,
        list_id=filled.list_id,
        segments=filled.segments,
        mapping=filled.mapping,
        schedule=filled.schedule,
        mode=filled.mode,
        guard=filled.guard,
        ping=filled.ping,
    )


def _and(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
