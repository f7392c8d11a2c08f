"""One profile sent by itself, as a test: the file a run would send, then what Constant Contact makes of it. Not a run.

The ledger knows the person from before the file goes, so that the next run neither sends them without need nor leaves
them on the list for good. Who left the list is not put back by a test.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ccexport.constantcontact.model import Activity, Contact
from ccexport.errors import (
    Conflict,
    ConstantContactRefused,
    NotFound,
    NotFoundThere,
    OutcomeUnknown,
    QuotaExceeded,
    RetryableError,
    SetupError,
)
from ccexport.installation import Installation
from ccexport.preparation.mapping import FieldMapping, check_mapping
from ccexport.redaction import redact
from ccexport.runs.clearance import check_clearance
from ccexport.runs.outcomes import first_words, judge_activity
from ccexport.runs.poll_timer import PollTimer
from ccexport.runs.preflight import check_account, check_custom_fields, check_list
from ccexport.services.people.access import Person
from ccexport.services.people.permission import audited, may, require
from ccexport.services.people.roles import Action
from ccexport.states import BatchState
from ccexport.store.database.tables import Connection
from ccexport.store.exports import ExportView
from ccexport.store.pauses import in_words
from ccexport.words import reason as reason_words

if TYPE_CHECKING:
    from ccexport.constantcontact.client import Client
    from ccexport.preparation.one import One
    from ccexport.store.ledger_rows import Sent
    from ccexport.store.ledgers import Target
    from ccexport.store.one_sent import Begun

ACCEPTED, FAILED, UNSUBSCRIBED, UNKNOWN = "accepted", "failed", "unsubscribed", "unknown"
LONGEST = timedelta(minutes=15)  # for Constant Contact to end it
LOOKED_UP_FOR = timedelta(minutes=2)  # a file that is not shown there
OPTED_OUT = "unsubscribed"  # a contact's permission


@dataclass(frozen=True)
class Ready:
    """One profile, ready to be sent. `shown`: the file's text as the person who asked may see it."""

    view: ExportView
    customer_id: str
    shown: str
    content: bytes = field(repr=False)
    address: str = field(repr=False)
    rows: Sent = field(repr=False)

    def document(self) -> dict[str, Any]:
        """As `exports test --dry-run --json` prints it."""
        return {
            "export": self.view.export.name,
            "list_id": self.view.export.list_id,
            "customer_id": self.customer_id,
            "content": self.shown,
        }


@dataclass(frozen=True)
class OnItsWay:
    """One that was sent, or of which that is not known: then without an `activity_id`."""

    ready: Ready
    file_name: str
    activity_id: str | None
    target: Target
    begun: Begun = field(repr=False)
    sent_at: datetime
    timer: PollTimer = field(repr=False)


@dataclass(frozen=True)
class Ended:
    """What became of it. `on_list`: whether the list has them now; None where that was not asked."""

    sent: OnItsWay
    outcome: str
    says: str
    activity: Activity | None
    on_list: bool | None = None

    def document(self) -> dict[str, Any]:
        """As `exports test --json` prints it."""
        activity = self.activity
        counters = ("person_count", "error_count", "correctable_count")
        return {
            **self.sent.ready.document(),
            "file_name": self.sent.file_name,
            "activity_id": activity.activity_id if activity else self.sent.activity_id,
            "state": activity.state if activity else None,
            **{name: getattr(activity, name, None) for name in counters},
            "unsubscribed_count": activity.cannot_add_count if activity else None,
            "errors": self.errors,
            "outcome": self.outcome,
            "on_list": self.on_list,
        }

    @property
    def errors(self) -> list[str]:
        """Constant Contact's words."""
        return [redact(text) for text in first_words(self.activity.errors)] if self.activity else []


class SendingOne:
    """Shows, sends and follows one profile of an export.

    With `patience_seconds` a request that would have to start later than that is given up (`ServiceTrouble`).
    """

    def __init__(
        self, installation: Installation, *, patience_seconds: float | None = None
    ) -> None:
        self._installation = installation
        self._patience_seconds = patience_seconds

    # --- the file ----------------------------------------------------------------------------------

    def prepare(self, export: str | int, customer_id: str, *, by: Person) -> Ready:
        """The file of one member of the export's segments, as a run would send it. Nothing is sent.

        Raises `NotFound` where there is no such member, `Conflict` where a run would leave them out, or they left.
        """
        view, connection, by = self._allowed(export, by=by)
        mapping = FieldMapping(view.mapping)
        with closing(self._client(connection)) as client:
            types = check_custom_fields(mapping, client)
        found = self._one(view, mapping, types, customer_id.strip())
        return self._ready(view, mapping, found, customer_id.strip(), by)

    def _allowed(self, export: str | int, *, by: Person) -> tuple[ExportView, Connection, Person]:
        exports = self._installation.exports
        view = exports.get(export) if isinstance(export, int) else exports.by_name(export)
        name, connection_id = view.export.name, view.export.connection_id
        connection = self._installation.connections.get(connection_id) if connection_id else None
        by = require(
            self._installation, by, Action.TEST_EXPORT, "export", name, connection=connection
        )
        if connection is None:
            raise SetupError(f'"{name}" is detached: give it a connection first.')
        check_clearance(self._installation.connections.view(connection.id))
        return view, connection, by

    def _client(self, connection: Connection) -> Client:
        return self._installation.client_for(connection.id, patience_seconds=self._patience_seconds)

    def _one(
        self, view: ExportView, mapping: FieldMapping, types: Mapping[str, str], customer_id: str
    ) -> One:
        from ccexport.preparation.one import prepare_one  # brings Ibis along

        with self._installation.open_source() as source:
            check_mapping(mapping, source.attribute_names)
            source.check_types(mapping.attributes_used)
            source.check_segments(view.segments)
            found = prepare_one(source, view.segments, mapping, types, customer_id)
        if found is None:
            raise NotFound(
                f'No profile of the segments of "{view.export.name}" has the CustomerId "{customer_id}". '
                "Choose a member of one of them."
            )
        return found

    def _ready(
        self, view: ExportView, mapping: FieldMapping, found: One, customer_id: str, by: Person
    ) -> Ready:
        from ccexport.preparation.files import file_of  # these bring Arrow along
        from ccexport.store.ledger_rows import Sent

        if found.contact is None:
            raise Conflict(_left_out(found, customer_id))
        content = file_of(found.contact.take(0, 1).column("line"), mapping.fields)
        sees_values = may(self._installation, by, Action.SEE_VALUES)
        return Ready(
            view,
            customer_id,
            content.decode() if sees_values else _masked(content),
            content,
            found.address,
            Sent(*found.contact.hashes(self._installation.ledgers.hash_key())),
        )

    # --- sending -----------------------------------------------------------------------------------

    def send(self, ready: Ready, *, by: Person) -> OnItsWay:
        """Send it; from here on `look` says what became of it.

        Raises `Conflict` where the person has left the list or opted out, or where a run is in the way, before
        anything is sent; else what the client raises, then they stand in the ledger as they did.
        """
        view, connection, by = self._allowed(ready.view.export.id, by=by)
        self._check_free(view, ready)
        target = self._target(view, connection)
        with closing(self._client(connection)) as client:
            check_account(connection, client)
            check_list(view.export.list_id, view.export.list_name, client)
            self._check_wanted(client.find_contact(ready.address), target, ready)
            name, after = view.export.name, {"list_id": view.export.list_id}
            with audited(self._installation, by, Action.TEST_EXPORT, "export", name, after=after):
                begun = self._installation.one_sent.begin(target, view.mapping, ready.rows)
            now, poll_seconds = self._installation.now(), self._installation.settings.poll_seconds
            file_name = f"ccexport-test-{uuid.uuid4().hex[:16]}.csv"
            timer = PollTimer(poll_seconds, now)
            sent = OnItsWay(ready, file_name, None, target, begun, now, timer)
            try:
                activity = client.import_contacts(file_name, ready.content, view.export.list_id)
            except OutcomeUnknown:
                return sent  # looked up by its name
            except (ConstantContactRefused, RetryableError):
                self._take_back(sent)
                raise
        return replace(sent, activity_id=activity.activity_id)

    def _check_free(self, view: ExportView, ready: Ready) -> None:
        if (pause := self._installation.pauses.get()) is not None:
            raise Conflict(
                f"{in_words(pause)} Nothing was sent. An administrator ends the pause on Home."
            )
        if view.export.revision != ready.view.export.revision:
            raise Conflict(
                f'"{view.export.name}" was changed meanwhile, so nothing was sent. Look at its file again.'
            )
        live = self._installation.runs.live_of(view.export.id)
        if live is not None:
            raise Conflict(
                f'Run {live.id} of "{view.export.name}" is still live, so nothing was sent. Wait for its end, or '
                "cancel it."
            )

    def _target(self, view: ExportView, connection: Connection) -> Target:
        from ccexport.store.ledgers import Target  # brings Arrow along

        return Target(view.export.id, connection.account_id, view.export.list_id)

    def _check_wanted(self, contact: Contact | None, target: Target, ready: Ready) -> None:
        """A test puts nobody back: one who is not on the list may have left it since the last run."""
        name = ready.view.export.name
        if contact is not None and contact.permission == OPTED_OUT:
            raise Conflict(
                f"Profile {ready.customer_id} has opted out at Constant Contact, so nothing was sent. Choose another."
            )
        is_on = contact is not None and target.list_id in contact.list_ids
        if not is_on and self._installation.one_sent.has_left(target, ready.rows):
            raise Conflict(
                f'Profile {ready.customer_id} has left the list of "{name}", and a test puts nobody back, so nothing '
                "was sent. Choose another."
            )

    # --- what became of it -------------------------------------------------------------------------

    def look(self, sent: OnItsWay) -> Ended | None:
        """Look once; None while Constant Contact works on it. The ledger is written by what it says."""
        age = self._installation.now() - sent.sent_at
        sent.timer.looked(self._installation.now(), None)
        connection_id = sent.ready.view.export.connection_id or 0
        with closing(self._client(self._installation.connections.get(connection_id))) as client:
            activity = _activity(client, sent)
            if activity is None:
                return _lost(sent) if age > LOOKED_UP_FOR else None
            if not activity.is_terminal:
                return _not_ended(sent, activity) if age > LONGEST else None
            ended = self._settled(sent, activity)
            if ended.outcome != ACCEPTED:
                return ended
            contact = client.find_contact(sent.ready.address)
        is_on = contact is not None and sent.target.list_id in contact.list_ids
        return replace(ended, on_list=is_on)

    def follow(self, sent: OnItsWay) -> Ended:
        """Look until it has ended."""
        while True:
            self._installation.sleep(self.seconds_left(sent))
            try:
                ended = self.look(sent)
            except RetryableError as error:
                ended = self._given_up(sent, error)
            if ended is not None:
                return ended

    def seconds_left(self, sent: OnItsWay) -> float:
        """Until it is worth another look: each one takes a request, so they become fewer."""
        return sent.timer.seconds_left(self._installation.now())

    def _given_up(self, sent: OnItsWay, error: RetryableError) -> Ended | None:
        """What to tell where it cannot be looked at; None where it is worth another try."""
        age = self._installation.now() - sent.sent_at
        if age <= LONGEST and not isinstance(error, QuotaExceeded):
            return None
        says = f"{error} It was sent; the next run sends this profile again."
        return Ended(sent, UNKNOWN, says, None)

    def _settled(self, sent: OnItsWay, activity: Activity) -> Ended:
        """What the counters say of one row, and the ledger by that: only an end that is certain moves it."""
        outcome = judge_activity(activity, rows=1)
        if outcome.state is not BatchState.COMPLETED:
            says = f"{outcome.problem} It is not known whether they are on the list: the next run sends them again."
            return Ended(sent, FAILED, says, activity)
        if outcome.unsubscribed:
            self._take_back(sent)
            says = "Constant Contact did not add them, since they have opted out."
            return Ended(sent, UNSUBSCRIBED, says, activity)
        if outcome.failed_rows:
            self._take_back(sent)
            return Ended(sent, FAILED, "Constant Contact did not take the profile.", activity)
        view = sent.ready.view
        self._installation.one_sent.confirm(sent.target, view.mapping, sent.ready.rows)
        return Ended(sent, ACCEPTED, "Constant Contact took the profile.", activity)

    def _take_back(self, sent: OnItsWay) -> None:
        ready = sent.ready
        self._installation.one_sent.take_back(
            sent.target, ready.view.mapping, ready.rows, sent.begun
        )


def _activity(client: Client, sent: OnItsWay) -> Activity | None:
    if sent.activity_id is None:
        return client.find_activity(sent.file_name)
    try:
        return client.activity(sent.activity_id)
    except NotFoundThere:
        return None


def _lost(sent: OnItsWay) -> Ended:
    says = (
        "Constant Contact does not show what became of the file. It is not known whether the profile is on the list: "
        "the next run sends it again."
    )
    return Ended(sent, UNKNOWN, says, None)


def _not_ended(sent: OnItsWay, activity: Activity) -> Ended:
    minutes = int(LONGEST.total_seconds() // 60)
    says = (
        f'Constant Contact has not ended it within {minutes} minutes (its state is "{activity.state}"). The next run '
        "sends this profile again."
    )
    return Ended(sent, UNKNOWN, says, activity)


def _left_out(found: One, customer_id: str) -> str:
    about = f" ({found.field})" if found.field else ""
    instead = f", profile {found.sent_instead} is sent instead" if found.sent_instead else ""
    why = reason_words(found.rejection or "").lower()
    return f"Profile {customer_id} is left out of every run: {why}{about}{instead}. Choose another."


def _masked(content: bytes) -> str:
    """The file with every value masked; its header as it is."""
    from ccexport.preparation.files import line_of, values_of
    from ccexport.segments.masking import mask_value

    header, line = content.decode().splitlines(keepends=True)[:2]
    return header + line_of([mask_value(value) for value in values_of(line)])
