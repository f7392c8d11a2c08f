"""Sending one batch: intent, POST, outcome, each durable before the next."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from ccexport.constantcontact.client import Client
from ccexport.errors import (
    AccessDenied,
    ApplicationRefused,
    ConstantContactRefused,
    InTheWay,
    NotConnected,
    NotFoundThere,
    OutcomeUnknown,
    RetryableError,
    StoreError,
)
from ccexport.runs.halving import record_refusal
from ccexport.runs.preparing import file_of
from ccexport.runs.tools import ConnectionRemoved, Tools
from ccexport.states import BatchState
from ccexport.store.database.tables import Batch, Run
from ccexport.store.moves import Held

MAX_TIMES_IN_THE_WAY = 3  # a file that meets 409 so often is what is in the way itself


class FilesAhead:
    """Renders the files of a run, the next one while the present one is on its way. Holds two of them at most."""

    def __init__(self, run: Run, tools: Tools) -> None:
        self._run = run
        self._tools = tools
        self._renderer = ThreadPoolExecutor(1, thread_name_prefix="render")
        self._ahead: dict[
            str, Future[bytes]
        ] = {}  # by file name: a batch that was halved has another

    def __enter__(self) -> FilesAhead:
        return self

    def __exit__(self, *_: object) -> None:
        self._renderer.shutdown(cancel_futures=True)

    def content(self, batch: Batch, following: Batch | None) -> bytes:
        """The file of `batch`; the one of `following` is begun."""
        present = self._ahead.pop(batch.file_name, None)
        if following is not None and following.file_name not in self._ahead:
            self._ahead[following.file_name] = self._renderer.submit(self._render, following)
        return self._render(batch) if present is None else present.result()

    def _render(self, batch: Batch) -> bytes:
        content, digest = file_of(self._run, batch.first_row, batch.rows, self._tools)
        if digest != batch.digest:
            raise StoreError(
                f"The files of run {self._run.id} are not the ones that were prepared. "
                "Cancel the run and run the export again."
            )
        return content


def send_batch(
    held: Held, run: Run, batch: Batch, content: bytes, client: Client, tools: Tools
) -> None:
    """Send one pending batch.

    A lost answer leaves it in `sending`, to be looked up, and raises `OutcomeUnknown`. What was certainly not done puts
    it back and goes up. A refusal of the file halves it; one that no file can mend stops the run.
    """
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
    except ConnectionRemoved:  # before it was sent
        tools.batches.move(held, batch, BatchState.PENDING)
        raise
    except InTheWay as error:
        if batch.attempts < MAX_TIMES_IN_THE_WAY and not batch.halvings:
            tools.batches.move(held, batch, BatchState.PENDING, detail=str(error))
            raise
        record_refusal(held, run, batch, error, tools)
        return
    except (RetryableError, NotConnected, AccessDenied, ApplicationRefused) as error:
        tools.batches.move(held, batch, BatchState.PENDING, detail=str(error))
        raise
    except NotFoundThere as error:  # the list is gone, whatever the file
        tools.batches.move(held, batch, BatchState.PENDING, detail=str(error))
        tools.runs.stop(held, str(error))
        return
    except ConstantContactRefused as error:
        record_refusal(held, run, batch, error, tools)
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
