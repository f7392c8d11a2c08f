"""Files that went wrong elsewhere, each with its right outcome; the numbers are those of a list of such cases."""

from __future__ import annotations

import gzip
import os
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ccexport.errors import SourceError
from ccexport.preparation.mapping import FieldMapping
from ccexport.preparation.prepare import prepare
from ccexport.segments.source import open_source

HEADING = "CustomerId,EMail,FirstName,LastName\n"
ANA, BEN, CEM = (
    "1,ana@example.com,Ana,Diaz",
    "2,ben@example.com,Ben,Ode",
    "3,cem@example.com,Cem,Ak",
)
MAPPING = FieldMapping((("email", "EMail"), ("first_name", "FirstName"), ("last_name", "LastName")))
Content = str | bytes | pa.Table
Sent = tuple[list[str], list[tuple[str, str]]]


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """A source folder whose files have lain there for an hour."""

    def make(customers: Content, memberships: Content | None = None, **files: Content) -> Path:
        path = tmp_path / "source"
        path.mkdir(exist_ok=True)
        if memberships is None:
            memberships = "CustomerId,Segment\n" + "".join(f"{n},News\n" for n in (1, 2, 3))
        for name, content in {
            "Customer": customers,
            "SegmentMembership": memberships,
            **files,
        }.items():
            write(path / name, content)
        return path

    return make


def write(path: Path, content: Content) -> None:
    if isinstance(content, pa.Table):
        path = path.with_suffix(".parquet")
        pq.write_table(content, path)
    else:
        path = path if path.suffix else path.with_suffix(".csv")
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    grow_old(path)


def grow_old(path: Path, seconds: float = 3_600) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def sent(path: Path, mapping: FieldMapping = MAPPING, options: str = "") -> Sent:
    """(the lines that a run would send, customer and reason of those left out)."""
    with open_source(f"file:{path}{options}") as source:
        found = prepare(source, ["News"], mapping)
        count = len(found.contacts)
        taken = found.contacts.take(0, count).column("line").to_pylist() if count else []
        lines = [line.rstrip() for line in taken]
        rejected = found.rejections.to_pylist()
    assert found.read == len(lines) + len(rejected)
    return lines, [(row["customer_id"], row["reason"]) for row in rejected]


def refused(path: Path, options: str = "") -> str:
    with pytest.raises(SourceError) as caught:
        sent(path, options=options)
    said = str(caught.value)
    assert "\n" not in said
    assert "@example" not in said
    return said


THREE = ["ana@example.com,Ana,Diaz", "ben@example.com,Ben,Ode", "cem@example.com,Cem,Ak"]
Make = Callable[..., Path]


# --- C1, C2: rows that do not fit their heading ------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([ANA, BEN + ",x", CEM], "Customer.csv, line 3: 5 values under 4 headings"),
        ([ANA, "2,ben@example.com", CEM], "Customer.csv, line 3: 2 values under 4 headings"),
    ],
    ids=["C1 one more", "C1 too few"],
)
def test_a_row_with_more_or_fewer_values_than_headings_is_refused_with_its_line(
    folder: Make, rows: list[str], words: str
) -> None:
    assert words in refused(folder(HEADING + "\n".join(rows) + "\n"))


@pytest.mark.parametrize("ends", [",,,", " , ", "  ,", ",-,"])
def test_a_comma_too_many_at_the_end_of_a_row_costs_nobody(folder: Make, ends: str) -> None:  # C1
    rows = [
        row + end.strip().replace("-", ",,") for row, end in zip((ANA, BEN, CEM), ends, strict=True)
    ]
    assert sent(folder(HEADING + "\n".join(rows) + "\n"))[0] == THREE


def test_a_heading_with_a_comma_too_many_is_refused(folder: Make) -> None:  # C1
    said = refused(folder(HEADING.strip() + ",\n" + "\n".join([ANA, BEN]) + "\n"))
    assert "Customer.csv: column 5 has no name" in said


def test_two_exports_pasted_together_are_refused_with_the_line(folder: Make) -> None:  # C2 a
    pasted = (
        "CustomerId,EMail\n1,ana@example.com\n2,ben@example.com\nCustomerId,EMail,FirstName\n"
        "3,cem@example.com,Cem\n"
    )
    with (
        pytest.raises(SourceError, match="line 4: 3 values under 2 headings"),
        open_source(f"file:{folder(pasted)}") as source,
    ):
        source.attributes()


@pytest.mark.parametrize("row", [1, 100, 2046, 2047, 3000])  # C2 b
def test_rows_that_get_wider_are_refused_from_whichever_row_on(folder: Make, row: int) -> None:
    rows = [f"{n},a{n}@example.com,A,B" + (",x" if n >= row else "") for n in range(1, 3_501)]
    assert f"line {row + 1}: 5 values under 4" in refused(folder(HEADING + "\n".join(rows) + "\n"))


def test_a_heading_repeated_in_the_middle_is_a_row_like_others(folder: Make) -> None:  # C2 d
    memberships = "CustomerId,Segment\n1,News\n2,News\nCustomerId,News\n"
    path = folder(HEADING + ANA + "\n" + HEADING + BEN + "\n", memberships)
    assert sent(path) == (THREE[:2], [("CustomerId", "invalid_email")])


# --- C4: quotes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ('25001,dee@example.com,"O\'Hara, ""Dee""",Ode', '"O\'Hara, ""Dee"""'),
        ('25001,"dee@example.com",Dee,Ode', "Dee"),
    ],
)  # C4
def test_the_first_quotation_mark_of_a_file_may_come_late(
    folder: Make, row: str, line: str
) -> None:
    rows = "".join(f"{n},a{n}@example.com,A,B\n" for n in range(25_000))
    members = "CustomerId,Segment\n" + "".join(f"{n},News\n" for n in range(25_002))
    lines, rejected = sent(folder(HEADING + rows + row + "\n", members))
    assert (len(lines), rejected) == (25_001, [])
    assert f"dee@example.com,{line},Ode" in lines


@pytest.mark.parametrize("quote", ["'", "`"])
def test_a_file_in_single_quotes_is_said_to_be_so(folder: Make, quote: str) -> None:
    def quoted(row: str) -> str:
        return ",".join(quote + each + quote for each in row.strip().split(",")) + "\n"

    assert "values are in" in refused(folder(quoted(HEADING) + quoted(ANA)))
    assert "values are in" in refused(folder(HEADING + quoted(ANA) + quoted(BEN)))
    plain_keys = HEADING + "".join(
        f"{n},{quote}a@example.com{quote},{quote}A{quote},\n" for n in "123"
    )
    assert "values are in" in refused(folder(plain_keys))


def test_a_name_that_begins_with_an_apostrophe_keeps_it(folder: Make) -> None:  # C15
    rows = "1,ana@example.com,Ana,'t Hooft\n2,ben@example.com,'Ben',Ode\n"
    assert sent(folder(HEADING + rows))[0] == [
        "ana@example.com,Ana,'t Hooft",
        "ben@example.com,'Ben',Ode",
    ]


# --- C7: headings -------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("EMail", "email"), ("EMail", "EMail "), (" City", "city")])
@pytest.mark.parametrize("as_parquet", [False, True], ids=["csv", "parquet"])
def test_columns_that_differ_in_letter_case_or_blanks_alone_are_refused_by_name(
    folder: Make, names: tuple[str, str], as_parquet: bool
) -> None:  # C7
    rows = {"CustomerId": ["1"], names[0]: ["a"], names[1]: ["b"]}
    text = ",".join(rows) + "\n1,a,b\n"
    said = refused(folder(pa.table(rows) if as_parquet else text))
    assert f'two columns "{names[1].strip()}"' in said


@pytest.mark.parametrize(
    "heading",
    [
        "CustomerId   ,EMail        ,FirstName  ,LastName\n",
        '\ufeff"CustomerId","EMail","FirstName","LastName"\n',
        "\ufeff\ufeffCustomerId,EMail,FirstName,LastName\n",
    ],
    ids=["padded", "marked and quoted", "marked twice"],
)  # C7
def test_padding_and_marks_do_not_hide_a_column(folder: Make, heading: str) -> None:
    assert sent(folder(heading + ANA + "\n"))[0] == THREE[:1]


@pytest.mark.parametrize("name", [" lead", "a!r", "{", "a:b", "First\nName", "ä", "'", '"'])
@pytest.mark.parametrize("as_parquet", [False, True], ids=["csv", "parquet"])
def test_an_attribute_of_any_name_can_be_listed_and_read(
    folder: Make, name: str, as_parquet: bool
) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    rows = pa.table({"CustomerId": ["1"], name: ["x"]})
    path = folder(rows if as_parquet else f"CustomerId,{quoted}\n1,x\n")
    with open_source(f"file:{path}") as source:
        [shown] = source.attributes()
        assert shown.name == name.strip().replace("\n", " ")
        assert source.profile("1") == {"CustomerId": "1", shown.name: "x"}


def test_a_first_line_of_data_is_not_quoted(folder: Make) -> None:
    said = refused(folder(ANA + "\n" + BEN + "\n"))
    assert "Its first line looks like a row, not like a header" in said
    assert "Ana" not in said


# --- C8: delimiters -----------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
@pytest.mark.parametrize("first", ["", "sep={}\n", '"sep={}"\n', "\ufeffsep={}\n"])
def test_other_delimiters_are_known_by_the_heading_or_by_the_line_before_it(
    folder: Make, delimiter: str, first: str
) -> None:  # C8
    text = first.format(delimiter) + (HEADING + ANA + "\n").replace(",", delimiter)
    assert sent(folder(text))[0] == THREE[:1]
    assert sent(folder(text.replace("\n", "\r\n")))[0] == THREE[:1]


def test_semicolons_in_values_do_not_make_them_delimiters(folder: Make) -> None:  # C8
    rows = "1,ana@example.com,Ana,Ode; Ltd\n2,ben@example.com,Ben,Ode; Ltd\n"
    assert sent(folder(HEADING + rows))[0][0] == "ana@example.com,Ana,Ode; Ltd"


def test_a_line_that_fails_after_a_delimiter_line_is_told_by_its_number(folder: Make) -> None:
    text = "sep=;\n" + (HEADING + ANA + "\n2;b\n").replace(",", ";")
    assert "line 4: 2 values under 4 headings" in refused(folder(text))


def test_a_delimiter_can_be_named(folder: Make) -> None:
    path = folder("CustomerId|EMail|FirstName|LastName\n" + ANA.replace(",", "|") + "\n")
    (path / "SegmentMembership.csv").write_text("CustomerId|Segment\n1|News\n")
    assert sent(path, options="?delimiter=%7C")[0] == THREE[:1]
    assert "Choose one of" in refused(path, "?delimiter=:")


# --- C9: encodings ------------------------------------------------------------------------------------

PLENTY = "".join(f"{n},a{n}@example.com,A,B\n" for n in range(1, 30_000))
MEMBERS = "CustomerId,Segment\n" + "".join(f"{n},News\n" for n in range(1, 30_001))


def test_a_byte_that_is_not_utf_8_is_refused_with_file_and_line(folder: Make) -> None:  # C9
    path = folder((HEADING + PLENTY).encode() + b"30000,rene@example.com,Ren\xe9,Ode\n", MEMBERS)
    assert refused(path) == "Customer.csv, line 30001: not UTF-8 text. Save the file as UTF-8."
    cut = folder((HEADING + PLENTY).encode() + b"30000,r@example.com,Ode,Ren\xc3", MEMBERS)
    assert refused(cut) == "Customer.csv, line 30001: not UTF-8 text. Save the file as UTF-8."


def test_a_byte_that_is_not_utf_8_is_found_in_the_memberships_too(folder: Make) -> None:  # C9
    members = MEMBERS.encode() + b"9,Stra\xdfe\n"
    said = refused(folder(HEADING + PLENTY, members))
    assert said == "SegmentMembership.csv, line 30002: not UTF-8 text. Save the file as UTF-8."


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-32"])
def test_a_byte_order_mark_tells_the_encoding(folder: Make, encoding: str) -> None:  # C9
    text = HEADING + "1,rene@example.com,René,Ode\n"
    assert sent(folder(text.encode(encoding)))[0] == ["rene@example.com,René,Ode"]


def test_an_encoding_can_be_named(folder: Make) -> None:
    rows = (HEADING + "1,rene@example.com,René €,Ode\n").encode("windows-1252")
    path = folder(rows)
    assert sent(path, options="?encoding=windows-1252")[0] == ["rene@example.com,René €,Ode"]
    assert "line 2: not UTF-8 text" in refused(path)
    assert "is not known" in refused(path, "?encoding=windows-9999")
    wrong = folder((HEADING + "1,rene@example.com,Ren\x81,Ode\n").encode("latin-1"))
    assert "line 2: not cp1252 text" in refused(wrong, "?encoding=windows-1252")


def test_utf_16_without_its_mark_is_said_to_look_like_it(folder: Make) -> None:
    text = (HEADING + ANA + "\n").encode("utf-16-le")
    assert "looks like UTF-16" in refused(folder(text))


def test_a_mark_in_the_middle_is_refused_and_never_part_of_a_key(folder: Make) -> None:
    text = HEADING + ANA + "\n\ufeff" + HEADING + BEN + "\n"
    assert "Customer.csv, line 3: a byte-order mark within" in refused(folder(text))
    text = HEADING + ANA + '\n\ufeff"2",ben@example.com,Ben,Ode\n'
    assert "a byte-order mark within" in refused(folder(text))
    other_order = (
        "EMail,CustomerId,FirstName,LastName\na@example.com,1,,\n\ufeffb@example.com,2,,\n"
    )
    assert "a byte-order mark within" in refused(folder(other_order))
    members = "CustomerId,Segment\n1,News\n\ufeff2,News\n"
    assert "SegmentMembership.csv, line 3: a byte-order mark" in refused(
        folder(HEADING + ANA + "\n", members)
    )


# --- C6: line ends and long cells ---------------------------------------------------------------------


def test_line_ends_of_two_kinds_are_refused_with_the_line(folder: Make) -> None:  # C6
    text = HEADING + ANA + "\n" + BEN + "\r\n" + CEM + "\n"
    said = refused(folder(text))
    assert "Customer.csv, line 3: ends in CR LF, the lines before it in LF" in said


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_line_ends_of_one_kind_are_read(folder: Make, end: str) -> None:  # C6
    assert sent(folder((HEADING + ANA + "\n" + BEN + "\n").replace("\n", end)))[0] == THREE[:2]


def test_a_cell_of_20_mb_is_refused_with_its_line(folder: Make) -> None:  # C6
    said = refused(
        folder(HEADING + ANA + "\n2,ben@example.com,Ben," + "x" * 20_000_000 + "\n" + CEM + "\n")
    )
    assert "Customer.csv, line 3: longer than a line can be" in said


def test_a_control_character_stands_in_the_source_as_it_is(folder: Make) -> None:  # C10
    rows = "1,ana@example.com,An\x00a,Diaz\n2,b\x00en@example.com,Ben,Ode\n"
    assert sent(folder(HEADING + rows)) == (["ana@example.com,An a,Diaz"], [("2", "invalid_email")])


# --- C14, C15, C24: keys ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "keys",
    [
        pa.array([1.0, 2.0]),
        pa.array([Decimal("1"), Decimal("2")], pa.decimal128(38, 9)),
        pa.array([1, 2], pa.int64()),
        pa.array(["1", "2"]).dictionary_encode(),
        pa.array([b"1", b"2"]),
    ],
    ids=["double", "decimal", "integer", "dictionary", "binary"],
)
def test_keys_are_compared_as_the_text_of_whole_numbers(
    folder: Make, keys: pa.Array
) -> None:  # C14
    people = {"EMail": ["ana@example.com", "ben@example.com"], "FirstName": ["Ana", "Ben"]}
    table = pa.table({"CustomerId": keys, **people, "LastName": ["Diaz", "Ode"]})
    assert sent(folder(table))[0] == THREE[:2]
    members = pa.table({"CustomerId": keys, "Segment": ["News", "News"]})
    (folder(HEADING + ANA + "\n" + BEN + "\n", members) / "SegmentMembership.csv").unlink(True)


def test_floating_keys_beyond_2_to_the_53rd_are_refused(folder: Make) -> None:  # C14
    table = pa.table({"CustomerId": [9007199254740992.0, 1.0], "EMail": ["a@example.com", "b"]})
    assert "beyond 2^53" in refused(folder(table))


def test_keys_with_leading_zeros_are_other_keys(folder: Make) -> None:  # C14
    assert sent(folder(HEADING + ANA + "\n", "CustomerId,Segment\n0001,News\n")) == ([], [])


def test_members_without_a_profile_are_counted_with_an_example_of_each_side(folder: Make) -> None:
    # C14, C15, C24
    people = HEADING + "'123,a@example.com,A,B\n7D3C,b@example.com,B,C\n"
    members = "CustomerId,Segment\n123,News\n{7d3c},News\n7D3C,News\n7D3C,News\n,News\n"
    with open_source(f"file:{folder(people, members)}") as source:
        found = source.strangers(["News"])
    assert (found.members, found.without_profile) == (3, 2)
    assert (found.member, found.profile) == ("123", "'123")


def test_a_blank_key_joins_nobody(folder: Make) -> None:  # C24
    table = pa.table({"CustomerId": ["", "1"], "EMail": ["a@example.com", "b@example.com"]})
    path = folder(table, "CustomerId,Segment\n,News\n")
    assert "a profile without a CustomerId" in refused(path)
    (path / "Customer.parquet").unlink()
    assert "a profile without a CustomerId" in refused(folder(HEADING + ",a,b,c\n"))


@pytest.mark.parametrize(
    ("key", "is_blank"),
    [
        (None, True),
        (" ", True),
        ("\u00a0", True),
        ("\u3000 ", True),
        (" 1", False),
        ("~", False),
        ("\u00e9", False),
        ("!", False),
    ],
)
def test_a_key_of_blanks_alone_is_refused_in_parquet_too(
    folder: Make, key: str | None, *, is_blank: bool
) -> None:
    table = pa.table({"CustomerId": ["1", key], "EMail": ["a@example.com", "b@example.com"]})
    path = folder(table)
    if is_blank:
        assert "a profile without a CustomerId" in refused(path)
    else:
        with open_source(f"file:{path}") as source:
            assert len(source.profiles(["1", key or ""])) == 2


def test_segments_that_look_alike_are_apart(folder: Make) -> None:  # C24
    members = "CustomerId,Segment\n1,News\n1,news\n1,News \n1,\n1,News\n"
    with open_source(f"file:{folder(HEADING + ANA + chr(10), members)}") as source:
        assert [(each.name, each.members) for each in source.segments()] == [
            ("News", 1),
            ("News ", 1),
            ("news", 1),
        ]


# --- C19: Parquet -------------------------------------------------------------------------------------


def parquet(**columns: pa.Array) -> pa.Table:
    usual = {"CustomerId": pa.array(["1"]), "EMail": pa.array(["a@example.com"])}
    names = {"FirstName": pa.array(["A"]), "LastName": pa.array(["B"])}
    return pa.table(usual | names | columns)


@pytest.mark.parametrize(
    ("column", "first_name"),
    [
        (pa.array(["René".encode()]), "René"),
        (pa.array(["René"]).dictionary_encode(), "René"),
        (pa.nulls(1), ""),
        (pa.array([True]), "true"),
        (pa.array([Decimal("5.10")]), "5.10"),
    ],
    ids=["binary", "dictionary", "null", "boolean", "decimal"],
)
def test_parquet_columns_are_the_text_that_they_mean(
    folder: Make, column: pa.Array, first_name: str
) -> None:  # C19
    assert sent(folder(parquet(FirstName=column)))[0] == [f"a@example.com,{first_name},B"]


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (pa.array([["a@example.com"]]), "(array<string>)"),
        (pa.array([{"a": "b"}]), "(struct<a: string>)"),
        (pa.array([[("a", "b")]], pa.map_(pa.string(), pa.string())), "(map<"),
    ],
    ids=["list", "struct", "map"],
)
def test_a_list_or_a_structure_that_is_mapped_is_refused_by_name_and_type(
    folder: Make, column: pa.Array, words: str
) -> None:  # C19
    with open_source(f"file:{folder(parquet(EMail=column))}") as source:
        source.check_types(["FirstName"])
        with pytest.raises(SourceError) as caught:
            source.check_types(MAPPING.attributes_used)
    assert f'column "EMail" of Customer.parquet holds several values in one {words}' in str(
        caught.value
    )


def test_a_list_as_a_key_is_refused(folder: Make) -> None:
    assert 'key "CustomerId"' in refused(folder(parquet(CustomerId=pa.array([["1"]]))))


# --- C18: folders of parts, packed files ------------------------------------------------------------


def test_a_folder_of_parts_is_read_by_the_names_of_columns(folder: Make, tmp_path: Path) -> None:
    # C18
    path = folder(HEADING + ANA + "\n")
    (path / "Customer.csv").unlink()
    parts = path / "Customer.parquet"
    parts.mkdir()
    two = pa.table({"CustomerId": ["1", "2"], "EMail": ["ana@example.com", "ben@example.com"],
                    "FirstName": ["Ana", "Ben"], "LastName": ["Diaz", "Ode"]})  # fmt: skip
    third = pa.table({"LastName": ["Ak"], "New": ["x"], "FirstName": ["Cem"],
                      "EMail": ["cem@example.com"], "CustomerId": ["3"]})  # fmt: skip
    write(parts / "part-00000-a.snappy", two)
    write(parts / "part-00001-b", two.slice(0, 0))
    write(parts / "part-00002-c", third)
    for beside in ("_SUCCESS", "._part-00000-a.snappy.parquet.crc", ".part.crc"):
        (parts / beside).write_bytes(b"x")
    assert sent(path)[0] == THREE
    (path / "Customer.csv").write_text(HEADING)
    assert "Customer.csv and Customer.parquet, two forms" in refused(path)


def test_a_folder_of_parts_of_csv_is_read_by_the_names_of_columns(folder: Make) -> None:  # C18
    path = folder(HEADING + ANA + "\n")
    (path / "Customer.csv").unlink()
    parts = path / "Customer"
    parts.mkdir()
    write(parts / "part-0.csv", HEADING + ANA + "\n")
    write(parts / "part-1.csv", "EMail;CustomerId;LastName;FirstName\nben@example.com;2;Ode;Ben\n")
    write(parts / "part-2.csv.gz", gzip.compress((HEADING + CEM + "\n").encode()))
    write(parts / "part-3.csv", b"")
    assert sent(path)[0] == THREE
    write(parts / "part-4.csv", HEADING + "4,d\n")
    assert "part-4.csv, line 2: 2 values under 4" in refused(path)
    write(parts / "part-4.parquet", pa.table({"CustomerId": ["1"]}))
    assert "some are Parquet and some CSV" in refused(path)


def test_an_empty_folder_of_parts_is_refused(folder: Make) -> None:  # C18
    path = folder(HEADING + ANA + "\n")
    (path / "Customer.csv").unlink()
    (path / "Customer.parquet").mkdir()
    assert "Customer.parquet is a folder of parts, and no part is in it" in refused(path)


def test_a_packed_file_is_read_whole_or_refused(folder: Make) -> None:
    path = folder(HEADING + PLENTY, MEMBERS)
    whole = gzip.compress((path / "Customer.csv").read_bytes())
    (path / "Customer.csv").unlink()
    write(path / "Customer.csv.gz", whole)
    assert len(sent(path)[0]) == 29_999
    write(path / "Customer.csv.gz", whole[: len(whole) // 2])
    assert "Customer.csv.gz is cut off or not packed by gzip" in refused(path)
    write(path / "Customer.csv.gz", HEADING + ANA + "\n")
    assert "Customer.csv.gz is cut off or not packed by gzip" in refused(path)
    at_a_line_end = gzip.compress((HEADING + ANA + "\n").encode())[:-8]
    write(path / "Customer.csv.gz", at_a_line_end)
    assert "Customer.csv.gz is cut off" in refused(path)


# --- C22: words for nothing ----------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["NULL", "None", "nan", "N/A", "NA", r"\N", '"NULL"', '"NA"'])
def test_words_for_nothing_are_kept_to_the_letter(folder: Make, word: str) -> None:  # C22
    rows = f'1,ana@example.com,{word},Null\n2,{word},Ben,Ode\n3,"",Cem,\n'
    plain = word.strip('"')
    assert sent(folder(HEADING + rows)) == (
        [f"ana@example.com,{plain},Null"],
        [("2", "invalid_email"), ("3", "missing_email")],
    )
    with open_source(f"file:{folder(HEADING + rows)}") as source:
        assert source.profiles(["1"])["1"]["FirstName"] == plain


# --- C25: files that somebody writes --------------------------------------------------------------------


def test_a_file_that_is_begun_anew_is_refused_as_changed_not_as_broken(folder: Make) -> None:  # C25
    path = folder(HEADING + ANA + "\n" + BEN + "\n")

    def read_meanwhile() -> None:
        with open_source(f"file:{path}") as source:
            (path / "Customer.csv").write_text(HEADING + '1,"an')
            prepare(source, ["News"], MAPPING)

    with pytest.raises(SourceError, match=r"Customer\.csv changed while it was read"):
        read_meanwhile()


def test_a_part_that_appears_while_a_folder_is_read_is_seen(folder: Make) -> None:  # C25
    path = folder(HEADING + ANA + "\n")
    (path / "Customer").mkdir()
    (path / "Customer.csv").rename(path / "Customer" / "part-0.csv")

    def read_meanwhile() -> None:
        with open_source(f"file:{path}") as source:
            (path / "Customer" / "part-1.csv").write_text(HEADING + BEN + "\n")
            prepare(source, ["News"], MAPPING)

    with pytest.raises(SourceError, match=r"part-1\.csv changed while it was read"):
        read_meanwhile()


def test_a_run_waits_until_nobody_writes_and_gives_up_on_who_goes_on(folder: Make) -> None:  # C25
    path = folder(HEADING + ANA + "\n")
    waits: list[float] = []

    def written_on(seconds: float) -> None:
        waits.append(seconds)
        (path / "Customer.csv").write_text(HEADING + ANA + "\n" + BEN + "\n")

    (path / "Customer.csv").touch()
    with (
        pytest.raises(SourceError, match="changed while it was read"),
        open_source(f"file:{path}", pause=written_on) as source,
    ):
        source.wait_until_still()
    assert len(waits) == 1
    assert 0 < waits[0] <= 1

    def grown_old(seconds: float) -> None:
        raise AssertionError("nobody writes, and there is nothing to wait for")

    grow_old(path / "Customer.csv")
    with open_source(f"file:{path}", pause=grown_old) as source:
        source.wait_until_still()


def test_parquet_without_its_end_is_refused(folder: Make) -> None:  # C25
    path = folder(parquet())
    whole = (path / "Customer.parquet").read_bytes()
    (path / "Customer.parquet").write_bytes(whole[: len(whole) // 2])
    assert "Customer.parquet is damaged or not what its name says" in refused(path)
