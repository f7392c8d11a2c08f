"""Taking people off the list, once every import of the run has ended: looked up, asked for, followed, counted.

Contacts are named by id, at most 500 a request, and only ever taken off the one list: they stay in the account. Ids are
looked up one by one, or by walking the list's pages, whichever costs fewer requests. Intent is committed before each
request and outcome after it. A lost answer leaves a removal in `sending`: its job has no name, so it is known by what
it did: one of the account's jobs since, of as many contacts on one list, after whose end they are not on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import timedelta
from itertools import islice

import numpy as np

from ccexport.constantcontact.client import Client
from ccexport.constantcontact.model import Activity, Contact
from ccexport.constantcontact.protocol import MAX_IDS_REMOVED, PAGE_SIZE
from ccexport.errors import (
    AccessDenied,
    ApplicationRefused,
    ConstantContactRefused,
    NotConnected,
    NotFoundThere,
    OutcomeUnknown,
    RetryableError,
)
from ccexport.redaction import redact, with_their_words
from ccexport.runs.outcomes import first_words, judge_removal
from ccexport.runs.poll_timer import PollTimer
from ccexport.runs.tools import ACTIVITY_DEADLINE, MAX_IN_FLIGHT, ConnectionRemoved, Tools
from ccexport.runs.uploading import LONGEST_PAUSE_SECONDS, timed
from ccexport.states import BatchState, Mode, RunState
from ccexport.store.database.ledger_tables import Removal
from ccexport.store.database.tables import Run
from ccexport.store.leaving_rows import Leaving, Named, read_leaving
from ccexport.store.list_sharing import UNDER_WAY
from ccexport.store.moves import Held
from ccexport.store.removals import LookedUp

CLOCKS_DIFFER = timedelta(seconds=90)  # theirs and ours: a job may seem to be older than its intent


def leaving_of(run: Run, tools: Tools) -> Leaving:
    """Whom a run is to take off its list."""
    if Mode(run.mode) is not Mode.MIRROR:
        return Leaving()
    sealed = tools.batches.addresses(run.id).leaving
    return read_leaving(tools.keys.decrypt(sealed)) if sealed else Leaving()


def take_off_list(held: Held, tools: Tools) -> None:
    """Take a run whose imports have ended through its removals. Raises what stops it, as sending does."""
    run = tools.check_connected(held)
    if not run.to_remove_count or run.state not in (RunState.UPLOADING, RunState.CONFIRMING):
        return
    if run.state is RunState.UPLOADING and _may_begin(run, tools):  # nothing had to be sent
        run = tools.runs.move(held, RunState.CONFIRMING)
    with closing(tools.guarded_client(held, run.connection_id or 0)) as client:
        Removing(held, run, client, tools).work()


def _may_begin(run: Run, tools: Tools) -> bool:
    """Not where the end of the run was asked for, nothing more may be sent, or none of its files was taken."""
    batches = tools.batches.of_run(run.id)
    none_taken = batches and all(batch.state is BatchState.FAILED for batch in batches)
    return not (run.cancel_requested_by or run.stop_reason or none_taken)


class Removing:
    """The loop of a run that takes people off its list."""

    def __init__(self, held: Held, run: Run, client: Client, tools: Tools) -> None:
        self._held = held
        self._run = run
        self._client = client
        self._tools = tools
        self._leaving = leaving_of(run, tools)
        self._timer = PollTimer(tools.poll_seconds, tools.now())

    def work(self) -> None:
        """Step by step, until nobody is left to look up and no removal is open."""
        while True:
            removals = self._tools.removals.of_run(self._run.id)
            open_ones = [each for each in removals if not each.state.is_final]
            if not _may_begin(self._tools.check_connected(self._held), self._tools):
                self._tools.removals.cancel_pending(self._held)
                open_ones = [each for each in open_ones if each.state in UNDER_WAY]
                done = len(self._leaving)
            else:
                done = sum(each.looked_up for each in removals)
            if not open_ones and done >= len(self._leaving):
                return
            with timed(self._held, RunState.CONFIRMING, self._tools):
                self._step(open_ones, removals, done)

    def _step(self, open_ones: Sequence[Removal], removals: Sequence[Removal], done: int) -> None:
        """Ask for one removal, or look up whom the next is about, or look at what became of those asked for."""
        self._tools.pause(0)
        pending = [each for each in open_ones if each.state is BatchState.PENDING]
        has_room = len(open_ones) - len(pending) < MAX_IN_FLIGHT
        if pending and has_room:
            self._ask(pending[0])
        elif done < len(self._leaving) and has_room:
            self._tools.removals.plan(self._held, self._look_up(done))
            self._tools.reached("removal planned")
        else:
            self._follow(open_ones, removals)

    # --- looking up ------------------------------------------------------------------------------

    def _look_up(self, done: int) -> list[LookedUp]:
        """Those who come next, with their ids. Walking the pages finds all at once."""
        chunks = [
            range(first, min(first + MAX_IDS_REMOVED, len(self._leaving)))
            for first in range(done, len(self._leaving), MAX_IDS_REMOVED)
        ]
        left, emails = len(self._leaving) - done, self._leaving.emails
        if left <= self._pages():
            chunks = chunks[:1]
            asked = (self._client.find_contact(emails[place]) for place in chunks[0])
            found = [each for each in asked if each and self._run.list_id in each.list_ids]
            ids = _ids(found, emails, left)
        else:
            ids = _ids(self._client.members(self._run.list_id), emails[done:], left)
        return [self._looked_up(chunk, ids) for chunk in chunks]

    def _pages(self) -> int:
        """How many requests it takes to walk the list."""
        reading = self._tools.ledgers.reading_of(self._run.id)
        people = 0 if reading is None or reading.people is None else reading.people
        return -(-max(people, len(self._leaving)) // PAGE_SIZE)

    def _looked_up(self, chunk: range, ids: dict[str, str]) -> LookedUp:
        emails = [self._leaving.emails[place] for place in chunk]
        is_there = np.array([email in ids for email in emails], dtype=bool)
        who = self._leaving.who[chunk.start : chunk.stop][is_there]
        return LookedUp(len(chunk), Named(who, [ids[email] for email in emails if email in ids]))

    # --- asking ----------------------------------------------------------------------------------

    def _ask(self, removal: Removal) -> None:
        """Intent, POST, outcome, each durable before the next. A lost answer leaves it in `sending`."""
        tools, held = self._tools, self._held
        removal = tools.removals.begin(held, removal)
        if removal.state is BatchState.CANCELED:
            return
        tools.reached("removal intended")
        try:
            ids = tools.removals.named(removal).contact_ids
            activity = self._client.remove_from_list(self._run.list_id, ids)
        except OutcomeUnknown:
            raise
        except (
            *(ConnectionRemoved, RetryableError),
            *(NotConnected, AccessDenied, ApplicationRefused),
        ):
            tools.removals.move(held, removal, BatchState.PENDING)
            raise
        except ConstantContactRefused as error:
            words = redact(with_their_words(str(error), error.detail))
            tools.removals.end(held, removal, BatchState.FAILED, removed=0, words=words)
            return
        tools.reached("removal asked for")
        self._submitted(removal, activity)
        tools.reached("removal submitted")

    def _submitted(self, removal: Removal, activity: Activity) -> None:
        self._tools.removals.move(
            self._held,
            removal,
            BatchState.SUBMITTED,
            activity_id=activity.activity_id,
            submitted_at=self._tools.now(),
        )

    # --- following -------------------------------------------------------------------------------

    def _follow(self, open_ones: Sequence[Removal], removals: Sequence[Removal]) -> None:
        """Look at the account's activities where that is due, else pause until it nearly is."""
        tools = self._tools
        if left := self._timer.seconds_left(tools.now()):
            tools.pause(min(left, LONGEST_PAUSE_SECONDS))
            return
        activities = {each.activity_id: each for each in self._client.activities()}
        known = {each.activity_id for each in removals}
        settled = False
        for removal in (each for each in open_ones if each.state in UNDER_WAY):
            if removal.state is BatchState.SENDING:
                strangers = [each for each in activities.values() if each.activity_id not in known]
                settled |= self._find_again(removal, strangers, known)
            else:
                settled |= self._judge(removal, activities.get(removal.activity_id or ""))
        self._timer.looked(tools.now(), 0.0 if settled else None)

    def _find_again(
        self, removal: Removal, strangers: Sequence[Activity], known: set[str | None]
    ) -> bool:
        """Of a removal whose answer was lost: whether it was done, or not; False while that is not known."""
        alike = [each for each in strangers if _is_like(each, removal)]
        if any(not each.is_terminal for each in alike):
            return False
        if alike and not self._is_still_on_list(removal):
            self._submitted(removal, alike[0])
            known.add(alike[0].activity_id)
            return True
        name = f"removal {removal.id}"
        unseen = self._tools.activities.unseen_seconds(name, removal.attempts)
        if unseen < self._tools.lookup_grace_seconds:
            return False
        self._tools.removals.move(self._held, removal, BatchState.PENDING)
        return True

    def _is_still_on_list(self, removal: Removal) -> bool:
        """Asked of one of them: one request takes all of them off."""
        [first, *_] = self._tools.removals.named(removal).who
        email = self._leaving.emails[int(np.searchsorted(self._leaving.who, first))]
        contact = self._client.find_contact(email)
        return contact is not None and self._run.list_id in contact.list_ids

    def _judge(self, removal: Removal, activity: Activity | None) -> bool:
        activity = activity or self._asked_alone(removal)
        if activity is None:
            return self._give_up(removal, "Constant Contact no longer knows the activity.")
        if activity.is_terminal:
            removed, words = judge_removal(activity, removal.people)
            state = BatchState.COMPLETED if activity.is_completed else BatchState.FAILED
            said = " ".join([words, *map(redact, first_words(activity.errors, 3))]).strip()
            self._tools.removals.end(self._held, removal, state, removed=removed, words=said)
            self._tools.reached("removal ended")
            return True
        if removal.submitted_at and self._tools.now() - removal.submitted_at > ACTIVITY_DEADLINE:
            return self._give_up(removal, "The activity did not end within a day.")
        return False

    def _asked_alone(self, removal: Removal) -> Activity | None:
        try:
            return self._client.activity(removal.activity_id or "")
        except NotFoundThere:
            return None

    def _give_up(self, removal: Removal, words: str) -> bool:
        self._tools.removals.end(self._held, removal, BatchState.FAILED, removed=0, words=words)
        return True


def _ids(found: Iterable[Contact], wanted: Sequence[str], most: int) -> dict[str, str]:
    """Address → id of those contacts that are wanted; no further than until all are found."""
    names = set(wanted)
    theirs = ((each.email, each.contact_id) for each in found if each.email in names)
    return {email: contact_id for email, contact_id in islice(theirs, most) if email}


def _is_like(activity: Activity, removal: Removal) -> bool:
    """Whether a job of the account may be this removal: no file, one list, as many contacts, not older than it."""
    began = removal.sending_at
    is_later = not (activity.created_at and began and activity.created_at < began - CLOCKS_DIFFER)
    return (
        not activity.file_name
        and activity.list_count == 1
        and activity.items_total_count == removal.people
        and is_later
    )
