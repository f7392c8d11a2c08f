"""The sample: its shape, the dirt it promises, and that the committed files are what the generator writes."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from ccexport import sample
from ccexport.errors import SetupError, UsageError
from ccexport.sample import OPTED_OUT, SEGMENTS, main, write_sample

COMMITTED = Path(__file__).parents[2] / "data" / "sample"
FILES = ("Customer.csv", "SegmentMembership.csv")
RESERVED = re.compile(r"(^|[.@])(example\.(com|org|net)|example)$")
Row = dict[str, str | None]


def read_csv(path: Path) -> pa.Table:
    columns = path.read_text(encoding="utf-8").partition("\n")[0].split(",")
    return pa_csv.read_csv(
        path,
        parse_options=pa_csv.ParseOptions(newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            column_types={name: pa.string() for name in columns},
            null_values=[""],
            strings_can_be_null=True,
        ),
    )


@pytest.fixture(scope="module")
def customers() -> list[Row]:
    rows: list[Row] = read_csv(COMMITTED / "Customer.csv").to_pylist()
    return rows


@pytest.fixture(scope="module")
def memberships() -> list[Row]:
    rows: list[Row] = read_csv(COMMITTED / "SegmentMembership.csv").to_pylist()
    return rows


def texts(rows: list[Row], column: str) -> list[str]:
    return [value for row in rows if (value := row[column]) is not None]


def addresses(rows: list[Row]) -> list[str]:
    """As a run compares them: trimmed, in lower case, the blank ones left out."""
    return [email.strip().lower() for email in texts(rows, "EMail") if email.strip()]


# ---- shape


def test_the_committed_files_are_what_the_documented_command_writes(tmp_path: Path) -> None:
    readme = (COMMITTED / "README.md").read_text(encoding="utf-8")
    command = re.search(r"^python -m ccexport\.sample data/sample (.+)$", readme, re.MULTILINE)
    assert command is not None
    assert main([str(tmp_path), *command[1].split()]) == 0
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (COMMITTED / name).read_bytes(), name


def test_the_committed_files_are_small_utf8_without_bom_and_with_lf() -> None:
    for name in FILES:
        data = (COMMITTED / name).read_bytes()
        assert data.decode("utf-8")[0] != "\ufeff"
        assert b"\r\n" not in data.split(b"\n", 1)[0] + b"\n"
        assert data.endswith(b"\n")
        assert not data.endswith(b"\r\n")
    assert sum((COMMITTED / name).stat().st_size for name in FILES) <= 1_200_000


def test_every_profile_has_a_key_of_its_own(customers: list[Row]) -> None:
    keys = texts(customers, "CustomerId")
    assert len(keys) == len(set(keys)) == 5_000
    assert keys != sorted(keys)  # a reader cannot rely on the order


def test_the_columns_are_those_of_a_customer(customers: list[Row]) -> None:
    assert list(customers[0]) == [
        *("CustomerId", "FirstName", "LastName", "EMail", "Phone", "Street", "PostalCode", "City"),
        *("Country", "BirthDate", "Company", "JobTitle", "LoyaltyTier", "Language", "CreatedOn"),
    ]


def test_dates_are_iso_and_some_birthdays_are_unknown(customers: list[Row]) -> None:
    for column in ("BirthDate", "CreatedOn"):
        assert all(re.fullmatch(r"\d{4}-\d{2}-\d{2}", day) for day in texts(customers, column))
    assert 0.05 < 1 - len(texts(customers, "BirthDate")) / len(customers) < 0.25


# ---- nobody in it exists


def test_every_address_lies_in_a_reserved_domain(customers: list[Row]) -> None:
    outside = [email for email in addresses(customers) if not RESERVED.search(email.rstrip("."))]
    assert outside == []


def test_one_person_has_opted_out_and_gets_the_newsletter(
    customers: list[Row], memberships: list[Row]
) -> None:
    keys = [row["CustomerId"] for row in customers if row["EMail"] == OPTED_OUT]
    assert len(keys) == 1
    assert {"CustomerId": keys[0], "Segment": SEGMENTS[0]} in memberships


# ---- the dirt is there

ADDRESS_DIRT: dict[str, Callable[[str], object]] = {
    "blank": lambda email: not email.strip(),
    "no @": lambda email: email.strip() and "@" not in email,
    "two @": lambda email: email.count("@") == 2,
    "no dot in the domain": lambda email: email.strip().endswith("@example"),
    "space inside": lambda email: " " in email.strip(),
    "trailing dot": lambda email: email.endswith("."),
    "double dot": lambda email: ".." in email,
    "dot before @": lambda email: ".@" in email and ".." not in email,
    "not ASCII": lambda email: not email.isascii(),
    "upper case": str.isupper,
    "padded": lambda email: email.strip() and email != email.strip(" "),
    "tab": lambda email: "\t" in email,
    "line break": lambda email: "\n" in email,
    "apostrophe": lambda email: "'" in email,
    "tag": lambda email: "+shop@" in email,
    "formula": lambda email: email.startswith("="),
    "51 to 80 characters": lambda email: 50 < len(email.strip()) <= 80,
    "over 80 characters": lambda email: len(email.strip()) > 80,
}
NAME_DIRT: dict[str, Callable[[str], object]] = {
    "apostrophe": lambda name: "'" in name,
    "comma": lambda name: "," in name,
    "double quote": lambda name: '"' in name,
    "accent": lambda name: any("à" <= letter <= "ÿ" for letter in name),
    "decomposed accent": lambda name: unicodedata.normalize("NFC", name) != name,
    "Greek": lambda name: re.search("[α-ω]", name),
    "Cyrillic": lambda name: re.search("[а-я]", name),
    "Arabic": lambda name: re.search("[\u0627-\u064a]", name),
    "Hebrew": lambda name: re.search("[\u05d0-\u05ea]", name),
    "Chinese": lambda name: re.search("[张欧芳]", name),
    "Japanese": lambda name: re.search("[\u3040-\u30ff]", name),
    "Korean": lambda name: re.search("[\uac00-\ud7a3]", name),
    "beyond 16 bits": lambda name: any(ord(letter) > 0xFFFF for letter in name),
    "emoji": lambda name: "🌻" in name,
    "blank": lambda name: not name.strip(),
    "padded": lambda name: name.strip() and name != name.strip(),
    "upper case": lambda name: len(name) > 3 and name.isascii() and name.isupper(),
    "over 50 characters": lambda name: len(name) > 50,
    "line feed": lambda name: re.search("[^\r]\n", name),
    "carriage return": lambda name: "\r\n" in name,
    "tab": lambda name: "\t" in name,
    "equals formula": lambda name: name.startswith("="),
    "other formula": lambda name: name.startswith(("@", "-")),
    "markup": lambda name: name.startswith("<"),
    "the word NULL": lambda name: name == "NULL",
}
VALUE_DIRT: dict[str, tuple[str, Callable[[str], object]]] = {
    "street with a comma": ("Street", lambda value: "," in value),
    "street of two lines": ("Street", lambda value: "\n" in value),
    "company with quotes": ("Company", lambda value: '"' in value),
    "company that is a formula": ("Company", lambda value: value.startswith("=")),
    "job title over 50 characters": ("JobTitle", lambda value: len(value) > 50),
    "job title of two lines": ("JobTitle", lambda value: "\r\n" in value),
    "phone over 25 characters": ("Phone", lambda value: len(value) > 25),
    "postal code with a leading zero": ("PostalCode", lambda value: value.startswith("0")),
}


@pytest.mark.parametrize("kind", ADDRESS_DIRT)
def test_some_addresses_are_odd_but_few(kind: str, customers: list[Row]) -> None:
    found = sum(bool(ADDRESS_DIRT[kind](email)) for email in texts(customers, "EMail"))
    assert 0 < found < 300


@pytest.mark.parametrize("kind", NAME_DIRT)
def test_some_names_are_odd(kind: str, customers: list[Row]) -> None:
    names = texts(customers, "FirstName") + texts(customers, "LastName")
    assert any(NAME_DIRT[kind](name) for name in names)


@pytest.mark.parametrize("kind", VALUE_DIRT)
def test_some_other_values_are_odd(kind: str, customers: list[Row]) -> None:
    column, is_odd = VALUE_DIRT[kind]
    assert any(is_odd(value) for value in texts(customers, column))


@pytest.mark.parametrize(
    ("column", "least", "most"),
    [("EMail", 0.02, 0.04), ("FirstName", 0.005, 0.03), ("LastName", 0.005, 0.03)],
)
def test_a_few_values_are_missing(
    column: str, least: float, most: float, customers: list[Row]
) -> None:
    assert least < 1 - len(texts(customers, column)) / len(customers) < most


def test_some_addresses_are_on_two_to_four_profiles_and_differ_in_case(
    customers: list[Row],
) -> None:
    profiles = Counter(addresses(customers))
    assert set(profiles.values()) == {1, 2, 3, 4}
    spellings = Counter(
        email.strip().lower() for email in {e.strip() for e in texts(customers, "EMail")}
    )
    assert sum(count > 1 for email, count in spellings.items() if email) > 20
    repeated = sum(count - 1 for count in profiles.values())
    assert 0.01 < repeated / len(customers) < 0.04


# ---- segments


def test_the_six_segments_overlap_and_the_newsletter_is_the_largest(
    memberships: list[Row],
) -> None:
    sizes = Counter(texts(memberships, "Segment"))
    assert set(sizes) == set(SEGMENTS)
    assert len(SEGMENTS) == 6
    assert 0.57 < sizes["Newsletter subscribers"] / 5_000 < 0.63
    assert min(sizes.values()) > 100
    assert 1.3 < len(memberships) / 5_000 < 1.7
    assert len({(row["CustomerId"], row["Segment"]) for row in memberships}) == len(memberships)


def test_a_handful_of_memberships_belong_to_no_profile(
    customers: list[Row], memberships: list[Row]
) -> None:
    keys = set(texts(customers, "CustomerId"))
    assert sum(key not in keys for key in texts(memberships, "CustomerId")) == 6


def test_loyalty_gold_and_birthday_this_month_agree_with_the_profiles(
    customers: list[Row], memberships: list[Row]
) -> None:
    members = {
        segment: {row["CustomerId"] for row in memberships if row["Segment"] == segment}
        for segment in SEGMENTS
    }
    for row in customers:
        key = row["CustomerId"]
        assert (row["LoyaltyTier"] == "Gold") == (key in members["Loyalty gold"])
        assert ((row["BirthDate"] or "")[5:7] == "01") == (key in members["Birthday this month"])


# ---- the generator


def test_parquet_and_csv_hold_the_same(tmp_path: Path) -> None:
    write_sample(tmp_path / "p", 2_000, format="parquet")
    write_sample(tmp_path / "c", 2_000, format="csv")
    for name in ("Customer", "SegmentMembership"):
        parquet = pq.read_table(tmp_path / "p" / f"{name}.parquet")
        assert parquet.equals(read_csv(tmp_path / "c" / f"{name}.csv").combine_chunks()), name


def test_the_seed_decides_who_is_in_it(tmp_path: Path) -> None:
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_sample(tmp_path / folder, 200, seed=seed)
    a, b, c = ((tmp_path / folder / "Customer.csv").read_bytes() for folder in "abc")
    assert a == b
    assert a != c


def test_a_sample_of_several_chunks_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample, "_CHUNK_ROWS", 300)
    write_sample(tmp_path, 1_000, format="parquet")
    rows = pq.read_table(tmp_path / "Customer.parquet").to_pylist()
    members = pq.read_table(tmp_path / "SegmentMembership.parquet").to_pylist()
    keys = {row["CustomerId"] for row in rows}
    assert len(keys) == 1_000
    assert [row["EMail"] for row in rows].count(OPTED_OUT) == 1
    assert sum(row["CustomerId"] not in keys for row in members) == 6
    assert max(Counter(addresses(rows)).values()) <= 4


@pytest.mark.parametrize("profiles", [1, 2, 41, 42, 43])
def test_a_tiny_sample_has_the_person_who_opted_out(tmp_path: Path, profiles: int) -> None:
    write_sample(tmp_path, profiles)
    rows = read_csv(tmp_path / "Customer.csv").to_pylist()
    assert len(rows) == profiles
    assert [row["EMail"] for row in rows].count(OPTED_OUT) == 1


def test_writing_again_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_sample(tmp_path, 50)
    write_sample(tmp_path, 10)
    assert sorted(path.name for path in tmp_path.iterdir()) == list(FILES)
    assert read_csv(tmp_path / "Customer.csv").num_rows == 10


@pytest.mark.parametrize(
    ("profiles", "seed", "words"),
    [(0, 1, "not 0"), (-1, 1, "not -1"), (50_000_001, 1, "50,000,000"), (10, -1, "A seed is")],
)
def test_a_number_out_of_range_is_refused_in_one_line(
    tmp_path: Path, profiles: int, seed: int, words: str
) -> None:
    with pytest.raises(UsageError, match=words) as refused:
        write_sample(tmp_path, profiles, seed=seed)
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_csv_is_not_written_beside_parquet_that_would_be_read_instead(tmp_path: Path) -> None:
    write_sample(tmp_path, 10, format="parquet")
    with pytest.raises(UsageError, match="Choose another folder"):
        write_sample(tmp_path, 10, format="csv")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SetupError, match=re.escape(f'"{tmp_path / "file" / "sample"}"')):
        write_sample(tmp_path / "file" / "sample", 10)


def test_the_command_says_in_one_line_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert main([str(tmp_path), "--profiles", "0"]) == 2
    assert main([str(tmp_path / "file")]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 2
