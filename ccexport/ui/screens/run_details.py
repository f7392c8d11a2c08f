"""The lower half of the page Run: its files with Constant Contact's counters, and its timeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from ccexport.services.people.access import Person
from ccexport.services.runs.described import Progress
from ccexport.services.runs.progress import RunProgress
from ccexport.store.database.tables import Batch, RunEvent
from ccexport.ui import live as live_parts
from ccexport.ui import page
from ccexport.ui.page import plain
from ccexport.ui.screens import failed
from ccexport.ui.screens.runs import BATCH_WORDS, STATE_WORDS, TRIGGER_WORDS

DETAILS_SECONDS = 5


def show(first: Progress, *, by: Person) -> None:
    """Files with the service's own counters and errors, and the events. Draws itself again while the run is live."""

    seconds, run_id = live_parts.every(DETAILS_SECONDS), first.run.id

    @st.fragment(run_every=None if first.is_final else seconds)
    def draw() -> None:
        page.begin_again(by)
        with page.errors_shown():
            progress = RunProgress(page.installation())
            batches: Sequence[Batch] = first.batches
            if live_parts.repeats() and not first.is_final:
                batches = live_parts.recent(("files", run_id), lambda: progress.batches(run_id))
            if batches:
                st.subheader(f"Files: {len(batches):,}", anchor=False)
                _files(batches)
                failed.errors(batches, progress, by)
            _timeline(live_parts.recent(("events", run_id), lambda: progress.events(run_id)))

    draw()


def _files(batches: Sequence[Batch]) -> None:
    words, colours = zip(*BATCH_WORDS.values(), strict=True)
    number = st.column_config.NumberColumn
    st.dataframe(
        pd.DataFrame([_file(batch) for batch in batches]),
        key="run_files",
        hide_index=True,
        placeholder="",
        alt="Files of this run with Constant Contact's counters",
        column_config={
            "State": st.column_config.MultiselectColumn(
                options=list(words), color=list(colours), width=120
            ),
            "Contacts": number(format="localized"),
            "Size": number(format="bytes"),
            "Counted": number(
                format="localized", help="Contacts that Constant Contact counted in the file."
            ),
            "Errors": number(format="localized"),
            "Correctable": number(
                format="localized",
                help="Not imported; they wait at Constant Contact until a person corrects them there.",
            ),
            "Unsubscribed": number(
                format="localized", help="Opted out earlier: not put on the list."
            ),
        },
    )


def _file(batch: Batch) -> dict[str, Any]:
    return {
        "File": batch.number,
        "State": [BATCH_WORDS[batch.state][0]],
        "Contacts": batch.rows,
        "Counted": batch.person_count,
        "Errors": batch.error_count,
        "Correctable": batch.correctable_count,
        "Unsubscribed": batch.unsubscribed_count,
        "Size": batch.bytes,
        "Attempts": batch.attempts,
        "Activity": batch.activity_id or "",
        "Name": batch.file_name,
    }


def _timeline(events: Sequence[RunEvent]) -> None:
    own = [event for event in events if event.batch_number is None]
    st.subheader("Timeline", anchor=False)
    st.markdown("\n".join(_say_event(event) for event in own))
    of_files = [event for event in events if event.batch_number is not None]
    if not of_files:
        return
    shown = st.expander(f"Events of files: {len(of_files):,}", key="run_events", on_change="rerun")
    if shown.open:
        rows = [
            (
                event.at,
                event.batch_number,
                event.what.removeprefix("batch "),
                event.detail,
                event.who,
            )
            for event in of_files
        ]
        with shown:
            st.dataframe(
                pd.DataFrame(rows, columns=["At", "File", "What", "Detail", "Worker"]),
                key="run_file_events",
                hide_index=True,
                alt="Events of the files",
                column_config={
                    "At": st.column_config.DatetimeColumn(
                        "At (UTC)", format="YYYY-MM-DD HH:mm:ss", timezone="UTC"
                    )
                },
            )


def _say_event(event: RunEvent) -> str:
    what = _EVENT_WORDS.get(event.what, event.what.replace("_", " ").capitalize())
    detail = _TRIGGERS.get(event.detail, event.detail)
    detail = f": {plain(detail)}" if detail else ""
    return (
        f"- {event.at:%Y-%m-%d %H:%M:%S} UTC **{plain(what)}**{detail} · {plain(_who(event.who))}"
    )


_TRIGGERS = {trigger.value: words.lower() for trigger, words in TRIGGER_WORDS.items()}
_EVENT_WORDS = {state.value: words for state, (words, _) in STATE_WORDS.items()}


def _who(name: str) -> str:
    """A person, or of a worker its host: the rest of its name says nothing to people."""
    return name.split("/")[0] if name.count("/") == 3 else name
