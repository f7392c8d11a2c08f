"""Preparing: the source's engine runs the one expression; contacts and rejections stream into the run's files."""

from __future__ import annotations

import hashlib
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ccexport.errors import SetupError
from ccexport.preparation.columns import rows_where
from ccexport.preparation.duplicates import is_among, text_hashes
from ccexport.preparation.files import PlannedBatch, plan_batches, render_file
from ccexport.preparation.mapping import FieldMapping
from ccexport.preparation.preview import REJECTIONS_SCHEMA, contacts_schema, split
from ccexport.preparation.stream import prepared_rows
from ccexport.runs.clearance import check_clearance, check_export_user
from ccexport.runs.failures import failed_rows
from ccexport.runs.moved import say_moved
from ccexport.runs.preflight import check_source, check_target
from ccexport.runs.retrying import pick_rows
from ccexport.runs.tools import Tools
from ccexport.states import BatchState
from ccexport.store.batches import PreparedCounts
from ccexport.store.database.tables import Batch, Run
from ccexport.store.moves import Held
from ccexport.store.vault.run_files import RunFileWriter

CONTACTS = "contacts"
REJECTIONS = "rejections"
NOBODY = np.empty(0, dtype=np.uint64)
Prepared = tuple[
    pa.RecordBatch, pa.RecordBatch, int
]  # contacts, rejections, contacts with a value cut


def prepare_run(held: Held, run: Run, tools: Tools) -> None:
    """Check, read, write the run's files, and record counts and batches in one transaction."""
    check_clearance(tools.connections.view(run.connection_id or 0))
    found = write_run_files(held, run, tools)
    tools.reached("files written")
    say_moved(held, run, tools)
    tools.batches.store_prepared(
        held, found.counts, [new_batch(run, planned) for planned in found.plan], found.addresses
    )
    tools.reached("batches stored")


@dataclass(frozen=True)
class Found:
    """What preparing found: counts, the files to be, and an encrypted hash of each contact's address, in file order."""

    counts: PreparedCounts
    plan: Sequence[PlannedBatch]
    addresses: bytes


def write_run_files(held: Held, run: Run, tools: Tools, *, without: np.ndarray = NOBODY) -> Found:
    """Check what the run relies on, and write its files; `without`: hashes of addresses that are left out, ascending.

    Constant Contact is asked before the run's turn to prepare: one that does not answer holds up no other run.
    """
    view = tools.connections.view(run.connection_id or 0)
    check_export_user(view)
    connection = view.connection
    mapping = mapping_of(run)
    with closing(tools.guarded_client(held, connection.id)) as client:
        types = check_target(run, connection, mapping, client)
    if run.retry_of is not None:
        with tools.turn_to_prepare():
            return _write(run, _but(without, _retried(run, run.retry_of, tools)), tools)
    with tools.turn_to_prepare(), tools.open_source() as source:
        check_source(run, mapping, source)
        rows = prepared_rows(source, run.segments, mapping, types)
        pieces = (split(batch, mapping.fields) for batch in rows)
        return _write(run, _but(without, pieces), tools)


def _retried(run: Run, parent_id: int, tools: Tools) -> Iterator[Prepared]:
    """The contacts of an earlier run that failed; their profiles are not read again."""
    if not tools.run_files.exists(parent_id, CONTACTS):
        raise SetupError(
            f"The files of run {parent_id}, which this run retries, are not on this machine any more. "
            "Run the export again instead."
        )
    failed = failed_rows(tools.batches.of_run(parent_id), tools.batches.failed_rows(parent_id))
    contacts = pick_rows(tools.run_files.stream(parent_id, CONTACTS), failed.ranges)
    nobody = pa.RecordBatch.from_pylist([], schema=REJECTIONS_SCHEMA)
    return ((batch, nobody, 0) for batch in contacts)


def _but(without: np.ndarray, pieces: Iterable[Prepared]) -> Iterator[Prepared]:
    """The pieces without the contacts of these addresses."""
    for contacts, rejected, truncated in pieces:
        if len(without) and contacts.num_rows:
            stays = ~is_among(text_hashes(contacts.column("email")), without)
            contacts = rows_where(contacts, stays)
        yield contacts, rejected, truncated


def file_of(run: Run, first_row: int, rows: int, tools: Tools) -> tuple[bytes, str]:
    """The CSV file of some rows of the run's contacts, and its digest."""
    contacts = tools.run_files.rows(run.id, CONTACTS, first_row, rows)
    content = render_file(contacts, mapping_of(run).fields)
    return content, hashlib.sha256(content).hexdigest()


def mapping_of(run: Run) -> FieldMapping:
    """The run's own copy of the field mapping."""
    return FieldMapping(tuple((pair[0], pair[1]) for pair in run.mapping))


@dataclass
class _Tally:
    read: int = 0
    prepared: int = 0
    truncated: int = 0
    rejections: Counter[str] = field(default_factory=Counter)
    addresses: list[bytes] = field(default_factory=list)

    def add(self, contacts: pa.RecordBatch, rejected: pa.RecordBatch, truncated: int) -> None:
        self.read += contacts.num_rows + rejected.num_rows
        self.prepared += contacts.num_rows
        self.truncated += truncated
        for row in pc.value_counts(rejected["reason"]).to_pylist():
            self.rejections[row["values"]] += row["counts"]


def _write(run: Run, pieces: Iterable[Prepared], tools: Tools) -> Found:
    tally = _Tally()
    fields = mapping_of(run).fields
    with (
        tools.run_files.writer(run.id, CONTACTS, contacts_schema(fields)) as contacts,
        tools.run_files.writer(run.id, REJECTIONS, REJECTIONS_SCHEMA) as rejections,
    ):
        kept = _written(pieces, tally, contacts, rejections, tools.max_profiles)
        plan = list(plan_batches(kept, fields))
    counts = PreparedCounts(tally.read, tally.prepared, tally.truncated, dict(tally.rejections))
    return Found(counts, plan, tools.keys.encrypt(b"".join(tally.addresses)))


def _written(
    pieces: Iterable[Prepared],
    tally: _Tally,
    contacts: RunFileWriter,
    rejections: RunFileWriter,
    most: int,
) -> Iterator[pa.RecordBatch]:
    """Write both halves of each record batch, count, and hand the contacts on to be planned."""
    for kept, rejected, truncated in pieces:
        tally.add(kept, rejected, truncated)
        if tally.prepared > most:
            raise SetupError(
                f"The segments hold more than {most:,} contacts, the most one run may send "
                "(CCEXPORT_MAX_PROFILES). Nothing was sent. Choose smaller segments."
            )
        contacts.write(kept)
        rejections.write(rejected)
        tally.addresses.append(text_hashes(kept.column("email")).tobytes())
        yield kept


def new_file_name(run: Run, number: int) -> str:
    """Unique over all installations that use the account; says nothing of the people in it."""
    return f"ccexport-run{run.id}-{number:04}-{uuid.uuid4().hex[:12]}.csv"


def new_batch(run: Run, planned: PlannedBatch, *, after: int = 0) -> Batch:
    """A planned file as it is stored; `after`: the highest number the run has given so far."""
    number = after + planned.number
    return Batch(
        run_id=run.id,
        number=number,
        first_row=planned.first_row,
        rows=planned.rows,
        bytes=planned.bytes,
        digest=planned.digest,
        file_name=new_file_name(run, number),
        state=BatchState.PENDING,
    )
