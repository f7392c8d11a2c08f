"""One profile as a run would send it: the expression of a run, over it and those that share its address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from ccexport.preparation.contacts import Contacts, Prepared, addresses_of, plain_reason
from ccexport.preparation.line import KEY
from ccexport.preparation.mapping import FieldMapping, template_parts
from ccexport.preparation.prepare import Engine, prepare

MOST_WITH_ONE_ADDRESS = 1_000


@dataclass(frozen=True)
class One:
    """A profile that is sent, as the single contact of `contact`; else `rejection` says why it is not.

    `field`: whose value leaves it out, where it is about one; `sent_instead`: the profile that has its address.
    """

    contact: Contacts | None
    rejection: str | None = None
    field: str | None = None
    sent_instead: str | None = None

    @property
    def address(self) -> str:
        """Empty where it is not sent."""
        return _address(self.contact) if self.contact else ""


def prepare_one(
    source: Engine,
    segments: Sequence[str],
    mapping: FieldMapping,
    types: Mapping[str, str],
    customer_id: str,
) -> One | None:
    """None where no member of the segments has this key. Raises what `prepare` raises."""
    alone = prepare(_Few(source, [customer_id]), segments, mapping, types)
    if not alone.read:
        return None
    if not len(alone.contacts):
        return _found(alone, customer_id)
    others = _with_address(source, mapping, _address(alone.contacts))
    few: Engine = source if others is None else _Few(source, [customer_id, *others])
    return _found(prepare(few, segments, mapping, types), customer_id)


class _Few:
    """An engine in which there are a few profiles alone."""

    def __init__(self, source: Engine, keys: Sequence[str]) -> None:
        self._source = source
        self.customers = source.customers.filter(source.customers[KEY].isin(sorted(set(keys))))
        self.memberships = source.memberships

    def nearby(self, expression: ir.Table) -> AbstractContextManager[ir.Table]:
        return self._source.nearby(expression)

    def lent(self, rows: pa.Table) -> AbstractContextManager[ir.Table]:
        return self._source.lent(rows)

    def fetch(self, expression: ir.Table) -> pa.Table:
        return self._source.fetch(expression)

    def repeated(self, customer_id: str) -> Exception:
        return self._source.repeated(customer_id)


def _with_address(source: Engine, mapping: FieldMapping, address: str) -> list[str] | None:
    """Keys of the profiles that may be sent to an address; None where they cannot be told by one attribute."""
    parts = template_parts(dict(mapping.pairs)["email"])
    if len(parts) != 1 or parts[0][0] or parts[0][1] is None:
        return None
    customers = source.customers
    same = customers.filter(customers[parts[0][1]].lower().contains(address))  # preparing tells
    with source.nearby(same.select(KEY).limit(MOST_WITH_ONE_ADDRESS)) as keys:
        return [str(key) for key in source.fetch(keys).column(KEY).to_pylist()]


def _found(prepared: Prepared, customer_id: str) -> One:
    contacts = prepared.contacts
    keys = contacts.take(0, len(contacts)).column("customer_id").to_pylist()
    if customer_id in keys:
        return One(contacts.only(np.array([key == customer_id for key in keys], dtype=bool)))
    [row] = [each for each in prepared.rejections.to_pylist() if each["customer_id"] == customer_id]
    field = row["reason"].partition(": ")[2] or None
    return One(None, plain_reason(row["reason"]), field, row["sent_instead"])


def _address(contacts: Contacts) -> str:
    return str(addresses_of(contacts.take(0, 1).column("line"))[0])
