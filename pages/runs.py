"""Runs: the history of all exports, filtered, with volumes and durations."""

from __future__ import annotations

import streamlit as st

from ccexport.services.people.access import Role
from ccexport.services.runs.overview import History
from ccexport.ui import page
from ccexport.ui.choices import pager
from ccexport.ui.screens import following
from ccexport.ui.screens import runs as widgets
from ccexport.words import counted

user = page.begin("Runs", role=Role.VIEWER)

with page.errors_shown():
    shown = following.live_runs()
    history = History(page.installation())
    wanted = widgets.filters(history)
    total = history.count(wanted)
    if total:
        st.caption(f"{counted(total, 'run')}, the newest first. Select a number to open the run.")
        below = st.container()
        number = pager(total, widgets.PAGE_SIZE, key="runs_page")
        with below:
            widgets.table(history.page(wanted, number, widgets.PAGE_SIZE), key="runs_table")
        widgets.history_charts(history, wanted)
    elif history.export_names():
        st.info("No run matches. Choose other filters, or a longer time under “Queued”.")
    else:
        st.info("Nothing has run yet. A run appears here as soon as an export is run.")
        widgets.link("exports", "Go to Exports to run one")
    following.follow(shown, by=user)
