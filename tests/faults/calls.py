"""The rows and columns of the fault matrix: every call of ours, and every fault that it can meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SILENT_SECONDS = 2.0
SLOW_SECONDS = 0.1


@dataclass(frozen=True)
class Call:
    """A call of ours. `operation` is its name in the sandbox; `group` its column of the table."""

    name: str
    request: str  # method and path, as people know it
    operation: str
    group: str
    purpose: str  # as our sentences say it
    whole: str = "an object"  # what its answer has to be
    needed: str = ""  # the field that its answer cannot do without
    also: tuple[dict[str, Any], ...] = ()  # what has to be so for the call to be made at all

    @property
    def is_of_a_run(self) -> bool:
        return self.group in RUN_GROUPS

    @property
    def needs_renewal(self) -> bool:
        return self.group == "renew"

    @property
    def signs_in(self) -> bool:
        return self.group in ("exchange", "whose")


@dataclass(frozen=True)
class Fault:
    """What goes wrong. `faults` are the sandbox's; without `on` they are for the call itself."""

    name: str
    what: str
    faults: tuple[dict[str, Any], ...]
    scope: str | None = None  # what the sign-in granted, where that is the trouble

    @property
    def is_silent(self) -> bool:
        return any(fault.get("delay_seconds") == SILENT_SECONDS for fault in self.faults)

    def on(self, call: Call) -> list[dict[str, Any]]:
        """The sandbox's faults for a call; they last until they are ended."""
        return [{"on": call.operation, "times": -1, **fault} for fault in self.faults]


CHECKS, IMPORT, FOLLOW, RENEW = "checks", "import", "follow", "renew"
RUN_GROUPS = (CHECKS, IMPORT, FOLLOW, RENEW)
ASK, CREATE, WHOSE, EXCHANGE, JOB, CLIENT = "ask", "create", "whose", "exchange", "job", "client"
GROUPS = (*RUN_GROUPS, ASK, CREATE, WHOSE, EXCHANGE, JOB, CLIENT)

_NO_ACTIVITIES = {
    "on": "getActivityStatusCollection",
    "do": "answer",
    "status": 200,
    "body": {"activities": []},
    "times": -1,
}

LIST, ACTIVITIES, ACTIVITY = "list", "activities", "activity"
RIGHTS, COUNTS, DOWNLOAD = "the user's rights", "counts of contacts", "download of an export"
OFF_A_LIST = "off a list"

CALLS: tuple[Call, ...] = (
    Call(
        "account",
        "GET /account/summary",
        "getAccountById",
        CHECKS,
        "read the account's name",
        needed="encoded_account_id",
    ),
    Call(LIST, "GET /contact_lists/{id}", "getList", CHECKS, "read the list", needed="list_id"),
    Call(
        "custom fields",
        "GET /contact_custom_fields",
        "getCustomFields",
        CHECKS,
        "read the account's custom fields",
        needed="name",
    ),
    Call(
        "import of a file",
        "POST /activities/contacts_file_import",
        "contactsCSVImport",
        IMPORT,
        "import the contacts",
        needed="activity_id",
    ),
    Call(
        ACTIVITIES,
        "GET /activities",
        "getActivityStatusCollection",
        FOLLOW,
        "look at the account's activities",
    ),
    Call(
        ACTIVITY,
        "GET /activities/{id}",
        "getActivity",
        FOLLOW,
        "look at the activity",
        needed="activity_id",
        also=(_NO_ACTIVITIES,),
    ),
    Call(
        "renewal of the sign-in",
        "POST /token (refresh_token)",
        "token:refresh_token",
        RENEW,
        "renew the sign-in",
    ),
    Call(
        "the account's lists",
        "GET /contact_lists",
        "getLists",
        ASK,
        "read the account's lists",
        needed="list_id",
    ),
    Call(
        RIGHTS,
        "GET /account/user/privileges",
        "getUserPrivileges",
        ASK,
        "read the user's rights",
        "an array",
        "privilege_name",
    ),
    Call(
        "a new list",
        "POST /contact_lists",
        "createList",
        CREATE,
        "create the list",
        needed="list_id",
    ),
    Call(
        "whose sign-in it is",
        "GET /account/summary",
        "getAccountById",
        WHOSE,
        "read the account's name",
        needed="encoded_account_id",
    ),
    Call(
        "sign in",
        "POST /token (authorization_code)",
        "token:authorization_code",
        EXCHANGE,
        "sign in",
    ),
    Call(COUNTS, "GET /contacts/counts", "countContact", CLIENT, "count the account's contacts"),
    Call(
        "contacts", "GET /contacts", "getContacts", CLIENT, "look up contacts", needed="contact_id"
    ),
    Call(
        OFF_A_LIST,
        "POST /activities/remove_list_memberships",
        "postListRemoveContact",
        JOB,
        "take contacts off the list",
        needed="activity_id",
    ),
    Call(
        "export of a list",
        "POST /activities/contact_exports",
        "postContactsExport",
        JOB,
        "export the list's contacts",
        needed="activity_id",
    ),
    Call(
        DOWNLOAD,
        "GET /contact_exports/{id}",
        "getContactsExport",
        CLIENT,
        "download the exported contacts",
    ),
)

_RIGHTS_WITHOUT_WRITING = [
    {"privilege_id": number, "privilege_name": name}
    for number, name in enumerate(
        ("account:read", "contacts:read", "contacts:lists:read", "contacts:lists:write")
    )
]


def _answer(status: int, body: Any) -> tuple[dict[str, Any], ...]:
    return ({"do": "answer", "status": status, "body": body},)


def _do(name: str, **more: Any) -> tuple[dict[str, Any], ...]:
    return ({"do": name, **more},)


FAULTS: tuple[Fault, ...] = (
    Fault("400 array", "400, a list of errors", _do("validation_error")),
    Fault(
        "400 object",
        "400, one error",
        _answer(400, {"error_key": "contacts.api.validation.error", "error_message": "Not valid."}),
    ),
    Fault("400 gateway", "400, the gateway's words", _answer(400, {"message": "Bad Request"})),
    Fault(
        "400 OAuth",
        "400, in the form of OAuth",
        _answer(400, {"error": "invalid_request", "error_description": "Missing parameter."}),
    ),
    Fault("400 HTML", "400, a page", _answer(400, "<html><body>Bad Request</body></html>")),
    Fault("400 empty", "400 without a body", _do("empty", status=400)),
    Fault("invalid_grant", "400 invalid_grant", _do("invalid_grant")),
    Fault("invalid_client", "401 invalid_client", _do("invalid_client")),
    Fault("401 once", "401 once", _do("unauthorized", times=1)),
    Fault("401", "401 every time", _do("unauthorized")),
    Fault(
        "403 privilege",
        "403, the user lacks a right",
        (
            *_do("access_denied"),
            {"on": "getUserPrivileges", **_answer(200, _RIGHTS_WITHOUT_WRITING)[0]},
        ),
    ),
    Fault(
        "403 scope",
        "403, the sign-in granted too little",
        _do("access_denied"),
        scope="account_read offline_access",
    ),
    Fault(
        "403 deactivated",
        "403, the application is deactivated",
        (
            *_do("access_denied"),
            {"on": "getUserPrivileges", "do": "access_denied"},
        ),
    ),
    Fault("404", "404", _do("not_found")),
    Fault("409", "409", _do("conflict")),
    Fault("413", "413", _do("too_large")),
    Fault(
        "415",
        "415",
        _answer(
            415,
            [{"error_key": "contacts.api.unsupported_media_type", "error_message": "Unsupported."}],
        ),
    ),
    Fault("429 throttled", "429 throttled", _do("throttled")),
    Fault("429 quota", "429 quota_exceeded", _do("quota_exceeded")),
    Fault("429 queue", "429, the queue is full", _do("queue_full")),
    Fault("429 unknown", "429 of unknown body", _answer(429, "<html>slow down</html>")),
    Fault("500", "500", _do("server_error")),
    Fault("502", "502, a page", _do("bad_gateway")),
    Fault("503", "503", _do("unavailable")),
    Fault("504", "504", _do("gateway_timeout")),
    Fault(
        "reset before", "the connection is reset before the request is taken", _do("drop_before")
    ),
    Fault(
        "reset after",
        "the connection is reset after the request was carried out",
        _do("drop_after"),
    ),
    Fault("lost", "carried out, but a gateway answers 504", _do("answer_after")),
    Fault("cut", "carried out, but the answer breaks off", _do("cut_after")),
    Fault("slow", "a slow answer", _do("delay", delay_seconds=SLOW_SECONDS)),
    Fault("silent", "no answer in time", _do("delay", delay_seconds=SILENT_SECONDS)),
    Fault("empty", "200 without a body", _do("empty", status=200)),
    Fault("truncated", "200, JSON that stops in the middle", _do("truncated_json")),
    Fault("other document", "200, another document", _answer(200, 42)),
    Fault(
        "wrong types",
        "carried out, but values of the answer are of other types",
        _do("wrong_types"),
    ),
    Fault("unknown fields", "fields in the answer that nobody has heard of", _do("unknown_fields")),
)
