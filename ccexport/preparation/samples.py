"""A few profiles as they would be sent, to show to people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import ibis.expr.types as ir

from ccexport.preparation.careful import checked
from ccexport.preparation.contacts import plain_reason
from ccexport.preparation.line import refuse_multi_select
from ccexport.preparation.mapping import FieldMapping
from ccexport.preparation.prepare import Engine
from ccexport.states import Rejection


@dataclass(frozen=True)
class Sample:
    """One profile as it would be sent, or why it would not. `contact` has the fields that are not blank.

    `rejected_field`: the field whose value leaves it out, where it is about one.
    """

    customer_id: str
    contact: Mapping[str, str]
    rejection: str | None
    sent_instead: str | None
    rejected_field: str | None = None


def samples(
    source: Engine, profiles: ir.Table, mapping: FieldMapping, types: Mapping[str, str]
) -> list[Sample]:
    """Samples of rows as `attributes` gives them, all the careful way; duplicates are those among themselves."""
    refuse_multi_select(mapping, types)
    with source.nearby(profiles) as rows:
        found = source.fetch(checked(rows, mapping, types)).to_pylist()
    sent = [row for row in found if row["reason"] is None]
    winners: dict[str, str] = {}
    for row in sorted(sent, key=lambda row: str(row["customer_id"])):
        winners.setdefault(row["email"], row["customer_id"])
    return [_sample(row, winners, mapping) for row in found]


def _sample(
    row: Mapping[str, str | None], winners: Mapping[str, str], mapping: FieldMapping
) -> Sample:
    key, reason = str(row["customer_id"]), row["reason"]
    instead = winners.get(row["email"] or "") if reason is None else None
    if instead == key:
        instead = None
    return Sample(
        customer_id=key,
        contact={field: value for field in mapping.fields if (value := row[field]) is not None},
        rejection=Rejection.DUPLICATE.value if instead else reason and plain_reason(reason),
        sent_instead=instead,
        rejected_field=(reason or "").partition(": ")[2] or None,
    )
