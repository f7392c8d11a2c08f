"""One run, from queued to its end: read this first.

    queued → preparing → uploading → confirming → succeeded | completed_with_errors | failed | canceled | skipped
                  any of them ⇄ waiting

Every step commits its intent before it acts and its outcome after, so `execute_run` can be called again after a crash
at any line. A batch found in `sending` may or may not have arrived: it is looked up by its unique file name first.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from ccexport.errors import (
    AccessDenied,
    ApplicationRefused,
    NeedsAdministrator,
    NotConnected,
    RetryableError,
    SetupError,
    StoreError,
)
from ccexport.redaction import with_their_words
from ccexport.runs.listing import ON_LIST
from ccexport.runs.outcomes import RunTotals, judge_run
from ccexport.runs.preparing import ask, prepare_run
from ccexport.runs.removing import leaving_of, take_off_list
from ccexport.runs.tools import ConnectionRemoved, StopAsked, Tools
from ccexport.runs.uploading import give_up_pending, timed, upload_and_confirm
from ccexport.runs.waiting import wait_or_cancel, wake_if_cleared, wake_if_signed_in
from ccexport.states import BatchState, Mode, RunState
from ccexport.store.database.tables import Run
from ccexport.store.ledgers import Target
from ccexport.store.moves import Held, LeaseLost

log = logging.getLogger(__name__)

NOT_SENT = (BatchState.PENDING, BatchState.CANCELED)


def execute_run(held: Held, tools: Tools) -> None:
    """Take one run as far as it can go now. Safe to call again after a crash at any line.

    Raises `StoreError` if the store cannot be written; the caller releases the run when it can.
    """
    began_at = tools.now()
    try:
        with _removal_recognized(held, tools):
            _go(held, tools)
    except ConnectionRemoved:
        tools.runs.end_without_connection(held)
        log.info("run %d: its connection was removed", held.run_id)
    except StopAsked:
        tools.runs.release(held)
        log.info("run %d: let go", held.run_id)
    except LeaseLost:
        log.warning("run %d: another worker has it, or it ended", held.run_id)
    except NeedsAdministrator as error:
        wait_or_cancel(held, error, tools)
        wake_if_cleared(held, tools)
    except (StoreError, RetryableError) as error:  # a store that takes nothing raises once more
        wait_or_cancel(held, error, tools)
    except NotConnected as error:
        wait_or_cancel(held, error, tools)
        wake_if_signed_in(held, began_at, tools)
    except (AccessDenied, ApplicationRefused) as error:
        _stop_or_wait_for_a_person(held, error, tools)
        wake_if_signed_in(held, began_at, tools)
    except SetupError as error:
        _fail(held, error, tools)
    except Exception:  # a bug of ours: the run ends and says so, the worker lives on
        number = uuid.uuid4().hex[:8]
        log.exception("run %d: error %s", held.run_id, number)
        tools.runs.finish(held, RunState.FAILED, error=_our_fault(number))


def _go(held: Held, tools: Tools) -> None:
    run = tools.check_connected(held)
    if run.state is RunState.WAITING:
        run = tools.runs.resume(held)
    if run.state is RunState.QUEUED and not run.cancel_requested_by:
        run = tools.runs.move(held, RunState.PREPARING, started_at=tools.now())
        tools.reached("preparing")
    if run.state is RunState.PREPARING and not run.cancel_requested_by:
        with timed(held, RunState.PREPARING, tools):
            asking = prepare_run(held, run, tools)
        if asking is not None:
            ask(held, asking, tools)
            log.info("run %d waits for an approval of what it would change", held.run_id)
            return
    upload_and_confirm(held, tools)
    take_off_list(held, tools)
    _finish(held, tools)


def _finish(held: Held, tools: Tools) -> None:
    run = tools.check_connected(held)
    if run.cancel_requested_by or run.stop_reason:
        give_up_pending(held, run, tools)
    batches = tools.batches.of_run(held.run_id)
    totals = RunTotals(
        read=run.read_count,
        placed=tools.ledgers.sizes(Target.of(run))[0] if run.read_count == 0 else 0,
        prepared=run.prepared_count,
        to_send=run.new_count + run.changed_count,
        submitted=run.submitted_count,
        unsubscribed=run.unsubscribed_count,
        failed=run.failed_count,
        batches=len(batches),
        failed_batches=sum(batch.state is BatchState.FAILED for batch in batches),
        not_sent=sum(batch.rows for batch in batches if batch.state is BatchState.CANCELED),
        stop_reason=run.stop_reason or "",
        to_remove=sum(
            each.people - each.removed
            for each in tools.removals.of_run(held.run_id)
            if each.state is not BatchState.CANCELED
        ),
        stay=_who_stay(run, tools),
    )
    tools.reached("before the end")
    state, message = judge_run(totals, canceled=bool(run.cancel_requested_by))
    tools.runs.finish(held, state, error=message)
    tools.run_files.drop(held.run_id, ON_LIST)  # it holds people who are none of ours
    log.info("run %d: %s", held.run_id, state)


def _who_stay(run: Run, tools: Tools) -> int:
    """Of those whom the export placed, who are left on the list since the run cannot be sure that they should go."""
    if Mode(run.mode) is not Mode.MIRROR or run.retry_of is not None:
        return 0
    return leaving_of(run, tools).unseen


def _stop_or_wait_for_a_person(
    held: Held, error: AccessDenied | ApplicationRefused, tools: Tools
) -> None:
    """A person has to mend the sign-in. If anything was sent, wait: failing now would leave the totals open."""
    states = {batch.state for batch in tools.batches.of_run(held.run_id)}
    states |= {removal.state for removal in tools.removals.of_run(held.run_id)}
    if states - set(NOT_SENT):
        wait_or_cancel(held, error, tools)
    else:
        _fail(held, error, tools)


def _fail(held: Held, error: SetupError, tools: Tools) -> None:
    tools.runs.finish(held, RunState.FAILED, error=with_their_words(str(error), error.detail))
    log.error("run %d failed: %s", held.run_id, error)


def _our_fault(number: str) -> str:
    return (
        f"ccexport made an error of its own (number {number}). The worker's log has the details; "
        "what was sent is kept. Run the export again."
    )


@contextmanager
def _removal_recognized(held: Held, tools: Tools) -> Iterator[None]:
    """Once its connection is gone, every failure of a step is due to that. Raises `ConnectionRemoved` then."""
    try:
        yield
    except (ConnectionRemoved, StopAsked, LeaseLost, StoreError):
        raise
    except Exception as error:
        if tools.runs.get(held.run_id).connection_id is None:
            raise ConnectionRemoved(f"run {held.run_id}") from error
        raise
