"""Find a person: what became of an address in every export and run, and where they stand on each list."""

from __future__ import annotations

import streamlit as st

from ccexport.services.people.access import Role
from ccexport.ui import flash, page
from ccexport.ui.screens import person as widgets

user = page.begin("Find a person", role=Role.CONTRIBUTOR)
st.caption(
    "What became of an email address in every run whose files are kept, and where each export knows them to stand. "
    "The address is looked up and not kept."
)

with page.errors_shown():
    flash.show("person")
    wanted = widgets.search()
    if wanted:
        widgets.show(wanted, by=user)
    else:
        st.info("Type the whole address of the person, then select Find.", icon=":material/search:")
