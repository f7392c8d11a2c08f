"""What failed at Constant Contact in a run, file by file: their words, the line, and whose it is."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from ccexport.services.access import Person
from ccexport.services.permission import may
from ccexport.services.progress import FailedRow, RunProgress
from ccexport.services.retries import Retries
from ccexport.services.roles import Action
from ccexport.store.tables import Batch
from ccexport.ui import page
from ccexport.ui.format import counted

SHOWN_FILES = 20
SHOWN_ROWS = 200


def errors(batches: Sequence[Batch], progress: RunProgress, by: Person) -> None:
    """One part to open for each file of which something failed, and all of them to download."""
    bad = [batch for batch in batches if batch.errors or batch.failed_rows]
    for batch in bad[:SHOWN_FILES]:
        failed = f"{counted(batch.failed_rows, 'row')} failed"
        errors = counted(len(batch.errors), "error") if batch.errors else failed
        label = f"File {batch.number}: {errors}"
        shown = st.expander(
            label, key=f"run_errors_{batch.number}", icon=":material/report:", on_change="rerun"
        )
        if shown.open:
            with shown:
                _table(progress.failed_rows(batch.run_id, batch.number, by=by), batch.number)
    if len(bad) > SHOWN_FILES:
        st.caption(f"{len(bad) - SHOWN_FILES:,} more files have errors; the download has all.")
    if bad and may(page.parts(), by, Action.SEE_VALUES):
        run_id = bad[0].run_id
        st.download_button(
            "Download what failed as CSV",
            data=lambda: Retries(page.parts()).failed_csv(run_id, by=by),
            file_name=f"run-{run_id}-failed.csv",
            mime="text/csv",
            key="run_failed_download",
            icon=":material/download:",
            on_click="ignore",
        )


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
