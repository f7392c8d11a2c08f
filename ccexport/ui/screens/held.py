"""A run that the guard holds: its numbers in plain words, and the buttons of those who may answer."""

from __future__ import annotations

import streamlit as st

from ccexport.services.people.access import Person
from ccexport.services.people.permission import may_somewhere
from ccexport.services.people.roles import Action
from ccexport.services.runs.run_words import say_held
from ccexport.services.runs.runs import Runs
from ccexport.store.database.tables import Run
from ccexport.ui import page
from ccexport.ui.page import plain


def held_words(run: Run) -> str:
    """The numbers, and what an answer does."""
    return plain(say_held(run))


def ask(run: Run, *, by: Person) -> None:
    """Numbers and buttons, on the run's own page."""
    st.markdown(held_words(run))
    with st.container(horizontal=True):
        done = answers(run, "run", by=by)
    if done:
        st.rerun()


def answers(run: Run, key: str, *, by: Person) -> bool:
    """Approve and Decline; True once one of them was done."""
    if not may_somewhere(page.installation(), by, Action.APPROVE_RUN):
        st.caption("for contributors and administrators")
        return False
    runs, seen = Runs(page.installation()), run.question
    why_not = runs.why_not(Action.APPROVE_RUN, run, by=by)
    tip = plain(why_not) if why_not else None
    is_disabled = why_not is not None
    yes = st.button(
        "Approve",
        key=f"{key}_approve_{run.id}",
        icon=":material/check:",
        disabled=is_disabled,
        help=tip or "This once: the run is prepared anew and sent.",
    )
    no = st.button(
        "Decline",
        key=f"{key}_decline_{run.id}",
        icon=":material/block:",
        disabled=is_disabled,
        help=tip or "The run ends, and nothing of it is sent.",
    )
    if not (yes or no):
        return False
    with page.errors_shown():
        if yes:
            runs.approve(run.id, by=by, seen=seen)
            st.toast(f"Run {run.id} is approved: it is prepared anew and sent.")
        else:
            runs.decline(run.id, by=by, seen=seen)
            st.toast(f"Run {run.id} is declined: nothing was sent.")
        return True
    return False
