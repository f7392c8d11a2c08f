"""Preparing: the source's engine runs the one expression; contacts and rejections stream into the run's files."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ccexport.errors import SetupError, StoreError
from ccexport.preparation import files
from ccexport.preparation.contacts import (
    CONTACTS_SCHEMA,
    NOBODY,
    REJECTIONS_SCHEMA,
    Contacts,
    Prepared,
    as_they_stand,
    plan_files,
    with_lines,
)
from ccexport.preparation.files import PlannedBatch
from ccexport.preparation.mapping import FieldMapping
from ccexport.preparation.prepare import prepare
from ccexport.runs.clearance import check_clearance, check_export_user
from ccexport.runs.failures import failed_rows
from ccexport.runs.moved import say_moved
from ccexport.runs.preflight import check_source, check_target
from ccexport.runs.retrying import pick_rows
from ccexport.runs.tools import Tools
from ccexport.states import BatchState, EventKind, RunFile
from ccexport.store.batches import PreparedCounts
from ccexport.store.database.tables import Batch, Run
from ccexport.store.moves import Held

_HASHED_BY = (
    b"hashes1\0"  # before the hashes that are kept of addresses: those of another kind say nothing
)


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
    with tools.turn_to_prepare():
        if run.retry_of is not None:
            return _write(run, _retried(run, run.retry_of, tools), without, tools)
        with tools.open_source() as source:
            check_source(run, mapping, source)
            prepared = prepare(source, run.segments, mapping, types)
            strangers = source.strangers(run.segments, found=prepared.read)
        if said := strangers.said():
            tools.runs.note(held, EventKind.WITHOUT_PROFILE, said)
        return _write(run, prepared, without, tools)


def _retried(run: Run, parent_id: int, tools: Tools) -> Prepared:
    """The contacts of an earlier run that failed; their profiles are not read again."""
    if not tools.run_files.exists(parent_id, RunFile.CONTACTS):
        raise SetupError(
            f"The files of run {parent_id}, which this run retries, are not on this machine any more. "
            "Run the export again instead."
        )
    failed = failed_rows(tools.batches.of_run(parent_id), tools.batches.failed_rows(parent_id))
    batches = map(with_lines, tools.run_files.stream(parent_id, RunFile.CONTACTS))
    contacts = as_they_stand(pick_rows(batches, failed.ranges))
    return Prepared(contacts, REJECTIONS_SCHEMA.empty_table(), read=len(contacts), truncated=0)


def file_of(run: Run, first_row: int, rows: int, tools: Tools) -> tuple[bytes, str]:
    """The CSV file of some rows of the run's contacts, and its digest."""
    contacts = tools.run_files.rows(run.id, RunFile.CONTACTS, first_row, rows)
    lines = [with_lines(batch).column("line") for batch in contacts.to_batches()]
    content = files.file_of(pa.concat_arrays(lines), mapping_of(run).fields)
    return content, hashlib.sha256(content).hexdigest()


def mapping_of(run: Run) -> FieldMapping:
    """The run's own copy of the field mapping."""
    return FieldMapping(tuple((pair[0], pair[1]) for pair in run.mapping))


def _write(run: Run, prepared: Prepared, without: np.ndarray, tools: Tools) -> Found:
    contacts, rejections = prepared.contacts, prepared.rejections
    if len(contacts) > tools.max_profiles:
        raise SetupError(
            f"The segments hold more than {tools.max_profiles:,} contacts, the most one run may send "
            "(CCEXPORT_MAX_PROFILES). Nothing was sent. Choose smaller segments."
        )
    contacts = contacts.without(without) if len(without) else contacts
    with tools.run_files.writer(run.id, RunFile.REJECTIONS, REJECTIONS_SCHEMA) as file:
        for batch in rejections.to_batches():
            file.write(batch)
    plan = _write_contacts(run, contacts, tools)
    read = len(contacts) + rejections.num_rows
    counts = PreparedCounts(read, len(contacts), prepared.truncated, prepared.reasons())
    return Found(counts, plan, seal_addresses(contacts.addresses, tools))


def _write_contacts(run: Run, contacts: Contacts, tools: Tools) -> list[PlannedBatch]:
    """File by file, while those that come next are made in threads and the one before is sealed in another."""
    fields = mapping_of(run).fields
    with tools.run_files.writer(run.id, RunFile.CONTACTS, CONTACTS_SCHEMA) as file:
        plan: list[PlannedBatch] = []
        for batch, planned in plan_files(contacts, fields):
            file.write(batch)
            plan.append(planned)
    return plan


def seal_addresses(hashes: np.ndarray, tools: Tools) -> bytes:
    """Hashes of addresses as they are kept while a run is live."""
    return tools.keys.encrypt(_HASHED_BY + hashes.tobytes())


def open_addresses(sealed: bytes, tools: Tools) -> np.ndarray:
    """What `seal_addresses` kept; nobody where it was sealed with another key, or by another version's hash."""
    try:
        opened = tools.keys.decrypt(sealed) if sealed else b""
    except StoreError:
        return NOBODY
    if not opened.startswith(_HASHED_BY):
        return NOBODY
    return np.frombuffer(opened, dtype=np.uint64, offset=len(_HASHED_BY))


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
