"""The question before an export that sends only what changed sends everybody once more."""

from __future__ import annotations

import streamlit as st

from ccexport.services.exports.exports import Exports
from ccexport.services.people.access import Person
from ccexport.states import Mode
from ccexport.store.exports import ExportView
from ccexport.ui import page
from ccexport.ui.page import plain
from ccexport.ui.screens.runs import go_to_run

_ASKING = "export_full_asking"  # the dialog is open: survives a full run of the page


def button(view: ExportView, *, by: Person) -> None:
    """Nothing where each run sends everybody anyhow."""
    if Mode(view.export.mode) is Mode.FULL:
        return
    if st.button(
        "Run in full",
        key="export_full",
        icon=":material/restart_alt:",
        help="Sends everybody once more, after a question.",
    ):
        st.session_state[_ASKING] = view.export.id
    if st.session_state.get(_ASKING) == view.export.id:
        _ask(view, by)


def _close() -> None:
    st.session_state.pop(_ASKING, None)


@st.dialog("Run in full", on_dismiss=_close)
def _ask(view: ExportView, by: Person) -> None:
    st.markdown(
        f"“{plain(view.export.name)}” sends everybody in its segments to **{plain(view.export.list_name)}** once more, "
        "whether or not anything about them has changed. Use it after contacts were changed by hand at Constant "
        "Contact, or after the list was emptied."
    )
    lines = ["People who left the list stay away."]
    if Mode(view.export.mode) is Mode.MIRROR:
        lines.append(
            "People who are in none of the segments any more are taken off the list, as in each run."
        )
    lines += [
        "This run uses more of the day's requests, and asks nobody first, however many people it sends.",
        "The run after it sends only what has changed, as before.",
    ]
    st.markdown("\n".join(f"- {line}" for line in lines))
    if st.button("Run in full", key="export_full_confirm", type="primary"):
        with page.errors_shown():
            run = Exports(page.installation()).queue(view.export.id, by=by, resync=True)
            _close()
            go_to_run(run.id)
