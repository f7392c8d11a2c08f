"""Whose rows they are in a run's files; and a forgotten person's rows: blank but for the reason, where they stood."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ccexport.preparation.columns import is_true, mask_array, text_array, text_scalar
from ccexport.preparation.emails import AT_EDGES

KEPT = ("reason",)  # counts of the history stay checkable


class Person:
    """Tells the rows of one address, as it is sent, and of profiles that are known to be theirs."""

    def __init__(self, email: str, customer_ids: Collection[str] = ()) -> None:
        self._email = text_scalar(email)
        self._begins, self._alone = email + ",", text_scalar(email + "\r\n")
        self._ids = text_array(sorted(customer_ids))

    def rows(self, batch: pa.RecordBatch) -> np.ndarray:
        """For each row of contacts or rejections whether it is theirs; of files of version 0.1 too."""
        if "line" in batch.schema.names:
            lines = batch.column("line")
            has_address = is_true(pc.starts_with(lines, self._begins))
            has_address |= is_true(pc.equal(lines, self._alone))
        else:
            cells = pc.utf8_trim(batch.column("email"), characters=AT_EDGES)
            has_address = is_true(pc.equal(pc.ascii_lower(cells), self._email))
        return np.asarray(has_address | self.has_key(batch.column("customer_id")))

    def has_key(self, keys: pa.Array) -> np.ndarray:
        """For each key whether it is one of theirs."""
        return is_true(pc.is_in(keys, value_set=self._ids))


class Blanking:
    """Blanks the rows of a person in record batches that pass; counts them."""

    def __init__(self, person: Person) -> None:
        self._person = person
        self.rows = 0

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        theirs = self._person.rows(batch)
        self.rows += int(np.count_nonzero(theirs))
        columns = [
            column if name in KEPT else _without(column, self._gone(name, column, theirs))
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
        ]
        return pa.record_batch(columns, schema=batch.schema)

    def _gone(self, name: str, column: pa.Array, theirs: np.ndarray) -> np.ndarray:
        """Of others' rows, the key of their profile as the one that was sent instead."""
        return theirs | self._person.has_key(column) if name == "sent_instead" else theirs


def _without(column: pa.Array, gone: np.ndarray) -> pa.Array:
    return pc.if_else(mask_array(gone), pa.scalar(None, column.type), column)
