"""C37: what customers typed is shown by a spreadsheet and not run, and a script can undo the marking."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccexport.services.runs.spreadsheets import (
    RUN_BY_SPREADSHEETS,
    disarmed,
    encoding_for_spreadsheets,
    to_spreadsheet_csv,
)
from tests.commands.running import Here
from tests.kit.house import House, people, write_source

RUN = (
    "=cmd|' /C calc'!A0",
    "+49 555 0100",
    "@SUM(1)",
    "-2+3",
    "\t=1",
    "\r=1",
    "\n=1",
    "=1+1",
    " =1+1",
    "\u00a0=1+1",
    "\ufeff=1+1",
    "\uff1d1+1",
    "'=1+1",
    "''@x",
)
SHOWN = ("'t Hooft", "ana@example.com", "a=b", "", "'", "1-2", "René", "  Ana", "0042")


@pytest.mark.parametrize("cell", RUN)
def test_a_cell_that_would_run_gets_one_apostrophe_in_front(cell: str) -> None:
    assert disarmed([cell]) == [f"'{cell}"]


@pytest.mark.parametrize("cell", SHOWN)
def test_another_cell_stays_as_it_is(cell: str) -> None:
    assert disarmed([cell]) == [cell]


def undone(cell: str) -> str:
    """As the note beside the download tells a script to do."""
    is_marked = cell.startswith("'") and RUN_BY_SPREADSHEETS.match(cell[1:])
    return cell[1:] if is_marked else cell


@given(st.text(alphabet="'=+-@\t\r\n \u00a0\ufeff\uff1daé1", max_size=6) | st.text())
def test_the_marking_can_be_undone_whatever_the_cell_holds(cell: str) -> None:
    marked = disarmed([cell])[0]
    assert undone(marked) == cell
    assert not marked.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


def test_a_letter_beyond_ascii_is_itself_in_a_spreadsheet() -> None:
    assert to_spreadsheet_csv(["a"], [["René"]]) == b"\xef\xbb\xbfa\r\nRen\xc3\xa9\r\n"
    assert encoding_for_spreadsheets([["a", "b"], ["René", ""]]) == "utf-8-sig"
    assert encoding_for_spreadsheets([["a", "b"], ["Rene", ""]]) == "utf-8"


def test_the_command_writes_a_file_that_opens_as_text_with_the_columns_of_the_contract(
    here: Here, house: House, tmp_path: Path
) -> None:
    left_out = [
        {**people(1)[0], "CustomerId": f"=1+{number}", "EMail": cell}
        for number, cell in enumerate(RUN)
    ]
    write_source(house.source, [*people(1, first=90), *left_out, _rene()])
    house.run()
    path, environment = tmp_path / "rejected.csv", house.environment()
    here("runs", "rejected", "1", "--output", str(path), environment=environment)
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    heading, *rows = csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline=""))
    assert heading == ["customer_id", "email", "reason", "sent_instead"]
    assert {row[0] for row in rows} == {"René", *(f"'=1+{n}" for n in range(len(RUN)))}
    assert not [cell for row in rows for cell in row if RUN_BY_SPREADSHEETS.match(cell[:1])]
    printed = here("runs", "rejected", "1", environment=environment).out
    as_they_are = list(csv.reader(io.StringIO(printed, newline="")))
    assert [[undone(cell) for cell in row] for row in rows] == as_they_are[1:]


def _rene() -> dict[str, str]:
    return {**people(1)[0], "CustomerId": "René", "EMail": "none"}
