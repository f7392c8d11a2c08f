"""From an uploaded file or JSON records to rows that can be stored, and the rows that cannot.

Works on whole columns, since a file has up to 40,000 rows: a column is looked at in one go, its
single values only where something in it is wrong. Which bounds apply where the vendor's texts
disagree: 80 characters for an address, 25 for a phone (its contact resource), 255 for a joined
street.
"""

import contextlib
import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import islice, zip_longest
from typing import TypeVar

from ccexport.sandbox.account.contacts import SEPARATOR, Layout

MAX_BYTES = 4_000_000  # of a request body; what is beyond is dropped without a word
MAX_LINES = 40_000  # of a file, with its header
MAX_EMAIL_CHARACTERS = 80
_MAX_HEADER_BYTES = 100_000  # below what the csv module takes as one field
MAX_CUSTOM_FIELDS_PER_CONTACT = 25

CSV_COLUMNS = (
    *("email", "first_name", "last_name", "phone", "job_title", "anniversary"),
    *("birthday_day", "birthday_month", "company_name", "street", "street2"),
    *("city", "state", "zip", "country", "sms_number", "sms_consent_date"),
)
_PLACE = ("street", "street2", "city", "state", "zip", "country")
JSON_COLUMNS = (
    *CSV_COLUMNS,
    *("home_phone", "work_phone", "mobile_phone", "other_phone", "home country"),
    *(f"{kind}_{part}" for kind in ("home", "work", "other") for part in _PLACE),
)
_MAX_CHARACTERS = {"phone": 25, "street": 255, "sms_number": 16, "sms_consent_date": 16}
_EMAIL = re.compile(
    r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
    r"(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+"
)
_DATES = (
    re.compile(r"(?P<m>\d{1,2})/(?P<d>\d{1,2})/(?P<y>\d{4})"),
    re.compile(r"(?P<y>\d{4})/(?P<m>\d{1,2})/(?P<d>\d{1,2})"),
    re.compile(r"(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})"),
    re.compile(r"(?P<m>\d{1,2})-(?P<d>\d{1,2})-(?P<y>\d{4})"),
)

_Value = TypeVar("_Value", str, tuple[str, str])


@dataclass
class ReadRows:
    """What an import holds. `keys` and `values` are of the rows to store; problems are by line."""

    layout: Layout
    total: int
    keys: list[str]
    values: list[str]
    lines: list[int]
    errors: dict[int, str] = field(default_factory=dict)
    correctable: dict[int, str] = field(default_factory=dict)


def header_of(data: bytes) -> list[str]:
    """The column names of an uploaded file, as they stand."""
    first = (data[: data.find(b"\n") + 1] or data)[:_MAX_HEADER_BYTES]
    return next(csv.reader([first.decode("utf-8", "replace").rstrip("\r\n")]), [])


def header_problem(names: Sequence[str], allowed: Iterable[str], custom: set[str]) -> str | None:
    """Why these columns cannot be imported; None if they can."""
    known = {*allowed, *(f"cf:{name}" for name in custom)}
    unknown = [name for name in names if name not in known]
    if unknown:
        return f"Unknown column: {unknown[0]!r}"
    if len(set(names)) < len(names):
        return "A column is named twice"
    if "email" not in names and "sms_number" not in names:
        return "A column email or sms_number is required"
    if sum(name.startswith("cf:") for name in names) > MAX_CUSTOM_FIELDS_PER_CONTACT:
        return f"More than {MAX_CUSTOM_FIELDS_PER_CONTACT} custom fields"
    return None


def read_csv(data: bytes) -> ReadRows:
    """Read a file that has a valid header, up to `MAX_LINES` lines."""
    text = data.decode("utf-8", "replace").replace(SEPARATOR, " ")
    reader = csv.reader(islice(io.StringIO(text, newline=""), MAX_LINES))
    names = next(reader, [])
    records: list[list[str]] = []
    errors: dict[int, str] = {}
    is_whole = False
    with contextlib.suppress(csv.Error):  # a quote that is never closed
        records.extend(reader)
        is_whole = True
    if [] in records:
        records = [record for record in records if record]
    if not is_whole:
        records.append([""])
        errors[len(records) + 1] = "cannot be read, nor what follows"
    columns = _columns(records, len(names), errors)
    columns += [("",) * len(records)] * (len(names) - len(columns))
    return read_columns(dict(zip(names, columns, strict=True)), len(records), errors)


def _columns(records: list[list[str]], width: int, errors: dict[int, str]) -> list[tuple[str, ...]]:
    """The records turned by a quarter; short ones are filled up, long ones are errors."""
    if all(map(width.__eq__, map(len, records))):
        return list(zip(*records, strict=True))
    for line, record in enumerate(records, 2):
        if len(record) > width:
            errors[line] = "more values than columns"
    return list(zip_longest(*records, fillvalue=""))[:width]


def read_columns(
    columns: Mapping[str, Sequence[str]], total: int, errors: dict[int, str]
) -> ReadRows:
    """Check columns of text without the separator; line N is row N - 2, as if there were a header."""
    trimmed = {name: list(map(str.strip, values)) for name, values in columns.items()}
    found = ReadRows((), total, [], [], [], errors)
    keys = _keys(trimmed, total, found)
    _check_birthdays(trimmed, found)
    _check_dates(trimmed, found)
    stored = _joined_streets({n: v for n, v in trimmed.items() if n != "email"})
    _check_lengths(stored, found)
    found.layout = tuple(stored)
    joined = list(map(SEPARATOR.join, zip(*stored.values(), strict=True))) or [""] * total
    _keep_good_rows(found, keys, joined)
    return found


def _keys(columns: Mapping[str, list[str]], total: int, found: ReadRows) -> list[str]:
    emails = list(map(str.lower, columns.get("email", [""] * total)))
    fits = _EMAIL.fullmatch
    wrong = [row for row, email in enumerate(emails) if not fits(email) or len(email) > 80]
    sms = columns.get("sms_number", [""] * total)
    for row in wrong:
        email, line = emails[row], row + 2
        if len(email) > MAX_EMAIL_CHARACTERS:
            found.errors.setdefault(line, f"email is longer than {MAX_EMAIL_CHARACTERS} characters")
        elif email:
            found.correctable.setdefault(line, "Invalid email address")
        elif sms[row]:
            emails[row] = "sms:" + re.sub(r"\D", "", sms[row])
        elif any(columns.get(n, [""] * total)[row] for n in ("first_name", "last_name")):
            found.errors.setdefault(line, "email address is missing")
        else:
            found.correctable.setdefault(line, "no name and no email address")
    return emails


def _check_birthdays(columns: Mapping[str, list[str]], found: ReadRows) -> None:
    if "birthday_month" not in columns and "birthday_day" not in columns:
        return
    blank = [""] * found.total
    pairs = zip(
        columns.get("birthday_month", blank), columns.get("birthday_day", blank), strict=True
    )
    _mark(pairs, _is_birthday, found.correctable, "Invalid birthday")


def _check_dates(columns: Mapping[str, list[str]], found: ReadRows) -> None:
    for name in ("anniversary", "sms_consent_date"):
        if name in columns:
            _mark(columns[name], _is_blank_or_date, found.correctable, f"Invalid {name}")


def _mark(
    values: Iterable[_Value], is_good: Callable[[_Value], bool], problems: dict[int, str], text: str
) -> None:
    known: dict[_Value, bool] = {}
    for line, value in enumerate(values, 2):
        good = known.get(value)
        if good is None:
            good = known[value] = is_good(value)
        if not good:
            problems.setdefault(line, text)


def _is_birthday(pair: tuple[str, str]) -> bool:
    if pair == ("", ""):
        return True
    try:
        date(2000, int(pair[0]), int(pair[1]))  # a leap year: 29 February is a birthday
    except ValueError:
        return False
    return True


def _is_blank_or_date(text: str) -> bool:
    if not text:
        return True
    for pattern in _DATES:
        if match := pattern.fullmatch(text):
            try:
                date(int(match["y"]), int(match["m"]), int(match["d"]))
            except ValueError:
                continue
            return True
    return False


def _joined_streets(columns: dict[str, list[str]]) -> dict[str, list[str]]:
    if "home country" in columns:  # the contract's own spelling
        columns["home_country"] = columns.pop("home country")
    for prefix in ("", "home_", "work_", "other_"):
        second = columns.pop(f"{prefix}street2", None)
        if second:
            first = columns.get(f"{prefix}street", [""] * len(second))
            columns[f"{prefix}street"] = [
                f"{a} {b}".strip() for a, b in zip(first, second, strict=True)
            ]
    return columns


def _check_lengths(columns: Mapping[str, list[str]], found: ReadRows) -> None:
    for name, values in columns.items():
        longest = max_characters(name)
        if values and max(map(len, values)) > longest:
            text = f"{name.removeprefix('cf:')} is longer than {longest} characters"
            for line, value in enumerate(values, 2):
                if len(value) > longest:
                    found.errors.setdefault(line, text)


def max_characters(name: str) -> int:
    """The longest value of a column."""
    if name.startswith("cf:"):
        return 255
    for end, longest in _MAX_CHARACTERS.items():
        if name.endswith(end):
            return longest
    return 50


def _keep_good_rows(found: ReadRows, keys: list[str], joined: list[str]) -> None:
    for line in found.errors:
        found.correctable.pop(line, None)
    lines = range(2, found.total + 2)
    if not found.errors and not found.correctable:
        found.keys, found.values, found.lines = keys, joined, list(lines)
        return
    bad = found.errors.keys() | found.correctable.keys()
    for line, key, value in zip(lines, keys, joined, strict=True):
        if line not in bad:
            found.keys.append(key)
            found.values.append(value)
            found.lines.append(line)
