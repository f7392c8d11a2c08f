"""What the page Find a person is made of: the search, the lists they stand on, the runs they were in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from ccexport.services.people.access import Person
from ccexport.services.runs.people import STANDS, People
from ccexport.services.runs.putting_back import PuttingBack
from ccexport.ui import flash, page
from ccexport.ui.page import plain
from ccexport.words import counted, moment

_WANTED = "person_wanted"  # of this visit alone: an address is in no page's address
OUTCOMES = {
    "accepted": "Accepted",
    "failed": "Not accepted",
    "unsubscribed?": "Perhaps unsubscribed",
    "failed?": "Perhaps not accepted",
    "pending": "To be sent",
    "sent": "Being sent",
    "not_sent": "Not sent",
    "suppressed": "Kept away",
    "leaving": "Taken off the list",
}


def search() -> str:
    """The address that was asked for last; empty before."""
    with st.form("person_form", border=True):
        email = st.text_input(
            "Email address", key="person_email", placeholder="ana@example.com", max_chars=320
        )
        if st.form_submit_button("Find", type="primary", icon=":material/search:"):
            st.session_state[_WANTED] = email.strip()
    return str(st.session_state.get(_WANTED, ""))


def show(email: str, *, by: Person) -> None:
    """Everything that is known of them."""
    with st.spinner("Looking through the files of every run …"):
        found = People(page.installation()).find(email, by=by)
    document = found.document
    keys = document["customer_ids"]
    st.subheader("What is known of this address", anchor=False)
    st.text(document["email"])  # as Markdown it would be a link that writes a mail
    st.caption(f"Profiles: {plain(', '.join(keys))}." if keys else "No profile has this address.")
    for remark in found.remarks:
        st.info(plain(remark), icon=":material/info:")
    _lists(document["ledgers"], str(document["email"]), by)
    _runs(document["runs"])


def _lists(ledgers: Sequence[Mapping[str, Any]], email: str, by: Person) -> None:
    if not ledgers:
        st.markdown("No export knows them as somebody whom it placed on its list.")
    views = page.installation().exports.views()
    names = {view.export.list_id: view.export.list_name for view in views}
    for each in ledgers:
        with st.container(border=True):
            title = each["export"] or "An export that was removed"
            st.markdown(
                f"**{plain(title)}** · list {plain(names.get(each['list_id'], each['list_id']))}"
            )
            since = moment(datetime.fromisoformat(each["since"]))
            words = STANDS[each["state"]]
            st.markdown(f"{words[:1].upper()}{words[1:]}, since {since}.")
            if each["state"] == "left" and each["export"]:
                _put_back(each["export"], email, by)


def _put_back(export: str, email: str, by: Person) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        clicked = st.button("Put back", key=f"person_put_back_{export}", icon=":material/undo:")
        st.caption("Only if they asked for it: the next run of the export places them again.")
    if not clicked:
        return
    with page.errors_shown():
        view = PuttingBack(page.installation()).restore(email, export, by=by)
        flash.say(
            "person",
            f"The next run of “{plain(view.export.name)}” puts them back on {plain(view.export.list_name)}, if they "
            "are in one of its segments.",
        )


def _runs(runs: Sequence[Mapping[str, Any]]) -> None:
    if not runs:
        st.markdown("No run whose files are kept had this address.")
        return
    st.markdown(f"In {counted(len({each['run'] for each in runs}), 'run')}, the newest first:")
    rows = [
        {
            "Run": each["run"],
            "What became of it": OUTCOMES.get(each["outcome"], "Left out"),
            "Export": each["export"],
            "At": moment(datetime.fromisoformat(each["at"])) if each["at"] else "",
            "Detail": each["detail"],
            "Key": each["customer_id"],
        }
        for each in runs
    ]
    st.dataframe(
        pd.DataFrame(rows), key="person_runs", hide_index=True, height="content", placeholder=""
    )
