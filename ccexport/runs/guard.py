"""The guard: a run that would change much of its list waits until somebody has looked at the numbers.

First runs, runs that a person asked to send everybody, retries, and changes of few people pass. Where the source has
not a single profile any more nobody is taken off the list, whatever the guard.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ccexport.runs.comparing import Compared
from ccexport.states import GUARD_FROM, Mode
from ccexport.store.approvals import Question
from ccexport.store.database.tables import Run
from ccexport.store.exports import Pairs
from ccexport.store.ledger_rows import Sent, Standing
from ccexport.store.ledgers import Known


@dataclass(frozen=True)
class Change:
    """People that a run would send or remove, and those whom the ledger has as placed."""

    sent: int
    removed: int
    placed: int

    def is_large(self, guard: int | None) -> bool:
        """Whether somebody is asked where `guard` is the share allowed, in percent; None: never."""
        if guard is None or not self.placed:
            return False
        most = max(self.sent, self.removed)
        return most >= GUARD_FROM and most * 100 > guard * self.placed


def change_of(
    found: Compared, known: Known, mode: Mode, mapping: Pairs, *, removed: int = 0
) -> Change:
    """New people, and those whose line is another. Mode `full` sends everybody each time, so that says nothing; nor
    does who goes again since a file of theirs failed.

    A changed mapping makes every line another. In mode `full` that sends nobody more, so new people alone count then.
    """
    is_other_mapping = known.mapping is not None and known.mapping != mapping
    lines = 0 if mode is Mode.FULL and is_other_mapping else found.other_lines
    return Change(found.new_people + lines, removed, known.own.count(Standing.PLACED))


def question_of(
    run: Run, change: Change, fingerprint: Callable[[], str], has_ended_well: Callable[[], bool]
) -> Question | None:
    """What the run has to ask before it sends; None where it may go on, or somebody has approved that already."""
    is_asked_for = run.resync or run.retry_of is not None
    if is_asked_for or not change.is_large(run.guard) or not has_ended_well():
        return None
    asked = Question(change.sent, change.removed, change.placed, run.guard or 0, fingerprint())
    before = Question.of(run)
    if run.approved_by is not None and before is not None and before.covers(asked):
        return None
    return asked


def fingerprint_of(rows: Sent) -> str:
    """A digest of what the source gave, in whatever order: hashes of addresses and lines."""
    order = np.argsort(rows.who)
    digest = hashlib.sha256(rows.who[order].tobytes())
    digest.update(rows.line[order].tobytes())
    return digest.hexdigest()
