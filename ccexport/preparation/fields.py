"""What one value of a contact field must look like, as Ibis expressions: lengths, dates, birthdays, custom fields.

Lengths are in Unicode code points (the API does not say whether it counts characters or bytes).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import ibis
import ibis.expr.types as ir

from ccexport.preparation.text import BLANKS

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

# What belongs to the letter before it, for a reader: accents and variation selectors, the later parts of a Korean
# syllable, the vowels AM of Thai and Lao, skin tones, the letters of a flag's tag. U+200D joins the letters around it.
_TAIL = r"\p{M}\x{200c}\x{1160}-\x{11ff}\x{0e33}\x{0eb3}\x{1f3fb}-\x{1f3ff}\x{e0020}-\x{e007f}"
_FEW = 12  # places at most that a cut goes back for the sake of what is one for a reader
_FLAG = r"[\x{1f1e6}-\x{1f1ff}]"  # two of them are a flag
_NO_FLAG = r"[^\x{1f1e6}-\x{1f1ff}]"
_LAST_LETTER = (  # and before a flag what stays, as its halves are told apart from the first on
    rf"(?s)(?:^((?:.*{_NO_FLAG})?(?:{_FLAG}{_FLAG})*){_FLAG}{_FLAG}|[^{_TAIL}\x{{200d}}](?:[{_TAIL}]|\x{{200d}}.?)*)$"
)
_LOOSE_END = rf"[{BLANKS}\x{{200d}}]+$"

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
_MONTH = "^([1-9]|1[0-2])$"
_DATETIME = r"^[0-9-]{10}([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]+)?)?)?Z?$"
_DATETIME_STEPS = (
    (r"(\.[0-9]+)?Z?$", ""),
    ("^(.{10})$", r"\1T00:00:00"),
    ("^(.{10})[T ](.{5})$", r"\1T\2:00"),
    ("^(.{10}) ", r"\1T"),
)
_NUMBER = r"^-?([0-9]+(\.[0-9]+)?|\.[0-9]+)$"
_TEXTS = ("string", "text_area", "single_select")
_TRUE = ("true", "yes", "1", "t", "y")
_FALSE = ("false", "no", "0", "f", "n")


@dataclass(frozen=True)
class Checked:
    """A value as it would be sent, and what was found: each of the three is an expression or None for never."""

    value: ir.StringValue
    is_cut: ir.BooleanValue | None = None
    is_too_long: ir.BooleanValue | None = None
    is_invalid: ir.BooleanValue | None = None


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


def is_sent_as_it_is(field: str, custom_type: str, value: ir.StringValue) -> ir.BooleanValue:
    """Whether a clean value certainly passes unchanged; blank where there is none. Birthdays go in pairs, below."""
    kind = custom_type if field.startswith("cf:") else field
    limit = CUT_AT.get(kind) or TOO_LONG_AT.get(kind) or MAX_CUSTOM_VALUE
    if field in CUT_AT or field in TOO_LONG_AT or (field.startswith("cf:") and kind in _TEXTS):
        return octets(value) <= limit  # at least as many bytes as code points
    checked = check_value(field, custom_type, value)
    claims = (checked.is_cut, checked.is_too_long, checked.is_invalid)
    wrong = [claim.fill_null(True) for claim in claims if claim is not None]
    passes = reduce(lambda a, b: a & ~b, wrong, (checked.value == value).fill_null(False))
    return (value == "") | passes


def birthday_problems(
    month: ir.StringValue, day: ir.StringValue
) -> tuple[ir.BooleanValue, ir.BooleanValue]:
    """(whether it is the month, whether it is the day) that makes two checked values no day of some year.

    Both blank is fine. Where one alone is blank, it is the one. A day that this month does not have is the day's fault.
    """
    is_month = month.re_search(_MONTH).fill_null(False)
    is_real = (month + "-" + day).re_search(_REAL_BIRTHDAY).fill_null(False)
    has_any = month.notnull() | day.notnull()
    return has_any & ~is_month, has_any & is_month & ~is_real


def birthday_is_sent_as_it_is(month: ir.StringValue, day: ir.StringValue) -> ir.BooleanValue:
    """Whether two clean values, blank where there are none, certainly pass unchanged."""
    return ((month == "") & (day == "")) | (month + "-" + day).re_search(_REAL_BIRTHDAY)


@ibis.udf.scalar.builtin  # type: ignore[untyped-decorator]  # Ibis has no types here
def left(text: str, letters: int) -> str:
    """So many code points: DuckDB's own function, of which this is the signature alone."""
    raise NotImplementedError


@ibis.udf.scalar.builtin(name="strlen")  # type: ignore[untyped-decorator]  # Ibis has no types here
def octets(text: str) -> int:
    """The bytes of a text in UTF-8: DuckDB's own function, of which this is the signature alone."""
    raise NotImplementedError


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
    """Cut a value that is too long, where a few places will do between two letters as a reader sees them."""
    is_long = value.length() > limit
    one_more = left(value, limit + 1)
    whole_letters = one_more.re_replace(_LAST_LETTER, r"\1")
    is_near = whole_letters.length() >= limit - _FEW
    cut = left(is_near.ifelse(whole_letters, one_more), limit).re_replace(_LOOSE_END, "")
    return Checked(is_long.ifelse(cut, value).nullif(""), is_cut=is_long)


def _check_date(value: ir.StringValue) -> Checked:
    """One of the formats that Constant Contact takes becomes YYYY-MM-DD; a day that does not exist is invalid."""
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
