"""Why a run waits and until when, and how it is woken by what happens just before the waiting is written.

Waits without progress grow; none counts as a failure.
"""

from __future__ import annotations

import logging
import random
from datetime import datetime, timedelta

from ccexport.errors import (
    AccessDenied,
    ApplicationRefused,
    CcexportError,
    NeedsAdministrator,
    NotConnected,
    QueueFull,
    QuotaExceeded,
    RateLimited,
    RetryableError,
)
from ccexport.redaction import with_their_words
from ccexport.runs.clearance import missing_consent, missing_export_user
from ccexport.runs.tools import Tools
from ccexport.states import RunState, WaitingFor
from ccexport.store.budget import next_reset
from ccexport.store.moves import Held
from ccexport.store.runs import Wait

log = logging.getLogger(__name__)

# The consequence of an error; every other one is trouble of the service.
WAITS: dict[type[CcexportError], WaitingFor] = {
    NotConnected: WaitingFor.SIGN_IN,
    AccessDenied: WaitingFor.SIGN_IN,
    ApplicationRefused: WaitingFor.SIGN_IN,
    NeedsAdministrator: WaitingFor.APPROVAL,
    QuotaExceeded: WaitingFor.QUOTA,
    QueueFull: WaitingFor.QUEUE,
}
FIRST_WAIT_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 15 * 60.0
QUEUE_WAIT_SECONDS = 120.0
QUOTA_JITTER_SECONDS = 120.0
ONE_DAY = timedelta(days=1)
# Clocks differ, and so may the moment when a day's count begins anew.
NEW_DAY_SETTLES = timedelta(minutes=15)
THROTTLED_MEANS_QUOTA = timedelta(minutes=5)


def wait_or_cancel(held: Held, error: CcexportError, tools: Tools) -> None:
    """Write that the run waits for what `error` says is missing, or end it where its end was asked for."""
    wait = why(error, held, tools)
    run = tools.runs.check_lease(held)
    if run.cancel_requested_by:
        tools.batches.cancel_pending(held)
        tools.runs.finish(held, RunState.CANCELED, error=f"Canceled while waiting: {wait.detail}")
        return
    tools.runs.wait(held, wait)
    log.info("run %d waits for %s: %s", held.run_id, wait.reason, wait.detail)


def why(error: CcexportError, held: Held, tools: Tools) -> Wait:
    """Which waiting an error means, and until when."""
    now, run = tools.now(), tools.runs.get(held.run_id)
    if isinstance(error, RateLimited) and tools.throttled_for() >= THROTTLED_MEANS_QUOTA:
        error = QuotaExceeded(
            "Constant Contact has refused every request for minutes as one too many, so the day's requests are held "
            "to be used up. It goes on after 00:00 UTC."
        )
    match _reason(error):
        case WaitingFor.SIGN_IN:
            tools.connections.set_needs_sign_in(run.connection_id or 0, needed=True)
            detail = "" if isinstance(error, NotConnected) else error.detail
            return Wait(WaitingFor.SIGN_IN, None, with_their_words(str(error), detail))
        case WaitingFor.APPROVAL:
            return Wait(WaitingFor.APPROVAL, None, str(error))
        case WaitingFor.QUOTA:
            return Wait(WaitingFor.QUOTA, _quota_until(now, tools), str(error))
        case WaitingFor.QUEUE:
            until = _next_try(error, now, run.waits, QUEUE_WAIT_SECONDS)
            return Wait(WaitingFor.QUEUE, until, str(error))
        case _:
            first = min(FIRST_WAIT_SECONDS, tools.poll_seconds)
            return Wait(WaitingFor.SERVICE, _next_try(error, now, run.waits, first), str(error))


def _reason(error: CcexportError) -> WaitingFor:
    found = (reason for kind, reason in WAITS.items() if isinstance(error, kind))
    return next(found, WaitingFor.SERVICE)


def _quota_until(now: datetime, tools: Tools) -> datetime:
    """A while after 00:00 UTC. Just after it the refusal may be about the day before: then soon, and no day is lost."""
    jitter = timedelta(seconds=random.uniform(1, QUOTA_JITTER_SECONDS))  # noqa: S311  # spreads load, hides nothing
    today = tools.budget.today()
    if today.used < today.limit and now + ONE_DAY - next_reset(now) < NEW_DAY_SETTLES:
        return now + NEW_DAY_SETTLES / 3 + jitter
    tools.budget.mark_exhausted()
    return next_reset(now) + jitter


def _next_try(error: Exception, now: datetime, waits: int, first_seconds: float) -> datetime:
    asked = error.retry_after_seconds if isinstance(error, RetryableError) else None
    seconds = max(min(first_seconds * 2 ** min(waits, 16), LONGEST_WAIT_SECONDS), asked or 0.0)
    return now + timedelta(seconds=seconds)


def wake_if_cleared(held: Held, tools: Tools) -> None:
    """Wake the run where an administrator stepped in before the waiting was written: they found no run to wake."""
    run = tools.runs.get(held.run_id)
    if run.connection_id is None:
        return
    view = tools.connections.view(run.connection_id)
    if not (missing_export_user(view) or missing_consent(view)):
        tools.runs.wake(held.run_id)


def wake_if_signed_in(held: Held, began_at: datetime, tools: Tools) -> None:
    """Wake the run where somebody signed in between the refusal and the waiting. It may be wrong, once."""
    run = tools.runs.get(held.run_id)
    if run.waiting_for is not WaitingFor.SIGN_IN or run.connection_id is None:
        return
    agreed_at = tools.connections.view(run.connection_id).agreed_at
    if agreed_at is not None and agreed_at > began_at:
        tools.connections.set_needs_sign_in(run.connection_id, needed=False)
        tools.runs.wake(held.run_id)
