"""Run: one run while it goes on, and afterwards exactly what it did. Opened as /run?run=42."""

from __future__ import annotations

import streamlit as st

from ccexport.errors import NotFound
from ccexport.services.people.access import Role
from ccexport.services.runs.progress import RunProgress
from ccexport.ui import page
from ccexport.ui.screens import run as widgets
from ccexport.ui.screens import run_details, taken_off
from ccexport.ui.screens.runs import link

run_id = page.id_from_url("run")
user = page.begin("Run" if run_id is None else f"Run {run_id}", role=Role.VIEWER)

with page.errors_shown():
    try:
        progress = RunProgress(page.installation()).of(run_id or 0)
    except NotFound:
        name = (
            "This address names no run."
            if run_id is None
            else f"There is no run {run_id} any more."
        )
        st.info(f"{name} The history shows those there are.")
        link("runs", "Go to Runs", icon=":material/history:")
        st.stop()
    widgets.head(progress, by=user)
    widgets.live(progress, by=user)
    widgets.left_out(progress.run, user)
    taken_off.people(progress.run, user)
    run_details.show(progress, by=user)
