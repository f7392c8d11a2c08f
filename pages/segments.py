"""Segments: what the source holds, and how it grew."""

from __future__ import annotations

import streamlit as st

from ccexport.services.people.access import Role
from ccexport.ui import page
from ccexport.ui.screens import segments as widgets

user = page.begin("Segments", role=Role.VIEWER)
st.caption("Groups of profiles that the source keeps; exports send them to a list.")

with page.errors_shown():
    widgets.table(user)
