"""Keys and values that went wrong elsewhere, each with its right outcome; numbers are those of a list of cases."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest

from ccexport.errors import SourceError
from ccexport.preparation.mapping import parse_mapping
from ccexport.segments.source import Segment, open_source
from tests.segments.cases import (
    ANA,
    BEN,
    HEADING,
    MAPPING,
    THREE,
    Make,
    parquet,
    refused,
    sent,
    write,
)

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
def test_keys_are_compared_as_the_text_of_whole_numbers(folder: Make, keys: pa.Array) -> None:
    """C14."""
    people = {"EMail": ["ana@example.com", "ben@example.com"], "FirstName": ["Ana", "Ben"]}
    table = pa.table({"CustomerId": keys, **people, "LastName": ["Diaz", "Ode"]})
    assert sent(folder(table))[0] == THREE[:2]
    path = folder(HEADING + ANA + "\n" + BEN + "\n")
    for gone in ("Customer.parquet", "SegmentMembership.csv"):
        (path / gone).unlink()
    write(path / "SegmentMembership", pa.table({"CustomerId": keys, "Segment": ["News", "News"]}))
    assert sent(path)[0] == THREE[:2]


def test_floating_keys_beyond_2_to_the_53rd_are_refused(folder: Make) -> None:
    """C14."""
    table = pa.table({"CustomerId": [9007199254740992.0, 1.0], "EMail": ["a@example.com", "b"]})
    assert "beyond 2^53" in refused(folder(table))


def test_keys_with_leading_zeros_are_other_keys(folder: Make) -> None:
    """C14."""
    assert sent(folder(HEADING + ANA + "\n", "CustomerId,Segment\n0001,News\n")) == ([], [])


def test_members_without_a_profile_are_counted_with_an_example_of_each_side(folder: Make) -> None:
    """C14, C15, C24."""
    people = HEADING + "'123,a@example.com,A,B\n7D3C,b@example.com,B,C\n"
    members = "CustomerId,Segment\n123,News\n{7d3c},News\n7D3C,News\n7D3C,News\n,News\n"
    with open_source(f"file:{folder(people, members)}") as source:
        found = source.strangers(["News"])
    assert (found.members, found.without_profile) == (3, 2)
    assert (found.member, found.profile) == ("123", "'123")


def test_a_blank_key_joins_nobody(folder: Make) -> None:
    """C24."""
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


def test_segments_that_look_alike_are_apart(folder: Make) -> None:
    """C24."""
    members = "CustomerId,Segment\n1,News\n1,news\n1,News \n1,\n1,News\n"
    with open_source(f"file:{folder(HEADING + ANA + chr(10), members)}") as source:
        assert [(each.name, each.members) for each in source.segments()] == [
            ("News", 1),
            ("News ", 1),
            ("news", 1),
        ]


# --- C19: Parquet -------------------------------------------------------------------------------------


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
) -> None:
    """C19."""
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
) -> None:
    """C19."""
    with open_source(f"file:{folder(parquet(EMail=column))}") as source:
        source.check_types(["FirstName"])
        with pytest.raises(SourceError) as caught:
            source.check_types(MAPPING.attributes_used)
    assert f'column "EMail" of Customer.parquet holds several values in one {words}' in str(
        caught.value
    )


def test_a_list_as_a_key_is_refused(folder: Make) -> None:
    assert 'key "CustomerId"' in refused(folder(parquet(CustomerId=pa.array([["1"]]))))


# --- C22: words for nothing ----------------------------------------------------------------------------


WORDS = ["NULL", "None", "nan", "N/A", "NA", r"\N", '"NULL"', '"NA"', "-"]


def test_words_for_nothing_are_kept_to_the_letter(folder: Make) -> None:
    """C22."""
    named = [f"{n},a{n}@example.com,{word},Null\n" for n, word in enumerate(WORDS, 10)]
    addressed = [f"{n},{word},Ben,Ode\n" for n, word in enumerate(WORDS, 20)]
    blank = ['30,"",Cem,\n', "31,  ,Cem,\n", "32,,Cem,\n"]
    members = "CustomerId,Segment\n" + "".join(f"{n},News\n" for n in range(10, 33))
    path = folder(HEADING + "".join(named + addressed + blank), members)
    plain = [word.strip('"') for word in WORDS]
    lines, left_out = sent(path)
    assert lines == [f"a{n}@example.com,{word},Null" for n, word in enumerate(plain, 10)]
    assert left_out == [
        *((str(n), "invalid_email") for n, _ in enumerate(WORDS, 20)),
        *((key, "missing_email") for key in ("30", "31", "32")),
    ]
    with open_source(f"file:{path}") as source:
        shown = source.profiles([str(n) for n in range(10, 10 + len(WORDS))])
    assert [each["FirstName"] for each in shown.values()] == plain


# --- C10 to C13, C15: what stands in a cell ------------------------------------------------------------


def test_hidden_characters_go_from_the_edges_of_an_address_and_cost_it_within(folder: Make) -> None:
    """C11: who is the same person once they are gone is there once."""
    addresses = [
        *("ana@example.com\u00a0", "\u200bben@example.com", "\ufeffcem@example.com"),
        *("dee@\u00adexample.com", "fay@example.com\t", "ana@example.com"),
    ]
    rows = "".join(f"{n},{each},A,B\n" for n, each in enumerate(addresses, 1))
    members = "CustomerId,Segment\n" + "".join(f"{n},News\n" for n in range(1, 7))
    assert sent(folder(HEADING + rows, members)) == (
        [f"{name}@example.com,A,B" for name in ("ana", "ben", "cem", "fay")],
        [("4", "invalid_email"), ("6", "duplicate")],
    )


def test_marks_that_protect_digits_are_sent_as_they_stand(folder: Make) -> None:
    """C15; and C10: a control character before a zip is none of it."""
    rows = '1,ana@example.com,\'02138,\'+15550100\n2,ben@example.com,"=""02138""",\'t Hooft\n'
    mapping = parse_mapping(["email=EMail", "zip=FirstName", "phone=LastName"])
    assert sent(folder(HEADING + rows + "3,cem@example.com,\x1f0123,1\n"), mapping)[0] == [
        "ana@example.com,'+15550100,'02138",
        'ben@example.com,\'t Hooft,"=""02138"""',
        "cem@example.com,1,0123",
    ]


def test_a_segment_whose_name_holds_a_nul_is_listed_under_it(folder: Make) -> None:
    """C10."""
    path = folder(HEADING + ANA + "\n", "CustomerId,Segment\n1,Ne\0ws\n")
    with open_source(f"file:{path}") as source:
        assert source.segments() == [Segment("Ne\0ws", 1)]


def test_a_column_of_nothing_as_the_address_leaves_everybody_out(folder: Make) -> None:
    """C19."""
    assert sent(folder(parquet(EMail=pa.nulls(1)))) == ([], [("1", "missing_email")])
