"""Refresh: when the segments are read again, and what came of it."""

from __future__ import annotations

import streamlit as st

from ccexport.services.operations.refreshes import Refreshes
from ccexport.services.people.access import Role
from ccexport.ui import flash, page
from ccexport.ui.screens import refresh as widgets

user = page.begin("Refresh", role=Role.ADMINISTRATOR)
st.caption(
    "A refresh counts the members of every segment of the source and queues each export that runs with it."
)

with page.errors_shown():
    refreshes = Refreshes(page.installation())
    flash.show("refresh")
    widgets.overview(refreshes, by=user)
    st.subheader("Schedule", anchor=False)
    widgets.schedule_form(refreshes, by=user)
    st.subheader("Exports that run with each refresh", anchor=False)
    widgets.exports_with_it(refreshes)
    st.subheader("Last refreshes", anchor=False)
    widgets.last_refreshes(refreshes, by=user)
    st.subheader("Sizes of the segments", anchor=False)
    widgets.sizes(refreshes)
