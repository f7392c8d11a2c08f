"""The source: a folder of CSV or Parquet, the questions asked of it, and what is said of one that cannot be read."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from ccexport.errors import SourceError
from ccexport.segments.source import Attribute, Segment, Source, open_source

CUSTOMERS = "CustomerId,EMail,City\n1,ana@example.com,Köln\n2,bo@example.com,\n3,,Lima\n"
MEMBERSHIPS = "CustomerId,Segment\n1,Buyers\n2,Buyers\n1,Buyers\n3,Lapsed\n9,Lapsed\n"
Folder = Callable[..., str]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Makes a source folder of a customers file and a memberships file, and gives its URL."""

    def make(
        customers: str | bytes | pa.Table | None = CUSTOMERS,
        memberships: str | bytes | pa.Table | None = MEMBERSHIPS,
        name: str = "a source, 'odd' name",
    ) -> str:
        path = tmp_path / name
        path.mkdir(exist_ok=True)
        for table, content in (("Customer", customers), ("SegmentMembership", memberships)):
            if isinstance(content, pa.Table):
                pq.write_table(content, path / f"{table}.parquet")
            elif content is not None:
                data = content.encode() if isinstance(content, str) else content
                (path / f"{table}.csv").write_bytes(data)
        return f"file:{path}"

    return make


def rows(source: Source) -> list[dict[str, str | None]]:
    ordered = source.customers.order_by("CustomerId")
    return [row for batch in source.stream(ordered) for row in batch.to_pylist()]


def test_segments_have_the_number_of_distinct_profiles_in_them(folder: Folder) -> None:
    with open_source(folder()) as source:
        assert source.segments() == [Segment("Buyers", 2), Segment("Lapsed", 1)]


def test_attributes_have_a_type_a_fill_rate_and_masked_examples(folder: Folder) -> None:
    with open_source(folder()) as source:
        assert source.attribute_names == ("EMail", "City")
        email, city = source.attributes()
    assert email == Attribute("EMail", "string", 2 / 3, ("a••@e••••••.c••", "b•@e••••••.c••"))
    assert city == Attribute("City", "string", 2 / 3, ("K•••", "L•••"))


def test_a_profile_is_found_by_its_key(folder: Folder) -> None:
    with open_source(folder()) as source:
        assert source.profile("2") == {"CustomerId": "2", "EMail": "bo@example.com", "City": None}
        assert source.profile("' OR 1=1 --") is None


def test_an_unknown_segment_is_named_with_what_comes_near(folder: Folder) -> None:
    with open_source(folder()) as source:
        source.check_segments(["Buyers", "Lapsed"])
        with pytest.raises(SourceError, match=r'no segment "Buyer"\. It has: Buyers'):
            source.check_segments(["Buyer"])


def test_a_csv_file_is_read_without_guessing(folder: Folder) -> None:
    text = '\ufeffCustomerId,A,B,C\r\n007,NA,,"two\nlines, ""said"""\r\n08,null,"",1.0\r\n'
    with open_source(folder(text)) as source:
        first, second = rows(source)
    assert first == {"CustomerId": "007", "A": "NA", "B": None, "C": 'two\nlines, "said"'}
    assert second["A"] == "null"
    assert not second["B"]
    assert second["C"] == "1.0"


UTC = datetime.UTC


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (pa.array([7, None], pa.int64()), "7"),
        (pa.array([12345.0, None], pa.float64()), "12345"),
        (pa.array([0.5, None], pa.float32()), "0.5"),
        (pa.array([float("nan"), None], pa.float64()), None),
        (pa.array([True, None], pa.bool_()), "true"),
        (pa.array([Decimal("5.10"), None], pa.decimal128(9, 2)), "5.10"),
        (pa.array([datetime.date(2024, 2, 29), None], pa.date32()), "2024-02-29"),
        (pa.array([datetime.datetime(2024, 2, 29, tzinfo=UTC), None]), "2024-02-29"),
        (
            pa.array([datetime.datetime(2024, 2, 29, 7, 8, 9, tzinfo=UTC), None]),
            "2024-02-29T07:08:09Z",
        ),
        (pa.array(["Ana", None]).dictionary_encode(), "Ana"),
        (pa.array(["Ana", None], pa.large_string()), "Ana"),
        (pa.array([b"Ana", None], pa.binary()), "Ana"),
        (pa.nulls(2), None),
    ],
)
def test_a_parquet_column_of_any_type_is_the_text_a_person_would_write(
    folder: Folder, values: pa.Array, text: str | None
) -> None:
    with open_source(folder(pa.table({"CustomerId": pa.array([1, 2]), "A": values}))) as source:
        assert [row["A"] for row in rows(source)] == [text, None]
        assert [row["CustomerId"] for row in rows(source)] == ["1", "2"]


PROFILE = "1,ana@example.com,Lima\n"


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"customers": None, "memberships": None}, "odd' name\" is empty"),
        ({"customers": None}, "has no Customer.parquet or Customer.csv"),
        ({"memberships": None}, "has no SegmentMembership.parquet or SegmentMembership.csv"),
        ({"customers": ""}, r"Customer.csv is empty \(0 bytes\)"),
        ({"customers": "CustomerId,EMail\n"}, "Customer.csv holds no profiles, a header alone"),
        ({"memberships": "CustomerId,Segment\r\n"}, "SegmentMembership.csv holds no memberships"),
        (
            {"customers": "Id,EMail\n1,a\n"},
            "Customer.csv has no column CustomerId. It has: Id, EMail",
        ),
        (
            {"memberships": "CustomerId:Segment\n1:A\n"},
            "SegmentMembership.csv has no column Custom",
        ),
        (
            {"memberships": pa.table({"CustomerId": ["1"]})},
            "SegmentMembership.parquet has no column Seg",
        ),
        ({"customers": "CustomerId,A,a\n1,2,3\n"}, 'two columns "a"'),
        ({"customers": "CustomerId,A,\n1,2,3\n"}, "column 3 has no name"),
        (
            {"customers": b"PAR1\n", "memberships": pa.table({"CustomerId": ["1"]})},
            "no column CustomerId",
        ),
        ({"customers": b"CustomerId,\xff\n1,2\n"}, "Customer.csv, line 1: not UTF-8"),
    ],
)
def test_a_source_that_cannot_be_opened_is_refused_in_one_line(
    folder: Folder, files: Mapping[str, str | pa.Table], words: str
) -> None:
    with pytest.raises(SourceError, match=words) as caught:
        open_source(folder(**files))
    assert "\n" not in str(caught.value)


def read_all(source: Source) -> None:
    for _ in source.stream(source.customers.rename(customer_id="CustomerId")):
        pass


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            "CustomerId,EMail,City\n" + PROFILE * 2 + '3,"ana@example.com,Lima\n',
            "Customer.csv, line 4: broken quoting",
        ),
        (
            "CustomerId,EMail,City\n" + PROFILE + '2,"ana@example.com"x,Lima\n' + PROFILE,
            "Customer.csv, line 3: broken quoting",
        ),
        (
            b"CustomerId,EMail,City\n1,ana@example.com,Lima\n2,ana@example.com,K\xf6ln\n",
            "Customer.csv, line 3: not UTF-8",
        ),
        ("CustomerId,EMail,City\n" + PROFILE + "2,a\n", "line 3: 2 values under 3 headings"),
        ("CustomerId,EMail,City\n" + PROFILE + "2,a,b,c\n", "line 3: 4 values under 3 headings"),
        ("CustomerId,EMail,City\n1,a,b\n,c,d\n", "Customer.csv has a profile without a CustomerId"),
        (
            pa.table({"CustomerId": ["1", None]}),
            "Customer.parquet has a profile without a CustomerId",
        ),
    ],
)
def test_a_bad_line_is_told_by_its_number_and_never_quoted(
    folder: Folder, content: str | bytes | pa.Table, words: str
) -> None:
    with pytest.raises(SourceError, match=words) as caught, open_source(folder(content)) as source:
        read_all(source)
    assert "\n" not in str(caught.value)
    assert "ana@example.com" not in str(caught.value)


def test_a_damaged_parquet_file_is_named(folder: Folder, tmp_path: Path) -> None:
    url = folder(pa.table({"CustomerId": ["1"]}), name="source")
    (tmp_path / "source" / "Customer.parquet").write_bytes(b"PAR1 and then nonsense")
    with pytest.raises(SourceError, match=r"Customer\.parquet is damaged"):
        open_source(url)


def test_a_folder_that_does_not_exist_is_named() -> None:
    with pytest.raises(SourceError, match='folder "/no/such/folder" does not exist'):
        open_source("file:/no/such/folder")


def test_a_url_in_an_error_has_its_password_masked() -> None:
    with pytest.raises(SourceError, match=r"nosuch://ana:\*\*\*@host/db") as caught:
        open_source("nosuch://ana:secret@host/db?customer_table=C")
    assert "secret" not in str(caught.value)


def test_nothing_is_ever_spilled_to_a_file(folder: Folder) -> None:
    with open_source(folder()) as source:
        [setting] = source._backend.raw_sql("SELECT current_setting('temp_directory')").fetchall()
    assert setting == ("",)
