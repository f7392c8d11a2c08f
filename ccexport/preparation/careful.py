"""The careful way: profiles as they are → mapped, cleaned, checked, cut, and either a line or the reason why not.

Built, not executed: the engine at hand runs it, over the rows that the fast way leaves and over the few of a preview.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

import ibis
import ibis.expr.types as ir

from ccexport.preparation.emails import MAX_EMAIL, clean_address, is_valid
from ccexport.preparation.fields import Checked, birthday_problems, check_value, octets
from ccexport.preparation.line import RAW, SAYS_NOTHING, filled, joined, value_type
from ccexport.preparation.mapping import FieldMapping, direct_attribute, template_parts
from ccexport.preparation.text import clean, clean_constant
from ccexport.states import Rejection

CAREFUL_COLUMNS = ("customer_id", "line", "address_bytes", "cell", "reason", "truncated")


def careful_lines(rows: ir.Table, mapping: FieldMapping, types: Mapping[str, str]) -> ir.Table:
    """`CAREFUL_COLUMNS` of rows with `customer_id` and the attributes: all that is needed of a profile in a run.

    `cell` is the address as it stood there; `reason` is null for a contact, else `a reason` or `a reason: the field`;
    `truncated` says that a value was cut; `line` is null for those who are left out, and `address_bytes` is 0.
    """
    found = checked(rows, mapping, types)
    is_sent = found.reason.isnull()
    nothing = ibis.null("string")
    values = [found[field].fill_null("") for field in mapping.fields]
    return found.select(
        "customer_id",
        line=is_sent.ifelse(joined(values), nothing),
        address_bytes=is_sent.ifelse(octets(found.email), 0).fill_null(0).cast("uint8"),
        cell=found.cell,
        reason=found.reason,
        truncated=is_sent & found.truncated,
    )


def careful_measures(rows: ir.Table, mapping: FieldMapping, types: Mapping[str, str]) -> ir.Table:
    """`customer_id`, `address`, `line_bytes`, `filled`, `line`, `reason`, `truncated`: as `measures`, of any rows."""
    found = checked(rows, mapping, types)
    is_sent, nothing = found.reason.isnull(), ibis.null("string")
    values = [found[field].fill_null("") for field in mapping.fields]
    line = joined(values)
    return found.select(
        "customer_id",
        address=is_sent.ifelse(found.email, nothing),
        line_bytes=octets(line).cast("int64"),
        filled=filled(values),
        line=(is_sent & line.re_search(SAYS_NOTHING)).ifelse(line, nothing),
        reason=found.reason,
        truncated=is_sent & found.truncated,
    )


def checked(rows: ir.Table, mapping: FieldMapping, types: Mapping[str, str]) -> ir.Table:
    """`customer_id`, `cell`, `reason`, `truncated`, and a text column a contact field, as it would be sent, or null."""
    cleaned = rows.select(
        "customer_id",
        cell=_cell(rows, mapping),
        **{RAW + name: clean(rows[RAW + name]) for name in mapping.attributes_used},
    )
    values = {field: _value(cleaned, value) for field, value in mapping.pairs}
    mapped = cleaned.select(
        "customer_id", "cell", **values | {"email": clean_address(values["email"])}
    )
    judged = {
        field: check_value(field, value_type(types, field), mapped[field])
        for field in mapping.fields
        if field != "email"
    }
    return mapped.select(
        "customer_id",
        "cell",
        reason=_reason(mapped.email, judged),
        truncated=_any([each.is_cut for each in judged.values()]),
        email=mapped.email.lower(),
        **{field: each.value for field, each in judged.items()},
    )


def _cell(rows: ir.Table, mapping: FieldMapping) -> ir.StringValue:
    """The address as it stands in the source; of a template the attributes put together, as they are."""
    [value] = [value for field, value in mapping.pairs if field == "email"]
    if (name := direct_attribute(value)) is not None:
        return rows[RAW + name]
    parts = template_parts(value)
    pieces = [
        ibis.literal(text) + (rows[RAW + name].fill_null("") if name is not None else "")
        for text, name in parts
    ]
    return reduce(lambda a, b: a + b, pieces)


def _value(rows: ir.Table, value: str) -> ir.StringValue:
    """An attribute, a constant, or a template; a template is blank where all its attributes are."""
    if (name := direct_attribute(value)) is not None:
        return rows[RAW + name]
    parts = template_parts(value)
    names = [name for _, name in parts if name is not None]
    if not names:
        constant = clean_constant("".join(text for text, _ in parts), is_whole=True)
        return ibis.literal(constant or None, type="string")
    pieces = [
        ibis.literal(clean_constant(text, is_whole=False)) + _or_empty(rows, name)
        for text, name in parts
    ]
    all_blank = reduce(lambda a, b: a & b, [rows[RAW + name].isnull() for name in names])
    whole = clean(reduce(lambda a, b: a + b, pieces))
    return all_blank.ifelse(ibis.null("string"), whole)


def _or_empty(rows: ir.Table, name: str | None) -> ir.StringValue:
    return ibis.literal("") if name is None else rows[RAW + name].fill_null("")


def _reason(email: ir.StringValue, judged: Mapping[str, Checked]) -> ir.StringValue:
    """The first thing wrong with a row, null for none; the order is the one people are told."""
    too_long = {field: each.is_too_long for field, each in judged.items()}
    invalid = {field: each.is_invalid for field, each in judged.items()}
    if "birthday_month" in judged:
        pair = birthday_problems(judged["birthday_month"].value, judged["birthday_day"].value)
        invalid |= zip(("birthday_month", "birthday_day"), pair, strict=True)
    return ibis.cases(
        (email.isnull(), Rejection.MISSING_EMAIL.value),
        (email.length() > MAX_EMAIL, Rejection.EMAIL_TOO_LONG.value),
        (~is_valid(email), Rejection.INVALID_EMAIL.value),
        *_of_values(Rejection.VALUE_TOO_LONG, too_long),
        *_of_values(Rejection.INVALID_VALUE, invalid),
        else_=ibis.null("string"),
    )


def _of_values(
    reason: Rejection, claims: Mapping[str, ir.BooleanValue | None]
) -> list[tuple[ir.BooleanValue, str]]:
    return [
        (claim.fill_null(False), f"{reason.value}: {field}")
        for field, claim in claims.items()
        if claim is not None
    ]


def _any(claims: Sequence[ir.BooleanValue | None]) -> ir.BooleanValue:
    known = [claim.fill_null(False) for claim in claims if claim is not None]
    return reduce(lambda a, b: a | b, known) if known else ibis.literal(False)
