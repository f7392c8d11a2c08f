"""Who is in none of the segments any more, on the page Run: how many were taken off the list, and who they are."""

from __future__ import annotations

from itertools import islice

import pandas as pd
import streamlit as st

from ccexport.services.people.access import Person
from ccexport.services.runs.progress import SHOWN_REJECTIONS
from ccexport.services.runs.runs import Runs
from ccexport.store.database.tables import Run
from ccexport.ui import page


def said(run: Run) -> str:
    """Beside the funnel: these were not read, since they are in none of the segments."""
    if run.removed_count == run.to_remove_count:
        why = "since they are in none of the segments any more"
        return f"- **{run.removed_count:,} taken off the list**, {why}. They stay in the account."
    leave = f"{run.to_remove_count:,} {'is' if run.to_remove_count == 1 else 'are'} in none of the segments any more"
    return f"- **{run.removed_count:,} taken off the list**: {leave}. They stay in the account."


@st.fragment
def people(run: Run, by: Person) -> None:
    """Who was to be taken off the list, by name."""
    page.begin_again(by)
    if not run.to_remove_count:
        return
    st.subheader(f"In none of the segments any more: {run.to_remove_count:,}", anchor=False)
    shown = st.expander(
        "See who", key="run_taken_off", icon=":material/person_remove:", on_change="rerun"
    )
    if not shown.open:
        return
    with shown, page.errors_shown():
        emails = islice(Runs(page.installation()).taken_off(run.id, by=by), SHOWN_REJECTIONS)
        table = pd.DataFrame({"Email": list(emails)})
        st.dataframe(table, key="run_leaving", hide_index=True, alt="People to be taken off")
        if run.to_remove_count > len(table):
            st.caption(f"The first {SHOWN_REJECTIONS:,} of {run.to_remove_count:,}.")
