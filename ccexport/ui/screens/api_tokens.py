"""What the page API tokens is made of: a card a token, and the form that adds one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import streamlit as st

from ccexport.services.api.tokens import ApiTokens
from ccexport.services.names import MAX_NAME_CHARACTERS
from ccexport.services.people.access import Person
from ccexport.store.api_tokens import TokenView
from ccexport.ui import flash, page
from ccexport.ui.page import plain
from ccexport.words import moment

DAYS = {"Never": None, "In 30 days": 30, "In 90 days": 90, "In a year": 365}
_SHOWN = "api_tokens_token"  # shown until the page is left or drawn anew
_REVOKING = "api_tokens_revoking"  # whose dialog is open: survives a full run of the page


def show_token() -> None:
    """The token that was just made; once."""
    shown: tuple[str, str] | None = st.session_state.pop(_SHOWN, None)
    if shown is None:
        return
    name, token = shown
    with st.container(border=True):
        st.markdown(f"**The token of {plain(name)}**")
        st.code(token, language=None)
        st.caption("Copy it to the program now, as a secret: it is not shown again.")


def card(tokens: ApiTokens, view: TokenView, *, now: datetime, by: Person) -> None:
    """One token: what it may do, when it was used, and the button that ends it."""
    token = view.token
    with st.container(border=True):
        st.markdown(f"**{plain(token.name)}**")
        st.markdown(f"{_may(view)} {_reach(view)}")
        st.caption(
            f"{_used(token.last_used_at)} · {_expiry(token.expires_at)} · "
            f"made by {plain(token.created_by)}, {moment(token.created_at)}"
        )
        if token.expires_at is not None and token.expires_at <= now:
            st.warning(
                "It has expired and lets nobody in. Revoke it, and add another one if the program is still in use.",
                icon=":material/timer_off:",
            )
        if st.button("Revoke", key=f"api_tokens_revoke_{token.id}", icon=":material/delete:"):
            st.session_state[_REVOKING] = token.id
    if st.session_state.get(_REVOKING) == token.id:
        _revoke(tokens, token.name, by)


def _may(view: TokenView) -> str:
    return "May ask, and start nothing." if view.token.is_read_only else "May ask and start runs."


def _reach(view: TokenView) -> str:
    if view.token.all_exports:
        return "Exports: all." if view.token.is_read_only else "Exports: all, and refreshes."
    if not view.export_names:
        return "Exports: none any more, they have been removed."
    return f"Exports: {', '.join(map(plain, view.export_names))}."


def _used(at: datetime | None) -> str:
    return "Never used" if at is None else f"Last used {moment(at)}"


def _expiry(at: datetime | None) -> str:
    return "does not expire" if at is None else f"expires {moment(at)}"


def add_form(tokens: ApiTokens, exports: Sequence[str], *, by: Person) -> None:
    """Another token, and what it may do."""
    with st.form("api_tokens_add_form", border=True):
        name = st.text_input(
            "Name",
            key="api_tokens_name",
            max_chars=MAX_NAME_CHARACTERS,
            placeholder="airflow",
            help="What the program is called in the history and the audit.",
        )
        chosen = st.multiselect(
            "Exports",
            exports,
            key="api_tokens_exports",
            placeholder="All, later ones too",
            help="Choose none, and it reaches all of them and may refresh the segments.",
        )
        read_only = st.checkbox(
            "Read only", key="api_tokens_read_only", help="It may ask, and start nothing."
        )
        expires = st.selectbox("Expires", list(DAYS), key="api_tokens_expires")
        clicked = st.form_submit_button("Add", key="api_tokens_add", type="primary")
    if clicked:
        with page.errors_shown():
            token = tokens.add(name, exports=chosen, read_only=read_only, days=DAYS[expires], by=by)
            st.session_state[_SHOWN] = (name.strip(), token)
            st.rerun()


def _close() -> None:
    st.session_state.pop(_REVOKING, None)


@st.dialog("Revoke API token", on_dismiss=_close)
def _revoke(tokens: ApiTokens, name: str, by: Person) -> None:
    st.markdown(
        f"The program with the token {plain(name)} is let in no more, from its next call on. "
        "Runs that it started go on."
    )
    if st.button("Revoke API token", key="api_tokens_revoke_confirm", type="primary"):
        with page.errors_shown():
            tokens.revoke(name, by=by)
            _close()
            flash.say("api_tokens", f"{plain(name)} is let in no more.")
