"""Who is on the list now: a contact export of the list, written there, read into a file of the run.

The reading is known in the store from before it is asked for, so a run that is killed goes on with the same export. One
whose answer was lost is asked for again: it changes nothing there. Where the list cannot be had, the run says so and
goes on without: nobody is found to have left it then.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import islice

import numpy as np
import pyarrow as pa

from ccexport.constantcontact.client import Client
from ccexport.constantcontact.model import Activity
from ccexport.errors import ApplicationRefused, ConstantContactRefused, NotConnected
from ccexport.preparation.columns import text_array
from ccexport.preparation.keyed import keyed_hashes
from ccexport.redaction import with_their_words
from ccexport.runs.comparing import OnList
from ccexport.runs.poll_timer import PollTimer
from ccexport.runs.tools import Tools
from ccexport.states import EventKind, Mode
from ccexport.store.database.ledger_tables import ListReading
from ccexport.store.database.tables import Run
from ccexport.store.ledgers import Target
from ccexport.store.moves import Held

ON_LIST = "on_list"
ON_LIST_SCHEMA = pa.schema([("email", pa.string())])
LEAST_SHARE = 0.8  # of the list's own count: less is not the whole list
LONGEST = timedelta(hours=1)  # for the service to write it
_ROWS_AT_ONCE = 16_384
_WITHOUT = "Only new and changed people are sent, and nobody is taken for one who left the list"


class CancelAsked(Exception):
    """Somebody asked for the end of the run while it waited for the list, or its source was asked."""


class _NoList(Exception):
    """The list cannot be had; says why."""


class ListTakesLong(Exception):
    """The service has not written the list yet, and its reader has no more time."""


def ask_for_list(held: Held, run: Run, client: Client, tools: Tools) -> ListReading | None:
    """Have the service begin to write who is on the run's list, unless that was done; None where nobody wants it.

    What a person has to mend, and what a wait is for, is raised.
    """
    if Mode(run.mode) is Mode.FULL or run.retry_of is not None:
        return None
    reading = tools.ledgers.reading_of(run.id)
    if reading is None or (
        reading.people is not None and not tools.run_files.exists(run.id, ON_LIST)
    ):
        reading = ListReading(run_id=run.id, asked_at=tools.now())
        tools.ledgers.store_reading(reading)
        tools.reached("list intended")
    if reading.activity_id is None and reading.trouble is None:
        with _without_list(held, run, reading, tools), _refusal_is_no_list():
            reading.activity_id = client.export_list(run.list_id).activity_id
            tools.ledgers.store_reading(reading)
            tools.reached("list asked for")
    return reading


def read_list(
    held: Held, run: Run, client: Client, tools: Tools, *, within: timedelta = LONGEST
) -> datetime | None:
    """Write who is on the run's list into its file; as of when. None where that is not asked for, or cannot be had.

    Raises `CancelAsked`, `ListTakesLong`, what a wait is for, and what the person has to mend.
    """
    reading = ask_for_list(held, run, client, tools)
    if reading is None:
        return None
    if reading.people is None and reading.trouble is None:
        with _without_list(held, run, reading, tools):
            _fetch(held, run, reading, client, tools, within)
    return None if reading.trouble is not None else reading.asked_at


@contextmanager
def _without_list(held: Held, run: Run, reading: ListReading, tools: Tools) -> Iterator[None]:
    """A list that cannot be had is told, and the run goes on without it."""
    try:
        yield
    except _NoList as why:
        reading.trouble = str(why)
        also = ", or is taken off it" if Mode(run.mode) is Mode.MIRROR else ""
        tools.ledgers.store_reading(reading)
        tools.runs.note(held, EventKind.LIST_NOT_READ, f"{why} {_WITHOUT}{also}.")


def _fetch(
    held: Held, run: Run, reading: ListReading, client: Client, tools: Tools, within: timedelta
) -> None:
    """Wait for the end of the export, read it, and judge it."""
    with _refusal_is_no_list():
        activity = _ended(held, reading, client, tools, within)
        people = write_list(run, activity, client, tools)
        counted = client.list(run.list_id).membership_count
    _judge(people, counted, run, tools)
    tools.reached("list read")
    reading.people = people
    tools.ledgers.store_reading(reading)


@contextmanager
def _refusal_is_no_list() -> Iterator[None]:
    """A refusal of the export says nothing of the run's other requests, unless it is of the sign-in itself."""
    try:
        yield
    except (NotConnected, ApplicationRefused):
        raise
    except MemoryError as error:
        raise _NoList("The memory did not suffice to read who is on the list.") from error
    except ConstantContactRefused as error:
        said = with_their_words(str(error), error.detail)
        raise _NoList(f"Constant Contact did not give who is on the list: {said}") from error


def _ended(
    held: Held, reading: ListReading, client: Client, tools: Tools, within: timedelta
) -> Activity:
    began_at = tools.now()
    timer = PollTimer(tools.poll_seconds, reading.asked_at)  # it may be written by now
    while True:
        while left := timer.seconds_left(tools.now()):
            tools.pause(min(left, 2.0))
            if tools.check_connected(held).cancel_requested_by:
                raise CancelAsked
        activity = client.activity(reading.activity_id or "")
        if activity.is_completed:
            return activity
        if activity.is_terminal:
            raise _NoList(f"Constant Contact ended the export of the list as {activity.state}.")
        now = tools.now()
        if now - reading.asked_at > LONGEST:
            raise _NoList("Constant Contact did not write who is on the list within an hour.")
        if now - began_at > within:
            raise ListTakesLong
        timer.looked(now, None)


def write_list(run: Run, activity: Activity, client: Client, tools: Tools) -> int:
    """Into the run's file, row group by row group; how many people."""
    people = 0
    emails = client.exported_emails(activity)
    with tools.run_files.writer(run.id, ON_LIST, ON_LIST_SCHEMA) as file:
        for some in _bundles(emails):
            people += len(some)
            file.write(pa.RecordBatch.from_arrays([text_array(some)], schema=ON_LIST_SCHEMA))
    return people


def _bundles(emails: Iterator[str]) -> Iterator[list[str]]:
    while some := list(islice(emails, _ROWS_AT_ONCE)):
        yield some


def _judge(people: int, counted: int | None, run: Run, tools: Tools) -> None:
    """Whether that can be the whole list: one that is nearly empty would make everybody one who left."""
    if counted is None:
        placed, _ = tools.ledgers.sizes(Target.of(run))
        if placed and not people:
            raise _NoList("Constant Contact's export of the list was empty.")
    elif people < counted * LEAST_SHARE:
        raise _NoList(
            f"Constant Contact's export of the list had {people:,} people, though it counts {counted:,} on it."
        )


def list_pieces(run: Run, tools: Tools) -> Iterator[pa.Array]:
    """The addresses on the list, as the run's file has them."""
    return (batch.column("email") for batch in tools.run_files.stream(run.id, ON_LIST))


def who_was_on(run: Run, as_of: datetime | None, tools: Tools) -> OnList | None:
    """By the run's file, once it is written."""
    if as_of is None:
        return None
    key = tools.ledgers.hash_key()
    found = [keyed_hashes(emails, key) for emails in list_pieces(run, tools)]
    who = np.concatenate([np.empty(0, dtype=np.uint64), *found])
    who.sort()
    return OnList(who, as_of)
