"""System: what runs, and whether all is well."""

from __future__ import annotations

import streamlit as st

from ccexport.services.people.access import Role
from ccexport.ui import page
from ccexport.ui.screens import system as widgets

user = page.begin("System", role=Role.ADMINISTRATOR)

with page.errors_shown():
    st.subheader("Workers", anchor=False)
    widgets.workers(user)
    st.subheader("Requests to Constant Contact today", anchor=False)
    widgets.budget()
    st.subheader("Checks", anchor=False)
    widgets.checks()
    st.subheader("Where things are", anchor=False)
    widgets.places()
