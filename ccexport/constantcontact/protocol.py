"""Builds each request to the V3 API and reads its answer. Pure: no network, no clock.

Every `build_…` gives a `Request`, every `read_…` turns an `Answer` into a value or raises one error of
`ccexport/errors.py`. Limits and shapes come from Constant Contact's V3 reference, named at each place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from ccexport.constantcontact.answers import Answer, Part, Request, nonsense, read_json
from ccexport.constantcontact.model import (
    Account,
    Activity,
    Contact,
    ContactCounts,
    ContactList,
    CustomField,
    Page,
)
from ccexport.constantcontact.values import (
    array_of,
    count,
    next_path,
    object_of,
    read_time,
    required,
    string,
)
from ccexport.errors import ConstantContactRefused, NotFoundThere

MAX_IMPORT_BODY_BYTES = (
    3_900_000  # "less than 4 MB" for the whole body, unit not stated; beyond it rows are dropped
)
MAX_IDS_REMOVED = 500  # contact ids of one removal
MAX_LISTS = 50  # of one import, removal or export
PAGE_SIZE = 500  # largest `limit` of contacts, lists and activities that all descriptions agree on
CUSTOM_FIELD_PAGE_SIZE = 100
# whatever request they are in, and however deep: they delete contacts, or reach beyond those that are named
NEVER_SENT = frozenset({"contact_delete", "all_active_contacts", "tag_ids", "engagement_level"})

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}\.csv")
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_UUID = re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE)

Item = TypeVar("Item")

# --- requests --------------------------------------------------------------------------------------------------


def build_account_summary() -> Request:
    """GET /account/summary; needs the scope account_read."""
    return Request("GET", "/account/summary", "account_summary", "read the account's name")


def build_user_privileges() -> Request:
    """GET /account/user/privileges; needs nothing, so it also tells whether a token is alive."""
    return Request("GET", "/account/user/privileges", "user_privileges", "read the user's rights")


def build_get_lists(status: str = "active", *, include_counts: bool = False) -> Request:
    """GET /contact_lists. `status` is active, deleted or all."""
    params = [("limit", str(PAGE_SIZE)), ("status", status)]
    if include_counts:
        params.append(("include_membership_count", "active"))
    return Request(
        "GET", "/contact_lists", "get_lists", "read the account's lists", params=tuple(params)
    )


def build_get_list(list_id: str) -> Request:
    """GET /contact_lists/{list_id}. Raises `NotFoundThere` for what cannot be an id."""
    return Request(
        "GET",
        f"/contact_lists/{_id(list_id)}",
        "get_list",
        "read the list",
        params=(("include_membership_count", "active"),),
    )


def build_create_list(name: str, description: str = "") -> Request:
    """POST /contact_lists. Not to be repeated blindly: look the name up first. Both texts at most 255 characters."""
    if not name.strip() or len(name) > 255:
        raise ConstantContactRefused(
            "A list's name has 1 to 255 characters. Give the list another name."
        )
    body = {"name": name, "favorite": False}
    if description:
        body["description"] = description[:255]
    return Request(
        "POST",
        "/contact_lists",
        "create_list",
        "create the list",
        json=body,
        safe_to_repeat=False,
    )


def build_custom_fields() -> Request:
    """GET /contact_custom_fields."""
    return Request(
        "GET",
        "/contact_custom_fields",
        "custom_fields",
        "read the account's custom fields",
        params=(("limit", str(CUSTOM_FIELD_PAGE_SIZE)),),
    )


def build_file_import(file_name: str, content: bytes, list_ids: Sequence[str]) -> Request:
    """POST /activities/contacts_file_import: a CSV whose name is the only handle for finding a lost job again.

    There is no idempotency key, so it is never repeated before a look at the activities.
    """
    if not _FILE_NAME.fullmatch(file_name):
        raise ValueError("a file name must be plain and end in .csv, or it is answered 415")
    _check_list_ids(list_ids)
    return Request(
        "POST",
        "/activities/contacts_file_import",
        "contacts_file_import",
        "import the contacts",
        files=(
            Part("file", content, file_name, "text/csv"),
            Part("list_ids", ",".join(list_ids).encode("ascii")),
        ),
        safe_to_repeat=False,
    )


def build_activity(activity_id: str) -> Request:
    """GET /activities/{activity_id}; a 404 also means: older than 10 days."""
    return Request("GET", f"/activities/{_id(activity_id)}", "activity", "look at the activity")


def build_activities() -> Request:
    """GET /activities: the last 10 days of the whole account, of other people and applications too."""
    return Request(
        "GET",
        "/activities",
        "activities",
        "look at the account's activities",
        params=(("limit", str(PAGE_SIZE)),),
    )


def build_remove_list_memberships(list_id: str, contact_ids: Sequence[str]) -> Request:
    """POST /activities/remove_list_memberships: off this list, still in the account. 1 to 500 contact ids.

    Not to be repeated blindly: somebody may have put a person back meanwhile. Look for the job first.
    """
    if not 1 <= len(contact_ids) <= MAX_IDS_REMOVED:
        raise ValueError(
            f"1 to {MAX_IDS_REMOVED} contacts are removed at once, not {len(contact_ids)}"
        )
    _check_list_ids([list_id])
    return Request(
        "POST",
        "/activities/remove_list_memberships",
        "remove_list_memberships",
        "take contacts off the list",
        json={"source": {"contact_ids": list(contact_ids)}, "list_ids": [list_id]},
        safe_to_repeat=False,
    )


def build_contacts(
    *,
    email: str | None = None,
    list_id: str | None = None,
    opted_out_after: datetime | None = None,
) -> Request:
    """GET /contacts: by exact address, by list, or those who opted out since a time. One of them is needed."""
    params = [("limit", str(PAGE_SIZE)), ("include", "list_memberships")]
    if email is not None:
        params.append(("email", email))
    if list_id is not None:
        params.append(("lists", _id(list_id)))
    if opted_out_after is not None:
        params += [("status", "all"), ("optout_after", format_time(opted_out_after))]
    if len(params) == 2:
        raise ValueError("contacts are asked for by email, list or opt-out, never all of them")
    return Request("GET", "/contacts", "contacts", "look up contacts", params=tuple(params))


def build_contact_counts() -> Request:
    """GET /contacts/counts."""
    return Request("GET", "/contacts/counts", "contact_counts", "count the account's contacts")


def build_contact_exports(list_id: str) -> Request:
    """POST /activities/contact_exports of one list, addresses only (an empty body would export the account)."""
    _check_list_ids([list_id])
    return Request(
        "POST",
        "/activities/contact_exports",
        "contact_exports",
        "export the list's contacts",
        json={"list_ids": [list_id], "fields": ["email_address"]},
    )


def build_contact_export(export_id: str) -> Request:
    """GET /contact_exports/{file_export_id}: the CSV of a completed export."""
    return Request(
        "GET",
        f"/contact_exports/{_id(export_id)}",
        "contact_export",
        "download the exported contacts",
        accept="text/csv, */*",
    )


def build_next(request: Request, next_path: str) -> Request:
    """The request for a further page: the link as it came, none of our parameters again."""
    return Request("GET", next_path, request.operation, request.purpose, accept=request.accept)


def check_request(request: Request, body: bytes) -> None:
    """The last look at every request before it leaves: raises `ValueError` for what may never be sent.

    `body` is what goes on the wire, so whatever built it. Contacts are never deleted; nobody is taken off a list, or
    exported, but by name or by one list; nothing is said of tags or of the whole account. Contacts themselves travel
    in the one import alone, whose file may hold any word.
    """
    if "contact_delete" in request.path or request.method not in ("GET", "POST"):
        raise ValueError("contacts are never deleted")
    if request.files:
        if {part.name for part in request.files} != {"file", "list_ids"}:
            raise ValueError("an import is a file and lists, and nothing else")
        return
    try:
        said = json.loads(body) if body else {}
    except ValueError:
        raise ValueError("a body is JSON, or the file of an import") from None
    if named := NEVER_SENT & set(_keys(said)):
        raise ValueError(f"{sorted(named)[0]} is never sent: it touches more than was meant")
    _check_lists(request.path, said)


def _check_lists(path: str, body: Any) -> None:
    source = body.get("source") if isinstance(body, Mapping) else None
    if isinstance(source, Mapping) and set(source) != {"contact_ids"}:
        raise ValueError(
            "a change of a list names its contacts, and no list or tag that they are on"
        )
    if path.endswith("/contact_exports") and not body.get("list_ids"):
        raise ValueError("an export without a list would export the whole account")
    if path.endswith("/remove_list_memberships"):
        contact_ids = (source or {}).get("contact_ids") or ()
        if len(body.get("list_ids") or ()) != 1 or not 1 <= len(contact_ids) <= MAX_IDS_REMOVED:
            raise ValueError(f"a removal names one list and 1 to {MAX_IDS_REMOVED} contacts")


def find_list_id(text: str) -> str | None:
    """The one list id in what a person pasted: the id alone, or the address of the list's page.

    None where there is none, or where there are several: which one is meant cannot be known.
    """
    found = {each.lower() for each in _UUID.findall(text)}
    return found.pop() if len(found) == 1 else None


def format_time(at: datetime) -> str:
    """The form in which the API takes times: UTC with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _id(value: str) -> str:
    if not _ID.fullmatch(value):
        raise NotFoundThere(
            "This is not an id of Constant Contact. Paste the 36 characters that end the list's address there."
        )
    return value


def _check_list_ids(list_ids: Sequence[str]) -> None:
    if not 1 <= len(list_ids) <= MAX_LISTS or not all(map(_ID.fullmatch, list_ids)):
        raise ValueError(f"1 to {MAX_LISTS} list ids are needed")


def _keys(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key)
            yield from _keys(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _keys(inner)


# --- answers ---------------------------------------------------------------------------------------------------


def read_account(answer: Answer) -> Account:
    """The account; all of its fields but the identity may be absent."""
    data = object_of(answer, read_json(answer))
    return Account(
        required(answer, data, "encoded_account_id"),
        string(data, "organization_name"),
        string(data, "contact_email"),
    )


def read_privileges(answer: Answer) -> frozenset[str]:
    """The names of the user's privileges."""
    items = array_of(answer, read_json(answer))
    return frozenset(required(answer, object_of(answer, item), "privilege_name") for item in items)


def read_list(answer: Answer) -> ContactList:
    """One list, as it is asked for or has just been created."""
    return _list(answer, object_of(answer, read_json(answer)))


def read_lists(answer: Answer) -> Page[ContactList]:
    """A page of lists."""
    return _page(answer, "lists", _list)


def read_custom_fields(answer: Answer) -> Page[CustomField]:
    """A page of custom fields."""
    return _page(answer, "custom_fields", _custom_field)


def read_activity(answer: Answer) -> Activity:
    """A bulk job, as an answer to the POST that made it or to a look at it."""
    return _activity(answer, object_of(answer, read_json(answer)))


def read_activities(answer: Answer) -> Page[Activity]:
    """A page of the account's bulk jobs, other programs' too; one without an id could not be asked for anyway."""
    page = _page(answer, "activities", _activity_with_id)
    return Page(tuple(filter(None, page.items)), page.next_path)


def read_contacts(answer: Answer) -> Page[Contact]:
    """A page of contacts."""
    return _page(answer, "contacts", _contact)


def read_contact_counts(answer: Answer) -> ContactCounts:
    """Counts of the whole account."""
    data = object_of(answer, read_json(answer))
    names = ("total", "explicit", "implicit", "pending", "unsubscribed")
    return ContactCounts(**{name: count(data, name) for name in names})


def _page(
    answer: Answer, key: str, read_item: Callable[[Answer, Mapping[str, Any]], Item]
) -> Page[Item]:
    data = object_of(answer, read_json(answer))
    if key not in data and not set(data) <= {"_links", f"{key}_count"}:
        raise nonsense(answer, f"without {key}")
    items = array_of(answer, [] if data.get(key) is None else data[key])
    try:
        following = next_path(data.get("_links"))
    except ValueError as error:
        raise nonsense(answer, str(error)) from None
    return Page(tuple(read_item(answer, object_of(answer, item)) for item in items), following)


def _list(answer: Answer, data: Mapping[str, Any]) -> ContactList:
    return ContactList(
        list_id=required(answer, data, "list_id"),
        name=string(data, "name"),
        deleted=bool(data.get("deleted_at")),
        membership_count=count(data, "membership_count"),
        created_at=read_time(data.get("created_at")),
        updated_at=read_time(data.get("updated_at")),
    )


def _custom_field(answer: Answer, data: Mapping[str, Any]) -> CustomField:
    choices = data.get("choices")
    labels = [
        string(choice, "choice_label")
        for choice in (choices if isinstance(choices, list) else [])
        if isinstance(choice, Mapping) and not choice.get("deleted_at")
    ]
    name = required(answer, data, "name")
    return CustomField(
        name, string(data, "label") or name, string(data, "type"), tuple(filter(None, labels))
    )


def _activity(answer: Answer, data: Mapping[str, Any]) -> Activity:
    status = data.get("status")
    counts = status if isinstance(status, Mapping) else {}
    return Activity(
        activity_id=required(answer, data, "activity_id"),
        state=string(data, "state"),
        file_name=string(data, "source_file_name"),
        percent_done=count(data, "percent_done"),
        created_at=read_time(data.get("created_at")),
        person_count=count(counts, "person_count"),
        error_count=count(counts, "error_count"),
        correctable_count=count(counts, "correctable_count"),
        cannot_add_count=count(counts, "cannot_add_to_list_count"),
        items_total_count=count(counts, "items_total_count"),
        items_completed_count=count(counts, "items_completed_count"),
        list_count=count(counts, "list_count"),
        errors=_errors(data.get("activity_errors")),
        results_id=_results_id(data.get("_links")),
    )


def _activity_with_id(answer: Answer, data: Mapping[str, Any]) -> Activity | None:
    return _activity(answer, data) if string(data, "activity_id") else None


def _errors(value: object) -> tuple[str, ...]:
    entries = value if isinstance(value, list) else []
    texts = (
        entry
        if isinstance(entry, str)
        else string(entry, "message") or string(entry, "error_message")
        for entry in entries
        if isinstance(entry, str | Mapping)
    )
    return tuple(filter(None, texts))


def _results_id(links: object) -> str | None:
    """The last path segment of the link: the contract's example spells the path before it differently."""
    results = links.get("results") if isinstance(links, Mapping) else None
    href = results.get("href") if isinstance(results, Mapping) else results
    if not isinstance(href, str):
        return None
    segment = href.split("?", 1)[0].rstrip("/").rsplit("/", 1)[-1]
    return segment if _ID.fullmatch(segment) else None


def _contact(answer: Answer, data: Mapping[str, Any]) -> Contact:
    address = data.get("email_address")
    email = address if isinstance(address, Mapping) else {}
    lists = data.get("list_memberships")
    return Contact(
        contact_id=required(answer, data, "contact_id"),
        email=string(email, "address").strip().lower() or None,
        permission=string(email, "permission_to_send"),
        list_ids=tuple(x for x in (lists if isinstance(lists, list) else []) if isinstance(x, str)),
    )
