"""Webhooks: other programs that are told when an export's state changes."""

from __future__ import annotations

import streamlit as st

from ccexport.services.people.access import Role
from ccexport.services.telling.webhooks import Webhooks
from ccexport.ui import flash, page
from ccexport.ui.screens import webhooks as widgets

user = page.begin("Webhooks", role=Role.ADMINISTRATOR)
st.caption(
    "A webhook tells another program when the state of an export changes: a run failed, or waits for a person, or all "
    "is well again. Messages hold counts and names of exports, never profiles, and are signed (Standard Webhooks)."
)

with page.errors_shown():
    webhooks = Webhooks(page.installation())
    flash.show("webhooks")
    widgets.show_secret()
    hooks = webhooks.all(by=user)
    for hook in hooks:
        widgets.card(webhooks, hook, by=user)
    if not hooks:
        st.info("Nobody is told yet. Add an address below.", icon=":material/webhook:")
    st.subheader("Add a webhook", anchor=False)
    widgets.add_form(webhooks, by=user)
