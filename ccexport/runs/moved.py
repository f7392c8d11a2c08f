"""Profiles whose address is another than in the run before: the old one stays on the list, and the run says so.

An address identifies a contact at Constant Contact, so a changed one makes a second contact (vendor support), and a
run that sends everything takes nobody off a list.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np

from ccexport.errors import StoreError
from ccexport.preparation.contacts import address_hashes, with_lines
from ccexport.preparation.hashes import text_hashes
from ccexport.runs.tools import Tools
from ccexport.states import EventKind, Mode
from ccexport.store.database.tables import Run
from ccexport.store.moves import Held
from ccexport.store.vault.run_files import RunFiles

log = logging.getLogger(__name__)

_CONTACTS = "contacts"


def say_moved(held: Held, run: Run, tools: Tools) -> None:
    """A line in the run's history where profiles have moved, as far as the earlier run's file is on this machine."""
    if run.retry_of is not None or Mode(run.mode) is not Mode.FULL:
        return  # the files of other modes do not hold everybody: the ledger says it then
    earlier = tools.runs.sent_before(run)
    if earlier is None or not tools.run_files.exists(earlier.id, _CONTACTS):
        return
    try:
        moved = count_moved(tools.run_files, earlier.id, run.id)
    except StoreError as error:  # a remark is not worth the run
        log.warning("run %d: not compared with run %d: %s", run.id, earlier.id, error)
        return
    if moved:
        profiles = "1 profile has" if moved == 1 else f"{moved:,} profiles have"
        tools.runs.note(
            held,
            EventKind.ADDRESSES_CHANGED,
            f"{profiles} another address than in run {earlier.id}. The old one stays on the list, as a contact of its "
            "own; remove it at Constant Contact where that is not wanted.",
        )


def say_moved_since(held: Held, run: Run, moved: int, tools: Tools) -> None:
    """The same by the ledger, which knows with which address each profile was placed."""
    if not moved or run.retry_of is not None:
        return
    profiles = "1 profile has" if moved == 1 else f"{moved:,} profiles have"
    old = (
        "The old one is taken off the list."
        if Mode(run.mode) is Mode.MIRROR
        else "The old one stays on the list, as a contact of its own; remove it at Constant Contact where that is not "
        "wanted."
    )
    words = f"{profiles} another address than the one that was sent before. {old}"
    tools.runs.note(held, EventKind.ADDRESSES_CHANGED, words)


def count_moved(files: RunFiles, earlier: int, present: int) -> int:
    """How many profiles are in the contacts of both runs, with different addresses.

    Compared by hashes of 64 bits: 16 bytes a profile of the earlier run are in memory.
    """
    pairs = list(_hashes(files, earlier))
    if not pairs:
        return 0
    keys, emails = (np.concatenate(each) for each in zip(*pairs, strict=True))
    order = np.argsort(keys)
    keys, emails = keys[order], emails[order]
    moved = 0
    for key, email in _hashes(files, present):
        places = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
        moved += int(np.count_nonzero((keys[places] == key) & (emails[places] != email)))
    return moved


def _hashes(files: RunFiles, run_id: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for batch in map(with_lines, files.stream(run_id, _CONTACTS)):
        yield text_hashes(batch.column("customer_id")), address_hashes(batch.column("line"))
