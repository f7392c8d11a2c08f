"""Export: set one up, and see what it would send while doing so."""

from __future__ import annotations

import streamlit as st

from ccexport.errors import NotFound
from ccexport.services.people.access import Role
from ccexport.states import Mode
from ccexport.ui import page
from ccexport.ui.screens import comparison
from ccexport.ui.screens import export_setup as widgets
from ccexport.ui.screens.mapping_preview import show_for
from ccexport.ui.screens.runs import link

user = page.begin("Export", role=Role.CONTRIBUTOR)

with page.errors_shown():
    try:
        view = widgets.open_draft(page.id_from_url("export"))
    except NotFound as error:
        st.warning(page.plain(str(error)))
        link("exports", "Go to Exports", icon=":material/arrow_forward:")
        st.stop()
    setup, preview = st.columns([5, 6], gap="large")
    with setup:
        if view is not None and (reason := widgets.why_not_changed(view, user)):
            filled = widgets.as_it_is(view, reason)
        else:
            filled = widgets.form(user)
            widgets.save_bar(view, filled, user)
    with preview:
        comparison.show(view, filled, user)
        mode = Mode(filled.mode)
        show_for(filled.segments, filled.mapping, filled.problem, filled.types, user, mode)
