"""What the page System is made of."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import streamlit as st

from ccexport.services.operations.health import Finding, examine
from ccexport.services.operations.system import System, Version
from ccexport.services.people.access import Person
from ccexport.ui import page
from ccexport.ui.page import plain
from ccexport.words import moment

WORKER_COMMAND = "python -m ccexport worker"


@st.fragment(run_every="10s")
def workers(by: Person) -> None:
    """Who works, drawn anew every ten seconds; with nobody there, how to start one."""
    page.begin_again(by)
    with page.errors_shown():
        system = System(page.installation())
        alive, words = system.workers(), system.attendance().in_words
        words = words[:1].upper() + words[1:]
        if alive and words:
            st.warning(f"{plain(words)}. Look at the log of the worker.", icon=":material/alarm:")
        if not alive:
            st.error(
                f"{plain(words)}. Runs stay queued until one is there. Start one with this command, here or on any "
                "machine with the same settings:",
                icon=":material/engineering:",
            )
            st.code(WORKER_COMMAND, language=None)
            return
        now = system.now()
        rows = [
            {
                "Worker": worker.host,
                "Last heartbeat": ago(now - worker.heartbeat_at),
                "Process": str(worker.pid),
                "Version": worker.version,
                "Started": moment(worker.started_at),
            }
            for worker in alive
        ]
        st.dataframe(pd.DataFrame(rows), hide_index=True, key="system_workers")


def budget() -> None:
    """The day's requests: used, left, and when they begin anew."""
    today = System(page.installation()).budget()
    share = min(1.0, today.used / today.limit)
    with st.container(horizontal=True, gap="large"):
        st.metric("Used", f"{today.used:,}", width="content")
        st.metric("Left", f"{today.left:,}", width="content")
        st.metric("Allowed a day", f"{today.limit:,}", width="content")
    st.progress(share, text=f"{share:.0%} used; begins anew at {moment(today.resets_at)}")
    if today.exhausted:
        st.warning(
            "Constant Contact says that today's requests are used up. Runs wait and go on by themselves afterwards.",
            icon=":material/hourglass_top:",
        )


def checks() -> None:
    """Looks at everything when asked: source and Constant Contact may take a few seconds."""
    if st.button("Check everything", key="system_check", icon=":material/stethoscope:"):
        with st.spinner("Looking at store, source, disk and every connection …"):
            findings = list(examine(page.installation()))
        for finding in findings:
            _show(finding)
        if all(finding.ok for finding in findings):
            st.success("All is well.", icon=":material/check:")
    else:
        st.caption("Store, source, disk, clock and every connection; it takes a few seconds.")


def places() -> None:
    """Store, source and versions; the settings, secrets masked."""
    system = System(page.installation())
    with st.container(border=True):
        for label, text in system.places():
            st.markdown(f":small[:gray[{label}]]  \n{plain(text)}")
    with st.expander("Versions"):
        st.dataframe(_versions(system.versions()), hide_index=True, key="system_versions")
    with st.expander("Settings"):
        st.caption("Environment variables, or lines of the file .env. Secrets are not shown.")
        shown = pd.DataFrame(system.settings(), columns=["Variable", "Value"])
        st.dataframe(shown, hide_index=True, key="system_settings")


def ago(span: timedelta) -> str:
    """`12 s ago`, `3 min ago`."""
    seconds = max(0, round(span.total_seconds()))
    return f"{seconds} s ago" if seconds < 120 else f"{seconds // 60:,} min ago"


def _show(finding: Finding) -> None:
    subject = finding.subject[:1].upper() + finding.subject[1:]
    text = f"**{plain(subject)}**: {plain(finding.text)}"
    if finding.ok:
        st.markdown(f":green[:material/check_circle:] {text}")
    else:
        st.error(text, icon=":material/error:")


def _versions(versions: list[Version]) -> pd.DataFrame:
    return pd.DataFrame([{"Program": one.program, "Version": one.version} for one in versions])
