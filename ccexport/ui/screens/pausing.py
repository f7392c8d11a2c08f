"""Home's switch that pauses everything: for administrators; everybody sees the reason on every page."""

from __future__ import annotations

import streamlit as st

from ccexport.services.operations.pauses import MAX_REASON_CHARACTERS, Pauses
from ccexport.services.people.access import Person, Role
from ccexport.ui import flash, page

_ASKING = "home_pause_asking"  # the dialog is open: survives a full run of the page


def switch(pauses: Pauses, *, by: Person) -> None:
    """Pause everything, after a question for the reason, or go on."""
    if by.role is not Role.ADMINISTRATOR:
        return
    if pauses.in_words() is not None:
        if st.button("Go on with everything", key="home_resume", icon=":material/play_arrow:"):
            with page.errors_shown():
                pauses.end(by=by)
                flash.say(
                    "home", "The pause is over. What came due meanwhile runs within seconds, once."
                )
    elif st.button(
        "Pause everything",
        key="home_pause",
        icon=":material/pause:",
        help="No run begins, by itself or when asked for, until you go on. Runs that have begun go on to their end.",
    ):
        st.session_state[_ASKING] = True
    if st.session_state.get(_ASKING):
        _ask(pauses, by)


def _close() -> None:
    st.session_state.pop(_ASKING, None)


@st.dialog("Pause everything", on_dismiss=_close)
def _ask(pauses: Pauses, by: Person) -> None:
    st.markdown(
        "No run begins until you go on, and who asks for one is told why. Runs that have begun go on to their end."
    )
    reason = st.text_input(
        "Reason",
        key="home_pause_reason",
        max_chars=MAX_REASON_CHARACTERS,
        placeholder="The warehouse moves until noon",
        help="Everybody sees it on every page.",
    )
    if st.button("Pause everything", key="home_pause_confirm", type="primary"):
        with page.errors_shown():
            pauses.begin(reason, by=by)
            _close()
            flash.say("home", "Everything is paused. Runs that have begun go on to their end.")
