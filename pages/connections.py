"""Connections: Constant Contact accounts that exports may use."""

from __future__ import annotations

import streamlit as st

from ccexport.services.connections.connections import Connections
from ccexport.services.people.access import Role
from ccexport.ui import page
from ccexport.ui.screens import connections as widgets

user = page.begin("Connections", role=Role.ADMINISTRATOR)
st.caption("Each connection is a Constant Contact account that exports may send to.")

with page.errors_shown():
    connections = Connections(page.installation())
    views = connections.views()
    export_names = connections.export_names()
    widgets.welcome_back(views)
    ready = widgets.application_is_set(page.installation().settings)
    widgets.ask_to_sign_in([view for view in views if view.connection.needs_sign_in])
    if ready and not views:
        st.info(
            "There is no connection yet. Add one below: give it a name, agree to the transfer of data and sign in at "
            "Constant Contact. Then set up an export over it."
        )
    for view in views:
        widgets.card(view, views, export_names.get(view.connection.id, []), by=user, ready=ready)
    if ready:
        widgets.add_form(by=user, first=not views)
