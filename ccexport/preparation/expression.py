"""The one expression of a run: members of the segments → mapped and cleaned → checked → one winner an email.

Built, not executed: the source's engine runs it. It knows nothing of where profiles come from or go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

import ibis
import ibis.expr.types as ir

from ccexport.errors import MappingError
from ccexport.preparation.mapping import CUSTOM_PREFIX, FieldMapping, template_parts
from ccexport.preparation.values import (
    MAX_EMAIL,
    MAX_PLAIN_EMAIL,
    Checked,
    birthday_is_invalid,
    can_reject,
    check_value,
    clean,
    email_is_valid,
    looks_dirty,
)
from ccexport.states import Rejection

# The columns of every prepared row; those of the mapped contact fields other than email follow.
ROW_COLUMNS = ("customer_id", "email", "reason", "sent_instead", "truncated")
_RAW = "raw:"  # names of the columns between the steps


def prepare(
    customers: ir.Table,
    memberships: ir.Table,
    segments: Sequence[str],
    mapping: FieldMapping,
    custom_field_types: Mapping[str, str] | None = None,
) -> ir.Table:
    """One row a profile read; `read = contacts + rejections` by construction.

    Columns: `customer_id`; `email` (cleaned, lower case; null where blank); `reason` (null for a contact, else a
    `states.Rejection`); `sent_instead` (for a duplicate, the `CustomerId` that is sent); `truncated` (a value was
    cut); then a text column a mapped contact field, null where blank.
    Order: contacts of plain addresses and rejected profiles by `customer_id` (as text, by code point), then contacts
    of addresses of 51-80 characters likewise.
    `custom_field_types` is custom field name → type in the account; without an entry it is a `string`.
    Raises `MappingError` for a custom field of type multi_select.
    """
    types = dict(custom_field_types or {})
    chosen = members(memberships, segments)
    return prepared(customers, chosen, winners(customers, chosen, mapping, types), mapping, types)


def members(memberships: ir.Table, segments: Sequence[str]) -> ir.Table:
    """The keys of the members of any of the segments, each once: column `CustomerId`."""
    return places(memberships, segments).distinct()


def places(memberships: ir.Table, segments: Sequence[str]) -> ir.Table:
    """The keys of `members`, once for each segment."""
    chosen = memberships.filter(memberships.Segment.isin(list(segments)))
    return chosen.filter(chosen.CustomerId.notnull()).select("CustomerId")


def winners(
    customers: ir.Table, chosen: ir.Table, mapping: FieldMapping, types: Mapping[str, str]
) -> ir.Table:
    """For each email of several sendable profiles (`contested`) the one that is sent: the smallest key, as text."""
    _refuse_multi_select(mapping, types)
    deciding = _deciding_fields(mapping, types)
    rows = _check(_profiles(customers, chosen, deciding), deciding, types)
    sendable = rows.filter(rows.reason.isnull())
    grouped = sendable.group_by(contested=sendable.email).agg(
        winner=sendable.customer_id.min(), profiles=sendable.count()
    )
    return grouped.filter(grouped.profiles > 1).select("contested", "winner")


def prepared(
    customers: ir.Table,
    chosen: ir.Table,
    winners: ir.Table,
    mapping: FieldMapping,
    types: Mapping[str, str],
) -> ir.Table:
    """The rows of `prepare`, from the `members` and the `winners` worked out before."""
    _refuse_multi_select(mapping, types)
    rows = _check(_profiles(customers, chosen, mapping), mapping, types)
    return _in_file_order(_mark_duplicates(rows, winners), mapping)


def checked(
    customers: ir.Table, chosen: ir.Table, mapping: FieldMapping, types: Mapping[str, str]
) -> ir.Table:
    """The rows of `prepare` but for duplicates, in no order and without `sent_instead`.

    With a further column `may_need_quotes`: whether a value may have a comma or a quotation mark in it.
    """
    _refuse_multi_select(mapping, types)
    return _check(_profiles(customers, chosen, mapping), mapping, types)


def _refuse_multi_select(mapping: FieldMapping, types: Mapping[str, str]) -> None:
    for name in mapping.custom_fields:
        if types.get(name) == "multi_select":
            raise MappingError(
                f'The custom field "{name}" is a multi select; its import format is not documented. '
                "Take it out of the mapping."
            )


def _deciding_fields(mapping: FieldMapping, types: Mapping[str, str]) -> FieldMapping:
    """The part of the mapping that can leave a profile out: the engine need not read the rest to find winners."""
    return FieldMapping(
        tuple(
            pair
            for pair in mapping.pairs
            if pair[0] == "email" or can_reject(pair[0], _type(types, pair[0]))
        )
    )


def _type(types: Mapping[str, str], field: str) -> str:
    return types.get(field.removeprefix(CUSTOM_PREFIX), "string")


def _profiles(customers: ir.Table, chosen: ir.Table, mapping: FieldMapping) -> ir.Table:
    """The chosen profiles: the key and the attributes in use as text."""
    profiles = customers.semi_join(chosen, "CustomerId")
    columns = {"customer_id": _text(profiles, "CustomerId")}
    columns |= {_RAW + name: _text(profiles, name) for name in mapping.attributes_used}
    return profiles.select(**columns)


def _text(table: ir.Table, name: str) -> ir.StringValue:
    column = table[name]
    return column if column.type().is_string() else column.cast("string")


def _check(members: ir.Table, mapping: FieldMapping, types: Mapping[str, str]) -> ir.Table:
    """Clean and map each value, then find what is wrong with it; `reason` knows no duplicates yet."""
    rows = _mapped(_cleaned(members, mapping), mapping)
    checked = {
        field: check_value(field, _type(types, field), rows[field])
        for field in mapping.fields
        if field != "email"
    }
    return rows.select(
        "customer_id",
        email=rows.email.lower(),
        reason=_reason(rows.email, checked),
        truncated=_any([c.is_cut for c in checked.values()]),
        may_need_quotes=rows.may_need_quotes,
        **{field: c.value for field, c in checked.items()},
    )


def _cleaned(members: ir.Table, mapping: FieldMapping) -> ir.Table:
    """Attributes trimmed, without control characters, null where blank.

    Nearly all rows are clean already, and one look at all values of a row together tells: it costs far less than
    two regular expressions a value.
    """
    raw = {name: members[_RAW + name] for name in mapping.attributes_used}
    joined = ibis.literal("|").join(list(raw.values()))
    looked_at = members.mutate(
        dirty=looks_dirty(joined), may_need_quotes=_may_need_quotes(joined, mapping)
    )
    values = {name: looked_at[_RAW + name] for name in raw}
    return looked_at.select(
        "customer_id",
        "may_need_quotes",
        **{
            _RAW + name: looked_at.dirty.ifelse(clean(value), value).nullif("")
            for name, value in values.items()
        },
    )


def _mapped(rows: ir.Table, mapping: FieldMapping) -> ir.Table:
    values = {field: _value(rows, value) for field, value in mapping.pairs}
    return rows.select("customer_id", "may_need_quotes", **values)


def _may_need_quotes(joined: ir.StringValue, mapping: FieldMapping) -> ir.BooleanValue:
    literals = "".join(text for _, value in mapping.pairs for text, _ in template_parts(value))
    if "," in literals or '"' in literals:
        return ibis.literal(True)
    return joined.contains(",") | joined.contains('"')


def _value(rows: ir.Table, value: str) -> ir.StringValue:
    """An attribute, a constant, or a template; a template is blank where all its attributes are."""
    parts = template_parts(value)
    names = [name for _, name in parts if name is not None]
    if not names:
        return ibis.literal(_clean_literal("".join(text for text, _ in parts)), type="string")
    if len(parts) == 1 and parts[0][0] == "":
        return rows[_RAW + names[0]]
    pieces = [
        ibis.literal(_clean_literal(text, strip=False)) + _or_empty(rows, name)
        for text, name in parts
    ]
    all_blank = _all([rows[_RAW + name].isnull() for name in names])
    whole = clean(reduce(lambda a, b: a + b, pieces))
    return all_blank.ifelse(ibis.null("string"), whole)


def _or_empty(rows: ir.Table, name: str | None) -> ir.StringValue:
    return ibis.literal("") if name is None else rows[_RAW + name].fill_null("")


def _clean_literal(text: str, *, strip: bool = True) -> str | None:
    """A constant, by the same rules as a value; None where nothing is left."""
    printable = "".join(" " if ord(c) < 32 or 127 <= ord(c) < 160 else c for c in text)
    return (printable.strip() or None) if strip else printable


def _reason(email: ir.StringValue, checked: Mapping[str, Checked]) -> ir.StringValue:
    """The first thing wrong with a row, null for none; the order is the one people are told."""
    too_long = _any([c.is_too_long for c in checked.values()])
    invalid = [c.is_invalid for c in checked.values()]
    if "birthday_month" in checked:
        month, day = checked["birthday_month"].value, checked["birthday_day"].value
        invalid.append(birthday_is_invalid(month, day))
    return ibis.cases(
        (email.isnull(), Rejection.MISSING_EMAIL.value),
        (email.length() > MAX_EMAIL, Rejection.EMAIL_TOO_LONG.value),
        (~email_is_valid(email), Rejection.INVALID_EMAIL.value),
        (too_long, Rejection.VALUE_TOO_LONG.value),
        (_any(invalid), Rejection.INVALID_VALUE.value),
        else_=ibis.null("string"),
    )


def _mark_duplicates(checked: ir.Table, winners: ir.Table) -> ir.Table:
    sendable_email = checked.reason.isnull().ifelse(checked.email, ibis.null("string"))
    rows = checked.mutate(sendable_email=sendable_email)
    joined = rows.left_join(winners, rows.sendable_email == winners.contested)
    is_duplicate = joined.winner.notnull() & (joined.winner != joined.customer_id)
    return joined.mutate(
        reason=is_duplicate.ifelse(Rejection.DUPLICATE.value, joined.reason),
        sent_instead=is_duplicate.ifelse(joined.winner, ibis.null("string")),
    )


def _in_file_order(rows: ir.Table, mapping: FieldMapping) -> ir.Table:
    others = [field for field in mapping.fields if field != "email"]
    is_apart = rows.reason.isnull() & (rows.email.length() > MAX_PLAIN_EMAIL)
    ordered = rows.order_by([is_apart.ifelse(1, 0), rows.customer_id])
    return ordered.select(*ROW_COLUMNS, *others)


def _any(claims: Sequence[ir.BooleanValue | None]) -> ir.BooleanValue:
    known = [claim.fill_null(False) for claim in claims if claim is not None]
    return reduce(lambda a, b: a | b, known) if known else ibis.literal(False)


def _all(claims: Sequence[ir.BooleanValue]) -> ir.BooleanValue:
    return reduce(lambda a, b: a & b, claims)
