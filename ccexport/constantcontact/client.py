"""Sends what `protocol.py` builds, one request at a time, and gives back what it reads.

The only network of the API. Paced by the caller's `pace`, signed by the caller's tokens; knows no store. A `Client`
belongs to one thread at a time.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import requests

from ccexport.constantcontact import protocol
from ccexport.constantcontact.access import explain_denied
from ccexport.constantcontact.answers import (
    Answer,
    Request,
    decide_retry,
    lost_answer,
    nonsense,
    not_connected,
    read_json,
    service_date,
)
from ccexport.constantcontact.exported import read_export_emails
from ccexport.constantcontact.model import (
    Account,
    Activity,
    Contact,
    ContactCounts,
    ContactList,
    CustomField,
    Page,
)
from ccexport.constantcontact.transport import (
    MAX_ANSWER_BYTES,
    UnreadableAnswer,
    check_address,
    prepare_session,
    read_bounded,
    stream_bounded,
    was_never_sent,
    what_failed,
)
from ccexport.errors import (
    AccessDenied,
    CcexportError,
    OutcomeUnknown,
    RetryableError,
    ServiceTrouble,
)

TIMEOUT_SECONDS = (5.0, 60.0)  # to connect, between bytes
RENEWAL_WAIT_SECONDS = 5.0  # after a renewal of the sign-in whose answer was lost
MAX_PAGES = 5_000  # of one collection: 2,500,000 contacts
MAX_EXPORT_BYTES = 1_000_000_000
MAX_EXPORT_SECONDS = 3_600.0

Item = TypeVar("Item")


class Client:
    """The V3 API of one connection.

    `get_token` gives an access token that lives for a while; `refresh_token(rejected)` is asked once after a 401 and
    gives another one or raises `NotConnected`; without it a 401 goes up. `pace(operation)` is called right before
    each request goes on the wire: it blocks until there is room or raises `QuotaExceeded`. `get_scope` says what the
    sign-in granted, to explain why a request is denied. `heard(status)` is told the status of each answer.
    """

    def __init__(
        self,
        api_url: str,
        get_token: Callable[[], str],
        refresh_token: Callable[[str], str] | None,
        pace: Callable[[str], None],
        *,
        get_scope: Callable[[], str] | None = None,
        heard: Callable[[int], None] = lambda _status: None,
        timeout_seconds: tuple[float, float] = TIMEOUT_SECONDS,
        session: requests.Session | None = None,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._api_url = check_address(api_url)
        self._get_token = get_token
        self._refresh_token = refresh_token
        self._pace = pace
        self._get_scope = get_scope
        self._heard = heard
        self._timeout_seconds = timeout_seconds
        self._session = session or requests.Session()
        self._sleep = sleep
        self._now = now
        self._clock_offset_seconds: float | None = None
        prepare_session(self._session, self._api_url)

    @property
    def clock_offset_seconds(self) -> float | None:
        """How far the service's clock is ahead of ours by its last answer (to about a second); None before one."""
        return self._clock_offset_seconds

    def close(self) -> None:
        """Close the connections kept open."""
        self._session.close()

    # --- the account -----------------------------------------------------------------------------------------

    def account(self) -> Account:
        """Whom the token belongs to."""
        return protocol.read_account(self._ask(protocol.build_account_summary()))

    def privileges(self) -> frozenset[str]:
        """The names of what the signed-in user may do."""
        return protocol.read_privileges(self._ask(protocol.build_user_privileges()))

    def contact_counts(self) -> ContactCounts:
        """Contacts of the whole account by permission."""
        return protocol.read_contact_counts(self._ask(protocol.build_contact_counts()))

    def custom_fields(self) -> Sequence[CustomField]:
        """All custom fields of the account."""
        pages = self._pages(protocol.build_custom_fields(), protocol.read_custom_fields)
        return _distinct(pages, lambda field: field.name)

    # --- lists -----------------------------------------------------------------------------------------------

    def lists(
        self, status: str = "active", *, include_counts: bool = False
    ) -> Sequence[ContactList]:
        """All lists of the account, every page of them."""
        request = protocol.build_get_lists(status, include_counts=include_counts)
        return _distinct(self._pages(request, protocol.read_lists), lambda found: found.list_id)

    def list(self, list_id: str) -> ContactList:
        """One list with its count of members; look at `deleted`. Raises `NotFoundThere`."""
        return protocol.read_list(self._ask(protocol.build_get_list(list_id)))

    def find_list(self, name: str) -> ContactList | None:
        """The active list of this name in whatever case, since names are unique there without regard to it."""
        wanted = name.strip().casefold()
        return next(
            (found for found in self.lists() if found.name.strip().casefold() == wanted), None
        )

    def create_list(self, name: str, description: str = "") -> ContactList:
        """A new list. Raises `ConstantContactRefused` with status 409 where the name exists; after
        `OutcomeUnknown`, look with `find_list`."""
        return protocol.read_list(self._ask(protocol.build_create_list(name, description)))

    # --- activities ------------------------------------------------------------------------------------------

    def import_contacts(self, file_name: str, content: bytes, list_id: str) -> Activity:
        """Hand over one CSV file; what became of it is in the activity later.

        After `OutcomeUnknown` look with `find_activity` before sending again. Raises `ValueError` when the encoded
        body is above 3,900,000 bytes: what exceeds the limit would be dropped without a word.
        """
        request = protocol.build_file_import(file_name, content, [list_id])
        return protocol.read_activity(self._ask(request))

    def activity(self, activity_id: str) -> Activity:
        """One bulk job. `NotFoundThere` also means: older than 10 days."""
        return protocol.read_activity(self._ask(protocol.build_activity(activity_id)))

    def activities(
        self, until: Callable[[Sequence[Activity]], bool] | None = None
    ) -> Sequence[Activity]:
        """The account's bulk jobs of the last 10 days, in no promised order; 500 a request.

        `until` sees all that was read so far, after each page, and stops the walk by answering True.
        """
        found: dict[str, Activity] = {}
        for page in self._pages(protocol.build_activities(), protocol.read_activities):
            found.update((activity.activity_id, activity) for activity in page)
            if until and until(list(found.values())):
                break
        return list(found.values())

    def find_activity(self, file_name: str) -> Activity | None:
        """The bulk job of a file by its unique name, the one thing to look for after a lost answer."""
        for page in self._pages(protocol.build_activities(), protocol.read_activities):
            for activity in page:
                if activity.file_name == file_name:
                    return activity
        return None

    def remove_from_list(self, list_id: str, contact_ids: Sequence[str]) -> Activity:
        """Take 1 to 500 contacts off one list; they stay in the account. After `OutcomeUnknown` look before sending
        again."""
        request = protocol.build_remove_list_memberships(list_id, contact_ids)
        return protocol.read_activity(self._ask(request))

    def export_list(self, list_id: str) -> Activity:
        """Have the list's addresses written to a file there; once completed, see `exported_emails`."""
        return protocol.read_activity(self._ask(protocol.build_contact_exports(list_id)))

    def exported_emails(self, activity: Activity) -> Iterator[str]:
        """Stream the addresses of a completed export, lower case. When it raises, what came before is not all."""
        request = protocol.build_contact_export(activity.results_id or activity.activity_id)
        response = self._open(request)
        try:
            yield from self._stream(request, response)
        finally:
            response.close()

    # --- contacts --------------------------------------------------------------------------------------------

    def find_contact(self, email: str) -> Contact | None:
        """The contact of an address, with the lists it is on."""
        request = protocol.build_contacts(email=email)
        wanted = email.strip().lower()
        for page in self._pages(request, protocol.read_contacts):
            for contact in page:
                if contact.email == wanted:
                    return contact
        return None

    def members(self, list_id: str) -> Iterator[Contact]:
        """The contacts on a list, 500 a request, each once; one that changes meanwhile can be missed."""
        return self._contacts(protocol.build_contacts(list_id=list_id))

    def opted_out_since(self, at: datetime) -> Iterator[Contact]:
        """Contacts who opted out of everything since a time."""
        return self._contacts(protocol.build_contacts(opted_out_after=at))

    def _contacts(self, request: Request) -> Iterator[Contact]:
        seen: set[str] = set()
        for page in self._pages(request, protocol.read_contacts):
            for contact in page:
                if contact.contact_id not in seen:
                    seen.add(contact.contact_id)
                    yield contact

    # --- how it is sent --------------------------------------------------------------------------------------

    def _pages(
        self, request: Request, read: Callable[[Answer], Page[Item]]
    ) -> Iterator[tuple[Item, ...]]:
        """Every page; stops at a link already followed, which would go round for ever."""
        seen: set[str] = set()
        for _ in range(MAX_PAGES):
            page = read(self._ask(request))
            yield page.items
            if page.next_path is None or page.next_path in seen:
                return
            seen.add(page.next_path)
            request = protocol.build_next(request, page.next_path)
        raise nonsense(Answer(request, 200), f"more than {MAX_PAGES:,} pages")

    def _ask(self, request: Request) -> Answer:
        """The answer with its whole body, 2xx; anything else is raised."""
        response = self._open(request)
        with response:
            return self._answer(request, response)

    def _open(self, request: Request) -> requests.Response:
        """A 2xx response whose body is still to be read. Repeats within the rule of `decide_retry`."""
        attempt = 1
        while True:
            started = time.monotonic()
            try:
                return self._open_once(request)
            except AccessDenied as error:
                raise self._explained(request, error) from None
            except RetryableError as error:
                jitter = random.random()  # noqa: S311  # keeps processes apart; not a secret
                took_seconds = time.monotonic() - started
                wait = decide_retry(request, error, attempt, jitter, took_seconds)
                if wait is None:
                    raise
            self._sleep(wait)
            attempt += 1

    def _open_once(self, request: Request) -> requests.Response:
        response, token = self._send(request, self._get_token)
        renew = self._refresh_token
        if response.status_code == 401 and renew is not None:
            response.close()
            another = self._token(lambda: renew(token))
            response, _ = self._send(request, lambda: self._other_than(token, another))
        if 200 <= response.status_code <= 299:
            return response
        with response:
            read_json(self._answer(request, response))  # raises what the status means
        raise AssertionError("not reached: a status that is not 2xx raises")

    def _explained(self, request: Request, denied: AccessDenied) -> AccessDenied:
        """Why a request was denied, as far as the user's privileges and the sign-in's scope tell."""
        if request.operation == "user_privileges" or self._get_scope is None:
            return denied
        try:
            words = explain_denied(
                self.privileges(),
                self._get_scope(),
                may_create_lists=request.operation == "create_list",
            )
        except AccessDenied as error:  # these are denied to nobody but a deactivated application
            words = str(error)
        except CcexportError:
            return denied
        return AccessDenied(
            words,
            status=denied.status,
            error_key=denied.error_key,
            detail=denied.detail,
            request_id=denied.request_id,
        )

    def _other_than(self, rejected: str, another: str) -> str:
        """The present token, which is newer than `another` when the wait for room was long."""
        present = self._get_token()
        return another if present == rejected else present

    def _token(self, get: Callable[[], str]) -> str:
        """A token; a renewal whose outcome is unknown says nothing about the request, which was not sent.

        It was tried once more where tokens are kept, so the run waits before it is tried again.
        """
        try:
            token = get()
        except OutcomeUnknown as error:
            wait = max(error.retry_after_seconds or 0.0, RENEWAL_WAIT_SECONDS)
            raise ServiceTrouble(str(error), retry_after_seconds=wait) from None
        if not re.fullmatch(r"[!-~]+", token):
            raise not_connected()  # as a header it would fail in an error that quotes it
        return token

    def _send(
        self, request: Request, get_token: Callable[[], str]
    ) -> tuple[requests.Response, str]:
        """The answer, and the token it was asked with: the one that is good once there is room for the request."""
        prepared = self._prepare(request)
        self._pace(request.operation)
        token = self._token(get_token)
        prepared.headers["Authorization"] = f"Bearer {token}"
        settings = self._session.merge_environment_settings(
            prepared.url or "", {}, True, True, None
        )
        try:
            response = self._session.send(
                prepared, timeout=self._timeout_seconds, allow_redirects=False, **settings
            )
        except requests.RequestException as error:
            # without its cause, whose text holds the address asked for and with it an email
            raise lost_answer(request, what_failed(error), sent=not was_never_sent(error)) from None
        self._heard(response.status_code)
        self._note_clock(request, response)
        return response, token

    def _prepare(self, request: Request) -> requests.PreparedRequest:
        prepared = self._session.prepare_request(
            requests.Request(
                request.method,
                self._api_url + request.path,
                headers={"Accept": request.accept},
                params=list(request.params),
                json=request.json,
                files=[
                    (part.name, (part.file_name, part.content, part.content_type))
                    for part in request.files
                ],
                auth=_no_login,
            )
        )
        body = prepared.body or b""
        body = body.encode() if isinstance(body, str) else body
        protocol.check_request(request, body)
        if len(body) > protocol.MAX_IMPORT_BODY_BYTES:
            raise ValueError(f"a body of {len(body):,} bytes would be cut off by Constant Contact")
        return prepared

    def _answer(self, request: Request, response: requests.Response) -> Answer:
        try:
            body = read_bounded(response, MAX_ANSWER_BYTES)
        except (requests.RequestException, UnreadableAnswer) as error:
            if not 200 <= response.status_code <= 299:
                body = b""  # the status says enough
            else:
                raise lost_answer(request, what_failed(error), sent=True) from None
        return Answer(request, response.status_code, response.headers, body)

    def _stream(self, request: Request, response: requests.Response) -> Iterator[str]:
        answer = Answer(request, response.status_code, response.headers)
        chunks = stream_bounded(response, MAX_EXPORT_BYTES, MAX_EXPORT_SECONDS)
        try:
            yield from read_export_emails(answer, chunks)
        except (requests.RequestException, UnreadableAnswer) as error:
            raise lost_answer(request, what_failed(error), sent=True) from None

    def _note_clock(self, request: Request, response: requests.Response) -> None:
        theirs = service_date(Answer(request, response.status_code, response.headers))
        if theirs is not None:
            self._clock_offset_seconds = (theirs - self._now()).total_seconds()


def _no_login(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
    """The token follows right before the request goes; given no `auth`, requests looks for a login in a .netrc file."""
    return prepared


def _distinct(pages: Iterator[tuple[Item, ...]], key: Callable[[Item], str]) -> Sequence[Item]:
    """Items of all pages, each once: a collection that changes while it is read repeats some."""
    return list({key(item): item for page in pages for item in page}.values())
