"""Judging: the counts, files and bytes of a run, without the values; part by part, and from a database too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccexport.preparation.files import measure_files
from ccexport.preparation.judging import VERDICTS, judge
from ccexport.preparation.mapping import FieldMapping, parse_mapping
from ccexport.preparation.stream import prepared_rows
from tests.unit.preparation.conftest import Memory, Row
from tests.unit.preparation.counting import Counts, counts_of_a_run

MAPPINGS = [
    parse_mapping(["email=EMail", "first_name=First"]),
    parse_mapping(["email=EMail", "first_name=First", "city==Rome", "zip=Second"]),
    parse_mapping(["email=EMail", 'cf:a "b", c={First}, {Second}']),
    parse_mapping(["email=EMail", "birthday_month=First", "birthday_day=Second"]),
]
VALUES = st.one_of(
    st.none(),
    st.sampled_from(
        ["", " ", "0", "01", "2", '"', 'a "b"', "x, y", "é" * 60, " pad ", "a\nb", "👩"]
    ),
    st.text("ab ,\"'é0\r\n", max_size=6),
)
EMAILS = st.one_of(
    st.none(),
    st.sampled_from(["ana@example.com", "ANA@example.com", "no address", "b@example.com", ""]),
    st.sampled_from(["e" * 50 + "@example.com", "E" * 50 + "@example.com", "f" * 90 + "@x.com"]),
)
PROFILES = st.lists(
    st.fixed_dictionaries({"EMail": EMAILS, "First": VALUES, "Second": VALUES}), max_size=12
)


def counted(source: Memory, mapping: FieldMapping, rows_per_part: int) -> Counts:
    judged = judge(source, ["S"], mapping, rows_per_part=rows_per_part)
    keys = judged.keys.to_pylist()
    assert keys == sorted(keys)
    is_contact = judged.verdicts == 0
    files = [
        size
        for kind in (is_contact & ~judged.is_apart, is_contact & judged.is_apart)
        for size in measure_files(judged.bytes[kind], judged.filled[kind], mapping.fields)
    ]
    left_out = [reason for place in judged.verdicts if (reason := VERDICTS[place])]
    return Counts(
        read=len(keys),
        rejected=len(left_out),
        prepared=int(is_contact.sum()),
        truncated=int((is_contact & judged.is_cut).sum()),
        rejections=dict(Counter(left_out)),
        files=len(files),
        bytes=sum(files),
    )


@pytest.mark.parametrize("sorts_outside", [True, False])
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    profiles=PROFILES, rows_per_part=st.sampled_from([1, 3, 100]), mapping=st.sampled_from(MAPPINGS)
)
def test_judging_counts_what_a_run_prepares_and_sends(
    memory: Callable[..., Memory],
    profiles: list[Row],
    rows_per_part: int,
    mapping: FieldMapping,
    *,
    sorts_outside: bool,
) -> None:
    keyed = [{"CustomerId": f"{number * 7 % 100:03}", **row} for number, row in enumerate(profiles)]
    source = memory(keyed or [{"CustomerId": "1", "EMail": None, "First": None, "Second": None}])
    source.sorts_outside = sorts_outside
    run = counts_of_a_run(prepared_rows(source, ["S"], mapping), mapping.fields)
    assert counted(source, mapping, rows_per_part) == run


def test_judging_says_who_is_sent_instead(memory: Callable[..., Memory]) -> None:
    people = [
        {"CustomerId": "2", "EMail": "ANA@example.com", "First": "Anna"},
        {"CustomerId": "1", "EMail": "ana@example.com", "First": "Ana"},
        {"CustomerId": "3", "EMail": None, "First": "Bo"},
    ]
    judged = judge(memory(people), ["S"], MAPPINGS[0])
    assert judged.keys.to_pylist() == ["1", "2", "3"]
    assert [VERDICTS[place] for place in judged.verdicts] == [None, "duplicate", "missing_email"]
    assert judged.sent_instead == {1: "1"}
