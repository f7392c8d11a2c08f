"""Preparing: the source's engine runs the one expression; contacts and rejections stream into the run's files."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import numpy as np
import pyarrow as pa

from ccexport.errors import SetupError, StoreError
from ccexport.preparation import files
from ccexport.preparation.columns import text_array
from ccexport.preparation.contacts import (
    CONTACTS_SCHEMA,
    REJECTIONS_SCHEMA,
    Contacts,
    Prepared,
    addresses_of,
    as_they_stand,
    plan_files,
    with_lines,
)
from ccexport.preparation.duplicates import is_among
from ccexport.preparation.files import MAX_CONTACTS_PER_FILE, PlannedBatch
from ccexport.preparation.mapping import FieldMapping
from ccexport.preparation.prepare import prepare
from ccexport.runs.clearance import check_clearance, check_export_user
from ccexport.runs.comparing import Compared, OnList, Verdict, compare, count_moved
from ccexport.runs.failures import failed_rows
from ccexport.runs.guard import Change, change_of, fingerprint_of, question_of
from ccexport.runs.leaving import LeftOut, hashes_of_keys, leaving
from ccexport.runs.listing import (
    ON_LIST,
    CancelAsked,
    ListTakesLong,
    ask_for_list,
    list_pieces,
    read_list,
    who_was_on,
)
from ccexport.runs.moved import say_moved, say_moved_since
from ccexport.runs.preflight import check_source, check_target
from ccexport.runs.questions import ending_when_asked, pause_while_wanted
from ccexport.runs.retrying import pick_rows
from ccexport.runs.tools import Tools
from ccexport.states import BatchState, EventKind, Mode, RunFile
from ccexport.store.approvals import Question
from ccexport.store.batches import PreparedCounts, Sealed
from ccexport.store.database.tables import Batch, Run
from ccexport.store.leaving_rows import Leaving, write_leaving
from ccexport.store.ledger_rows import Observed, Sent, nobody, write_observed, write_sent
from ccexport.store.ledgers import Known, Target
from ccexport.store.moves import Held

LIST_WAIT = timedelta(minutes=1)  # for the list, once everybody is prepared and in memory
SUPPRESSED = "suppressed"  # the reason of those who left the list


@dataclass(frozen=True)
class Asking:
    """What a run that was prepared asks before it sends."""

    question: Question
    counts: PreparedCounts


def prepare_run(held: Held, run: Run, tools: Tools) -> Asking | None:
    """Check, read, write the run's files, and record counts and batches in one transaction.

    Where the run would change much of its list nothing is recorded: somebody has to be asked first.
    """
    check_clearance(tools.connections.view(run.connection_id or 0))
    try:
        found = write_run_files(held, run, tools)
    except CancelAsked:
        return None
    tools.reached("files written")
    say_moved(held, run, tools)
    say_moved_since(held, run, found.moved, tools)
    _say_mapping_changed(held, run, found, tools)
    if (question := question_about(run, found, tools)) is not None:
        return Asking(question, found.counts)
    batches = [new_batch(run, planned) for planned in found.plan]
    tools.batches.store_prepared(held, found.counts, batches, found.seal())
    tools.reached("batches stored")
    return None


def ask(held: Held, asking: Asking, tools: Tools) -> None:
    """Let the run wait for an answer. Once approved it is prepared anew, with the list as it is then."""
    tools.run_files.drop(held.run_id, ON_LIST)
    tools.reached("asking")
    tools.runs.ask(held, asking.question, asking.counts)
    tools.reached("asked")


def question_about(run: Run, found: Found, tools: Tools) -> Question | None:
    """What the run has to ask before it sends what was found."""
    target = (run.export_id, run.account_id, run.list_id)
    return question_of(
        run, found.change, found.fingerprint, lambda: tools.runs.has_ended_well(*target)
    )


def _say_mapping_changed(held: Held, run: Run, found: Found, tools: Tools) -> None:
    before, now = found.known.mapping, mapping_of(run).pairs
    if Mode(run.mode) is not Mode.FULL and before is not None and before != now:
        words = f"so {found.counts.changed:,} people have another line than the one sent last"
        tools.runs.note(held, EventKind.MAPPING_CHANGED, words)


@dataclass(frozen=True)
class Found:
    """What preparing found: counts, the files to be, and what is kept of the run while it is live.

    `known`: what the ledger said; `moved`: profiles that have another address than the one they were placed with.
    `change`: what the guard asks about; `fingerprint` of what the source gave.
    """

    counts: PreparedCounts
    plan: Sequence[PlannedBatch]
    seal: Callable[[], Sealed]
    known: Known
    moved: int
    change: Change
    fingerprint: Callable[[], str]


def write_run_files(
    held: Held, run: Run, tools: Tools, *, without: np.ndarray | None = None
) -> Found:
    """Check what the run relies on, and write its files; `without`: hashes of addresses that are left out, ascending.

    Constant Contact is asked before the run's turn to prepare: one that does not answer holds up no other run. A list
    that it has not written soon after everybody is prepared is waited for without the turn, and they are prepared anew.
    """
    view = tools.connections.view(run.connection_id or 0)
    check_export_user(view)
    connection = view.connection
    mapping = mapping_of(run)
    with closing(tools.guarded_client(held, connection.id)) as client:
        types = check_target(run, connection, mapping, client)
        ask_for_list(held, run, client, tools)  # written there while everybody is prepared here
        with suppress(ListTakesLong), tools.turn_to_prepare():
            profiles = _read_profiles(held, run, mapping, types, tools)
            as_of = read_list(held, run, client, tools, within=LIST_WAIT)
            return _beside_list(held, run, profiles, as_of, without, tools)
        del profiles  # not in memory meanwhile
        as_of = read_list(held, run, client, tools)
    with tools.turn_to_prepare():
        profiles = _read_profiles(held, run, mapping, types, tools)
        return _beside_list(held, run, profiles, as_of, without, tools)


def _beside_list(
    held: Held,
    run: Run,
    profiles: Profiles,
    as_of: datetime | None,
    without: np.ndarray | None,
    tools: Tools,
) -> Found:
    # after the list: of whom another run has taken off it meanwhile it does not say that they left
    known = _known(held, run, tools)
    beside = Beside(known, who_was_on(run, as_of, tools), without, profiles.without)
    return _write(run, profiles.prepared, beside, tools)


@dataclass(frozen=True)
class Profiles:
    """What the source gave; `without`: in mode `mirror`, hashes of the keys of members that have no profile."""

    prepared: Prepared
    without: np.ndarray


def _read_profiles(
    held: Held, run: Run, mapping: FieldMapping, types: Mapping[str, str], tools: Tools
) -> Profiles:
    """Everybody in the segments, prepared; of a retry those who failed."""
    if run.retry_of is not None:
        return Profiles(_retried(run, run.retry_of, tools), nobody())
    with (
        tools.open_source(pause_while_wanted(held, tools)) as source,
        ending_when_asked(source, held, tools),
    ):
        check_source(run, mapping, source)
        prepared = prepare(source, run.segments, mapping, types)
        strangers = source.strangers(run.segments, found=prepared.read)
        without = nobody()
        if strangers.without_profile and Mode(run.mode) is Mode.MIRROR:
            without = hashes_of_keys(source.keys_without_profile(run.segments))
    if said := strangers.said():
        also = " Who of them is on the list stays there." if len(without) else ""
        tools.runs.note(held, EventKind.WITHOUT_PROFILE, said + also)
    return Profiles(prepared, without)


@dataclass(frozen=True)
class Beside:
    """What the contacts are compared with: the ledger, the list, and addresses that were sent already, ascending.

    `without_profile`: hashes of the keys of members that have none, in mode `mirror`.
    """

    known: Known
    on_list: OnList | None
    without: np.ndarray | None
    without_profile: np.ndarray


def _known(held: Held, run: Run, tools: Tools) -> Known:
    """What the ledger says. One that no key opens is begun anew by a run that sends everybody, and stops any other."""
    target, is_full = Target.of(run), Mode(run.mode) is Mode.FULL
    try:
        tools.ledgers.hash_key()
        return tools.ledgers.known(target, others=not is_full)
    except StoreError as error:
        if not tools.ledgers.is_unreadable(target):
            raise
        if not is_full:
            raise SetupError(
                f"{error} Without it nobody knows who was sent before and who left: to begin anew, run the export "
                "once in mode full."
            ) from error
    tools.ledgers.begin_anew(target)
    words = "none of the keys opens what was known of the list, so this run begins it anew"
    tools.runs.note(held, EventKind.LEDGER_BEGUN_ANEW, words)
    return tools.ledgers.known(target)


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


def _write(run: Run, prepared: Prepared, beside: Beside, tools: Tools) -> Found:
    contacts, rejections = prepared.contacts, prepared.rejections
    if len(contacts) > tools.max_profiles:
        raise SetupError(
            f"The segments hold more than {tools.max_profiles:,} contacts, the most one run may send "
            "(CCEXPORT_MAX_PROFILES). Nothing was sent. Choose smaller segments."
        )
    rows = Sent(*contacts.hashes(tools.ledgers.hash_key()))
    leaves = _who_leaves(run, rows, prepared, beside, tools)
    if beside.without is not None:
        stays = ~is_among(rows.who, beside.without)
        contacts, rows = contacts.only(stays), rows.take(stays)
    again = run.resync or run.retry_of is not None
    found = compare(rows, beside.known, beside.on_list, Mode(run.mode), resync=again)
    with tools.run_files.writer(run.id, RunFile.REJECTIONS, REJECTIONS_SCHEMA) as file:
        for batch in rejections.to_batches():
            file.write(batch)
    _write_suppressed(run, contacts, found, tools)
    plan = _write_contacts(run, contacts.only(found.goes), tools)
    return Found(
        _counts(prepared, len(contacts), found, leaves),
        plan,
        partial(_sealed, rows.take(found.goes), found.observed, leaves, tools),
        beside.known,
        0 if Mode(run.mode) is Mode.FULL else count_moved(rows, beside.known.own),
        change_of(
            found,
            beside.known,
            Mode(run.mode),
            mapping_of(run).pairs,
            removed=len(leaves or ()),
        ),
        partial(fingerprint_of, rows),
    )


def _who_leaves(
    run: Run, rows: Sent, prepared: Prepared, beside: Beside, tools: Tools
) -> Leaving | None:
    """In mode `mirror` whom the run takes off the list, written down by name. Nobody where nobody was read."""
    if Mode(run.mode) is not Mode.MIRROR or run.retry_of is not None:
        return None
    if not (len(rows) or prepared.rejections.num_rows):
        return Leaving()
    names = partial(list_pieces, run, tools)
    key = tools.ledgers.hash_key()
    left_out = LeftOut(prepared.rejections, beside.without_profile)
    found = leaving(rows, left_out, beside.known, beside.on_list, names, key)
    if len(found):
        with tools.run_files.writer(run.id, RunFile.LEAVING, REJECTIONS_SCHEMA) as file:
            for first in range(0, len(found), MAX_CONTACTS_PER_FILE):
                file.write(_leaving_rows(found.emails[first : first + MAX_CONTACTS_PER_FILE]))
    return found


def _leaving_rows(emails: Sequence[str]) -> pa.RecordBatch:
    """By the schema of those left out; the ledger knows no key by name."""
    columns = [
        text_array([""] * len(emails)),
        text_array(list(emails)),
        text_array([RunFile.LEAVING.value] * len(emails)),
        pa.nulls(len(emails), pa.string()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=REJECTIONS_SCHEMA)


def _sealed(sent: Sent, observed: Observed, leaves: Leaving | None, tools: Tools) -> Sealed:
    """What the ledger is written from at the end. Sealed once the contacts are let go: both would not fit together."""
    pa.default_memory_pool().release_unused()
    return Sealed(
        tools.keys.seal(write_sent(sent)),
        tools.keys.seal(write_observed(observed)),
        None if leaves is None else tools.keys.seal(write_leaving(leaves)),
    )


def _counts(
    prepared: Prepared, contacts: int, found: Compared, leaves: Leaving | None
) -> PreparedCounts:
    return PreparedCounts(
        read=contacts + prepared.rejections.num_rows,
        prepared=contacts,
        truncated=prepared.truncated,
        rejections=prepared.reasons(),
        changed=found.count(Verdict.CHANGED),
        unchanged=found.count(Verdict.UNCHANGED),
        suppressed=found.count(Verdict.SUPPRESSED),
        to_remove=len(leaves or ()),
    )


def _write_suppressed(run: Run, contacts: Contacts, found: Compared, tools: Tools) -> None:
    """Who left the list, by name, as rows of rejections; no file where there is nobody."""
    left = contacts.only(found.verdicts == Verdict.SUPPRESSED)
    if not len(left):
        return
    with tools.run_files.writer(run.id, RunFile.SUPPRESSED, REJECTIONS_SCHEMA) as file:
        for first in range(0, len(left), MAX_CONTACTS_PER_FILE):
            some = left.take(first, MAX_CONTACTS_PER_FILE)
            file.write(_named(some))


def _named(some: pa.RecordBatch) -> pa.RecordBatch:
    rows = some.num_rows
    columns = [
        some.column("customer_id"),
        addresses_of(some.column("line")),
        text_array([SUPPRESSED] * rows),
        pa.nulls(rows, pa.string()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=REJECTIONS_SCHEMA)


def _write_contacts(run: Run, contacts: Contacts, tools: Tools) -> list[PlannedBatch]:
    """File by file, while those that come next are made in threads and the one before is sealed in another."""
    fields = mapping_of(run).fields
    with tools.run_files.writer(run.id, RunFile.CONTACTS, CONTACTS_SCHEMA) as file:
        plan: list[PlannedBatch] = []
        for batch, planned in plan_files(contacts, fields):
            file.write(batch)
            plan.append(planned)
    return plan


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
