"""The mapping preview: what a run would do with the whole segments, and what becomes of single profiles."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import CancelledError, Future
from datetime import timedelta
from html import escape
from typing import TypeVar

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ccexport.errors import SetupError
from ccexport.preparation.mapping import CUSTOM_PREFIX, FieldMapping, check_mapping, template_parts
from ccexport.services.people.access import Person
from ccexport.services.people.permission import may
from ccexport.services.people.roles import Action
from ccexport.services.preview.live_preview import LivePreview, source_version
from ccexport.services.preview.preview_values import How, Pick, ProfileSample, Question, Whole
from ccexport.states import Mode
from ccexport.ui import page
from ccexport.ui.format import count, share
from ccexport.ui.page import plain
from ccexport.words import counted, lasting
from ccexport.words import reason as reason_words

LOOK_SECONDS = 0.15
EXAMPLES = 25
CUT_WORDS = "Sent with a value cut to the length allowed"
HOW_WORDS = {
    How.FIRST: "First",
    How.RANDOM: "Random",
    How.TROUBLED: "Only troubled",
    How.KEY: "By key",
}
Found = TypeVar("Found")


@st.cache_resource(show_spinner=False)
def live() -> LivePreview:
    """The live preview of this process. Holds the source, and nothing of a person."""
    installation = page.installation()
    url = installation.settings.source_url
    return LivePreview(installation.open_source, lambda: source_version(url))


def ask(segments: tuple[str, ...], mapping: FieldMapping, types: Mapping[str, str]) -> Question:
    """What to preview, without types that the mapping does not use. Raises `MappingError`, `SourceError`."""
    check_mapping(mapping, live().attribute_names())
    live().check_types(mapping.attributes_used)
    used = tuple((name, types[name]) for name in mapping.custom_fields if name in types)
    return Question(tuple(segments), mapping, used)


@st.fragment
def show(question: Question, by: Person, mode: Mode) -> None:
    """Counts of the whole above single profiles; the profiles are there first."""
    page.begin_again(by)
    masked = not may(page.installation(), by, Action.SEE_VALUES)
    if masked:
        st.caption("Values are masked: seeing them needs CCEXPORT_CONTRIBUTORS_SEE_VALUES.")
    counts = st.container()
    st.subheader("Profiles, and what Constant Contact gets", anchor=False)
    pick = _pick()
    cards = st.empty()
    with page.errors_shown():
        settled = _show_glance(question, pick, cards, masked=masked)
        whole = live().counted(question)
        if whole is None:
            with counts:
                whole = wait_for(live().count(question), _words(question))
            settled = False
        with counts:
            _show_whole(whole, mode, masked=masked)
        if not settled:
            _show_glance(question, pick, cards, masked=masked)


def wait_for(future: Future[Found], words: str) -> Found:
    """The answer, while a spinner says what is done. A change on the page interrupts it at once."""
    tick = st.empty()
    with st.spinner(words):
        while True:
            try:
                return future.result(timeout=LOOK_SECONDS)
            except TimeoutError:
                tick.empty()  # where Streamlit may begin anew
            except CancelledError:  # the source's files have changed just now
                st.rerun()


def _words(question: Question) -> str:
    sizes = {segment.name: segment.members for segment in live().segments()}
    most = sum(sizes.get(name, 0) for name in question.segments)
    segments = counted(len(question.segments), "segment")
    return f"Reading up to {counted(most, 'profile')} of {segments} as a run would …"


# --- the whole -----------------------------------------------------------------------------------


def _show_whole(whole: Whole, mode: Mode, *, masked: bool) -> None:
    sends_all = mode is Mode.FULL
    with st.container(horizontal=True, gap="large"):
        st.metric("Read", count(whole.read), width="content")
        words = "Will be sent" if sends_all else "Can be sent"
        st.metric(words, count(whole.prepared), width="content")
        st.metric("Left out", count(whole.rejected), width="content")
    st.caption(_effort(whole) if sends_all else f"If all of them are sent: {_effort(whole)}")
    if not whole.read:
        st.info("Nobody in these segments has a profile: a run would send nothing.")
    if said := whole.strangers.said():
        st.warning(plain(said), icon=":material/person_off:")
    for reason, number in whole.rejections.items():
        _reason(whole, reason, reason_words(reason), number, masked=masked)
    if whole.truncated:
        _reason(whole, None, CUT_WORDS, whole.truncated, masked=masked)
    for words in whole.warning_lines():
        st.warning(plain(words), icon=":material/help:")


def _effort(whole: Whole) -> str:
    """Files, requests, time, share of the day's budget."""
    installation = page.installation()
    budget, rate = installation.budget.today(), installation.settings.cc_requests_per_second
    seconds = timedelta(seconds=whole.requests / rate)
    used = share(whole.requests, budget.limit)
    left = f"{budget.left:,} of {budget.limit:,} requests are left today"
    short = " **That is more than are left today.**" if whole.requests > budget.left else ""
    return (
        f"**{counted(whole.files, 'file')}, about {counted(whole.requests, 'request')}**: {used} of a day's ({left}). "
        f"{at_least(seconds).capitalize()} of sending, then Constant Contact's own processing.{short}"
    )


def at_least(seconds: timedelta) -> str:
    """`at least 4 s`; `under a second`."""
    return f"at least {lasting(seconds)}" if seconds >= timedelta(seconds=1) else lasting(seconds)


def _reason(whole: Whole, reason: str | None, words: str, number: int, *, masked: bool) -> None:
    named = ", ".join(plain(key) for key in whole.keys(reason, 2))
    more = ", …" if number > 2 else ""
    label = f"{words}: **{number:,}** · {named}{more}"
    opened = st.expander(label, key=f"export_reason_{reason or 'cut'}", on_change="rerun")
    if not opened.open:
        return
    with opened:
        pages = -(-number // EXAMPLES)
        at = 1
        if pages > 1:
            at = int(st.pagination(pages, key=f"export_reason_page_{reason or 'cut'}"))
        keys = whole.keys(reason, EXAMPLES, (at - 1) * EXAMPLES)
        rows = [_example(sample) for sample in live().examples(whole, keys, masked=masked)]
        st.dataframe(pd.DataFrame(rows), hide_index=True, height="content", alt=words)


def _example(found: ProfileSample) -> dict[str, str]:
    row = {"CustomerId": found.sample.customer_id}
    if found.sample.sent_instead:
        row["Sent instead"] = found.sample.sent_instead
    return row | {name: value or "" for name, value in found.profile.items()}


# --- single profiles -----------------------------------------------------------------------------


def _pick() -> Pick:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        how = st.segmented_control(
            "Show",
            list(How),
            default=How.FIRST,
            required=True,
            format_func=lambda each: HOW_WORDS[each],
            key="export_sample_how",
        )
        if how is How.RANDOM:
            st.button(
                "Others", key="export_sample_others", icon=":material/casino:", on_click=_others
            )
        key = ""
        if how is How.KEY:
            key = st.text_input("CustomerId", key="export_sample_key", live=True, width=240) or ""
    return Pick(how or How.FIRST, seed=st.session_state.get("export_sample_seed", 0), key=key)


def _others() -> None:
    st.session_state["export_sample_seed"] = st.session_state.get("export_sample_seed", 0) + 1


def _show_glance(question: Question, pick: Pick, spot: DeltaGenerator, *, masked: bool) -> bool:
    """Draw the picked profiles; false where the count of the whole will tell more."""
    glance = live().glance(question, pick, masked=masked)
    with spot.container():
        if glance is None:
            st.caption("Looking for profiles in trouble …")
        elif glance.samples:
            types = dict(question.types)
            cards = "".join(_card(sample, question.mapping, types) for sample in glance.samples)
            st.html(f"<div class='cc-cards'>{cards}</div>")
        else:
            st.caption(_nobody(pick))
    return glance is not None and glance.is_settled


def _nobody(pick: Pick) -> str:
    if pick.how is How.KEY:
        return (
            f"No profile of these segments has the key {plain(pick.key)}."
            if pick.key.strip()
            else "Type the CustomerId of a profile."
        )
    if pick.how is How.TROUBLED:
        return "No profile is in trouble: everybody is sent, and nothing is cut."
    return "There are no profiles."


_STYLE = """<style>
@media (min-width: 60rem) {
  [data-testid="stColumn"]:has(.st-key-export_preview) {
    position: sticky; top: 4rem; align-self: flex-start; max-height: calc(100vh - 5rem); overflow-y: auto}
}
.cc-cards {display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 21rem), 1fr)); gap: .75rem}
.cc-card {border: 1px solid rgba(128,128,128,.35); border-radius: 6px; padding: .6rem .75rem; min-width: 0}
.cc-head {display: flex; gap: .5rem; justify-content: space-between; flex-wrap: wrap; font-size: .9rem}
.cc-card table {width: 100%; border-collapse: collapse; font-size: .85rem; margin-top: .4rem; table-layout: fixed}
.cc-card th, .cc-card td {text-align: start; vertical-align: top; padding: .18rem .4rem .18rem 0;
  border: 0; border-top: 1px solid rgba(128,128,128,.2); overflow-wrap: anywhere}
.cc-card thead th {border-top: 0; font-weight: 400; opacity: .8}
.cc-card tbody th {font-weight: 400; opacity: .8}
.cc-card mark {background: rgba(255,185,0,.28); color: inherit; border-radius: 3px; padding: 0 .15rem}
.cc-card small {display: block; opacity: .8}
.cc-out {border-style: dashed}
</style>"""


def _card(found: ProfileSample, mapping: FieldMapping, types: Mapping[str, str]) -> str:
    sample = found.sample
    rows = "".join(
        _line(field, value, found, types.get(field.removeprefix(CUSTOM_PREFIX)))
        for field, value in mapping.pairs
    )
    return (
        f"<div class='cc-card{' cc-out' if sample.rejection else ''}'><div class='cc-head'>"
        f"<strong dir='auto'>{escape(sample.customer_id)}</strong><span>{_fate(found)}</span></div>"
        "<table><thead><tr><th scope='col'>Contact field</th><th scope='col'>As it is</th>"
        f"<th scope='col'>{'Not sent' if sample.rejection else 'As sent'}</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _fate(found: ProfileSample) -> str:
    sample = found.sample
    if sample.rejection is None:
        return "✓ Will be sent"
    words = f"✕ Left out: {reason_words(sample.rejection).lower()}"
    if sample.rejected_field:
        words += f" ({escape(sample.rejected_field.removeprefix(CUSTOM_PREFIX).replace('_', ' '))})"
    if sample.sent_instead:
        words += f", {escape(sample.sent_instead)} is sent instead"
    return words


def _line(field: str, value: str, found: ProfileSample, kind: str | None) -> str:
    sent = found.sample.contact.get(field, "")
    before, note = _before(value, found.profile)
    is_same = before is not None and before == sent
    after = escape(sent) or "<small>blank</small>"
    if not is_same and before is not None:
        after = f"<mark>{after}</mark><small>{_what_changed(before, sent)}</small>"
    shown = escape(before) if before else note or "<small>blank</small>"
    label = field.removeprefix(CUSTOM_PREFIX).replace("_", " ")
    typed = f" <small>{escape(kind)}</small>" if kind else ""
    name = escape(label if kind else label.capitalize())
    return (
        f"<tr><th scope='row' dir='auto'>{name}{typed}</th><td dir='auto'>{shown}</td>"
        f"<td dir='auto'>{after}</td></tr>"
    )


def _before(value: str, profile: Mapping[str, str | None]) -> tuple[str | None, str]:
    """An attribute's value as it is; of a constant or template None, and what is shown in its place."""
    parts = template_parts(value)
    if len(parts) == 1 and parts[0][0] == "" and parts[0][1] is not None:
        return profile.get(parts[0][1]) or "", ""
    names = [name for _, name in parts if name is not None]
    if not names:
        return None, "<small>constant</small>"
    return None, "<br>".join(
        f"<i>{escape(name)}:</i> {escape(profile.get(name) or '') or 'blank'}"
        for name in dict.fromkeys(names)
    )


def _what_changed(before: str, sent: str) -> str:
    trimmed = " ".join(before.split())
    for words, is_it in (
        ("left blank", not sent),
        ("white space trimmed", sent in (before.strip(), trimmed)),
        ("in lower case", sent == before.strip().lower()),
        (f"cut to {len(sent):,} characters", bool(sent) and before.strip().startswith(sent)),
    ):
        if is_it:
            return words
    return "written as the field takes it"


def problem(text: str) -> None:
    """Why there is no preview yet."""
    st.info(plain(text), icon=":material/info:")


def show_for(
    segments: tuple[str, ...],
    mapping: FieldMapping | None,
    why_not: str | None,
    types: Mapping[str, str],
    by: Person,
    mode: Mode = Mode.FULL,
) -> None:
    """The preview of a form, or what is missing for it."""
    st.html(_STYLE)
    with st.container(key="export_preview"):
        _show_for(segments, mapping, why_not, types, by, mode)


def _show_for(
    segments: tuple[str, ...],
    mapping: FieldMapping | None,
    why_not: str | None,
    types: Mapping[str, str],
    by: Person,
    mode: Mode,
) -> None:
    st.subheader("Mapping preview", anchor=False)
    if mapping is None:
        problem(why_not or "Match the email address to see what would be sent.")
    elif not segments:
        problem("Choose a segment to see what would be sent.")
    else:
        try:
            question = ask(segments, mapping, types)
        except SetupError as error:
            st.error(plain(str(error)))
            return
        show(question, by, mode)
