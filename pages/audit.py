"""Audit: who did what to what, when, and from where."""

from __future__ import annotations

import streamlit as st

from ccexport.services.people.access import Role
from ccexport.services.people.audit import Audit
from ccexport.ui import page
from ccexport.ui.choices import pager
from ccexport.ui.screens import audit as widgets
from ccexport.words import counted

user = page.begin("Audit", role=Role.ADMINISTRATOR)
st.caption(
    f"Every change, refusal and sign-in, kept for {page.installation().settings.audit_days:,} days. "
    "The command audit export prints it as JSON lines."
)

with page.errors_shown():
    audit = Audit(page.installation())
    wanted = widgets.filters(audit, by=user)
    total = audit.count(wanted, by=user)
    if total:
        st.caption(f"{counted(total, 'row')}, the newest first.")
        below = st.container()
        number = pager(total, widgets.PAGE_SIZE, key="audit_page")
        with below:
            widgets.table(audit.page(wanted, number, widgets.PAGE_SIZE, by=user))
    else:
        st.info("No row matches. Choose other filters, or a longer time.")
