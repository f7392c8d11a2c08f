"""The two imports: what is refused at once, what becomes an activity, and what is dropped unsaid."""

import json
from functools import cache
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ccexport.sandbox.account.contacts import SEPARATOR
from ccexport.sandbox.account.jobs import import_rows
from ccexport.sandbox.account.rows import (
    CSV_COLUMNS,
    JSON_COLUMNS,
    MAX_BYTES,
    MAX_CUSTOM_FIELDS_PER_CONTACT,
    ReadRows,
    header_of,
    header_problem,
    max_characters,
    read_columns,
    read_csv,
)
from ccexport.sandbox.api.answers import (
    VALIDATION_ERROR,
    Refused,
    gateway_error,
    invalid,
    several_errors,
)
from ccexport.sandbox.api.api_activities import checked_lists, start_activity
from ccexport.sandbox.api.bodies import JsonImport, read_body
from ccexport.sandbox.api.gate import Call
from ccexport.sandbox.api.multipart import Part, boundary_of, read_parts

MAX_JSON_CONTACTS = 40_000  # vendor guide
MAX_JSON_EMAIL_CHARACTERS = 50  # where the file import takes 80
_INTEGERS = ("birthday_month", "birthday_day")


async def import_file(call: Call) -> Response:
    boundary = boundary_of(call.request.headers.get("content-type", ""))
    if boundary is None:
        raise Refused(gateway_error(415, "Content-Type must be left to the client's library"))
    body = await call.request.body()
    call.entry.bytes = len(body)
    parts = read_parts(body, boundary)
    file = _file_part(parts)
    call.entry.file_name = file.file_name
    call.entry.rows = _rows_in(file.data)
    list_ids = checked_lists(call.state, _list_ids(parts))
    if fault := call.take("refuse_file", file.data):
        words = "; ".join(fault.messages) or "The file is not valid."
        raise Refused(several_errors(fault.status or 400, VALIDATION_ERROR, words))
    data = _within_bounds(file)
    problem = header_problem(header_of(data), CSV_COLUMNS, call.state.fields.names())
    if problem:
        raise invalid(problem)
    read = cache(lambda: read_csv(data))
    return start_activity(
        call,
        "file_import",
        lambda troubles: import_rows(call.state, read, list_ids, troubles),
        first_counters=_no_counts(),
        prepare=read,
        size=_rows_in(data),
        file_name=file.file_name,
    )


async def import_json(call: Call) -> Response:
    body = await read_body(call, JsonImport)
    list_ids = checked_lists(call.state, body.list_ids)
    records = body.import_data
    call.entry.rows = len(records)
    problem = await run_in_threadpool(_records_problem, records, call.state.fields.names())
    if problem:
        raise invalid(problem)
    kept = _within_four_megabytes(records, call.entry.bytes or 0)
    return start_activity(
        call,
        "json_import",
        lambda troubles: import_rows(call.state, lambda: _read(kept), list_ids, troubles),
        first_counters=_no_counts(),
        size=len(kept),
    )


def _no_counts() -> dict[str, int]:
    """The counters before anything was looked at."""
    names = ("items_total_count", "person_count", "error_count")
    return dict.fromkeys((*names, "correctable_count", "cannot_add_to_list_count"), 0)


def _file_part(parts: list[Part]) -> Part:
    files = [part for part in parts if part.name == "file"]
    if len(files) != 1 or not (files[0].file_name or "").lower().endswith(".csv"):
        raise Refused(gateway_error(415, "Wrong file format, upload file must be of type .csv"))
    kind = (files[0].content_type or "").partition(";")[0].strip().lower()
    if kind not in ("text/csv", "application/octet-stream", "application/vnd.ms-excel"):
        raise Refused(gateway_error(415, "Wrong file format, the part must be text/csv"))
    return files[0]


def _list_ids(parts: list[Part]) -> list[str]:
    """The ids, which come as one text part, joined by commas."""
    texts = [part.data.decode("utf-8", "replace") for part in parts if part.name == "list_ids"]
    if len(texts) != 1:
        raise invalid("list_ids must be given exactly once")
    return [list_id.strip() for list_id in texts[0].split(",")]


def _within_bounds(file: Part) -> bytes:
    """The file without what lies beyond four megabytes of the body; whole lines only."""
    room = max(0, MAX_BYTES - file.start)
    if len(file.data) <= room:
        return file.data
    return file.data[: file.data.rfind(b"\n", 0, room) + 1]


def _rows_in(data: bytes) -> int:
    """Data rows of a file, by its line ends."""
    lines = data.count(b"\n") + (not data.endswith(b"\n"))
    return max(0, lines - 1)


def _records_problem(records: list[dict[str, Any]], custom: set[str]) -> str | None:
    """The first thing the schema has against the records: one refuses them all."""
    allowed = {*JSON_COLUMNS, *(f"cf:{name}" for name in custom)}
    for number, record in enumerate(records):
        where = f"#/import_data/{number}"
        for name, value in record.items():
            if name not in allowed:
                return f"{where}/{name}: extraneous key is not permitted"
            wanted: type = int if name in _INTEGERS else str
            if type(value) is not wanted:
                return f"{where}/{name}: expected type {wanted.__name__}"
            if isinstance(value, str) and len(value) > _longest(name):
                return f"{where}/{name}: expected maxLength {_longest(name)}"
        if "email" not in record and "sms_number" not in record:
            return f"{where}: required key email not found"
        if sum(name.startswith("cf:") for name in record) > MAX_CUSTOM_FIELDS_PER_CONTACT:
            return f"{where}: more than {MAX_CUSTOM_FIELDS_PER_CONTACT} custom fields"
    return None


def _longest(name: str) -> int:
    if name.endswith("phone"):
        return 50
    return MAX_JSON_EMAIL_CHARACTERS if name == "email" else max_characters(name)


def _within_four_megabytes(records: list[dict[str, Any]], size: int) -> list[dict[str, Any]]:
    if size <= MAX_BYTES:
        return records[:MAX_JSON_CONTACTS]
    room = MAX_BYTES
    for number, record in enumerate(records):
        room -= len(json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()) + 1
        if room < 0:
            return records[: min(number, MAX_JSON_CONTACTS)]
    return records[:MAX_JSON_CONTACTS]


def _read(records: list[dict[str, Any]]) -> ReadRows:
    names = dict.fromkeys(name for record in records for name in record)
    columns = {
        name: [str(record.get(name, "")).replace(SEPARATOR, " ") for record in records]
        for name in names
    }
    return read_columns(columns, len(records), {})
