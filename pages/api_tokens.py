"""API tokens: programs that may start exports and ask about runs."""

from __future__ import annotations

import streamlit as st

from ccexport.services.api.tokens import ApiTokens
from ccexport.services.people.access import Role
from ccexport.ui import flash, page
from ccexport.ui.screens import api_tokens as widgets

user = page.begin("API tokens", role=Role.ADMINISTRATOR)
st.caption(
    "With a token another program, such as Airflow or dbt, starts exports and asks what became of a run. It gets "
    "counts and names of exports, never profiles. What it does is in the audit under the token's name."
)

with page.errors_shown():
    installation = page.installation()
    tokens = ApiTokens(installation)
    flash.show("api_tokens")
    widgets.show_token()
    views = tokens.all(by=user)
    for view in views:
        widgets.card(tokens, view, now=installation.now(), by=user)
    if not views:
        st.info("No program may call the API yet. Add a token below.", icon=":material/vpn_key:")
    st.subheader("Add a token", anchor=False)
    names = [view.export.name for view in installation.exports.views()]
    widgets.add_form(tokens, names, by=user)
