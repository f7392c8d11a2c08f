"""What the page Home is made of: what runs, what needs a person, the day's budget, what comes next, thirty days."""

from __future__ import annotations

from datetime import timedelta

import streamlit as st

from ccexport.clock import utc_now
from ccexport.services.connections.connections import SIGN_IN_DAYS
from ccexport.services.people.access import RANK, Person, Role
from ccexport.services.people.permission import may_somewhere
from ccexport.services.people.roles import Action
from ccexport.services.runs.overview import Coming, FirstSteps, Now, Overview, ToDo, since_days
from ccexport.services.runs.progress import RunProgress
from ccexport.services.runs.run_words import headline
from ccexport.services.runs.runs import Runs
from ccexport.store.database.tables import Run
from ccexport.ui import charts, page
from ccexport.ui import live as live_parts
from ccexport.ui.page import plain
from ccexport.ui.screens import held
from ccexport.ui.screens.runs import (
    bold,
    link,
    link_for_administrators,
    progress_bar,
    run_badge,
    short,
    waiting_words,
)
from ccexport.words import counted, lasting, moment

DAYS = 30
LIVE_SECONDS, IDLE_SECONDS = 2, 10


def first_steps(steps: FirstSteps, *, by: Person) -> None:
    """What to do on the first day; gone once something has run. Each is for who may do it."""
    st.subheader("Three steps to the first contacts on a list", anchor=False)
    for number, done, name, where, title, words, least in (
        (
            1,
            steps.has_connection,
            "connections",
            "Connections",
            "Connect",
            "Sign in, once.",
            Role.ADMINISTRATOR,
        ),
        (
            2,
            steps.has_export,
            "export",
            "New export",
            "Set up an export",
            "See who is sent.",
            Role.CONTRIBUTOR,
        ),
        (
            3,
            steps.has_run,
            "exports",
            "Exports",
            "Run it",
            "Every profile is accounted for.",
            Role.CONTRIBUTOR,
        ),
    ):
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            mark = ":material/check_circle:" if done else f"{number}."
            st.markdown(f"{mark} **{title}**  \n{words}", width="stretch")
            if RANK[by.role] >= RANK[least]:
                link(name, where)
            else:
                st.caption(f"for {least.value}s", width="content")


def present(overview: Overview, *, by: Person, is_new: bool) -> None:
    """What changes by itself: workers, live runs, what needs a person. Draws itself again while one looks."""
    is_live = overview.is_live()
    asked = LIVE_SECONDS if is_live else IDLE_SECONDS
    seconds = live_parts.every(asked)

    @st.fragment(run_every=seconds)
    def draw() -> None:
        page.begin_again(by)
        with page.errors_shown():
            now = live_parts.recent("now", overview.now)
            _no_worker(now)
            _to_do(live_parts.recent("to do", overview.to_do), by=by)
            if now.live or not is_new:
                _live(now, by=by)
            if (now.live_total > 0) != is_live or live_parts.is_too_often(seconds, asked):
                st.rerun()  # with the other timer

    draw()


def _no_worker(now: Now) -> None:
    """Who is missing, and what is overdue: by a worker that is not there, or that does not get to it."""
    words = now.attendance.in_words
    if not words:
        return
    runs = f" {_runs(now.live_total)} until then." if now.live_total and not now.workers else ""
    what = "" if now.workers else f" Nothing is sent.{runs} Start one: `python -m ccexport worker`"
    st.warning(f"{plain(words[0].upper() + words[1:])}.{what}", icon=":material/power_off:")


def _runs(count: int) -> str:
    return "1 run waits" if count == 1 else f"{count:,} runs wait"


# --- what needs a person -------------------------------------------------------------------------


def _to_do(todo: ToDo, *, by: Person) -> None:
    if todo.is_empty:
        return
    st.subheader("Needs you", anchor=False)
    for view in todo.sign_ins:
        waits = f" {_runs(todo.waiting_for_sign_in)} for it." if todo.waiting_for_sign_in else ""
        name = plain(short(view.connection.name))
        with _item():
            st.markdown(
                f":material/key: Constant Contact no longer accepts the sign-in of “{name}”.{waits}",
                width="stretch",
            )
            link_for_administrators("connections", "Sign in again", icon=":material/login:", by=by)
    for view in todo.idle:
        name, days = plain(short(view.connection.name)), view.unused_days(utc_now())
        with _item():
            st.markdown(
                f":material/key: The sign-in of “{name}” has not been used for {days} days; unused for "
                f"{SIGN_IN_DAYS} it ends. Run an export over it, or test it.",
                width="stretch",
            )
            link_for_administrators("connections", "Test it", icon=":material/login:", by=by)
    for words in todo.waiting_connections:
        with _item():
            st.markdown(f":material/front_hand: {plain(words)}", width="stretch")
            link_for_administrators("connections", "Go to Connections", by=by)
    for run in todo.held:
        _held(run, by=by)
    for run in todo.approvals:
        with _item():
            st.markdown(_about(run, "waits for an approval"), width="stretch")
            link("run", "Open", run=run.id)
    for run in todo.failing:
        _failed(run, by=by)
    if (more := todo.failing_total - len(todo.failing)) > 0:
        link("runs", f"{more:,} more ended badly", icon=":material/history:", state="bad")
    if todo.detached:
        with _item():
            are = "export has" if todo.detached == 1 else "exports have"
            st.markdown(
                f":material/link_off: {todo.detached:,} {are} no connection.", width="stretch"
            )
            give = "Give it one" if todo.detached == 1 else "Give them one"
            link_for_administrators("exports", give, by=by)
    if todo.refresh_error is not None:
        with _item():
            error = plain(todo.refresh_error.error or "")
            st.markdown(
                f":material/sync_problem: The last refresh failed: {error}", width="stretch"
            )
            link_for_administrators("refresh", "Open Refresh", by=by)


def _item() -> st.delta_generator.DeltaGenerator:
    return st.container(border=True, horizontal=True, vertical_alignment="center")


def _about(run: Run, what: str) -> str:
    return f"{bold(short(run.export_name))}, run {run.id} {what}"


def _held(run: Run, *, by: Person) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(
                f":material/front_hand: {_about(run, 'asks before it sends')}", width="stretch"
            )
            link("run", "Open", run=run.id)
            done = held.answers(run, "home", by=by)
        st.caption(held.held_words(run))
    if done:
        st.rerun()


def _failed(run: Run, *, by: Person) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            run_badge(run.state)
            st.markdown(_about(run, f"· {moment(run.finished_at)}"), width="stretch")
            link("run", "Open", run=run.id)
            if may_somewhere(page.installation(), by, Action.RUN_EXPORT):
                _run_again_button(run, by=by)
        st.caption(plain(run.error or _some_failed(run)))


def _run_again_button(run: Run, *, by: Person) -> None:
    why_not = Runs(page.installation()).why_not(Action.RUN_EXPORT, run, by=by)
    clicked = st.button(
        "Run again",
        key=f"home_again_{run.id}",
        icon=":material/replay:",
        disabled=why_not is not None,
        help=plain(why_not) if why_not else None,
    )
    if clicked:
        with page.errors_shown():
            new = RunProgress(page.installation()).run_again(run.id, by=by)
            st.toast(f"Run {new.id} is queued.")


def _some_failed(run: Run) -> str:
    failed = f"{run.failed_count:,} of {run.submitted_count:,} contacts failed"
    return (
        f"{failed}; {run.not_sent_count:,} were not sent." if run.not_sent_count else f"{failed}."
    )


# --- what runs -----------------------------------------------------------------------------------


def _live(now: Now, *, by: Person) -> None:
    st.subheader("Running now", anchor=False)
    if not now.live:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown("Nothing runs at this moment.", width="content")
            if may_somewhere(page.installation(), by, Action.RUN_EXPORT):
                link("exports", "Run an export", icon=":material/play_arrow:")
    for progress in now.live:
        run = progress.run
        with st.container(border=True):
            with st.container(horizontal=True, vertical_alignment="center"):
                run_badge(run.state)
                st.markdown(bold(short(run.export_name)), width="stretch")
                link("run", f"Run {run.id}", run=run.id)
            st.markdown(plain(waiting_words(run) or headline(progress)))
            progress_bar(progress)
    if (more := now.live_total - len(now.live)) > 0:
        link("runs", f"{more:,} more", icon=":material/history:", state="live", days="all")


# --- what is and what comes ----------------------------------------------------------------------


def budget(overview: Overview) -> None:
    """The day's requests of the application: shared by all connections."""
    today = overview.budget()
    st.subheader("API budget today", anchor=False)
    used = today.limit if today.exhausted else today.used
    text = f"{today.used:,} of {today.limit:,} requests used, {today.left:,} left"
    st.progress(min(1.0, used / today.limit), text=text)
    if today.exhausted:
        st.caption("Constant Contact says that today's requests are gone, whatever the count here.")
    left = lasting(today.resets_at - utc_now())
    st.caption(f"Begins anew at {moment(today.resets_at)}, in {left}. All connections share it.")


def coming(next_up: Coming, *, by: Person, is_paused: bool = False) -> None:
    """The next times that something runs by itself."""
    st.subheader("Next runs", anchor=False)
    if is_paused:
        st.caption("Paused: what comes due meanwhile runs once, late, when everything goes on.")
    lines = [(each.next_run_at, short(each.name)) for each in next_up.exports]
    if next_up.refresh_at is not None:
        exports = counted(next_up.refresh_exports, "export")
        lines.append((next_up.refresh_at, f"Refresh of the segments, then {exports}"))
    if not lines:
        st.markdown("Nothing is scheduled.")
        icon = ":material/schedule:"
        link_for_administrators("refresh", "Schedule the refresh", icon=icon, by=by)
        return
    for at, what in sorted(lines):
        st.markdown(f"{bold(what)}  \n{moment(at)}, {_in(at - utc_now())}")


def _in(left: timedelta) -> str:
    if left.total_seconds() <= 0:
        return "due now"
    return f"in {counted(left.days, 'day')}" if left.days else f"in {lasting(left)}"


def thirty_days(overview: Overview) -> None:
    """Contacts sent and left out, by day."""
    st.subheader(f"The last {DAYS} days", anchor=False)
    sums = overview.daily(DAYS)
    if not sums:
        st.markdown(f"Nothing ran in the last {DAYS} days.")
        return
    today = utc_now()
    sent, left_out = sum(each.sent for each in sums), sum(each.left_out for each in sums)
    runs = counted(sum(each.runs for each in sums), "run")
    st.markdown(f"**{sent:,}** contacts sent and **{left_out:,}** profiles left out in {runs}.")
    charts.volumes(sums, since_days(DAYS, today).date(), today.date(), key="home_volumes")
