"""What the page Run is made of: headline, progress, where each profile went, those left out, files, timeline."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from ccexport.clock import utc_now
from ccexport.schedules import is_late
from ccexport.services.people.access import Person
from ccexport.services.people.permission import may, may_somewhere
from ccexport.services.people.roles import Action
from ccexport.services.runs.described import Funnel, Progress, Stage
from ccexport.services.runs.progress import SHOWN_REJECTIONS, RunProgress
from ccexport.services.runs.retries import Retries
from ccexport.services.runs.run_words import headline, time_taken
from ccexport.services.runs.runs import Runs
from ccexport.services.runs.spreadsheets import HOW_IT_IS_MARKED
from ccexport.states import RunState, WaitingFor
from ccexport.store.database.tables import Run
from ccexport.ui import charts, downloads, page
from ccexport.ui import live as live_parts
from ccexport.ui.page import plain
from ccexport.ui.screens import held, taken_off
from ccexport.ui.screens.runs import (
    STATE_WORDS,
    TRIGGER_WORDS,
    go_to_run,
    link,
    link_for_administrators,
    progress_bar,
    run_badge,
    waiting_words,
)
from ccexport.words import SUPPRESSED, duration, moment
from ccexport.words import reason as reason_words

LIVE_SECONDS = 2
ALL_REASONS = "All reasons"


# --- the head: what it is, and what can be done --------------------------------------------------


def head(progress: Progress, *, by: Person) -> None:
    """Which run this is, and the buttons. Outside of what draws itself again, so that a dialog stays open."""
    run = progress.run
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(plain(run.export_name), anchor=False, width="content")
        run_badge(run.state)
    st.caption(
        f"To the list “{plain(run.list_name or run.list_id)}” over “{plain(run.connection_name)}” · "
        f"{TRIGGER_WORDS[run.trigger].lower()}, {plain(run.requested_by)} · queued {moment(run.queued_at)}"
        + (f", late: it was due {moment(run.due_at)}" if is_late(run.due_at, run.queued_at) else "")
        + (f" · ended {moment(run.finished_at)}" if run.finished_at else "")
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        if progress.is_final:
            if may_somewhere(page.installation(), by, Action.RUN_EXPORT):
                _run_again_button(run, by)
                if Retries(page.installation()).is_offered(run):
                    _retry_button(run, by)
        elif may_somewhere(page.installation(), by, Action.CANCEL_RUN):
            _cancel_button(run, by)
        link("runs", "All runs of this export", icon=":material/history:", export=run.export_name)
    if progress.is_final and st.session_state.pop("run_canceling", None) == run.id:
        st.info("The run ended by itself before it was canceled.", icon=":material/info:")


def _button(
    action: Action, run: Run, by: Person, label: str, *, key: str, icon: str, tip: str
) -> bool:
    """Disabled, with the reason for a tip, where the person may not do it with this run."""
    why_not = Runs(page.installation()).why_not(action, run, by=by)
    tip = plain(why_not) if why_not else tip
    return st.button(label, key=key, icon=icon, disabled=why_not is not None, help=tip or None)


def _run_again_button(run: Run, by: Person) -> None:
    tip, icon = "Queues the export as it is set up now.", ":material/replay:"
    if _button(Action.RUN_EXPORT, run, by, "Run again", key="run_again", icon=icon, tip=tip):
        with page.errors_shown():
            new = RunProgress(page.installation()).run_again(run.id, by=by)
            go_to_run(new.id)


def _retry_button(run: Run, by: Person) -> None:
    tip = "Queues a run of the contacts that failed here, as they were sent, and of no others."
    icon = ":material/redo:"
    if _button(Action.RETRY_RUN, run, by, "Retry failed", key="run_retry", icon=icon, tip=tip):
        with page.errors_shown():
            go_to_run(Retries(page.installation()).retry(run.id, by=by).run.id)


def _cancel_button(run: Run, by: Person) -> None:
    if run.cancel_requested_by:
        st.markdown(
            f"{plain(run.cancel_requested_by)} asked to cancel; it ends at its next safe point."
        )
        return
    icon = ":material/cancel:"
    if _button(Action.CANCEL_RUN, run, by, "Cancel run", key="run_cancel", icon=icon, tip=""):
        st.session_state["run_canceling"] = run.id
    if st.session_state.get("run_canceling") == run.id:  # it stays open when the page is drawn anew
        _ask_to_cancel(run, by)


def _close_dialog() -> None:
    st.session_state.pop("run_canceling", None)


@st.dialog("Cancel this run?", on_dismiss=_close_dialog)
def _ask_to_cancel(run: Run, by: Person) -> None:
    st.markdown(
        f"Run {run.id} of “{plain(run.export_name)}” ends at its next safe point. What has been sent to "
        f"“{plain(run.list_name or run.list_id)}” stays there; the rest is not sent. A canceled run does not go on; "
        "the export can be run again."
    )
    with st.container(horizontal=True):
        yes = st.button("Cancel the run", key="run_cancel_yes", type="primary")
        no = st.button("Let it run", key="run_cancel_no")
    if yes:
        with page.errors_shown():
            Runs(page.installation()).request_cancel(run.id, by=by)
            no = True
    if no:
        _close_dialog()
        st.rerun()


# --- live: headline, progress, where each profile is ---------------------------------------------


def live(first: Progress, *, by: Person) -> None:
    """Draws itself again every two seconds until the run has ended; a run that has ended has no timer."""
    seconds, run_id = live_parts.every(LIVE_SECONDS), first.run.id

    @st.fragment(run_every=None if first.is_final else seconds)
    def draw() -> None:
        page.begin_again(by)
        with page.errors_shown():
            now = first
            if live_parts.repeats() and not first.is_final:
                read = RunProgress(page.installation()).of
                now = live_parts.recent(("run", run_id), lambda: read(run_id))
            if _is_other(now.run, first.run) or live_parts.is_too_often(seconds, LIVE_SECONDS):
                st.rerun()  # the head, the buttons and those left out have changed as well
            st.subheader(plain(headline(now)), anchor=False)
            _trouble(now, by)
            if not now.is_final:
                progress_bar(now)
            _stages(now)
            if now.funnel.read:
                _funnel(now.funnel, "not sent" if now.is_final else "not sent yet")
            if now.run.to_remove_count:
                st.markdown(taken_off.said(now.run))

    draw()


def _is_other(now: Run, before: Run) -> bool:
    return (now.state, now.read_count, now.cancel_requested_by) != (
        before.state,
        before.read_count,
        before.cancel_requested_by,
    )


def _trouble(progress: Progress, by: Person) -> None:
    run = progress.run
    if run.error:
        show = st.error if run.state is RunState.FAILED else st.warning
        show(plain(run.error), icon=":material/error:")
    if run.state is RunState.WAITING:
        st.warning(plain(waiting_words(run) or ""), icon=":material/hourglass_empty:")
        if run.waiting_for is WaitingFor.SIGN_IN:
            link_for_administrators("connections", "Sign in again", icon=":material/login:", by=by)
        elif run.is_held:
            held.ask(run, by=by)
        elif run.waiting_for is WaitingFor.APPROVAL:
            st.markdown(plain(run.waiting_detail or ""))
            link_for_administrators(
                "connections", "Go to Connections", icon=":material/link:", by=by
            )
    if not progress.is_final and not progress.workers:
        st.warning(
            "No worker is running, so this run does not go on. Start one: `python -m ccexport worker`",
            icon=":material/power_off:",
        )


def _stages(progress: Progress) -> None:
    took = time_taken(progress.run, utc_now())
    with st.container(horizontal=True):
        for stage in progress.stages:
            if progress.run.state is RunState.SUCCEEDED and not stage.is_done:
                continue  # there was nothing to do in it
            st.markdown(_say_stage(stage, progress.run), width="content")
        if took:
            st.markdown(
                f":material/timer: {duration(took.total_seconds())} in all", width="content"
            )


def _say_stage(stage: Stage, run: Run) -> str:
    name = STATE_WORDS[stage.state][0]
    files = f" {stage.done:,} of {stage.total:,} files" if stage.total else ""
    seconds = f" · {duration(stage.seconds)}" if stage.seconds >= 0.5 else ""
    if stage.is_done:
        return f":material/check_circle: {name}{files}{seconds}"
    if stage.is_now and run.state is RunState.WAITING:
        return f":material/hourglass_empty: **{name}**{files}{seconds}"
    if stage.is_now:
        return f":material/play_circle: **{name}**{files}{seconds}"
    return f":material/radio_button_unchecked: {name}{files}"


def _funnel(funnel: Funnel, not_sent: str) -> None:
    st.subheader("Where each profile went", anchor=False)
    charts.funnel(funnel, key="run_funnel")
    st.markdown(
        "\n".join(
            f"- **{total:,} {what}** = {_sum(parts)}"
            for total, what, parts in (
                (
                    funnel.read,
                    "read",
                    [(funnel.prepared, "prepared"), (funnel.left_out, "left out")],
                ),
                (
                    funnel.prepared,
                    "prepared",
                    [
                        (funnel.sent, "sent"),
                        (funnel.unchanged, "unchanged"),
                        (funnel.suppressed, "had left the list"),
                        (funnel.not_sent, not_sent),
                    ],
                ),
                (
                    funnel.sent,
                    "sent",
                    [
                        (funnel.accepted, "on the list"),
                        (funnel.in_progress, "being worked on"),
                        (funnel.unsubscribed, "had unsubscribed"),
                        (funnel.failed, "failed"),
                    ],
                ),
            )
            if total or what == "read"
        )
    )


def _sum(parts: Sequence[tuple[int, str]]) -> str:
    shown = [part for index, part in enumerate(parts) if index == 0 or part[0]]
    return " + ".join(f"{count:,} {what}" for count, what in shown)


# --- those left out ------------------------------------------------------------------------------


@st.fragment
def left_out(run: Run, by: Person) -> None:
    """Reasons with counts; the profiles to search and to download."""
    page.begin_again(by)
    if not (run.rejected_count or run.suppressed_count):
        return
    away = f", kept away: {run.suppressed_count:,}" if run.suppressed_count else ""
    st.subheader(f"Left out: {run.rejected_count:,}{away}", anchor=False)
    reasons = {**run.rejections, SUPPRESSED: run.suppressed_count}
    ordered = sorted(((r, n) for r, n in reasons.items() if n), key=lambda item: -item[1])
    st.markdown(
        "\n".join(f"- **{count:,}** {plain(reason_words(reason))}" for reason, count in ordered)
    )
    progress = RunProgress(page.installation())
    with page.errors_shown():
        if not progress.has_rejections(run.id):
            where = (
                "no longer kept (CCEXPORT_RETENTION_DAYS)"
                if run.files_deleted_at
                else "not on this machine"
            )
            st.caption(f"The list of these profiles is {where}; their number is kept.")
            return
        shown = st.expander(
            "See who", key="run_left_out", icon=":material/person_search:", on_change="rerun"
        )
        if shown.open:
            with shown:
                _rejected(run, progress, [reason for reason, _ in ordered], by)
        if not may(page.installation(), by, Action.SEE_VALUES):
            st.caption("Addresses are masked for your role, and the file of them is not for it.")
            return
        downloads.button(
            "Download as CSV",
            lambda: progress.rejected_csv(run.id, by=by),
            file_name=f"run-{run.id}-left-out.csv",
            key="run_download",
        )
        st.caption(
            f"The file holds addresses: delete it when done. {plain(HOW_IT_IS_MARKED)} "
            "`runs rejected` gives each cell as it is."
        )


def _rejected(run: Run, progress: RunProgress, reasons: Sequence[str], by: Person) -> None:
    with st.container(horizontal=True):
        options = [ALL_REASONS, *reasons]
        chosen = st.selectbox(
            "Reason", options, key="run_reason", format_func=reason_words, width=320
        )
        search = st.text_input("Customer id or address", key="run_search", width=280)
    with st.spinner("Looking through those left out …"):
        found = progress.rejected(
            run.id, by=by, reason=None if chosen == ALL_REASONS else chosen, search=search
        )
    if not found.matching:
        st.markdown("No profile matches. Choose another reason, or search for something else.")
        return
    columns = ["Customer id", "Email", "Reason", "Sent instead"]
    table = pd.DataFrame(found.rows, columns=columns)
    table["Reason"] = table["Reason"].map(reason_words)
    st.dataframe(table, key="run_rejected", hide_index=True, alt="Profiles left out")
    if found.matching > len(found.rows):
        st.caption(f"The first {SHOWN_REJECTIONS:,} of {found.matching:,}; the download has all.")
