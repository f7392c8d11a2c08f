"""Following what was sent: one look at the account's activities judges every batch that has ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from ccexport.constantcontact.client import Client
from ccexport.constantcontact.model import Activity
from ccexport.errors import (
    AccessDenied,
    ApplicationRefused,
    ConstantContactRefused,
    NotConnected,
    NotFoundThere,
    ServiceTrouble,
)
from ccexport.redaction import redact, with_their_words
from ccexport.runs.outcomes import first_words, judge_activity
from ccexport.runs.sending import record_submitted
from ccexport.runs.tools import ACTIVITY_DEADLINE, Tools
from ccexport.states import BatchState
from ccexport.store.batches import Ended
from ccexport.store.database.tables import Batch, Run
from ccexport.store.moves import Held

MAX_WORDS = 500  # characters of what is kept about one row


@dataclass(frozen=True)
class Settled:
    """How many seconds what one look settled had taken: the longest since it began to be sent, and the shortest since
    it had been sent (None where only lost answers were settled)."""

    longest: float
    shortest: float | None


def follow_batches(
    held: Held,
    run: Run,
    batches: list[Batch],
    client: Client,
    tools: Tools,
    news_since: datetime,
) -> Settled | None:
    """Look once; record what ended and what a lost answer left unknown. Gives None where nothing was settled.

    A look of another run is used where it is young, and from after `news_since`.
    """
    open_batches = [b for b in batches if b.state in (BatchState.SENDING, BatchState.SUBMITTED)]
    if not open_batches:
        return None
    sent_at = max(b.submitted_at or b.sending_at or tools.now() for b in open_batches)
    young = tools.now() - timedelta(seconds=tools.poll_seconds / 2)
    with _trouble_where_refused():
        activities = tools.activities.look(
            run.connection_id or 0,
            client,
            not_before=max(sent_at, news_since, young),
            wanted={batch.file_name for batch in open_batches},
        )
    seen_at = tools.now()
    by_id = {activity.activity_id: activity for activity in activities}
    by_name = {activity.file_name: activity for activity in activities}
    settled = [
        batch
        for batch in open_batches
        if (
            _look_up(held, batch, by_name.get(batch.file_name), tools)
            if batch.state is BatchState.SENDING
            else _follow(held, batch, by_id.get(batch.activity_id or ""), client, tools)
        )
    ]
    return _took(settled, seen_at) if settled else None


def _took(settled: Sequence[Batch], seen_at: datetime) -> Settled:
    longest = max((seen_at - (batch.sending_at or seen_at)).total_seconds() for batch in settled)
    sent = [batch.submitted_at for batch in settled if batch.submitted_at]
    return Settled(longest, (seen_at - max(sent)).total_seconds() if sent else None)


@contextmanager
def _trouble_where_refused() -> Iterator[None]:
    """To fail to read what became of a file is not the file's failure: it is looked at again, later."""
    try:
        yield
    except (NotConnected, AccessDenied, ApplicationRefused):
        raise
    except ConstantContactRefused as error:
        message = f"Constant Contact does not show what became of the files ({error.status}). It is asked again."
        raise ServiceTrouble(with_their_words(message, error.detail)) from None


def _look_up(held: Held, batch: Batch, found: Activity | None, tools: Tools) -> bool:
    """A batch whose POST may or may not have arrived: found, or proven absent, or still unknown."""
    if found is not None:
        record_submitted(held, batch, found.activity_id, tools, "found by its file name")
        return True
    unseen_seconds = tools.activities.unseen_seconds(batch.file_name, batch.attempts)
    if unseen_seconds < tools.lookup_grace_seconds:
        return False
    tools.batches.move(
        held, batch, BatchState.PENDING, detail="not at Constant Contact: sent again"
    )
    return True


def _follow(
    held: Held, batch: Batch, activity: Activity | None, client: Client, tools: Tools
) -> bool:
    with _trouble_where_refused():
        activity = activity or _asked_alone(client, batch.activity_id or "")
    if activity is None:
        return _give_up(held, batch, "Constant Contact no longer knows the activity.", tools)
    if activity.is_terminal:
        _record_end(held, batch, activity, tools)
        tools.reached("batch ended")
        return True
    if batch.submitted_at and tools.now() - batch.submitted_at > ACTIVITY_DEADLINE:
        hours = int(ACTIVITY_DEADLINE.total_seconds() // 3600)
        words = f'The activity did not end within {hours} hours (its state is "{activity.state}").'
        return _give_up(held, batch, words, tools)
    return False


def _asked_alone(client: Client, activity_id: str) -> Activity | None:
    """An activity that is not among the account's; None where it is gone, ten days after its end."""
    try:
        return client.activity(activity_id)
    except NotFoundThere:
        return None


def _record_end(held: Held, batch: Batch, activity: Activity, tools: Tools) -> None:
    outcome = judge_activity(activity, batch.rows)
    problems = [outcome.problem] if outcome.problem else []
    ended = Ended(
        outcome.state,
        outcome.failed_rows,
        errors=[*problems, *(redact(text) for text in first_words(activity.errors))],
        named={row: redact(words)[:MAX_WORDS] for row, words in outcome.named.items()},
        detail=outcome.problem,
        values={
            "person_count": activity.person_count,
            "error_count": activity.error_count,
            "correctable_count": activity.correctable_count,
            "unsubscribed_count": activity.cannot_add_count,
        },
    )
    tools.batches.end(held, batch, ended)


def _give_up(held: Held, batch: Batch, words: str, tools: Tools) -> bool:
    tools.batches.end(held, batch, Ended(BatchState.FAILED, batch.rows, [words], detail=words))
    return True
