"""What people read: tables that fit a terminal, lines for pipes, singular and plural, no way to steer a terminal."""

from __future__ import annotations

import re
import sys

import pytest

from ccexport.commands.console import describe, print_table, say, shown_time
from ccexport.commands.summary import print_run
from ccexport.words import counted
from tests.commands.running import Here
from tests.kit.house import LIST_ID, House, people, write_source

LONG = "An export whose name is as long as a name may be " * 4
ESCAPE = "\x1b[2J\x1b[31mred\x07\nnext"


@pytest.mark.parametrize(
    ("number", "noun", "said"),
    [(0, "file", "0 files"), (1, "file", "1 file"), (2_000, "file", "2,000 files")],
)
def test_a_count_is_in_singular_or_plural(number: int, noun: str, said: str) -> None:
    assert counted(number, noun) == said


def test_a_time_is_short_and_says_its_zone() -> None:
    assert shown_time("2026-01-05T10:00:00.123Z") == "2026-01-05 10:00 UTC"
    assert shown_time(None) is None


def test_a_table_fits_a_narrow_terminal_and_loses_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    rows = [["x" * 60, 1_234_567, None, True]]
    print_table(["name", "members", "list", "shared"], rows, empty="")
    out = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert max(map(len, out.splitlines())) <= 40
    assert out.count("x") == 60
    assert "1,234,567" in out
    assert "yes" in out


def test_a_table_elsewhere_has_one_line_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["name", "segments"], [[LONG, LONG], ["short", ""]], empty="")
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_nothing_that_is_printed_steers_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["name"], [[ESCAPE]], empty="")
    say(ESCAPE)
    out, err = capsys.readouterr()
    assert not any(character in out + err for character in "\x1b\x07")
    assert len(out.splitlines()) == 2
    assert len(err.splitlines()) == 1


def test_a_line_of_progress_says_why_and_until_when_a_run_waits() -> None:
    run = {
        "id": 7,
        "export": "Newsletter",
        "state": "waiting",
        "waiting_for": "sign_in",
        "waiting_until": None,
        "batches": [{"state": "failed"}, {"state": "pending"}],
    }
    assert describe(run) == 'Run 7 of "Newsletter": waiting for sign in, 1 of 2 files done'


def test_errors_that_are_too_many_lead_to_the_document(
    capsys: pytest.CaptureFixture[str], house: House
) -> None:
    house.tell(
        "/_sandbox/behaviour",
        faults=[{"on": "contactsCSVImport", "do": "reject_rows", "lines": list(range(2, 9))}],
    )
    document = house.run()
    print_run(document)
    out = capsys.readouterr().out
    assert "file 1: and 2 more (`runs show 1 --json`)" in out
    assert "@example.com" not in out


def test_failed_rows_that_nobody_named_are_counted_in_words(
    capsys: pytest.CaptureFixture[str], house: House
) -> None:
    fault = {"on": "contactsCSVImport", "do": "reject_rows_silently", "lines": [2, 4]}
    house.tell("/_sandbox/behaviour", faults=[fault])
    print_run(house.run())
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if line.startswith("  failed")]
    assert line.split(maxsplit=2)[1:] == ["2", "of 2 Constant Contact did not say which"]


def test_a_preview_in_words(here: Here, house: House) -> None:
    profiles = people(3)
    profiles[1]["EMail"] = "PERSON1@example.com"
    profiles[2]["FirstName"] = "Ä" * 60
    write_source(house.source, profiles)
    outcome = here("exports", "preview", "Newsletter", environment=house.environment())
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[0] == '3 profiles read, 2 would be sent to "Spring buyers"'
    assert lines[1].startswith("1 would be left out: 1 duplicate (")
    assert lines[2] == "1 has a value that is cut to the length allowed"
    assert lines[3].startswith("1 file, ")
    assert "0000001 is sent" in lines
    assert any(
        line.startswith("0000002 is left out, duplicate") and line.endswith(": 0000001")
        for line in lines
    )


def test_the_longest_name_and_one_of_other_scripts_are_shown_whole(
    here: Here, house: House
) -> None:
    environment = house.environment()
    for name in (LONG[:200].strip(), "新着ニュース 🎉 نشرة"):
        words = ["--connection", "marketing", "--list-id", LIST_ID, "--segment", "All"]
        added = here(
            "exports", "add", name, *words, "--map", "email=EMail", environment=environment
        )
        assert added.code == 0
        assert f'"{name}" is saved' in added.err
        assert name in here("exports", "list", environment=environment).out
        removed = here("exports", "remove", name.upper(), environment=environment)
        assert removed.code == 0
    assert len(here("exports", "list", "--json", environment=environment).document) == 1
