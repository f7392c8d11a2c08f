"""Reading rows: which are kept, which can be corrected, which are errors."""

import pytest

from ccexport.sandbox.account.contacts import SEPARATOR
from ccexport.sandbox.account.rows import (
    CSV_COLUMNS,
    MAX_LINES,
    header_of,
    header_problem,
    read_csv,
)


@pytest.mark.parametrize(
    ("header", "row", "problem"),
    [
        ("email", "ana@example.com", None),
        ("email", " Ana@Example.COM ", None),
        ("email", "not an address", "Invalid email address"),
        ("email", "ana@localhost", "Invalid email address"),
        ("email,first_name", ",", "no name and no email address"),
        ("email,anniversary", "a@example.com,2020-02-29", None),
        ("email,anniversary", "a@example.com,2/9/2020", None),
        ("email,anniversary", "a@example.com,2020/2/9", None),
        ("email,anniversary", "a@example.com,2-09-2020", None),
        ("email,anniversary", "a@example.com,", None),
        ("email,anniversary", "a@example.com,2021-02-29", "Invalid anniversary"),
        ("email,anniversary", "a@example.com,9 May 2020", "Invalid anniversary"),
        ("email,birthday_month,birthday_day", "a@example.com,2,29", None),
        ("email,birthday_month,birthday_day", "a@example.com,,", None),
        ("email,birthday_month,birthday_day", "a@example.com,2,30", "Invalid birthday"),
        ("email,birthday_month,birthday_day", "a@example.com,2,", "Invalid birthday"),
        ("email,birthday_month", "a@example.com,2", "Invalid birthday"),
    ],
)
def test_what_can_be_corrected_is_parked(header: str, row: str, problem: str | None) -> None:
    found = read_csv(f"{header}\r\n{row}\r\n".encode())
    assert found.total == 1
    assert found.errors == {}
    assert found.correctable == ({} if problem is None else {2: problem})
    assert len(found.keys) == (problem is None)


@pytest.mark.parametrize(
    ("header", "row", "problem"),
    [
        ("email", "a" * 69 + "@example.com", "email is longer than 80 characters"),
        ("email,first_name", ",Ana", "email address is missing"),
        (
            "email,first_name",
            "a@example.com," + "x" * 51,
            "first_name is longer than 50 characters",
        ),
        ("email,phone", "a@example.com," + "1" * 26, "phone is longer than 25 characters"),
        ("email,cf:tier", "a@example.com," + "x" * 256, "tier is longer than 255 characters"),
        (
            "email,street,street2",
            "a@example.com," + "x" * 200 + "," + "y" * 55,
            "street is longer than 255 characters",
        ),
        ("email,city", "a@example.com,Rome,Italy", "more values than columns"),
    ],
)
def test_other_trouble_is_an_error_of_its_row(header: str, row: str, problem: str) -> None:
    found = read_csv(f"{header}\n{row}\nb@example.com\n".encode())
    assert found.errors == {2: problem}
    assert found.correctable == {}
    assert found.keys == ["b@example.com"]


def test_lines_count_the_header_as_the_first() -> None:
    found = read_csv(b"email\na@example.com\nwrong\nb@example.com\n")
    assert list(found.correctable) == [3]
    assert found.lines == [2, 4]


def test_a_file_ends_at_its_40000th_line() -> None:
    rows = "".join(f"p{n}@example.com\n" for n in range(MAX_LINES + 5))
    found = read_csv(f"email\n{rows}".encode())
    assert found.total == MAX_LINES - 1
    assert found.keys[-1] == f"p{MAX_LINES - 2}@example.com"


def test_two_lines_of_a_street_become_one() -> None:
    found = read_csv(b"email,street,street2\na@example.com,1 Main St,Apt 2\n")
    assert (found.layout, found.values) == (("street",), ["1 Main St Apt 2"])


def test_the_separator_of_the_store_cannot_be_smuggled_in() -> None:
    found = read_csv(f"email,city\na@example.com,Ro{SEPARATOR}me\n".encode())
    assert found.values == ["Ro me"]


def test_quotes_and_commas_and_accents_survive() -> None:
    found = read_csv('email,last_name\r\na@example.com,"O\'Néill, ""Jr"""\r\n'.encode())
    assert found.values == ['O\'Néill, "Jr"']


def test_a_quote_that_is_never_closed_costs_the_rest_of_the_file() -> None:
    rows = b"b@example.com,B\n" * 30_000
    found = read_csv(b'email,first_name\na@example.com,A\nx@example.com,"X\n' + rows)
    assert found.keys == ["a@example.com"]
    assert found.errors == {3: "cannot be read, nor what follows"}


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("email", None),
        ("first_name,email,cf:tier", None),
        ("sms_number", None),
        ("Email", "Unknown column"),
        ("\ufeffemail", "Unknown column"),
        ("email,cf:Tier", "Unknown column"),
        ("email,home_phone", "Unknown column"),
        ("email,", "Unknown column"),
        ("first_name", "email or sms_number is required"),
        ("email,email", "named twice"),
        ("", "required"),
        ("email," + ",".join(f"cf:f{n}" for n in range(26)), "More than 25 custom fields"),
    ],
)
def test_columns_have_to_be_known(header: str, problem: str | None) -> None:
    custom = {"tier", *(f"f{n}" for n in range(26))}
    found = header_problem(header_of(f"{header}\r\nx\r\n".encode()), CSV_COLUMNS, custom)
    assert (found is None) if problem is None else (found is not None and problem in found)
