"""What the page Notifications is made of: a card a channel, its dialogs, and the form that adds one."""

from __future__ import annotations

import streamlit as st

from ccexport.services.names import MAX_NAME_CHARACTERS
from ccexport.services.people.access import Person
from ccexport.services.telling.events import EVENTS, USUAL
from ccexport.services.telling.notifications import Notifications
from ccexport.store.database.telling_tables import Notification
from ccexport.ui import flash, page
from ccexport.ui.page import plain
from ccexport.ui.screens.events import EVENT_WORDS
from ccexport.words import counted, moment

MAX_ADDRESS = 2_000  # characters
_REMOVING = "notifications_removing"  # whose dialog is open: survives a full run of the page
_CHOOSING = "notifications_choosing"
ADDRESSES = """
| to | address |
| --- | --- |
| Mail | `mailtos://USER:PASSWORD@smtp.example.com?from=ccexport@example.com&to=team@example.com` |
| Slack | `slack://TokenA/TokenB/TokenC/#channel` |
| Teams | `workflows://HOST/WORKFLOW/SIGNATURE` |

[All services](https://github.com/caronc/apprise/wiki). Percent-encode signs such as `@` and `/` within a password.
"""


def card(notifications: Notifications, channel: Notification, waiting: int, *, by: Person) -> None:
    """One channel: what it is told, how its last message went, and its buttons."""
    with st.container(border=True):
        st.markdown(f"**{plain(channel.name)}** {plain(channel.shown)}")
        st.caption(" · ".join(EVENT_WORDS[event] for event in channel.events))
        if channel.last_error:
            st.warning(_failed(channel, waiting), icon=":material/notifications_off:")
        else:
            st.markdown(_last_word(channel, waiting))
        _buttons(notifications, channel, by)
    if st.session_state.get(_REMOVING) == channel.id:
        _remove(notifications, channel, by)
    if st.session_state.get(_CHOOSING) == channel.id:
        _choose(notifications, channel, by)


def _failed(channel: Notification, waiting: int) -> str:
    said = f"Last message, {moment(channel.last_at)}: not delivered. {plain(channel.last_error)}"
    if waiting:
        return f"{said} {counted(waiting, 'message is', 'messages are')} tried again by the worker."
    return said


def _last_word(channel: Notification, waiting: int) -> str:
    said = (
        f"Last message: delivered {moment(channel.last_at)}."
        if channel.last_at
        else "Nothing was sent yet. Select Test to see whether messages arrive."
    )
    return (
        f"{said} {counted(waiting, 'message is', 'messages are')} on the way." if waiting else said
    )


def _buttons(notifications: Notifications, channel: Notification, by: Person) -> None:
    with st.container(horizontal=True):
        if st.button("Test", key=f"notifications_test_{channel.id}", icon=":material/send:"):
            with page.errors_shown():
                with st.spinner("Sending"):
                    notifications.test(channel.name, by=by)
                flash.say(
                    "notifications",
                    f"{plain(channel.name)} took the message. Look whether it is there.",
                )
        if st.button(
            "Choose events", key=f"notifications_choose_{channel.id}", icon=":material/tune:"
        ):
            st.session_state[_CHOOSING] = channel.id
        if st.button("Remove", key=f"notifications_remove_{channel.id}", icon=":material/delete:"):
            st.session_state[_REMOVING] = channel.id


def add_form(notifications: Notifications, *, by: Person) -> None:
    """Another channel, and what it is told."""
    with st.form("notifications_add_form", border=True):
        name = st.text_input(
            "Name",
            key="notifications_name",
            max_chars=MAX_NAME_CHARACTERS,
            placeholder="Marketing team",
        )
        url = st.text_input(
            "Address",
            key="notifications_url",
            type="password",
            max_chars=MAX_ADDRESS,
            help="It is kept encrypted and shown masked.",
            autocomplete="off",
        )
        with st.expander("How addresses are written"):
            st.markdown(ADDRESSES)
        events = _events("notifications_events", list(USUAL))
        clicked = st.form_submit_button("Add", key="notifications_add", type="primary")
    if clicked:
        with page.errors_shown():
            notifications.add(name, url.strip(), events, by=by)
            flash.say("notifications", f"{plain(name.strip())} is added. Select Test to try it.")


def _events(key: str, chosen: list[str]) -> list[str]:
    return st.multiselect(
        "Tell them when",
        EVENTS,
        default=chosen,
        key=key,
        format_func=lambda event: EVENT_WORDS[event],
    )


def _close() -> None:
    st.session_state.pop(_REMOVING, None)
    st.session_state.pop(_CHOOSING, None)


@st.dialog("Choose events", on_dismiss=_close)
def _choose(notifications: Notifications, channel: Notification, by: Person) -> None:
    events = _events(f"notifications_chosen_{channel.id}", channel.events)
    if not events:
        st.caption("Choose at least one, or remove the notification.")
    if st.button("Save", key="notifications_save", type="primary", disabled=not events):
        with page.errors_shown():
            notifications.choose(channel.name, events, by=by)
            _close()
            flash.say("notifications", f"{plain(channel.name)} is told what you chose from now on.")


@st.dialog("Remove notification", on_dismiss=_close)
def _remove(notifications: Notifications, channel: Notification, by: Person) -> None:
    st.markdown(f"{plain(channel.name)} is told nothing more, and what waited for it is dropped.")
    if st.button("Remove notification", key="notifications_remove_confirm", type="primary"):
        with page.errors_shown():
            notifications.remove(channel.name, by=by)
            _close()
            flash.say("notifications", f"{plain(channel.name)} is told nothing more.")
