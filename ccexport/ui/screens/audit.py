"""What the page Audit is made of: filters, the rows, and what was before and after."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import streamlit as st

from ccexport.services.people.access import Person
from ccexport.services.people.audit import OUTCOMES, Audit, in_words
from ccexport.services.people.roles import RULES, Action
from ccexport.store.audit import AuditFilter
from ccexport.store.database.people_tables import AuditEvent
from ccexport.ui.choices import ALL_TIME, DAYS_CHOICES
from ccexport.ui.ticked import Ticked

PAGE_SIZE = 100


def filters(audit: Audit, *, by: Person) -> AuditFilter:
    """Who, what, how it ended, since when, and a text in the target's name."""
    actions = [action.value for action in Action if RULES[action].writes]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        who = st.selectbox(
            "Who", audit.people(by=by), index=None, key="audit_who", placeholder="Everybody"
        )
        action = st.selectbox(
            "What",
            actions,
            index=None,
            key="audit_action",
            placeholder="Everything",
            format_func=lambda name: in_words(name).capitalize(),
        )
        outcome = st.selectbox(
            "Outcome",
            OUTCOMES,
            index=None,
            key="audit_outcome",
            placeholder="Done or refused",
            format_func=str.capitalize,
        )
        since = st.selectbox("When", [*DAYS_CHOICES, ALL_TIME], index=2, key="audit_since")
        search = st.text_input("To what", key="audit_search", placeholder="A part of its name")
    days = DAYS_CHOICES.get(since)
    return AuditFilter(who, action, outcome, audit.since_days(days), search.strip())


def table(events: list[AuditEvent]) -> None:
    """The rows; of the selected one all that is known."""
    ticked = Ticked("audit_table", [event.id for event in events])
    st.dataframe(
        pd.DataFrame([_row(event) for event in events]),
        key=ticked.key,
        hide_index=True,
        on_select=ticked.select,
        selection_mode="single-row",
        alt="The audit",
        column_config={
            "When (UTC)": st.column_config.DatetimeColumn(
                format="YYYY-MM-DD HH:mm:ss", timezone="UTC"
            )
        },
    )
    chosen = next((event for event in events if event.id in ticked.ids), None)
    if chosen is not None:
        _details(chosen)
    else:
        st.caption("Select a row to see what was before and after.")


def _row(event: AuditEvent) -> dict[str, Any]:
    return {
        "When (UTC)": event.at,
        "Who": event.who,
        "Role": event.role,
        "What": in_words(event.action).capitalize(),
        "To what": f"{event.target_kind} {event.target_name}".strip(),
        "Outcome": event.outcome.capitalize(),
        "From": event.came_from,
    }


def _details(event: AuditEvent) -> None:
    before, after = st.columns(2)
    for column, title, values in (
        (before, "Before", event.before),
        (after, "After", event.after),
    ):
        with column:
            st.markdown(f"**{title}**")
            if values is None:
                st.caption("Nothing was recorded.")
            else:
                st.code(json.dumps(values, ensure_ascii=False, indent=2), language="json")
