"""What one value must look like, as Ibis expressions: cleaning, the email rule, lengths, dates, custom fields.

Regular expressions here are such as RE2, Java and PostgreSQL all take; none uses look-around or `\\d`.
Lengths are in Unicode code points (the API does not say whether it counts characters or bytes).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import ibis
import ibis.expr.types as ir

MAX_EMAIL = (
    80  # V3 contact contract; the import contract says 50, so 51-80 go in files of their own
)
MAX_PLAIN_EMAIL = 50
MAX_CUSTOM_VALUE = 255
# Cut and counted (V3 contract).
CUT_AT: dict[str, int] = {
    "first_name": 50,
    "last_name": 50,
    "job_title": 50,
    "company_name": 50,
    "street": 255,
    "city": 50,
    "state": 50,
    "country": 50,
}
# Cutting would corrupt the value, so the profile is left out.
TOO_LONG_AT: dict[str, int] = {"phone": 25, "zip": 25}

CONTROL = r"[\x00-\x1f\x7f-\x9f]"  # Unicode category Cc
# Unicode white space that is no control character, written out: the engines differ in what \s means.
WHITE = "[ \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
_ATEXT = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
# The WHATWG rule, at least one dot in the domain, no leading, trailing or double dot in the local part. The rule's
# 63 characters a label are asked apart: counting makes every address slow for the sake of the rare long one.
EMAIL = rf"^{_ATEXT}(\.{_ATEXT})*@{_LABEL}(\.{_LABEL})+$"
_LONG_LABEL = r"@(.*\.)?[A-Za-z0-9-]{64}"
_SHORTEST_WITH_LONG_LABEL = 68  # a@ + 64 + .b

_TWO = "([0-9]{1,2})"
# What Constant Contact takes as a date (fact sheet, 6.2), each turned into YYYY-M-D.
_DATE_SHAPES = (
    (f"^{_TWO}/{_TWO}/([0-9]{{4}})$", r"\3-\1-\2"),
    (f"^{_TWO}-{_TWO}-([0-9]{{4}})$", r"\3-\1-\2"),
    (f"^([0-9]{{4}})/{_TWO}/{_TWO}$", r"\1-\2-\3"),
)
_LEAP_YEAR = "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)"
_ISO_DATE = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_REAL_DATE = (
    "^([0-9]{4}-((01|03|05|07|08|10|12)-(0[1-9]|[12][0-9]|3[01])|(04|06|09|11)-(0[1-9]|[12][0-9]|30)"
    f"|02-(0[1-9]|1[0-9]|2[0-8]))|{_LEAP_YEAR}-02-29)$"
)
_REAL_BIRTHDAY = "^((1|3|5|7|8|10|12)-([1-9]|[12][0-9]|3[01])|(4|6|9|11)-([1-9]|[12][0-9]|30)|2-([1-9]|[12][0-9]))$"
_DATETIME = r"^[0-9-]{10}([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]+)?)?)?Z?$"
_DATETIME_STEPS = (
    (r"(\.[0-9]+)?Z?$", ""),
    ("^(.{10})$", r"\1T00:00:00"),
    ("^(.{10})[T ](.{5})$", r"\1T\2:00"),
    ("^(.{10}) ", r"\1T"),
)
_NUMBER = r"^-?([0-9]+(\.[0-9]+)?|\.[0-9]+)$"
_TRUE = ("true", "yes", "1", "t", "y")
_FALSE = ("false", "no", "0", "f", "n")


@dataclass(frozen=True)
class Checked:
    """A value as it would be sent, and what was found: each of the three is an expression or None for never."""

    value: ir.StringValue
    is_cut: ir.BooleanValue | None = None
    is_too_long: ir.BooleanValue | None = None
    is_invalid: ir.BooleanValue | None = None


def looks_dirty(text: ir.StringValue) -> ir.BooleanValue:
    """Whether `clean` might change a part of text joined by `|`. May say yes without need, never no wrongly."""
    return text.re_search(rf"(^|\|){WHITE}|{CONTROL}|{WHITE}(\||$)")


def clean(text: ir.StringValue) -> ir.StringValue:
    """Runs of control characters become one blank, then white space is trimmed off both ends."""
    blanked = text.re_replace(f"{CONTROL}+", " ")
    return blanked.re_replace(f"^{WHITE}+|{WHITE}+$", "")


def email_is_valid(email: ir.StringValue) -> ir.BooleanValue:
    """The email rule on a cleaned address of at most `MAX_EMAIL` characters."""
    short = email.length() < _SHORTEST_WITH_LONG_LABEL
    return email.re_search(EMAIL) & (short | ~email.re_search(_LONG_LABEL))


def can_reject(field: str, custom_type: str) -> bool:
    """Whether some value of the field leaves its profile out."""
    if field.startswith("birthday_"):
        return True
    checked = check_value(field, custom_type, ibis.literal("", type="string"))
    return checked.is_too_long is not None or checked.is_invalid is not None


def check_value(field: str, custom_type: str, value: ir.StringValue) -> Checked:
    """Apply the rule of a contact field (or of a custom field's type) to a cleaned value, null where blank."""
    if field.startswith("cf:"):
        return _check_custom(custom_type, value)
    if field in CUT_AT:
        return _cut(value, CUT_AT[field])
    if field in TOO_LONG_AT:
        return Checked(value, is_too_long=value.length() > TOO_LONG_AT[field])
    if field == "anniversary":
        return _check_date(value)
    return Checked(value.re_replace("^0", ""))  # birthday_month and birthday_day, checked as a pair


def birthday_is_invalid(month: ir.StringValue, day: ir.StringValue) -> ir.BooleanValue:
    """Whether two checked values are not a day of some year; both blank is fine, one alone is not."""
    is_real = (month + "-" + day).re_search(_REAL_BIRTHDAY).fill_null(False)
    return (month.notnull() | day.notnull()) & ~is_real


def _check_custom(custom_type: str, value: ir.StringValue) -> Checked:
    if custom_type in ("number", "currency"):
        return Checked(
            value,
            is_too_long=value.length() > MAX_CUSTOM_VALUE,
            is_invalid=~value.re_search(_NUMBER),
        )
    if custom_type == "date":
        return _check_date(value)
    if custom_type == "datetime":
        return _check_datetime(value)
    if custom_type == "boolean":
        truth = value.lower()
        sent = ibis.cases((truth.isin(_TRUE), "true"), (truth.isin(_FALSE), "false"))
        return Checked(sent, is_invalid=value.notnull() & sent.isnull())
    if custom_type == "single_select":
        return Checked(value, is_too_long=value.length() > MAX_CUSTOM_VALUE)
    return _cut(value, MAX_CUSTOM_VALUE)


def _cut(value: ir.StringValue, limit: int) -> Checked:
    is_long = value.length() > limit
    cut = value.left(limit).re_replace(f"{WHITE}+$", "")  # no blank at the end of what is sent
    return Checked(is_long.ifelse(cut, value), is_cut=is_long)


def _check_date(value: ir.StringValue) -> Checked:
    """One of the formats that Constant Contact takes becomes YYYY-MM-DD; what is no real day is invalid."""
    dashed = reduce(lambda text, shape: text.re_replace(*shape), _DATE_SHAPES, value)
    # Twice: of two neighbours with one dash between them, one pass pads the first alone.
    padded = dashed.re_replace("-([0-9])(-|$)", r"-0\1\2").re_replace("-([0-9])(-|$)", r"-0\1\2")
    date = value.re_search(_ISO_DATE).ifelse(value, padded)
    is_real = date.re_search(_REAL_DATE) & ~date.startswith("0000")
    return Checked(date, is_invalid=~is_real)


def _check_datetime(value: ir.StringValue) -> Checked:
    """ISO-8601 in UTC (without an offset, or with Z) becomes YYYY-MM-DDTHH:MM:SSZ; a date alone is its midnight."""
    is_real = value.re_search(_DATETIME) & value.left(10).re_search(_REAL_DATE)
    time = reduce(lambda text, step: text.re_replace(*step), _DATETIME_STEPS, value) + "Z"
    return Checked(time, is_invalid=~is_real)
