"""Choosing a list: a search over all lists of the account as known, made anew, or pasted."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from ccexport.clock import utc_now
from ccexport.errors import CcexportError
from ccexport.services.connections.lists import MAX_LIST_NAME, Known, Lists
from ccexport.services.people.access import Person
from ccexport.ui import page
from ccexport.ui.format import ago
from ccexport.ui.page import plain
from ccexport.words import counted, moment


@dataclass(frozen=True)
class Account:
    """The connection whose account is asked."""

    connection_id: int
    connection_name: str


def list_picker(account: Account | None, by: Person) -> str:
    """The id of the chosen list; empty where none is."""
    if account is None:
        st.selectbox("List", [], index=None, placeholder="Choose a connection first", disabled=True)
        return ""
    lists = Lists(page.installation(), by)
    known, trouble = _known(lists, account)
    list_id = _choice(known)
    with st.container(horizontal=True, vertical_alignment="center"):
        if known is not None and known.lists and trouble is None:
            st.caption(f"{counted(len(known.lists), 'list')} as of {moment(known.as_of)}")
        if st.button(
            "Refresh",
            key="export_lists_refresh",
            type="tertiary",
            icon=":material/refresh:",
            help="Ask Constant Contact for all lists again.",
        ):
            known, trouble = _ask(lists, account)
            if trouble is None:
                st.rerun()
    _say(known, trouble, list_id)
    with st.expander("Create a list, or paste its address", icon=":material/add:"):
        _create(lists, account)
        _paste(lists, account)
    return list_id


def _known(lists: Lists, account: Account) -> tuple[Known | None, str | None]:
    """What is known; an account that was never asked is asked, once a session."""
    known = lists.known(account.connection_id)
    key = f"export_lists_trouble_{account.connection_id}"
    if known is None and key not in st.session_state:
        return _ask(lists, account)
    return known, st.session_state.get(key)


def _ask(lists: Lists, account: Account) -> tuple[Known | None, str | None]:
    key = f"export_lists_trouble_{account.connection_id}"
    try:
        with st.spinner(f"Asking Constant Contact for the lists of “{account.connection_name}” …"):
            known = lists.refresh(account.connection_id)
    except CcexportError as error:
        st.session_state[key] = str(error)
        return lists.known(account.connection_id), str(error)
    st.session_state[key] = None
    return known, None


def _choice(known: Known | None) -> str:
    names = {each.list_id: _label(each.name, each.members) for each in known.lists} if known else {}
    others: dict[str, str] = st.session_state.get("export_list_names", {})
    chosen = st.session_state.get("export_list")
    if chosen is not None and chosen not in names:
        names[chosen] = others.get(chosen, chosen)
    found = st.selectbox(
        "List",
        list(names),
        format_func=lambda list_id: names.get(list_id, list_id),
        index=None,
        key="export_list",
        required=True,
        placeholder="Search by name" if names else "No list is known",
        persist_state="session",
    )
    return found or ""


def _label(name: str, members: int | None) -> str:
    return name if members is None else f"{name} · {counted(members, 'contact')}"


def _say(known: Known | None, trouble: str | None, chosen: str) -> None:
    """As of when; no lists and no answer are different things."""
    if trouble is not None and known is None:
        st.error(
            f"The lists could not be asked for: {plain(trouble)} Select Refresh to try again, or paste the list's "
            "address below."
        )
        return
    if known is None:
        return
    as_of = _as_of(known)
    if trouble is not None:
        st.warning(
            f"The lists could not be asked for again: {plain(trouble)} Shown are those as of {as_of}."
        )
    elif not known.lists:
        st.info(f"The account has no lists (as of {as_of}). Create one below.")
    if chosen and chosen not in {each.list_id for each in known.lists}:
        st.warning(
            "The chosen list is not among the account's lists: deleted there, or made after they were asked for. "
            "Select Refresh, or choose another."
        )


def _as_of(known: Known) -> str:
    return f"{moment(known.as_of)}, {ago(known.as_of, utc_now())}"


def _create(lists: Lists, account: Account) -> None:
    name = st.text_input(
        "Name of the new list", key="export_new_list", max_chars=MAX_LIST_NAME, live=True
    )
    st.button(
        "Create list",
        key="export_create_list",
        disabled=not (name or "").strip(),
        on_click=_create_clicked,
        args=(lists, account),
    )
    _show_trouble("export_create_trouble")


def _create_clicked(lists: Lists, account: Account) -> None:
    state = st.session_state
    try:
        made = lists.create(account.connection_id, str(state["export_new_list"]))
    except CcexportError as error:
        state["export_create_trouble"] = str(error)
        return
    _choose(made.list_id, made.name)
    state["export_new_list"] = ""


def _paste(lists: Lists, account: Account) -> None:
    text = st.text_input(
        "A list's id or address",
        key="export_pasted_list",
        placeholder="https://app.constantcontact.com/…",
        live=True,
    )
    st.button(
        "Use this list",
        key="export_use_list",
        disabled=not (text or "").strip(),
        on_click=_paste_clicked,
        args=(lists, account),
    )
    _show_trouble("export_paste_trouble")


def _paste_clicked(lists: Lists, account: Account) -> None:
    state = st.session_state
    try:
        found = lists.find(account.connection_id, str(state["export_pasted_list"]))
    except CcexportError as error:
        state["export_paste_trouble"] = str(error)
        return
    _choose(found.list_id, found.name)
    state["export_pasted_list"] = ""


def _choose(list_id: str, name: str) -> None:
    st.session_state["export_list_names"] = {
        **st.session_state.get("export_list_names", {}),
        list_id: name,
    }
    st.session_state["export_list"] = list_id


def _show_trouble(key: str) -> None:
    trouble = st.session_state.pop(key, None)
    if trouble:
        st.error(plain(trouble))
