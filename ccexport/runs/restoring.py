"""A run's files where this machine does not have them: another host prepared the run, or they were deleted.

Prepared again they are the same, which the digest of each batch proves. Where the source has changed meanwhile:

- What is not pending stays as it is. Before anything else what was sent and not answered is found, or proven absent.
- What is pending is given up, and the source as it is now is prepared without the addresses of the batches that stay.
  So nobody is sent twice in a run, even if an address has moved to another profile.
  New people go along; those who left meanwhile do not.
- The run's counts are then those of the batches that stay and of the new preparation together: `read = rejected +
  prepared` holds, and a profile that was sent and has another address or is left out by now is counted in both.

Which addresses a batch has is known by a hash of each, kept encrypted with the run while it is live (two addresses of
one hash are one in 10**7 for a million contacts: the second would not be sent). Batches that stay keep no rows here:
their `first_row` is below 0, so that none of their lines is ever taken for somebody else.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ccexport.errors import SetupError, StoreError
from ccexport.preparation.files import PlannedBatch
from ccexport.runs.listing import CancelAsked
from ccexport.runs.preparing import (
    file_of,
    new_batch,
    write_run_files,
)
from ccexport.runs.tools import Tools
from ccexport.states import BatchState, RunFile
from ccexport.store.database.tables import Batch, Run
from ccexport.store.ledger_rows import Sent, Standing, joined, nobody_sent, read_sent, write_sent
from ccexport.store.moves import Held


def restore_run_files(held: Held, run: Run, tools: Tools) -> bool:
    """See that what is pending can be made from the files here; False: first must be known what became of the rest."""
    batches = tools.batches.of_run(run.id)
    if _are_here(run, batches, tools):
        return True
    try:
        return _made_here(held, run, batches, tools)
    except CancelAsked:  # what is pending is given up then
        return False


def _made_here(held: Held, run: Run, batches: Sequence[Batch], tools: Tools) -> bool:
    earlier, _ = _opened(run, tools)
    found = write_run_files(held, run, tools, without=np.sort(earlier.who))
    if _are_as_stored(run, found.plan, batches, tools):
        return True
    tools.run_files.delete(run.id)
    if any(batch.state is BatchState.SENDING for batch in batches):
        return False
    if any(batch.state is BatchState.PENDING for batch in batches):
        _prepare_the_rest(held, run, batches, tools)
    return True


def _are_here(run: Run, batches: Sequence[Batch], tools: Tools) -> bool:
    """Whether the files are there, and are those that the pending batches were made of."""
    if not tools.run_files.exists(run.id, RunFile.CONTACTS):
        return False
    pending = next((batch for batch in batches if batch.state is BatchState.PENDING), None)
    return pending is None or _is_as_stored(run, pending, tools)


def _are_as_stored(
    run: Run, plan: Sequence[PlannedBatch], batches: Sequence[Batch], tools: Tools
) -> bool:
    """Whether the run's files, just made anew, hold what each of its batches says.

    A batch that is not as planned, as those that were halved, is made from its rows and compared.
    """
    batches = [batch for batch in batches if batch.first_row >= 0]
    planned = {(batch.first_row, batch.rows): batch.digest for batch in plan}
    return sum(batch.rows for batch in batches) == sum(batch.rows for batch in plan) and all(
        batch.digest == planned.get((batch.first_row, batch.rows), "")
        or _is_as_stored(run, batch, tools)
        for batch in batches
    )


def _is_as_stored(run: Run, batch: Batch, tools: Tools) -> bool:
    return file_of(run, batch.first_row, batch.rows, tools)[1] == batch.digest


def _prepare_the_rest(held: Held, run: Run, batches: Sequence[Batch], tools: Tools) -> None:
    stay = [batch for batch in batches if batch.state is not BatchState.PENDING]
    gone = _rows(run, stay, tools)
    found = write_run_files(held, run, tools, without=np.sort(gone.who))
    last = max(batch.number for batch in batches)
    standing = found.known.own.standing_of(gone.who)
    tools.batches.store_prepared_again(
        held,
        found.counts,
        [new_batch(run, planned, after=last) for planned in found.plan],
        found.seal(),
        staying=tools.keys.seal(write_sent(gone)),
        changed_before=int(np.count_nonzero(standing == Standing.PLACED)),
        given_up=[batch.id for batch in batches if batch.state is BatchState.PENDING],
    )
    tools.reached("prepared again")


def _rows(run: Run, stay: Sequence[Batch], tools: Tools) -> Sent:
    """The rows of these batches. Raises `SetupError` where nobody knows them any more."""
    earlier, rows = _opened(run, tools)
    here = [
        rows.take(slice(b.first_row, b.first_row + b.rows)).of_batch(b.number)
        for b in stay
        if b.first_row >= 0
    ]
    known = joined([earlier, *here])
    if len(known) != sum(batch.rows for batch in stay):
        raise SetupError(
            "The run's files are gone, the source has changed since they were made, and it is not known any more who "
            "was sent already. What was sent stays as it is; run the export again."
        )
    return known


def _opened(run: Run, tools: Tools) -> tuple[Sent, Sent]:
    """The rows of what earlier preparations sent, and those of the present one; none that cannot be opened."""
    kept = tools.batches.addresses(run.id)
    return _open(kept.staying, tools), _open(kept.rows, tools)


def _open(sealed: bytes, tools: Tools) -> Sent:
    try:
        return read_sent(tools.keys.decrypt(sealed)) if sealed else nobody_sent()
    except StoreError:
        return nobody_sent()
