"""What failed at Constant Contact in a run, file by file: their words, the line, and whose it is."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from ccexport.services.people.access import Person
from ccexport.services.people.permission import may
from ccexport.services.people.roles import Action
from ccexport.services.runs.progress import FailedRow, RunProgress
from ccexport.services.runs.retries import Retries
from ccexport.services.runs.spreadsheets import HOW_IT_IS_MARKED
from ccexport.store.database.tables import Batch
from ccexport.ui import downloads, page
from ccexport.ui.page import plain
from ccexport.words import counted

FEW_FILES = 5  # more are chosen from a list
SHOWN_ROWS = 200


def errors(batches: Sequence[Batch], progress: RunProgress, by: Person) -> None:
    """Errors of each file of which something failed, once somebody asks for them, and all of them to download."""
    bad = [batch for batch in batches if batch.errors or batch.failed_rows]
    asked = _one_of(bad) if len(bad) > FEW_FILES else None
    if asked is not None:
        _table(progress.failed_rows(asked.run_id, asked.number, by=by), asked.number)
    for batch in bad if len(bad) <= FEW_FILES else []:
        shown = st.expander(
            _label(batch),
            key=f"run_errors_{batch.number}",
            icon=":material/report:",
            on_change="rerun",
        )
        if shown.open:
            with shown:
                _table(progress.failed_rows(batch.run_id, batch.number, by=by), batch.number)
    if bad and may(page.installation(), by, Action.SEE_VALUES):
        run_id = bad[0].run_id
        downloads.button(
            "Download what failed as CSV",
            lambda: Retries(page.installation()).failed_csv(run_id, by=by),
            file_name=f"run-{run_id}-failed.csv",
            key="run_failed_download",
        )
        st.caption(plain(HOW_IT_IS_MARKED))


def _one_of(bad: Sequence[Batch]) -> Batch | None:
    """The file that somebody wants to see the errors of."""
    by_number = {batch.number: batch for batch in bad}
    number = st.selectbox(
        f"Errors of {len(bad):,} files",
        list(by_number),
        index=None,
        placeholder="Choose a file",
        format_func=lambda each: _label(by_number[each]),
        key="run_errors_file",
    )
    return by_number.get(number) if number is not None else None


def _label(batch: Batch) -> str:
    failed = f"{counted(batch.failed_rows, 'row')} failed"
    errors = counted(len(batch.errors), "error") if batch.errors else failed
    return f"File {batch.number}: {errors}"


def _table(rows: Sequence[FailedRow], number: int) -> None:
    st.dataframe(
        pd.DataFrame(
            [(row.customer_id or "", row.line, row.text) for row in rows[:SHOWN_ROWS]],
            columns=["Customer id", "Line", "What Constant Contact said"],
        ),
        key=f"run_error_rows_{number}",
        hide_index=True,
        placeholder="",
        alt=f"Errors of file {number}",
        column_config={"What Constant Contact said": st.column_config.TextColumn(width="large")},
    )
    if len(rows) > SHOWN_ROWS:
        st.caption(f"The first {SHOWN_ROWS:,} of {len(rows):,}; the download has all.")
