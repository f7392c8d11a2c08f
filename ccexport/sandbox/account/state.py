"""The account behind the stand-in: everything it knows, in memory, and what can be done to it."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ccexport.sandbox.account.activities import ActivityBook
from ccexport.sandbox.account.contacts import ContactBook
from ccexport.sandbox.account.limits import Limits
from ccexport.sandbox.account.lists import FieldBook, ListBook
from ccexport.sandbox.account.tokens import TokenBook
from ccexport.sandbox.behaviour import ALWAYS_UNSUBSCRIBED, MAX_LISTS, Behaviour, parse_behaviour
from ccexport.sandbox.faults import FaultBook

MAX_LOGGED_REQUESTS = 200_000


@dataclass
class LoggedRequest:
    """One arrival. Neither bodies nor tokens nor values of the query are kept."""

    at: float
    method: str
    path: str
    operation: str
    query: tuple[str, ...]
    status: int | None = None
    fault: str | None = None
    grant_type: str | None = None
    file_name: str | None = None
    rows: int | None = None
    bytes: int | None = None
    activity_id: str | None = None
    seconds: float | None = None


class SandboxState:
    """One Constant Contact account and one application. `lock` guards contacts and memberships."""

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        *,
        client_id: str | None = None,
        client_secret: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.behaviour = behaviour or Behaviour()
        self.client_id, self.client_secret, self.clock = client_id, client_secret, clock
        self.lock = threading.RLock()
        self.lists = ListBook(self.behaviour.seed)
        self.fields = FieldBook(self.behaviour.seed)
        self.contacts = ContactBook(self.behaviour.seed)
        self.activities = ActivityBook(clock)
        self.tokens = TokenBook(clock)
        self.limits = Limits(clock)
        self.faults = FaultBook(self.behaviour.faults)
        self.log: deque[LoggedRequest] = deque(maxlen=MAX_LOGGED_REQUESTS)
        self._furnish(self.behaviour)
        self.unsubscribe(ALWAYS_UNSUBSCRIBED)

    def change(self, keys: dict[str, Any]) -> None:
        """Merge behaviour keys: values are replaced, lists, fields and addresses are added or
        changed, faults are added; an empty list of faults ends them all. ValueError: not valid."""
        changes = parse_behaviour(keys)
        with self.lock:
            given = {name: getattr(changes, name) for name in changes.model_fields_set}
            if len(self.lists.all()) + len(given.get("lists", ())) > MAX_LISTS:
                raise ValueError(f"lists: more than {MAX_LISTS} in the account")
            self.behaviour = self.behaviour.model_copy(update=given)
            self._furnish(changes.model_copy(update=_unless_given(given)))
        if "faults" in given and not changes.faults:
            self.faults.clear()
        self.faults.add(changes.faults)

    def leave(self, email: str, list_id: str) -> bool:
        """A person leaves one list; False when they are not on it."""
        with self.lock:
            number, entry = self.contacts.find(email), self.lists.get(list_id)
            if number is None or entry is None:
                return False
            self.contacts.updated[number] = self.clock()
            return entry.members.remove([number]) == 1

    def unsubscribe(self, email: str) -> None:
        """A person opts out of everything: kept as a contact, but on no list any more."""
        with self.lock:
            now = self.clock()
            number = self.contacts.add(email, now)
            self.contacts.updated[number] = now
            self.contacts.opted_out.setdefault(number, now)
            for entry in self.lists.all():
                entry.members.remove([number])

    def put_on_lists(self, numbers: list[int], list_ids: list[str]) -> list[int]:
        """Put contacts on lists, those who opted out excepted, who are returned. Hold the lock."""
        opted_out = self.contacts.opted_out
        refused = [number for number in numbers if number in opted_out]
        if refused:
            numbers = [number for number in numbers if number not in opted_out]
        for list_id in list_ids:
            entry = self.lists.usable(list_id)
            if entry is not None:
                entry.members.add(numbers, len(self.contacts))
        return refused

    def close(self) -> None:
        self.activities.close()

    def _furnish(self, behaviour: Behaviour) -> None:
        now = self.clock()
        for field in behaviour.custom_fields:
            self.fields.put(field, now)
        for spec in behaviour.lists:
            entry = self.lists.put(spec, now)
            numbers = [self.contacts.add(email, now) for email in spec.members]
            self.put_on_lists(numbers, [entry.list_id])
        for email in behaviour.unsubscribed:
            self.unsubscribe(email)


def _unless_given(given: dict[str, Any]) -> dict[str, Any]:
    """Nothing in place of a default, so that a change only adds what it names."""
    return {name: () for name in ("lists", "custom_fields", "unsubscribed") if name not in given}
