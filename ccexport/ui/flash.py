"""What was done just before, said once after the page has been drawn anew."""

from __future__ import annotations

import streamlit as st


def keep(place: str, text: str) -> None:
    """For the next run of the page `place`."""
    st.session_state[f"{place}_said"] = text


def say(place: str, text: str) -> None:
    """Draw the page anew, and say it there."""
    keep(place, text)
    st.rerun()


def show(place: str) -> None:
    """What was kept for `place`, if anything was."""
    if text := st.session_state.pop(f"{place}_said", None):
        st.success(text, icon=":material/check:")
