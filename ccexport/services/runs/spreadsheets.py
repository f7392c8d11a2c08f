"""CSV for spreadsheets: what one of them would run as a formula begins with an apostrophe, and is shown instead."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # spreadsheets run cells that begin so


def disarmed(row: Sequence[str]) -> list[str]:
    """The row without a cell that would be run."""
    return [f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in row]


def to_spreadsheet_csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """CSV that a spreadsheet shows as it is: UTF-8 with BOM, formulas disarmed."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows(map(disarmed, rows))
    return text.getvalue().encode("utf-8-sig")
