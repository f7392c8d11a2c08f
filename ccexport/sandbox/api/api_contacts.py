"""Answers about contacts: the filtered collection and the counts by consent."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from ccexport.sandbox.account.contact_json import contact_resource, permission_of
from ccexport.sandbox.account.contacts import ContactBook
from ccexport.sandbox.account.state import SandboxState
from ccexport.sandbox.api.answers import invalid
from ccexport.sandbox.api.gate import Call
from ccexport.sandbox.api.paging import Place, page_of, place_of

MAX_LISTS_IN_FILTER = 25
MAX_TAGS_IN_FILTER = 50
NEW_SUBSCRIBER_SECONDS = 30 * 86_400
_PERMISSIONS = ("not_set", "pending_confirmation", "temp_hold", "unsubscribed")
_STATUSES = ("all", "active", "deleted", *_PERMISSIONS)
_PARTS = (
    *("custom_fields", "list_memberships", "phone_numbers"),
    *("street_addresses", "taggings", "notes"),
)
_SMS_ONLY = {
    "contact_id": "00000000-0000-4000-a000-00000000005a",
    "first_name": "Sam",
    "create_source": "Contact",
    "update_source": "Contact",
    "created_at": "2025-01-05T10:00:00.000Z",
    "updated_at": "2025-01-05T10:00:00.000Z",
    "sms_channel": {"sms_address": "7815551212", "dial_code": "1", "country_code": "US"},
}
Test = Callable[[int], bool]


async def get_contacts(call: Call) -> Response:
    place = place_of(call)
    limit = place.limit(500)
    include = _words(place.query, "include", _PARTS)
    tests = _tests(call.state, place.query)
    items, after, total = await run_in_threadpool(_page, call.state, place, limit, include, tests)
    if call.take("sms_only_contact"):
        items.insert(0, dict(_SMS_ONLY))
    more = {} if total is None else {"contacts_count": total}
    return page_of(call, place, "contacts", items, after, **more)


async def count_contacts(call: Call) -> Response:
    wanted = call.request.query_params.get("include")
    if wanted not in (None, "new_subscriber"):
        raise invalid("include must be new_subscriber")
    return JSONResponse(await run_in_threadpool(_counts, call.state, wanted is not None))


def _counts(state: SandboxState, with_new: bool) -> dict[str, int]:
    state.activities.catch_up(True)
    with state.lock:
        book = state.contacts
        there = len(book) - len(book.deleted)
        unsubscribed = len(book.opted_out.keys() - book.deleted.keys())
        counts = {
            "total": there,
            "explicit": 0,
            "implicit": there - unsubscribed,
            "pending": 0,
            "unsubscribed": unsubscribed,
        }
        if with_new:
            since = state.clock() - NEW_SUBSCRIBER_SECONDS
            counts["new_subscriber"] = sum(created > since for created in book.created)
    return counts


def _page(
    state: SandboxState, place: Place, limit: int, include: set[str], tests: list[Test]
) -> tuple[list[dict[str, Any]], int | None, int | None]:
    """A page's contacts, where the next page starts, and how many there are if that was asked."""
    state.activities.catch_up(True)
    with state.lock:
        found = list(islice(_matching(state, place.query, place.start, tests), limit + 1))
        items = [contact_resource(state, number, include) for number in found[:limit]]
        after = found[limit] if len(found) > limit else None
        total = None
        if place.query.get("include_count") == "true":
            total = sum(1 for _ in _matching(state, place.query, 0, tests))
    return items, after, total


def _matching(
    state: SandboxState, query: Mapping[str, str], start: int, tests: list[Test]
) -> Iterator[int]:
    for number in _candidates(state, query, start):
        if all(test(number) for test in tests):
            yield number


def _candidates(state: SandboxState, query: Mapping[str, str], start: int) -> Iterator[int]:
    book = state.contacts
    if "email" in query:
        number = book.find(query["email"])
        return iter([] if number is None or number < start else [number])
    if "tags" in query or "segment_id" in query:
        return iter(())  # the account has none
    if "lists" not in query:
        return iter(range(start, len(book)))
    found = [state.lists.get(list_id.strip()) for list_id in query["lists"].split(",")]
    members = [entry.members for entry in found if entry is not None]
    if len(members) == 1:
        return members[0].from_number(start)
    return (n for n in range(start, len(book)) if any(n in group for group in members))


def _tests(state: SandboxState, query: Mapping[str, str]) -> list[Test]:
    """What a contact has to fulfil; 400 for a filter that cannot be read."""
    if len(query.get("lists", "").split(",")) > MAX_LISTS_IN_FILTER:
        raise invalid(f"lists holds at most {MAX_LISTS_IN_FILTER} ids")
    if len(query.get("tags", "").split(",")) > MAX_TAGS_IN_FILTER:
        raise invalid(f"tags holds at most {MAX_TAGS_IN_FILTER} ids")
    if "segment_id" in query and set(query) - {"segment_id", "limit"}:
        raise invalid("segment_id can only be combined with limit")
    book = state.contacts
    tests = [_status_test(state, _words(query, "status", _STATUSES))]
    tests += _time_tests(query, "created", lambda number: book.created[number])
    tests += _time_tests(query, "updated", lambda number: book.updated[number])
    tests += _time_tests(query, "optout", book.opted_out.get)
    return tests


def _status_test(state: SandboxState, wanted: set[str]) -> Test:
    book: ContactBook = state.contacts
    if "all" in wanted:
        return lambda number: True
    if not wanted:
        return lambda number: number not in book.deleted

    def fits(number: int) -> bool:
        if number in book.deleted:
            return "deleted" in wanted
        permission = permission_of(state, number)
        return permission in wanted or ("active" in wanted and permission != "unsubscribed")

    return fits


def _time_tests(
    query: Mapping[str, str], name: str, when: Callable[[int], float | None]
) -> list[Test]:
    tests: list[Test] = []
    if f"{name}_after" in query:
        after = _time(query, f"{name}_after")
        tests.append(lambda number: (when(number) or float("-inf")) > after)
    if f"{name}_before" in query:
        before = _time(query, f"{name}_before")
        tests.append(lambda number: (when(number) or float("inf")) < before)
    return tests


def _time(query: Mapping[str, str], name: str) -> float:
    try:
        moment = datetime.fromisoformat(query[name].replace(" ", "+"))
    except ValueError as error:
        raise invalid(f"{name} must be an ISO-8601 date") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _words(query: Mapping[str, str], name: str, allowed: tuple[str, ...]) -> set[str]:
    words = {word.strip() for word in query.get(name, "").split(",") if word.strip()}
    if words - set(allowed):
        raise invalid(f"{name} must be of {', '.join(allowed)}")
    return words
