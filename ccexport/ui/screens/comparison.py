"""The form's draft beside what was sent to the list: asked for by a button, since everybody is prepared for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd
import streamlit as st

from ccexport.services.exports.comparing import Comparing, LedgerOf
from ccexport.services.exports.export_values import check_guard
from ccexport.services.people.access import Person
from ccexport.services.people.permission import may
from ccexport.services.people.roles import Action
from ccexport.services.preview.beside_ledger import BesideLedger, nobody_known
from ccexport.services.preview.preview_values import Question, Whole
from ccexport.states import Mode
from ccexport.store.exports import ExportView
from ccexport.ui import page
from ccexport.ui.format import count
from ccexport.ui.page import plain
from ccexport.ui.screens.export_setup import Filled
from ccexport.ui.screens.mapping_form import field_label
from ccexport.ui.screens.mapping_preview import ask, at_least, live, wait_for
from ccexport.words import counted, moment

_FOUND = "export_beside"  # what was found last, and for which draft


@dataclass(frozen=True)
class _Asked:
    """What decides the answer, but for the source and the ledger themselves."""

    question: Question
    mode: Mode
    at: LedgerOf


@dataclass(frozen=True)
class _Found:
    asked: _Asked
    whole: Whole
    beside: BesideLedger
    at: datetime


def show(view: ExportView | None, filled: Filled, by: Person) -> None:
    """Nothing for an export that is not saved, or sends everybody each time."""
    if view is None or filled.mapping is None or not filled.segments:
        return
    if Mode(filled.mode) is Mode.FULL:
        return
    with page.errors_shown():
        asked = _asked(view, filled)
        if asked is not None:
            with st.container(border=True, key="export_comparison"):
                _show(asked, check_guard(filled.guard), by)


def _asked(view: ExportView, filled: Filled) -> _Asked | None:
    """None where the draft has no account yet."""
    installation, connection = page.installation(), filled.connection
    if connection is None and view.export.connection_id is not None:
        connection = installation.connections.get(view.export.connection_id)
    if connection is None or not filled.list_id or filled.mapping is None:
        return None
    question = ask(filled.segments, filled.mapping, filled.types)
    at = LedgerOf(view.export.id, connection.account_id, filled.list_id)
    return _Asked(question, Mode(filled.mode), at)


@st.fragment
def _show(asked: _Asked, guard: int | None, by: Person) -> None:
    page.begin_again(by)
    st.subheader("What a run would change", anchor=False)
    clicked = st.button(
        "Compare with what was sent",
        key="export_compare",
        icon=":material/compare_arrows:",
        help="Prepares everybody as a run does, and asks Constant Contact nothing.",
    )
    if clicked:
        with page.errors_shown():
            st.session_state[_FOUND] = _compare(asked)
    found: _Found | None = st.session_state.get(_FOUND)
    if found is None:
        st.caption(
            "Who is new, changed, or kept off the list, and whether the run would ask first."
        )
    elif found.asked != asked:
        st.caption("The form has changed since it was compared.")
    else:
        _show_found(found, guard, by)


def _compare(asked: _Asked) -> _Found:
    now = page.installation().now()
    work_out = Comparing(page.installation()).beside(asked.at, asked.question, asked.mode)
    whole = wait_for(live().count(asked.question), "Reading the segments as a run would …")
    if work_out is None:
        return _Found(asked, whole, nobody_known(whole, asked.mode), now)
    beside = wait_for(live().work_out(work_out), "Comparing everybody with what was sent …")
    return _Found(asked, whole, beside, now)


def _show_found(found: _Found, guard: int | None, by: Person) -> None:
    beside = found.beside
    with st.container(horizontal=True, gap="medium"):
        st.metric("New", count(beside.new), width="content")
        st.metric("Changed", count(beside.changed), width="content")
        st.metric("Unchanged", count(beside.unchanged), width="content")
        st.metric("Kept off", count(beside.suppressed), width="content")
        if beside.mode is Mode.MIRROR:
            st.metric("To be removed", count(beside.to_remove), width="content")
    for words, kind in (("New", "new"), ("Changed", "changed"), ("Kept off", "suppressed")):
        _name(words, kind, beside)
    _show_samples(beside, by)
    if said := beside.said():
        st.markdown(said)
    if Comparing(page.installation()).asks(beside, found.asked.at, guard):
        st.warning(
            f"That is more than {guard} % of the people placed so far: a run would wait until somebody approves it.",
            icon=":material/front_hand:",
        )
    elif beside.change is not None:
        st.markdown("A run would not ask first.")
    else:
        st.markdown(
            "Nobody is known of this list yet, so everybody is new and a run would not ask."
        )
    st.caption(_effort(found))


def _name(words: str, kind: str, beside: BesideLedger) -> None:
    """The first of them by key."""
    keys = beside.examples.get(kind, ())
    if not keys:
        return
    more = ", …" if getattr(beside, kind) > len(keys) else ""
    st.markdown(f"- **{words}**: {plain(', '.join(keys))}{more}")


def _show_samples(beside: BesideLedger, by: Person) -> None:
    """What was sent of some and what would be now, and who would go: as far as files of runs are kept here."""
    samples = beside.samples
    if not may(page.installation(), by, Action.SEE_VALUES):
        samples = samples.masked()
        if samples.changed or samples.to_remove:
            st.caption("Values are masked: seeing them needs CCEXPORT_CONTRIBUTORS_SEE_VALUES.")
    rows = [
        (each.customer_id, field_label(name), sent, now)
        for each in samples.changed
        for name, (sent, now) in (each.fields or {}).items()
    ]
    if rows:
        st.markdown("**What changed**, of the first of them")
        _table(rows, ["CustomerId", "Field", "Sent last", "Now"], "export_compare_changed")
    if samples.to_remove:
        st.markdown("**To be removed**, some of them")
        gone = [(each.customer_id, each.values["email"].rstrip()) for each in samples.to_remove]
        _table(gone, ["CustomerId", "Email"], "export_compare_removed")
    if samples.unnamed or any(each.fields is None for each in samples.changed):
        days = page.installation().settings.retention_days
        st.caption(
            "What was sent of some people is not kept on this machine: files of runs are for "
            f"{counted(days, 'day')}. The run itself names whom it takes off the list."
        )


def _table(rows: Sequence[tuple[str, ...]], columns: Sequence[str], key: str) -> None:
    alt = "People, what was sent of them and what would be"
    st.dataframe(pd.DataFrame(rows, columns=list(columns)), key=key, hide_index=True, alt=alt)


def _effort(found: _Found) -> str:
    beside = found.beside
    requests = beside.requests(found.whole)
    seconds = timedelta(seconds=requests / page.installation().settings.cc_requests_per_second)
    return (
        f"{counted(beside.files, 'file')}, about {counted(requests, 'request')}, {at_least(seconds)} of sending. "
        f"Compared {moment(found.at)} with what Constant Contact confirmed; who has left the list since the last run "
        "is found by the run itself."
    )
