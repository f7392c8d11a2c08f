"""A file that Constant Contact refuses is halved until the row it does not like is found; the others go through.

Halves go out breadth first, after all files that were never tried, so that one bad file does not hold up the good ones.
"""

from __future__ import annotations

from ccexport.errors import ConstantContactRefused, InTheWay
from ccexport.redaction import redact
from ccexport.runs.outcomes import quoted
from ccexport.runs.preparing import file_of, new_file_name
from ccexport.runs.tools import Tools
from ccexport.store.batches import Piece
from ccexport.store.database.tables import Batch, Run
from ccexport.store.moves import Held

MAX_REFUSED_IN_A_ROW = 16  # halves refused with nothing taken in between: it is not about a row
MAX_HALVINGS = 200  # of a run, each of them two more requests of the day's 10,000


def sending_order(batch: Batch) -> tuple[int, int]:
    """What is to be sent first: files as they were planned, then halves, then quarters …, each with its other half."""
    return batch.halvings, batch.first_row


def record_refusal(
    held: Held, run: Run, batch: Batch, error: ConstantContactRefused | InTheWay, tools: Tools
) -> None:
    """Halve a refused file, or fail it where that is not possible; stop the run where that does not help."""
    words = redact(" ".join((error.detail or str(error)).split()))
    may_halve = batch.rows > 1 and run.halvings < MAX_HALVINGS
    halves = _halves(run, batch, tools) if may_halve else None
    run = tools.batches.refused(held, batch, words, halves)
    tools.reached("refusal recorded")
    if run.refused_in_row >= MAX_REFUSED_IN_A_ROW:
        tools.runs.stop(
            held,
            f"Constant Contact refused {run.refused_in_row} files one after the other, down to parts of the "
            f"first: {quoted(words)}",
        )


def _halves(run: Run, batch: Batch, tools: Tools) -> tuple[Piece, Piece]:
    half = batch.rows // 2
    return (
        _piece(run, batch, batch.first_row, half, tools),
        _piece(run, batch, batch.first_row + half, batch.rows - half, tools),
    )


def _piece(run: Run, batch: Batch, first_row: int, rows: int, tools: Tools) -> Piece:
    """A half as the file it will be: without the columns that are empty for all of its rows."""
    content, digest = file_of(run, first_row, rows, tools)
    return Piece(first_row, rows, len(content), digest, new_file_name(run, batch.number))
