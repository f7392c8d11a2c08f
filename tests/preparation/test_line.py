"""The fast way and the careful one agree: what the fast one sends of any row is what the careful one would."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccexport.preparation.careful import careful_lines
from ccexport.preparation.line import RAW, lines
from ccexport.preparation.mapping import FieldMapping, parse_mapping
from ccexport.segments.source import Source
from tests.preparation.conftest import source_of

ATTRIBUTES = ("EMail", "A", "B", "C")
MAPPINGS: list[tuple[FieldMapping, Mapping[str, str]]] = [
    (parse_mapping(["email=EMail", "first_name=A", "zip=B", "cf:c=C"]), {}),
    (parse_mapping(["email=EMail"]), {}),
    (parse_mapping(["email={A}@{B}.com", "first_name=EMail", "last_name=C"]), {}),
    (parse_mapping(["email=EMail", "cf:t=Dear {A}, {B}!", "cf:u={C}", 'cf:v="{A}"']), {}),
    (parse_mapping(["email=EMail", 'city==Rome, "x"', "street==  ", "phone=A", "state=B"]), {}),
    (parse_mapping(["email=EMail", "birthday_month=A", "birthday_day=B", "anniversary=C"]), {}),
    (
        parse_mapping(["email=EMail", "cf:n=A", "cf:b=B", "cf:d=C", "cf:dt=C", "cf:s=A"]),
        {"n": "number", "b": "boolean", "d": "date", "dt": "datetime", "s": "single_select"},
    ),
    (parse_mapping(["email=EMail", "cf:x=A", "cf:y=B"]), {"x": "currency", "y": "text_area"}),
]
odd = st.text(
    st.sampled_from(
        "aB1 .@|,;'\"\\{}\n\r\t\x00\x1f\x7f\x85\u00a0\u2003\u2028\u3000\u200b\ufeffé\u212aİß王👩\u200d"
    ),
    max_size=5,
)
email = st.one_of(
    st.from_regex(r"\A[aB]{1,3}(\.[ab1])?@[aB]{1,3}\.(com|net)\Z"),
    odd,
    st.builds(
        lambda a, b: "a" * a + "@" + "b" * b + ".org", st.integers(1, 60), st.integers(1, 70)
    ),
    st.sampled_from(
        [None, "", "a@b.c,", "ana@example.com ", "\u212aim@b.de", "a@b.de\r\n", "a@b.de\n"]
    ),
)
value = st.one_of(
    st.none(),
    odd,
    st.sampled_from(
        [
            *[
                "",
                "x",
                "Ana",
                '"',
                '""',
                ",",
                'a "b", c',
                " pad ",
                "0",
                "07",
                "7",
                "12",
                "29",
                "31",
            ],
            *["2024-02-29", "2023-02-29", "2/9/2024", "2024-02-29T07:08:09Z", "1.5", "-.5", "1,5"],
            *["true", "TRUE", "no", "é" * 13, "é" * 26, "x" * 25, "x" * 26, "x" * 50, "x" * 51],
            *["x" * 255, "x" * 256, "\u200b", "a\u200b", "👩\u200d👩", "\\N", "NULL"],
        ]
    ),
)
ROWS = 500
cells = st.tuples(
    st.lists(email, min_size=30, max_size=80), st.lists(value, min_size=40, max_size=120)
)


def mixed(
    addresses: list[str | None], values: list[str | None], pick: random.Random
) -> list[tuple[str | None, ...]]:
    """Rows of these cells: to make one of them costs nothing, and to ask an engine about it the more."""
    return [(pick.choice(addresses), *pick.choices(values, k=3)) for _ in range(ROWS)]


@pytest.fixture(scope="module")
def engine() -> Iterator[Source]:
    with source_of([{"CustomerId": "1"}]) as source:
        yield source


def both(
    engine: Source, given: list[tuple[str | None, ...]], which: int
) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """What each way makes of the rows, by key."""
    mapping, types = MAPPINGS[which]
    columns = [pa.array(column, pa.string()) for column in zip(*given, strict=True)]
    keys = pa.array([f"{number:04}" for number in range(len(given))], pa.string())
    names = ["customer_id", *(RAW + name for name in ATTRIBUTES)]
    table = pa.Table.from_arrays([keys, *columns], names=names)
    found = []
    for way in (lines, careful_lines):
        with engine.lent(table) as lent:
            made = engine.fetch(way(lent, mapping, types)).to_pylist()
        found.append(sorted(made, key=lambda row: str(row["customer_id"])))
    return found[0], found[1]


# Few examples of many rows each: what takes the time is to build and compile the two expressions.
@pytest.mark.parametrize("which", range(len(MAPPINGS)))
@settings(
    max_examples=4,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(cells=cells, pick=st.randoms(use_true_random=False))
def test_what_the_fast_way_sends_is_what_the_careful_way_would(
    engine: Source,
    which: int,
    cells: tuple[list[str | None], list[str | None]],
    pick: random.Random,
) -> None:
    fast, careful = both(engine, mixed(*cells, pick), which)
    for one, other in zip(fast, careful, strict=True):
        if one["odd"] is not None:
            assert (one["line"], one["address_bytes"], one["cell"]) == (None, 0, None)
            continue
        address = str(one["line"])[: int(str(one["address_bytes"]))]
        assert one["line"] == other["line"]
        assert one["address_bytes"] == other["address_bytes"]
        assert (one["cell"] or address) == other["cell"]
        assert (other["reason"], other["truncated"]) == (None, False)


@pytest.mark.parametrize("which", range(len(MAPPINGS)))
def test_rows_in_which_nothing_is_wrong_take_the_fast_way(engine: Source, which: int) -> None:
    clean = [
        ("ana@example.com", "7", "12", "2024-02-29"),
        ("ANA@Example.com", "7", "12", "2024-02-29"),
    ]
    fast, _ = both(engine, [*clean[: 1 if which == 2 else 2]], which)
    sent = [row["line"] for row in fast]
    if which == 6:  # a number is no truth value, nor a date a moment
        assert sent == [None, None]
    else:
        assert None not in sent
