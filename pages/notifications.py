"""Notifications: people who are told when an export needs them."""

from __future__ import annotations

import streamlit as st

from ccexport.services.people.access import Role
from ccexport.services.telling.notifications import Notifications
from ccexport.ui import flash, page
from ccexport.ui.screens import notifications as widgets

user = page.begin("Notifications", role=Role.ADMINISTRATOR)
st.caption(
    "A notification tells people by mail, Slack, Teams and others what happened to an export and what to do: once for "
    "each change of its state, and in one message where many exports have one reason. Messages hold names of exports "
    "and links, never profiles."
)

with page.errors_shown():
    notifications = Notifications(page.installation())
    flash.show("notifications")
    channels = notifications.all(by=user)
    waiting = notifications.waiting(by=user)
    for channel in channels:
        widgets.card(notifications, channel, waiting.get(channel.id, 0), by=user)
    if not channels:
        st.info(
            "Nobody is told yet, so a failed run waits until somebody looks. Add an address below, then select Test.",
            icon=":material/notifications:",
        )
    st.subheader("Add a notification", anchor=False)
    widgets.add_form(notifications, by=user)
