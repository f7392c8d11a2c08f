"""Sending one batch: intent, POST, outcome, each durable before the next."""

from __future__ import annotations

import hashlib

from ccexport.constantcontact.client import Client
from ccexport.errors import (
    AccessDenied,
    ConstantContactRefused,
    NotConnected,
    OutcomeUnknown,
    RetryableError,
    StoreError,
)
from ccexport.preparation.files import render_file
from ccexport.redaction import redact
from ccexport.states import BatchState
from ccexport.steps.preparing import CONTACTS, mapping_of
from ccexport.steps.tools import Tools
from ccexport.store.runs import Held
from ccexport.store.tables import Batch, Run


def send_batch(held: Held, run: Run, batch: Batch, client: Client, tools: Tools) -> None:
    """Send one pending batch.

    A lost answer leaves it in `sending`, to be looked up, and raises `OutcomeUnknown`. What was certainly not done puts
    it back and goes up. A refusal of this file fails the batch and nothing else.
    """
    content = _content(run, batch, tools)
    batch = tools.batches.move(
        held,
        batch,
        BatchState.SENDING,
        attempts=batch.attempts + 1,
        sending_at=tools.now(),
    )
    tools.reached("intent committed")
    try:
        activity = client.import_contacts(batch.file_name, content, run.list_id)
    except OutcomeUnknown:
        raise
    except (RetryableError, NotConnected, AccessDenied) as error:
        tools.batches.move(held, batch, BatchState.PENDING, detail=str(error))
        raise
    except ConstantContactRefused as error:
        words = redact(error.detail or str(error))
        tools.batches.move(
            held,
            batch,
            BatchState.FAILED,
            detail=words,
            errors=[words],
            failed_rows=batch.rows,
            finished_at=tools.now(),
        )
        return
    tools.reached("posted")
    record_submitted(held, batch, activity.activity_id, tools)
    tools.reached("outcome committed")


def record_submitted(
    held: Held, batch: Batch, activity_id: str, tools: Tools, detail: str = ""
) -> None:
    """Constant Contact has the file: from here on the activity is followed."""
    tools.batches.move(
        held,
        batch,
        BatchState.SUBMITTED,
        activity_id=activity_id,
        submitted_at=tools.now(),
        detail=detail,
    )


def _content(run: Run, batch: Batch, tools: Tools) -> bytes:
    contacts = tools.run_files.rows(run.id, CONTACTS, batch.first_row, batch.rows)
    content = render_file(contacts, mapping_of(run).fields)
    if hashlib.sha256(content).hexdigest() != batch.digest:
        raise StoreError(
            f"The files of run {run.id} are not the ones that were prepared. Cancel the run and run the export again."
        )
    return content
