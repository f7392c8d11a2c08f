"""Exports: what goes where and when, and how it went last."""

from __future__ import annotations

import streamlit as st

from ccexport.services.connections.connections import Connections
from ccexport.services.people.access import Role
from ccexport.ui import page
from ccexport.ui.screens import exports as widgets
from ccexport.ui.screens import following
from ccexport.ui.screens.runs import link
from ccexport.words import counted

user = page.begin("Exports", role=Role.VIEWER)
may_change = user.role is not Role.VIEWER

with page.errors_shown():
    shown = following.live_runs()
    exports = widgets.all_exports()
    widgets.say_what_happened()
    widgets.say_what_waits()
    if exports:
        if may_change:
            widgets.add_button(user)
        found = widgets.filtered(exports)
        bar = st.container()
        if found:
            chosen = widgets.table(found)
            with bar:
                if may_change:
                    widgets.actions(chosen, user)
            st.caption(f"{len(found):,} of {counted(len(exports), 'export')}")
        else:
            st.info("No export matches. Search for something else, or choose another state.")
    elif Connections(page.installation()).views():
        st.info(
            "There is no export yet. Add one: choose a list and segments, and see what it would send."
        )
        if may_change:
            widgets.add_button(user)
    else:
        st.info(
            "There is no connection yet. Add one first: sign in at Constant Contact; then add an export over it."
        )
        if user.role is Role.ADMINISTRATOR:
            link("connections", "Go to Connections", icon=":material/link:")
    following.follow(shown, by=user)
