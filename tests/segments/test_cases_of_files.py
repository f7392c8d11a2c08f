"""Files that went wrong elsewhere, each with its right outcome; the numbers are those of a list of such cases."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pytest

from ccexport.errors import MappingError, SourceError
from ccexport.preparation.mapping import check_mapping
from ccexport.preparation.prepare import prepare
from ccexport.segments.source import open_source
from tests.segments.cases import (
    ANA,
    BEN,
    CEM,
    HEADING,
    MAPPING,
    THREE,
    Make,
    grow_old,
    parquet,
    refused,
    rows_of,
    sent,
    write,
)

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
def test_a_comma_too_many_at_the_end_of_a_row_costs_nobody(folder: Make, ends: str) -> None:
    """C1."""
    rows = [
        row + end.strip().replace("-", ",,") for row, end in zip((ANA, BEN, CEM), ends, strict=True)
    ]
    assert sent(folder(HEADING + "\n".join(rows) + "\n"))[0] == THREE


def test_a_heading_with_a_comma_too_many_is_refused(folder: Make) -> None:
    """C1."""
    said = refused(folder(HEADING.strip() + ",\n" + "\n".join([ANA, BEN]) + "\n"))
    assert "Customer.csv: column 5 has no name" in said


def test_two_exports_pasted_together_are_refused_with_the_line(folder: Make) -> None:
    """C2 a."""
    pasted = (
        "CustomerId,EMail\n1,ana@example.com\n2,ben@example.com\nCustomerId,EMail,FirstName\n"
        "3,cem@example.com,Cem\n"
    )
    with (
        pytest.raises(SourceError, match="line 4: 3 values under 2 headings"),
        open_source(f"file:{folder(pasted)}") as source,
    ):
        source.attributes()


def test_a_second_value_far_down_in_a_file_of_one_column_is_refused_with_the_line(
    folder: Make,
) -> None:
    """C2 c: its heading tells no delimiter, so a semicolon is one unless somebody says otherwise."""
    path = folder(HEADING + ANA + "\n" + BEN + "\n", Late="CustomerId\n" + "1\n" * 5_000 + "2;x\n")
    tables = "memberships: [{shape: tables, tables: {News: Late}}]\n"
    (path / "source.yaml").write_text(f"url: file:.\n{tables}")
    with open_source(str(path / "source.yaml")) as source:
        with pytest.raises(
            SourceError, match=r"Late\.csv, line 5002: more than one value"
        ) as caught:
            source.segments()
        assert "\n" not in str(caught.value)
    (path / "source.yaml").write_text(f"url: file:.?delimiter=,\n{tables}")
    with open_source(str(path / "source.yaml")) as source:
        assert source.strangers(["News"]).member == "2;x"


@pytest.mark.parametrize("row", [1, 100, 2046, 2047, 3000])
def test_rows_that_get_wider_are_refused_from_whichever_row_on(folder: Make, row: int) -> None:
    """C2 b."""
    rows = [f"{n},a{n}@example.com,A,B" + (",x" if n >= row else "") for n in range(1, 3_501)]
    assert f"line {row + 1}: 5 values under 4" in refused(folder(HEADING + "\n".join(rows) + "\n"))


def test_a_heading_repeated_in_the_middle_is_a_row_like_others(folder: Make) -> None:
    """C2 d."""
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
)
def test_the_first_quotation_mark_of_a_file_may_come_late(
    folder: Make, row: str, line: str
) -> None:
    """C4."""
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


def test_a_name_that_begins_with_an_apostrophe_keeps_it(folder: Make) -> None:
    """C15."""
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
) -> None:
    """C7."""
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
)
def test_padding_and_marks_do_not_hide_a_column(folder: Make, heading: str) -> None:
    """C7."""
    assert sent(folder(heading + ANA + "\n"))[0] == THREE[:1]


def test_headings_in_lower_case_are_other_headings(folder: Make) -> None:
    """C7: the key is asked for by name, and a mapping to EMail reads neither `email` nor `EMAIL`."""
    said = refused(folder(HEADING.lower() + ANA + "\n"))
    assert "Customer.csv has no column CustomerId. It has: customerid, email" in said
    with open_source(f"file:{folder(HEADING.replace('EMail', 'email') + ANA)}") as source:
        names = source.attribute_names
    with pytest.raises(MappingError, match=r'no attribute "EMail"\. It has: email'):
        check_mapping(MAPPING, names)


def test_padded_values_are_sent_without_their_padding(folder: Make) -> None:
    """C7."""
    heading = "CustomerId   ,EMail                ,FirstName  ,LastName\n"
    row = "1,ana@example.com       ,Ana        ,Diaz   \n"
    assert sent(folder(heading + row))[0] == THREE[:1]


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
) -> None:
    """C8."""
    text = first.format(delimiter) + (HEADING + ANA + "\n").replace(",", delimiter)
    row = dict(zip(HEADING.strip().split(","), ANA.split(","), strict=True))
    for written in (text, text.replace("\n", "\r\n")):
        assert rows_of(folder(written)) == [row]


def test_semicolons_in_values_do_not_make_them_delimiters(folder: Make) -> None:
    """C8."""
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


def test_a_byte_that_is_not_utf_8_is_refused_with_file_and_line(folder: Make) -> None:
    """C9."""
    path = folder((HEADING + PLENTY).encode() + b"30000,rene@example.com,Ren\xe9,Ode\n", MEMBERS)
    assert refused(path) == "Customer.csv, line 30001: not UTF-8 text. Save the file as UTF-8."
    cut = folder((HEADING + PLENTY).encode() + b"30000,r@example.com,Ode,Ren\xc3", MEMBERS)
    assert refused(cut) == "Customer.csv, line 30001: not UTF-8 text. Save the file as UTF-8."


def test_a_byte_that_is_not_utf_8_is_found_in_the_memberships_too(folder: Make) -> None:
    """C9."""
    members = MEMBERS.encode() + b"9,Stra\xdfe\n"
    said = refused(folder(HEADING + PLENTY, members))
    assert said == "SegmentMembership.csv, line 30002: not UTF-8 text. Save the file as UTF-8."


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-32"])
def test_a_byte_order_mark_tells_the_encoding(folder: Make, encoding: str) -> None:
    """C9."""
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


def test_line_ends_of_two_kinds_are_refused_with_the_line(folder: Make) -> None:
    """C6."""
    text = HEADING + ANA + "\n" + BEN + "\r\n" + CEM + "\n"
    said = refused(folder(text))
    assert "Customer.csv, line 3: ends in CR LF, the lines before it in LF" in said


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_line_ends_of_one_kind_are_read(folder: Make, end: str) -> None:
    """C6."""
    assert sent(folder((HEADING + ANA + "\n" + BEN + "\n").replace("\n", end)))[0] == THREE[:2]


def test_a_cell_of_20_mb_is_refused_with_its_line(folder: Make) -> None:
    """C6."""
    said = refused(
        folder(HEADING + ANA + "\n2,ben@example.com,Ben," + "x" * 20_000_000 + "\n" + CEM + "\n")
    )
    assert "Customer.csv, line 3: longer than a line can be" in said


def test_a_control_character_stands_in_the_source_as_it_is(folder: Make) -> None:
    """C10."""
    rows = "1,ana@example.com,An\x00a,Diaz\n2,b\x00en@example.com,Ben,Ode\n"
    assert sent(folder(HEADING + rows)) == (["ana@example.com,An a,Diaz"], [("2", "invalid_email")])


# --- C18: folders of parts, packed files ------------------------------------------------------------


def test_a_folder_of_parts_is_read_by_the_names_of_columns(folder: Make, tmp_path: Path) -> None:
    """C18."""
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


def test_a_folder_of_parts_of_csv_is_read_by_the_names_of_columns(folder: Make) -> None:
    """C18."""
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


def test_an_empty_folder_of_parts_is_refused(folder: Make) -> None:
    """C18."""
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


# --- C25: files that somebody writes --------------------------------------------------------------------


def test_a_file_that_is_begun_anew_is_refused_as_changed_not_as_broken(folder: Make) -> None:
    """C25."""
    path = folder(HEADING + ANA + "\n" + BEN + "\n")

    def read_meanwhile() -> None:
        with open_source(f"file:{path}") as source:
            (path / "Customer.csv").write_text(HEADING + '1,"an')
            prepare(source, ["News"], MAPPING)

    with pytest.raises(SourceError, match=r"Customer\.csv changed while it was read"):
        read_meanwhile()


def test_a_part_that_appears_while_a_folder_is_read_is_seen(folder: Make) -> None:
    """C25."""
    path = folder(HEADING + ANA + "\n")
    (path / "Customer").mkdir()
    (path / "Customer.csv").rename(path / "Customer" / "part-0.csv")

    def read_meanwhile() -> None:
        with open_source(f"file:{path}") as source:
            (path / "Customer" / "part-1.csv").write_text(HEADING + BEN + "\n")
            prepare(source, ["News"], MAPPING)

    with pytest.raises(SourceError, match=r"part-1\.csv changed while it was read"):
        read_meanwhile()


def test_a_run_waits_until_nobody_writes_and_gives_up_on_who_goes_on(folder: Make) -> None:
    """C25."""
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


def test_parquet_without_its_end_is_refused(folder: Make) -> None:
    """C25."""
    path = folder(parquet())
    whole = (path / "Customer.parquet").read_bytes()
    (path / "Customer.parquet").write_bytes(whole[: len(whole) // 2])
    assert "Customer.parquet is damaged or not what its name says" in refused(path)
