"""The rules of preparation once more, in plain Python, a profile at a time: what the fast ones are compared with."""

from __future__ import annotations

import calendar
import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

CUT = {"first_name": 50, "last_name": 50, "job_title": 50, "company_name": 50, "street": 255}
CUT |= {"city": 50, "state": 50, "country": 50}
TOO_LONG = {"phone": 25, "zip": 25}
# https://html.spec.whatwg.org/multipage/input.html#valid-e-mail-address, to the letter
WHATWG = re.compile(
    r"^[a-zA-Z0-9.!#$%&'*+\/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
    r"(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*\Z"
)


@dataclass
class Row:
    customer_id: str
    values: dict[str, str | None]
    email: str | None
    reason: str | None = None
    sent_instead: str | None = None
    truncated: bool = False
    cut: set[str] = field(default_factory=set)


def prepare(
    profiles: Sequence[Mapping[str, str | None]],
    members: set[str],
    fields: Mapping[str, str],
    types: Mapping[str, str],
) -> list[Row]:
    """`fields`: contact field → attribute. The rows by key."""
    rows = [_row(p, fields, types) for p in profiles if p["CustomerId"] in members]
    by_email: dict[str | None, list[Row]] = defaultdict(list)
    for row in rows:
        if row.reason is None:
            by_email[row.email].append(row)
    for same in by_email.values():
        winner = min(same, key=lambda row: row.customer_id)
        for row in same:
            if row is not winner:
                row.reason, row.sent_instead = "duplicate", winner.customer_id
    return sorted(rows, key=lambda row: row.customer_id)


HIDDEN = "\u200b\u200c\u200d\u2060\ufeff"
TAIL = {
    0x200C,
    0x0E33,
    0x0EB3,
    *range(0x1160, 0x1200),
    *range(0x1F3FB, 0x1F400),
    *range(0xE0020, 0xE0080),
}
FLAGS = range(0x1F1E6, 0x1F200)


def clean_address(value: str | None) -> str | None:
    """Trimmed of white space and of letters without a width, however they are mixed."""
    text = clean(value) or ""
    while text != (text := text.strip().strip(HIDDEN)):
        pass
    return text or None


@cache
def letters(text: str) -> tuple[str, ...]:
    """The text in pieces that a reader sees as one."""
    found: list[str] = []
    for char in text:
        last = found[-1] if found else ""
        belongs = (
            unicodedata.category(char).startswith("M") or ord(char) in TAIL or char == "\u200d"
        )
        is_second = ord(char) in FLAGS and len(last) == 1 and ord(last) in FLAGS
        if found and (belongs or is_second or last.endswith("\u200d")):
            found[-1] += char
        else:
            found.append(char)
    return tuple(found)


def cut(text: str, limit: int) -> str:
    kept = ""
    for letter in letters(text):
        if len(kept + letter) > limit:
            break
        kept += letter
    return kept.strip()


@cache
def clean(value: str | None) -> str | None:
    blanked = "".join("\n" if unicodedata.category(c) == "Cc" else c for c in value or "")
    return re.sub(r"\n+", " ", blanked).strip() or None


def _row(
    profile: Mapping[str, str | None], fields: Mapping[str, str], types: Mapping[str, str]
) -> Row:
    cleaned = {name: clean(profile[attribute]) for name, attribute in fields.items()}
    cleaned.pop("email")
    email = clean_address(profile[fields["email"]])
    row = Row(str(profile["CustomerId"]), {}, email.lower() if email and is_email(email) else email)
    problems: dict[str, str] = {}  # reason → the first field it is about
    for name, value in cleaned.items():
        sent, problem = _check(name, types.get(name.removeprefix("cf:"), "string"), value)
        row.values[name] = sent
        if problem == "cut":
            row.truncated = True
        elif problem:
            problems.setdefault(problem, name)
        if name == "birthday_day":
            part = _wrong_part(cleaned["birthday_month"], cleaned["birthday_day"])
            if part:
                problems.setdefault("invalid_value", part)
    if email is None:
        row.reason = "missing_email"
    elif len(email) > 80:
        row.reason = "email_too_long"
    elif not is_email(email):
        row.reason = "invalid_email"
    else:
        row.reason = next(
            (f"{p}: {problems[p]}" for p in ("value_too_long", "invalid_value") if p in problems),
            None,
        )
    return row


def is_email(email: str) -> bool:
    if not WHATWG.match(email):
        return False
    local, domain = email.split("@")
    return (
        "." in domain
        and ".." not in local
        and not local.startswith(".")
        and not local.endswith(".")
    )


@cache
def _check(name: str, kind: str, value: str | None) -> tuple[str | None, str | None]:
    if value is None:
        return None, None
    if name in CUT or (name.startswith("cf:") and kind in ("string", "text_area")):
        limit = CUT.get(name, 255)
        return (value, None) if len(value) <= limit else (cut(value, limit), "cut")
    if name in TOO_LONG:
        return value, "value_too_long" if len(value) > TOO_LONG[name] else None
    if name == "anniversary" or kind == "date":
        date = read_date(value)
        return date, None if date else "invalid_value"
    if kind == "number":
        is_number = re.fullmatch(r"-?(\d+(\.\d+)?|\.\d+)", value, re.ASCII)
        if len(value) > 255:
            return value, "value_too_long"
        return value, None if is_number else "invalid_value"
    if kind == "boolean":
        known = {"true": "true", "yes": "true", "1": "true", "t": "true", "y": "true"}
        known |= {"false": "false", "no": "false", "0": "false", "f": "false", "n": "false"}
        sent = known.get(value.lower())
        return sent, None if sent else "invalid_value"
    if kind == "single_select":
        return value, "value_too_long" if len(value) > 255 else None
    return value.removeprefix("0"), None  # a birthday's part


def read_date(value: str) -> str | None:
    for pattern in (
        r"(?P<m>\d{1,2})/(?P<d>\d{1,2})/(?P<y>\d{4})",
        r"(?P<m>\d{1,2})-(?P<d>\d{1,2})-(?P<y>\d{4})",
        r"(?P<y>\d{4})/(?P<m>\d{1,2})/(?P<d>\d{1,2})",
        r"(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})",
    ):
        found = re.fullmatch(pattern, value, re.ASCII)
        if found:
            year, month, day = int(found["y"]), int(found["m"]), int(found["d"])
            if year and 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]:
                return f"{year:04}-{month:02}-{day:02}"
    return None


def _wrong_part(month: str | None, day: str | None) -> str | None:
    if month is None and day is None:
        return None
    months = int(month) if re.fullmatch(r"\d{1,2}", month or "", re.ASCII) else 0  # type: ignore[arg-type]
    days = int(day) if re.fullmatch(r"\d{1,2}", day or "", re.ASCII) else 0  # type: ignore[arg-type]
    if not 1 <= months <= 12:
        return "birthday_month"
    return None if 1 <= days <= calendar.monthrange(2024, months)[1] else "birthday_day"
