"""People: who may sign in, and what each may do."""

from __future__ import annotations

import streamlit as st

from ccexport.services.people.access import Role
from ccexport.services.people.users import Users
from ccexport.ui import flash, page
from ccexport.ui.screens import people as widgets

user = page.begin("People", role=Role.ADMINISTRATOR)
st.caption(
    "Viewers see exports and history; contributors set up and run exports over connections shared with them; "
    "administrators do everything."
)

with page.errors_shown():
    users = Users(page.installation())
    flash.show("people")
    widgets.how_people_sign_in(page.installation().settings)
    views = users.views(by=user)
    if views:
        widgets.actions(users, widgets.table(views, user), by=user)
    else:
        st.info("Nobody is here yet. Add the first administrator below.", icon=":material/groups:")
    st.subheader("Add somebody", anchor=False)
    widgets.add_form(users, by=user)
