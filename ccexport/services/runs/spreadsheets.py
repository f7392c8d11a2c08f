"""CSV for spreadsheets: what one of them would run as a formula begins with an apostrophe, and is shown instead.

A cell is marked by one apostrophe in front, one that looks marked already too: a program that takes one apostrophe
away from each cell that looks so (`RUN_BY_SPREADSHEETS` matches what is behind it) has exactly what was there before.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

# + and its kin in full width are taken for themselves, and blanks in front are skipped
RUN_BY_SPREADSHEETS = re.compile(r"'*(?:[\t\r\n]|[\s\u200b\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20])")
HOW_IT_IS_MARKED = (
    "For spreadsheets, a cell that begins with = + - @ or a tab, also behind blanks or apostrophes, gets one "
    "apostrophe in front, so that it is not run as a formula; take that one away to have the cell as it was."
)


def disarmed(row: Sequence[str]) -> list[str]:
    """The row without a cell that would be run."""
    return [f"'{cell}" if RUN_BY_SPREADSHEETS.match(cell) else cell for cell in row]


def to_spreadsheet_csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """CSV that a spreadsheet shows as it is: UTF-8 with BOM, formulas disarmed."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows(map(disarmed, rows))
    return text.getvalue().encode("utf-8-sig")


def encoding_for_spreadsheets(rows: Iterable[Sequence[str]]) -> str:
    """With a byte-order mark where a letter needs it, else without: scripts then read the heading as it is."""
    is_plain = all(cell.isascii() for row in rows for cell in row)
    return "utf-8" if is_plain else "utf-8-sig"
