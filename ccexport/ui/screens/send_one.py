"""The dialog that sends one profile as a test: which one, its file, a question, and Constant Contact's answer."""

from __future__ import annotations

import streamlit as st

from ccexport.errors import RetryableError, SetupError
from ccexport.preparation.mapping import FieldMapping
from ccexport.services.exports.sending_one import ACCEPTED, Ended, OnItsWay, Ready, SendingOne
from ccexport.services.people.access import Person
from ccexport.services.preview.preview_values import Pick
from ccexport.store.exports import ExportView
from ccexport.ui import live as drawing
from ccexport.ui import page
from ccexport.ui.page import plain
from ccexport.ui.screens.mapping_preview import ask, live

LOOK_SECONDS = 2.0
PATIENCE_SECONDS = 20.0  # for room among the day's requests
_ASKING = "export_one_asking"  # the dialog is open: survives a full run of the page
_READY, _SENT, _ENDED = "export_one_ready", "export_one_sent", "export_one_ended"


def button(view: ExportView, *, by: Person) -> None:
    """Opens the dialog for the export as it is saved."""
    clicked = st.button(
        "Send one",
        key="export_one",
        icon=":material/person_raised_hand:",
        help="Sends one profile to the list as a test, after a question, and shows what becomes of it.",
        disabled=view.export.connection_id is None,
    )
    if clicked:
        _forget()
        st.session_state[_ASKING] = view.export.id
    if st.session_state.get(_ASKING) == view.export.id:
        _ask(view, by)


def _close() -> None:
    _forget()
    st.session_state.pop(_ASKING, None)


def _forget() -> None:
    for key in (_READY, _SENT, _ENDED):
        st.session_state.pop(key, None)


@st.dialog("Send one profile", on_dismiss=_close)
def _ask(view: ExportView, by: Person) -> None:
    page.begin_again(by)
    if _SENT in st.session_state:
        _follow()
        return
    st.markdown(
        f"One profile of “{plain(view.export.name)}”, as it was saved last, is sent to the list "
        f"**{plain(view.export.list_name)}** for real. It is not a run; the next run knows that they are there."
    )
    chosen = _choose(view)
    if chosen and _show_file(view, chosen, by):
        _offer_to_send(by)


def _choose(view: ExportView) -> str:
    """One of the first that are sent, or any key that somebody types."""
    keys: list[str] = []
    with page.errors_shown():
        question = ask(view.segments, FieldMapping(view.mapping), {})
        first = live().glance(question, Pick(), masked=True)
        samples = first.samples if first else ()
        keys = [each.sample.customer_id for each in samples if not each.sample.rejection]
    chosen = st.selectbox(
        "CustomerId of the profile",
        keys,
        key="export_one_key",
        accept_new_options=True,
        help="One of the first profiles that are sent; type the key of any other one in the segments.",
    )
    return chosen or ""


def _show_file(view: ExportView, customer_id: str, by: Person) -> bool:
    """The very file; false where it cannot be sent, and why."""
    ready: Ready | None = st.session_state.get(_READY)
    if ready is None or ready.customer_id != customer_id.strip():
        st.session_state.pop(_READY, None)
        try:
            with st.spinner("Making the file …"):
                ready = _sending().prepare(view.export.id, customer_id, by=by)
        except (SetupError, RetryableError) as error:
            st.error(plain(str(error)))
            return False
        st.session_state[_READY] = ready
    st.caption("The file that would go, header and line:")
    st.code(ready.shown, language=None, wrap_lines=True)
    return True


def _offer_to_send(by: Person) -> None:
    if not st.button(
        "Send this profile", key="export_one_confirm", type="primary", icon=":material/send:"
    ):
        return
    try:
        with st.spinner("Sending …"):
            st.session_state[_SENT] = _sending().send(st.session_state[_READY], by=by)
    except (SetupError, RetryableError) as error:
        st.error(plain(str(error)))
        return
    st.rerun()


def _follow() -> None:
    sent: OnItsWay = st.session_state[_SENT]
    st.code(sent.ready.shown, language=None, wrap_lines=True)
    ended: Ended | None = st.session_state.get(_ENDED)
    if ended is None:
        st.fragment(_look, run_every=drawing.every(LOOK_SECONDS))(sent)
        return
    _say(ended)
    if st.button("Close", key="export_one_close"):
        _close()
        st.rerun()


def _look(sent: OnItsWay) -> None:
    """Again and again until it has ended; then the dialog is drawn without a timer."""
    sending = _sending()
    is_due = not drawing.repeats() or sending.seconds_left(sent) <= 0
    try:
        ended = sending.look(sent) if is_due else None
    except (SetupError, RetryableError) as error:
        st.warning(plain(str(error)))
        return
    if ended is not None:
        st.session_state[_ENDED] = ended
        st.rerun()
    st.info("Sent. Constant Contact works on it …", icon=":material/hourglass_top:")


def _say(ended: Ended) -> None:
    words = [ended.says]
    if ended.on_list is not None:
        list_name = ended.sent.ready.view.export.list_name
        is_on = "They are on" if ended.on_list else "It does not show them yet on"
        words.append(f"{is_on} “{list_name}”.")
    shown = st.success if ended.outcome == ACCEPTED else st.warning
    shown(plain(" ".join(words)))
    for said in ended.errors:
        st.markdown(f"- {plain(said)}")
    if ended.activity is not None:
        st.caption(f"Activity {plain(ended.activity.activity_id)}: {plain(ended.activity.state)}.")


def _sending() -> SendingOne:
    return SendingOne(page.installation(), patience_seconds=PATIENCE_SECONDS)
