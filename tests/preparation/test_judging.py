"""Judging: the counts, files and bytes of a run, without the lines; from a database too."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccexport.preparation.judging import VERDICTS, judge, measure_files
from ccexport.preparation.mapping import FieldMapping, parse_mapping
from ccexport.preparation.prepare import prepare
from ccexport.segments.source import Source
from tests.preparation.conftest import MakeSource, Row, source_of
from tests.preparation.counting import Counts, counts_of_a_run

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
    st.fixed_dictionaries({"EMail": EMAILS, "First": VALUES, "Second": VALUES}), max_size=40
)


def counted(source: Source, mapping: FieldMapping) -> Counts:
    judged = judge(source, ["S"], mapping)
    is_contact = judged.verdicts == 0
    files = [
        size
        for kind in (is_contact & ~judged.is_apart, is_contact & judged.is_apart)
        for size in measure_files(judged.bytes[kind], judged.filled[kind], mapping.fields)
    ]
    left_out = [reason for place in judged.verdicts if (reason := VERDICTS[place])]
    return Counts(
        read=len(judged.keys),
        rejected=len(left_out),
        prepared=int(is_contact.sum()),
        truncated=int((is_contact & judged.is_cut).sum()),
        rejections=dict(Counter(left_out)),
        files=len(files),
        bytes=sum(files),
    )


@pytest.mark.parametrize("as_database", [True, False])
@settings(  # few examples of many profiles: what takes the time is to build the expressions
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(profiles=PROFILES, mapping=st.sampled_from(MAPPINGS))
def test_judging_counts_what_a_run_prepares_and_sends(
    profiles: list[Row], mapping: FieldMapping, *, as_database: bool
) -> None:
    keyed = [{"CustomerId": f"{number * 7 % 100:03}", **row} for number, row in enumerate(profiles)]
    people = keyed or [{"CustomerId": "1", "EMail": None, "First": None, "Second": None}]
    with source_of(people, as_database=as_database) as source:
        run = counts_of_a_run(prepare(source, ["S"], mapping), mapping.fields)
        assert counted(source, mapping) == run


def test_judging_says_who_is_sent_instead(make_source: MakeSource) -> None:
    people = [
        {"CustomerId": "2", "EMail": "ANA@example.com", "First": "Anna"},
        {"CustomerId": "1", "EMail": "ana@example.com", "First": "Ana"},
        {"CustomerId": "3", "EMail": None, "First": "Bo"},
    ]
    judged = judge(make_source(people), ["S"], MAPPINGS[0])
    keys = judged.keys.to_pylist()
    verdicts = {key: VERDICTS[place] for key, place in zip(keys, judged.verdicts, strict=True)}
    assert verdicts == {"1": None, "2": "duplicate", "3": "missing_email"}
    assert judged.sent_instead == {keys.index("2"): "1"}


def test_judging_counts_words_that_mean_nothing_in_what_is_sent(make_source: MakeSource) -> None:
    """C22."""
    words = ["NULL", "NULL", "N/A", " NA\n", "nan", "None", "\\N", "Null", "NULLA", "null"]
    people = [
        {"CustomerId": str(n), "EMail": f"a{n}@b.de", "First": word, "Second": "x"}
        for n, word in enumerate(words)
    ]
    people += [
        {"CustomerId": "x1", "EMail": "a0@b.de", "First": "NULL", "Second": "x"},  # a duplicate
        {"CustomerId": "x2", "EMail": "NULL", "First": "NULL", "Second": "x"},  # not valid
        {"CustomerId": "x3", "EMail": "c@b.de", "First": "Ana, NULL", "Second": "NA"},
    ]
    mapping = parse_mapping(["email=EMail", "first_name=First", "country=Second"])
    assert judge(make_source(people), ["S"], mapping).words_for_nothing == {
        ("first_name", "NULL"): 2,
        ("first_name", "N/A"): 1,
        ("first_name", "NA"): 1,
        ("first_name", "None"): 1,
        ("first_name", "\\N"): 1,
        ("first_name", "nan"): 1,
        ("country", "NA"): 1,
    }
