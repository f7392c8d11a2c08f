"""Whom a run takes off its list, as its row in the store keeps it, sealed, while the run is live. Pure."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ccexport.store.ledger_rows import nobody
from ccexport.store.numbers import number_array, numbers_of

_UNSEEN = b"unseen"


@dataclass(frozen=True)
class Leaving:
    """Who is in none of the segments any more, though the export placed them.

    `who` are hashes of addresses, ascending, and `emails` the addresses themselves: these are taken off the list.
    `handed_over` are hashes of those whom another export to the list placed too: they stay, and leave this ledger.
    `unseen`: how many more there are, where it is not known who is on the list; these stay as they are.
    """

    who: np.ndarray = field(default_factory=nobody)
    emails: Sequence[str] = ()
    handed_over: np.ndarray = field(default_factory=nobody)
    unseen: int = 0

    def __len__(self) -> int:
        return len(self.who)


def write_leaving(leaving: Leaving) -> bytes:
    who = np.concatenate([leaving.who, leaving.handed_over]).astype(np.uint64)
    emails = [*leaving.emails, *([None] * len(leaving.handed_over))]
    columns = {"who": number_array(who.view(np.int64)), "email": pa.array(emails, pa.string())}
    table = pa.table(columns).replace_schema_metadata({_UNSEEN: str(leaving.unseen).encode()})
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", write_statistics=False)
    return sink.getvalue()


def read_leaving(content: bytes) -> Leaving:
    table = pq.ParquetFile(io.BytesIO(content)).read(use_threads=False)
    who = numbers_of(table.column("who")).view(np.uint64)
    emails = table.column("email").to_pylist()
    goes = np.array([email is not None for email in emails], dtype=bool)
    unseen = int((table.schema.metadata or {}).get(_UNSEEN, b"0"))
    return Leaving(who[goes], [each for each in emails if each is not None], who[~goes], unseen)


@dataclass(frozen=True)
class Named:
    """Whom one removal is about: hashes of addresses, and for each the contact's id there."""

    who: np.ndarray
    contact_ids: Sequence[str]

    def only(self, stays: np.ndarray) -> Named:
        ids = [each for each, goes in zip(self.contact_ids, stays, strict=True) if goes]
        return Named(self.who[stays], ids)


def write_removal(named: Named) -> bytes:
    pairs = zip(named.who.tolist(), named.contact_ids, strict=True)
    return json.dumps([[str(who), contact_id] for who, contact_id in pairs]).encode()


def read_removal(content: bytes) -> Named:
    pairs = json.loads(content)
    return Named(np.array([int(who) for who, _ in pairs], dtype=np.uint64), [i for _, i in pairs])
