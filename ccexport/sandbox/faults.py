"""Trouble on demand: what can be made to go wrong, and when.

A fault is `{"on": …, "do": …, "times": 1, "after": 0, …}`:

- `on`: an operation's name (`contactsCSVImport`, `getLists`, …; `token`, or `token:authorization_code`
  and `token:refresh_token` for one kind of grant; `authorize`), a method and a path with wildcards
  (`"GET /v3/activities/*"`, `"* /v3/*"`), or `"*"` for every call of the API.
- `do`: one of the names below.
- `after`: so many matching requests pass first. `times`: so many then meet it; -1 means for ever.
- `delay_seconds`: a pause (real time) before the answer; with `delay`, "instead" and "lost" faults.

Faults of one group wait for each other: of two that fit a request, the earlier one acts, the later
one's turn comes with the next request. "Instead" faults and `delay` meet a request on arrival,
before limits and sign-in are looked at; all others only count requests that succeed.

| `do` | group | what the client sees |
| --- | --- | --- |
| `delay` | delay | the right answer, `delay_seconds` later |
| `answer` | instead | `status`, `body` (text as it is, else JSON), `headers`; nothing is processed |
| `unauthorized` | instead | 401, the object shape |
| `access_denied` | instead | 403, the object shape |
| `not_found`, `validation_error`, `conflict` | instead | 404, 400, 409, the array shape |
| `throttled`, `quota_exceeded`, `queue_full` | instead | the three kinds of 429 |
| `server_error` | instead | 500, the array shape |
| `unavailable`, `gateway_timeout`, `too_large` | instead | 503, 504, 413 as the gateway's `{"message": …}` |
| `bad_gateway` | instead | 502 with an HTML page |
| `empty` | instead | `status` (default 500) without a body |
| `truncated_json` | instead | `status` (default 200), JSON that stops in the middle |
| `invalid_grant`, `invalid_client` | instead | 400, 401 of the token endpoint |
| `drop_before` | instead | the connection is reset, nothing is processed |
| `drop_after` | lost | everything is processed (a token rotated, a job made), then a reset |
| `answer_after` | lost | processed, but answered with `status`, `body`, `headers` (default 504) |
| `cut_after` | lost | processed, but the connection closes in the middle of the answer |
| `wrong_types` | lost | processed; in the answer texts are numbers, and numbers texts |
| `unknown_fields` | lost | processed; each object of the answer has a field `not_documented` more |
| `refuse_file` | its own | `status` (default 400), `messages`, for a file with one of the texts `containing` in it |
| `no_refresh_token` | its own | an answer without `refresh_token`; the old one stays as it was |
| `expires_in` | its own | a token that lives `seconds` |
| `activity_failed`, `activity_timed_out`, `activity_cancelled` | end | the job ends so: see below |
| `activity_weird_state` | end | the job ends in the `state` given (default `paused_for_review`) |
| `activity_stuck` | end | the job stays `processing` |
| `activity_slow` | its own | the job takes `seconds` longer |
| `activity_gone` | its own | the job is done, but neither shown nor listed: 404 |
| `reject_rows` | rows | the rows on `lines` (the header is line 1) are not imported, each with a `Line N: …` text |
| `reject_rows_silently` | rows | the same, without texts: only `error_count` tells |
| `no_person_count` | counters | the job's status lacks `person_count` |
| `no_counters` | counters | the job has no `status` at all |
| `null_counters` | counters | the job's counters are all null |
| `object_messages` | its own | the job's `activity_errors` are `{"message": …}` objects |
| `no_file_name` | its own | the job does not echo `source_file_name` |
| `empty_page` | page | a page without items whose `next` leads to them |
| `no_links`, `null_links` | page | the page lacks `_links`, or has it null: items that follow are not reachable |
| `foreign_next` | page | `next` is an absolute address on another host |
| `same_next` | page | `next` leads to the page it is on |
| `sms_only_contact` | its own | the page of contacts starts with one that has no `email_address` |
| `export_bom` | its own | the downloaded CSV starts with a byte-order mark |
| `export_shuffled` | its own | its columns are in another order |
| `export_without_email` | its own | it has no column of addresses |

A job that a fault ends has `messages` as its `activity_errors`; what it was about is not done, unless
`apply` is true. What becomes of a job is met by the POST that makes it; odd pages by a GET of a collection.
"""

import fnmatch
import threading
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ccexport.sandbox.api.operations import API_PREFIX, BY_NAME

FaultName = Literal[
    "delay",
    "answer",
    "unauthorized",
    "access_denied",
    "not_found",
    "validation_error",
    "conflict",
    "throttled",
    "quota_exceeded",
    "queue_full",
    "server_error",
    "unavailable",
    "gateway_timeout",
    "too_large",
    "bad_gateway",
    "empty",
    "truncated_json",
    "invalid_grant",
    "invalid_client",
    "drop_before",
    "drop_after",
    "answer_after",
    "cut_after",
    "wrong_types",
    "unknown_fields",
    "refuse_file",
    "no_refresh_token",
    "expires_in",
    "activity_failed",
    "activity_timed_out",
    "activity_cancelled",
    "activity_weird_state",
    "activity_stuck",
    "activity_slow",
    "activity_gone",
    "reject_rows",
    "reject_rows_silently",
    "no_person_count",
    "no_counters",
    "null_counters",
    "object_messages",
    "no_file_name",
    "empty_page",
    "no_links",
    "null_links",
    "foreign_next",
    "same_next",
    "sms_only_contact",
    "export_bom",
    "export_shuffled",
    "export_without_email",
]
FAULT_NAMES: Final[tuple[str, ...]] = get_args(FaultName)

GROUPS: Final[dict[str, frozenset[str]]] = {
    "delay": frozenset({"delay"}),
    "instead": frozenset(
        FAULT_NAMES[FAULT_NAMES.index("answer") : FAULT_NAMES.index("drop_before") + 1]
    ),
    "lost": frozenset({"drop_after", "answer_after", "cut_after", "wrong_types", "unknown_fields"}),
    "end": frozenset(
        {
            "activity_failed",
            "activity_timed_out",
            "activity_cancelled",
            "activity_weird_state",
            "activity_stuck",
        }
    ),
    "rows": frozenset({"reject_rows", "reject_rows_silently"}),
    "counters": frozenset({"no_person_count", "no_counters", "null_counters"}),
    "page": frozenset({"empty_page", "no_links", "null_links", "foreign_next", "same_next"}),
}

_METHODS = ("GET", "POST", "PUT", "DELETE", "*")
_GRANTS = ("authorization_code", "refresh_token")


class Fault(BaseModel):
    """One thing that shall go wrong; the module's table says what each `do` means."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    on: str
    do: FaultName
    times: Annotated[int, Field(ge=-1)] = 1
    after: Annotated[int, Field(ge=0)] = 0
    delay_seconds: Annotated[float, Field(ge=0)] = 0.0
    status: Annotated[int, Field(ge=200, le=599)] | None = None
    body: Any = None
    headers: dict[str, str] = {}
    seconds: Annotated[float, Field(ge=0)] = 1.0
    messages: tuple[str, ...] = ()
    state: str = "paused_for_review"
    apply: bool = False
    lines: tuple[Annotated[int, Field(ge=2)], ...] = (2,)
    containing: tuple[str, ...] = ()

    @field_validator("on")
    @classmethod
    def _is_an_operation(cls, value: str) -> str:
        name, _, grant = value.partition(":")
        if value == "*" or value in BY_NAME or (name == "token" and grant in _GRANTS):
            return value
        method, _, path = value.partition(" ")
        if method in _METHODS and path.startswith("/"):
            return value
        raise ValueError(
            f"{value!r} is not an operation; allowed: {', '.join(BY_NAME)}, "
            '"token:refresh_token", "METHOD /path-with-wildcards", "*"'
        )

    def fits(self, operation: str, method: str, path: str, grant: str) -> bool:
        """Say whether this fault is about the request described."""
        if self.on == "*":
            return path.startswith(API_PREFIX + "/")
        if self.on in (operation, f"{operation}:{grant}"):
            return True
        wanted_method, _, pattern = self.on.partition(" ")
        return wanted_method in (method, "*") and fnmatch.fnmatchcase(path, pattern or "\0")

    def is_about(self, content: bytes) -> bool:
        """Say whether it is about an upload of this content."""
        return not self.containing or any(text.encode() in content for text in self.containing)


class FaultBook:
    """The faults in force, with how often each was met. Safe to ask from several threads."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        self._lock = threading.Lock()
        self._entries = [_Entry(fault) for fault in faults]

    def add(self, faults: tuple[Fault, ...]) -> None:
        with self._lock:
            self._entries.extend(_Entry(fault) for fault in faults)

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()

    def take(
        self,
        group: str,
        operation: str,
        method: str,
        path: str,
        grant: str = "",
        content: bytes = b"",
    ) -> Fault | None:
        """Count this request for the faults of `group` (or one `do`), return the one it meets."""
        names = GROUPS.get(group, frozenset({group}))
        met: Fault | None = None
        with self._lock:
            for entry in self._entries:
                fault = entry.fault
                if fault.do not in names or not fault.fits(operation, method, path, grant):
                    continue
                if not fault.is_about(content):
                    continue
                entry.seen += 1
                if met is None and entry.is_due:
                    entry.used += 1
                    met = fault
        return met


class _Entry:
    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.seen = 0
        self.used = 0

    @property
    def is_due(self) -> bool:
        fault = self.fault
        return self.seen > fault.after and (fault.times < 0 or self.used < fault.times)
