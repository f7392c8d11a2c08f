"""Five shapes of memberships, spelled out in a YAML file or found by looking, end in keys and segments."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ccexport.errors import SourceError
from ccexport.segments.source import Segment, open_source
from tests.kit.house import grow_old

PEOPLE = (
    "id,EMail,is_news,score\n1,ana@example.com,yes,1\n2,ben@example.com,no,0\n3,cem@example.com,,\n"
)
TABLES = {
    "person": PEOPLE,
    "audience": "person_id;audience;status\n1;News;realized\n2;News;exited\n3;News;\n9;Old;existing\n",
    "labels": "internal,friendly\nNews,The news\nOld,\n",
    "vip": "id\n1\n3\n",
    "json": 'id,Segments\n1,"{""Segments"":[""News"",""Old""]}"\n2,"[""News""]"\n3,"[]"\n3,\n',
}
HEAD = "url: file:source\nprofiles: {table: person, key: id}\nmemberships:\n"


def source_file(folder: Path, text: str, tables: Mapping[str, str] = TABLES) -> str:
    (folder / "source").mkdir(exist_ok=True)
    for name, content in tables.items():
        path = folder / "source" / f"{name}.csv"
        path.write_text(content)
        grow_old(path)
    (folder / "source.yaml").write_text(text)
    return str(folder / "source.yaml")


def members(address: str) -> dict[str, list[str]]:
    with open_source(address) as source:
        source.check_segments([])
        rows = source.stream(source.memberships.filter(lambda each: each.Segment.notnull()))
        found: dict[str, list[str]] = {}
        for row in sorted(
            (row for batch in rows for row in batch.to_pylist()), key=lambda row: row["CustomerId"]
        ):
            found.setdefault(row["Segment"], []).append(row["CustomerId"])
        return found


@pytest.mark.parametrize(
    ("memberships", "found"),
    [
        (
            "- {table: audience, key: person_id, segment: audience, shape: long}",
            {"News": ["1", "2", "3"], "Old": ["9"]},
        ),
        (
            "- {table: audience, key: person_id, segment: audience}",
            {"News": ["1", "3"], "Old": ["9"]},
        ),
        (
            "- {table: audience, key: person_id, segment: audience, status: status, shape: status}",
            {"News": ["1", "3"], "Old": ["9"]},
        ),
        ("- {table: json}", {"News": ["1", "2"], "Old": ["1"]}),
        ("- {shape: tables, tables: {'High value': vip}, key: id}", {"High value": ["1", "3"]}),
        (
            "- {shape: flags, columns: {Newsletter: is_news, Scored: score}}",
            {"Newsletter": ["1"], "Scored": ["1"]},
        ),
        (
            "- {table: json}\n- {shape: tables, tables: {VIP: vip}}\n- {shape: flags, columns: {N: is_news}}",
            {"News": ["1", "2"], "Old": ["1"], "VIP": ["1", "3"], "N": ["1"]},
        ),
    ],
    ids=["long", "status found", "status", "json", "tables", "flags", "three together"],
)
def test_every_shape_ends_in_keys_and_segments(
    tmp_path: Path, memberships: str, found: dict[str, list[str]]
) -> None:
    assert members(source_file(tmp_path, HEAD + memberships)) == found


def test_flags_may_be_truth_values_or_numbers(tmp_path: Path) -> None:
    address = source_file(tmp_path, HEAD + "- {shape: flags, columns: {A: a, B: b}}", {})
    people = pa.table({"id": [1, 2, 3], "a": [True, False, None], "b": [0.0, 2.0, None]})
    pq.write_table(people, tmp_path / "source" / "person.parquet")
    assert members(address) == {"A": ["1"], "B": ["2"]}


def test_a_key_of_another_name_stays_an_attribute(tmp_path: Path) -> None:
    with open_source(source_file(tmp_path, HEAD + "- {table: json}")) as source:
        assert source.attribute_names == ("id", "EMail", "is_news", "score")
        assert source.segments() == [Segment("News", 2), Segment("Old", 1)]


def test_segments_have_the_labels_that_the_source_gives_them(tmp_path: Path) -> None:
    names = "segment_names: {table: labels, name: internal, label: friendly}\n"
    with open_source(source_file(tmp_path, HEAD + "- {table: json}\n" + names)) as source:
        assert [segment.shown for segment in source.segments()] == ["The news (News)", "Old"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("profiles: {}", "has no url"),
        ("url: file:source\nprofile: {}", 'the key "profile", which is not known'),
        (HEAD + "- {table: json, shap: long}", 'memberships 1 has the key "shap"'),
        (HEAD + "- {table: json, shape: wide}", 'memberships 1 has the shape "wide"'),
        (HEAD + "- {shape: tables}", "has the shape tables, but no tables"),
        (HEAD + "- {shape: flags}", "has the shape flags, but no columns"),
        (
            HEAD + "- {table: vip}",
            "no column Segment, which shape long needs, and no column Segments",
        ),
        (HEAD + "- {table: audience, key: nobody}", "audience.csv has no column nobody"),
        (
            HEAD + "- {shape: flags, columns: {A: nothing}}",
            "no column nothing, which the shape flags",
        ),
        (HEAD + "- {table: gone}", "has no gone.parquet or gone.csv"),
        ("url: [", "source.yaml, line 1: not YAML"),
        ("- a", "is not a YAML mapping"),
        (
            "url: postgres://a:${NO_SUCH_VARIABLE_1}@h/d",
            "the environment has no NO_SUCH_VARIABLE_1",
        ),
    ],
)
def test_a_source_file_that_cannot_be_used_is_refused_in_one_line(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(SourceError) as caught:
        open_source(source_file(tmp_path, text))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["{News", '{"segments":["A"]}', '{"Segments":"A"}', "7", '"A"'])
def test_segments_that_are_not_a_list_are_refused_with_the_key(tmp_path: Path, text: str) -> None:
    rows = 'id,Segments\n1,"[""A""]"\n77,"' + text.replace('"', '""') + '"\n'
    tables = TABLES | {"json": rows}
    with pytest.raises(SourceError, match=r'json\.csv: the segments of "77" are not JSON'):
        members(source_file(tmp_path, HEAD + "- {table: json}", tables))


def test_options_of_an_address_name_tables_and_columns(tmp_path: Path) -> None:
    source_file(tmp_path, "")
    options = (
        "customer_table=person&customer_key=id&membership_table=audience&membership_key=person_id"
    )
    address = f"file:{tmp_path / 'source'}?{options}&segment=audience&membership=long"
    assert members(address) == {"News": ["1", "2", "3"], "Old": ["9"]}
    with pytest.raises(SourceError, match='option "customer_tabel", which is not known'):
        open_source(f"file:{tmp_path / 'source'}?customer_tabel=person")
