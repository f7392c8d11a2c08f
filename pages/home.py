"""Home: what runs now, what needs a person, the day's budget, what comes next, and thirty days as a chart."""

from __future__ import annotations

import streamlit as st

from ccexport.services.operations.pauses import Pauses
from ccexport.services.people.access import Role
from ccexport.services.runs.overview import Overview
from ccexport.ui import flash, page
from ccexport.ui.screens import home as widgets
from ccexport.ui.screens import pausing

user = page.begin("Home", role=Role.VIEWER)

with page.errors_shown():
    overview, pauses = Overview(page.installation()), Pauses(page.installation())
    flash.show("home")
    if is_paused := pauses.in_words() is not None:
        pausing.switch(pauses, by=user)  # beside the reason, which stands above
    steps = overview.first_steps()
    if not steps.has_run:
        widgets.first_steps(steps, by=user)
    widgets.present(overview, by=user, is_new=not steps.has_run)
    if steps.has_run:
        widgets.thirty_days(overview)
    left, right = st.columns(2)
    with left:
        widgets.budget(overview)
    with right:
        widgets.coming(overview.coming(), by=user, is_paused=is_paused)
    if not is_paused:
        pausing.switch(pauses, by=user)
