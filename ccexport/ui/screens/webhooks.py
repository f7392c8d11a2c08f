"""What the page Webhooks is made of: a card an address, its deliveries, and the form that adds one."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from ccexport.services.people.access import Person
from ccexport.services.telling.events import EVENTS, USUAL
from ccexport.services.telling.webhooks import Webhooks
from ccexport.store.database.telling_tables import Webhook
from ccexport.store.webhooks import Attempted
from ccexport.ui import flash, page
from ccexport.ui.page import plain
from ccexport.ui.screens.events import EVENT_WORDS
from ccexport.ui.ticked import Ticked
from ccexport.words import counted, moment

MAX_ADDRESS = 2_000  # characters; servers take no longer ones
_SHOWN = "webhooks_secret"  # shown until the page is left or drawn anew
_REMOVING = "webhooks_removing"  # whose dialog is open: survives a full run of the page


def show_secret() -> None:
    """The secret of the webhook that was just added or given a new one; once."""
    shown: tuple[str, str] | None = st.session_state.pop(_SHOWN, None)
    if shown is None:
        return
    url, secret = shown
    with st.container(border=True):
        st.markdown(f"**The secret that signs messages to {plain(url)}**")
        st.code(secret, language=None)
        st.caption("Copy it to the program that checks the messages now: it is not shown again.")


def card(webhooks: Webhooks, hook: Webhook, *, by: Person) -> None:
    """One address: what it is told, what it answered last, and its buttons."""
    deliveries = webhooks.deliveries(hook.url, by=by)
    with st.container(border=True):
        st.markdown(f"**{plain(hook.url)}**")
        st.caption(" · ".join(EVENT_WORDS[event] for event in hook.events))
        if hook.is_on:
            st.markdown(_last_word(deliveries))
        else:
            st.warning(
                "It answered that it is gone (410) and is told nothing more. Select Test: it is on again once it "
                "takes a message.",
                icon=":material/notifications_off:",
            )
        _buttons(webhooks, hook, by)
        if deliveries:
            with st.expander(f"Deliveries: {counted(len(deliveries), 'message')}"):
                _table(webhooks, hook, deliveries, by)
    if st.session_state.get(_REMOVING) == hook.url:
        _remove(webhooks, hook.url, by)


def _last_word(deliveries: list[Attempted]) -> str:
    if not deliveries:
        return "Nothing was to be told yet."
    last = deliveries[0]
    if last.delivered_at is not None:
        return f"Last message: delivered {moment(last.delivered_at)}."
    if last.next_at is not None and not last.attempts:
        return "A message is on its way."
    said = f"Last message: not delivered. {_answer_words(last.answer)}"
    return f"{said} It is tried again at {moment(last.next_at)}." if last.next_at else said


def _answer_words(answer: str) -> str:
    return f"The answer was {answer}." if answer.isdigit() else plain(answer)


def _buttons(webhooks: Webhooks, hook: Webhook, by: Person) -> None:
    with st.container(horizontal=True):
        if st.button("Test", key=f"webhooks_test_{hook.id}", icon=":material/send:"):
            with page.errors_shown():
                status = webhooks.test(hook.url, by=by)
                if 200 <= status < 300:
                    flash.say("webhooks", f"{plain(hook.url)} takes messages: it answers {status}.")
                st.error(f"{plain(hook.url)} answers {status}. It should answer 200 to 299.")
        if st.button(
            "New secret",
            key=f"webhooks_rotate_{hook.id}",
            icon=":material/key:",
            help="For a day messages are signed with the one before it too.",
        ):
            with page.errors_shown():
                st.session_state[_SHOWN] = (hook.url, webhooks.rotate(hook.url, by=by))
                st.rerun()
        if st.button("Remove", key=f"webhooks_remove_{hook.id}", icon=":material/delete:"):
            st.session_state[_REMOVING] = hook.url


def _table(webhooks: Webhooks, hook: Webhook, deliveries: list[Attempted], by: Person) -> None:
    rows = [
        {
            "When": moment(each.at),
            "Event": EVENT_WORDS.get(each.what, each.what),
            "Answer": each.answer,
            "Attempts": each.attempts,
            "Delivered": moment(each.delivered_at) if each.delivered_at else "",
            "Next attempt": moment(each.next_at) if each.next_at else "",
        }
        for each in deliveries
    ]
    ticked = Ticked(f"webhooks_table_{hook.id}", [each.message_id for each in deliveries])
    st.dataframe(
        pd.DataFrame(rows),
        key=ticked.key,
        hide_index=True,
        on_select=ticked.select,
        selection_mode="single-row",
        alt="Messages to this address",
    )
    chosen = next((each for each in deliveries if each.message_id in ticked.ids), None)
    clicked = st.button(
        "Send again",
        key=f"webhooks_again_{hook.id}",
        icon=":material/replay:",
        disabled=chosen is None or not hook.is_on,
        help="Select a message first. It keeps its id." if chosen is None else None,
    )
    if clicked and chosen is not None:
        with page.errors_shown():
            webhooks.send_again(hook.url, chosen.message_id, by=by)
            flash.say("webhooks", "The message goes out again within seconds, with its id.")


def add_form(webhooks: Webhooks, *, by: Person) -> None:
    """Another address, and what it is told."""
    with st.form("webhooks_add_form", border=True):
        url = st.text_input(
            "Address",
            key="webhooks_url",
            max_chars=MAX_ADDRESS,
            placeholder="https://example.com/hook",
        )
        events = st.multiselect(
            "Tell it when",
            EVENTS,
            default=USUAL,
            key="webhooks_events",
            format_func=lambda event: EVENT_WORDS[event],
        )
        st.caption(
            "Addresses inside your network are refused unless CCEXPORT_WEBHOOK_HOSTS names them."
        )
        clicked = st.form_submit_button("Add", key="webhooks_add", type="primary")
    if clicked:
        with page.errors_shown():
            address = url.strip()
            st.session_state[_SHOWN] = (address, webhooks.add(address, events, by=by))
            st.rerun()


def _close() -> None:
    st.session_state.pop(_REMOVING, None)


@st.dialog("Remove webhook", on_dismiss=_close)
def _remove(webhooks: Webhooks, url: str, by: Person) -> None:
    st.markdown(f"{plain(url)} is told nothing more, and what waited for it is dropped.")
    if st.button("Remove webhook", key="webhooks_remove_confirm", type="primary"):
        with page.errors_shown():
            webhooks.remove(url, by=by)
            _close()
            flash.say("webhooks", f"{plain(url)} is told nothing more.")
