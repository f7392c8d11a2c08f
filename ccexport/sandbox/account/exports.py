"""The CSV file of an export: headings for people, written while it is fetched."""

import csv
import io
import random
from collections.abc import Callable, Iterator

from starlette.responses import Response, StreamingResponse

from ccexport.sandbox.account.activities import Report
from ccexport.sandbox.account.state import SandboxState
from ccexport.sandbox.api.answers import Refused, iso_time, not_found
from ccexport.sandbox.api.gate import Call

_CHUNK = 5_000
_PROPERTIES = {
    "first_name": "First name",
    "last_name": "Last name",
    "job_title": "Job title",
    "company_name": "Company",
    "phone": "Phone - other",
    "home_phone": "Phone - home",
    "work_phone": "Phone - work",
    "mobile_phone": "Phone - mobile",
    "birthday_month": "Birthday month",
    "birthday_day": "Birthday day",
    "anniversary": "Anniversary",
    "street": "Street address line 1 - Home",
    "city": "City - Home",
    "state": "State/Province - Home",
    "zip": "Zip/Postal Code - Home",
    "country": "Country - Home",
}
Cell = Callable[[int, dict[str, str]], str]


async def get_export(call: Call) -> Response:
    """The file of a completed export activity; 404 for anything else."""
    activity = call.state.activities.get(call.request.path_params["file_export_id"])
    report = activity.report if activity else None
    if activity is None or report is None or report.exported is None:
        raise Refused(not_found())
    if activity.state(call.state.clock()) != "completed":
        raise Refused(not_found())
    columns = _columns(call.state, report.fields)
    if call.take("export_without_email"):
        columns.pop("Email address", None)
    if call.take("export_shuffled"):
        columns = _shuffled(columns, call.state.behaviour.seed)
    start = "\ufeff" if call.take("export_bom") else ""
    name = f"contact_export_{activity.activity_id}.csv"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(
        _file(call.state, report, columns, start), media_type="text/csv", headers=headers
    )


def _columns(state: SandboxState, fields: tuple[str, ...]) -> dict[str, Cell]:
    """Headings and how their cells come about; `fields` chooses, all without it."""
    book = state.contacts
    by_field: dict[str, tuple[str, Cell]] = {
        "email_address": ("Email address", lambda number, _: book.emails[number])
    }
    for name, heading in _PROPERTIES.items():
        by_field[name] = (heading, lambda _, values, name=name: values.get(name, ""))  # type: ignore[misc]  # the default binds the loop's value
    by_field |= {
        "email_status": ("Email status", lambda number, _: _status(state, number)),
        "permission_to_send": (
            "Email permission status",
            lambda number, _: _consent(state, number),
        ),
        "email_update_source": ("Email update source", lambda *_: "Account"),
        "email_lists": ("Email Lists", lambda number, _: _lists(state, number)),
        "source_name": ("Source Name", lambda *_: "API"),
        "tags": ("Tags", lambda *_: ""),
        "created_at": ("Created At", lambda number, _: iso_time(book.created[number])),
        "updated_at": ("Updated At", lambda number, _: iso_time(book.updated[number])),
    }
    for field in state.fields.all():
        key = f"cf:{field.name}"
        by_field[field.name] = (field.label, lambda _, values, key=key: values.get(key, ""))  # type: ignore[misc]  # as above
    chosen = [by_field[name] for name in fields if name in by_field] or list(by_field.values())
    return dict(chosen)


def _file(
    state: SandboxState, report: Report, columns: dict[str, Cell], start: str
) -> Iterator[bytes]:
    assert report.exported is not None  # noqa: S101  # looked at by the caller
    text = io.StringIO()
    text.write(start)
    writer = csv.writer(text)
    writer.writerow(columns)
    cells = list(columns.values())
    only_emails = list(columns) == ["Email address"]
    for first in range(0, max(1, len(report.exported)), _CHUNK):
        with state.lock:
            for number in report.exported[first : first + _CHUNK]:
                values = {} if only_emails else state.contacts.properties(number)
                writer.writerow([cell(number, values) for cell in cells])
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()


def _shuffled(columns: dict[str, Cell], seed: int) -> dict[str, Cell]:
    """Another order, the same one for the same seed, never with the addresses in front."""
    names = list(columns)
    random.Random(seed).shuffle(names)  # noqa: S311  # not for secrets
    if names[0] == "Email address":
        names.append(names.pop(0))
    return {name: columns[name] for name in names}


def _status(state: SandboxState, number: int) -> str:
    return "Active" if state.contacts.is_active(number) else "Unsubscribed"


def _consent(state: SandboxState, number: int) -> str:
    return "Unsubscribed" if number in state.contacts.opted_out else "Implicit"


def _lists(state: SandboxState, number: int) -> str:
    return ", ".join(entry.name for entry in state.lists.all() if number in entry.members)
