"""`cdm:`: what Customer Insights' exports and Synapse Link leave, by their `model.json`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from ccexport.errors import SourceError
from ccexport.preparation.mapping import FieldMapping
from ccexport.preparation.prepare import prepare
from ccexport.segments.source import open_source
from tests.segments.cdm_folders import (
    CUSTOMER,
    customers,
    entity,
    memberships,
    put,
    segments,
)

Settings = dict[str, Any]


ANA, BEN = '"1","ana@example.com","Ana"', '"2","ben@example.com","Ben ""B"""'
BOTH = segments("1", "News", "High_value") + segments("2", "News")


def sent(address: str, segment: str = "News") -> list[str]:
    with open_source(address) as source:
        found = prepare(
            source, [segment], FieldMapping((("email", "EMail"), ("first_name", "FirstName")))
        )
        count = len(found.contacts)
        lines = found.contacts.take(0, count).column("line").to_pylist() if count else []
    return [line.rstrip() for line in lines]


def refused(folder: Path) -> str:
    with pytest.raises(SourceError) as caught:
        sent(f"cdm:{folder}")
    assert "\n" not in str(caught.value)
    return str(caught.value)


TWO = ["ana@example.com,Ana", 'ben@example.com,"Ben ""B"""']


def test_an_export_is_read_by_its_model_without_headings(tmp_path: Path) -> None:
    folder = put(tmp_path / "lake", customers(ANA, BEN), memberships(BOTH))
    assert sent(f"cdm:{folder}") == TWO
    assert sent(f"cdm:{folder}", "High_value") == TWO[:1]


def test_only_the_files_that_the_model_names_are_read(tmp_path: Path) -> None:
    folder = put(tmp_path / "lake", customers(ANA), memberships(BOTH))
    old = folder / "Customer/2026/08/23/1433/Customer_1.csv"
    old.parent.mkdir(parents=True)
    old.write_text(BEN + "\n")
    assert sent(f"cdm:{folder}") == TWO[:1]


def test_several_partitions_and_empty_ones_and_encoded_paths_are_put_together(
    tmp_path: Path,
) -> None:
    parts = [("Customer/a%20b/1.csv", ANA + "\n"), ("Customer/2.csv", ""), ("Customer/3.csv", BEN)]
    folder = put(tmp_path / "lake", entity("Customer", CUSTOMER, parts), memberships(BOTH))
    assert sent(f"cdm:{folder}") == TWO


@pytest.mark.parametrize(
    ("settings", "rows"),
    [
        ({"columnHeaders": True}, "CustomerId,EMail,FirstName\n" + ANA + "\n"),
        ({"delimiter": ";"}, ANA.replace(",", ";") + "\n"),
        ({"quoteStyle": "QuoteStyle.None", "delimiter": "\t"}, "1\tana@example.com\tAna\n"),
        ({"encoding": "utf-16"}, (ANA + "\n").encode("utf-16")),
        ({"csvStyle": "CsvStyle.QuoteAfterDelimiter"}, '"1","ana@example.com","Ana"\r\n'),
    ],
    ids=["heading", "delimiter", "no quotes", "encoding", "style"],
)
def test_a_partition_is_read_as_its_settings_say(
    tmp_path: Path, settings: Settings, rows: str | bytes
) -> None:
    people = entity("Customer", CUSTOMER, [("Customer/1.csv", rows)], **settings)
    folder = put(tmp_path / "lake", people, memberships(BOTH))
    assert sent(f"cdm:{folder}") == TWO[:1]


def test_memberships_of_other_kinds_and_of_several_rows_are_put_together(tmp_path: Path) -> None:
    rows = segments("1", "News") + segments("2", "News", kind="Account") + segments("1", "Old")
    folder = put(tmp_path / "lake", customers(ANA, BEN), memberships(rows))
    with open_source(f"cdm:{folder}") as source:
        assert [(each.name, each.members) for each in source.segments()] == [
            ("News", 1),
            ("Old", 1),
        ]


def test_appended_changes_give_the_newest_state_without_what_was_deleted(tmp_path: Path) -> None:
    columns = ("Id", "SinkModifiedOn", "IsDelete", *CUSTOMER)
    rows = [
        'a,8/24/2026 9:07:19 AM,False,"1","old@example.com","Ana"',
        'a,8/24/2026 1:07:19 PM,False,"1","ana@example.com","Ana"',
        'b,2026-08-24T10:00:00Z,False,"2","ben@example.com","Ben"',
        'b,2026-08-24T11:00:00Z,True,"2","ben@example.com","Ben"',
    ]
    people = entity("Customer", columns, [("Customer/2026.csv", "\n".join(rows) + "\n")])
    folder = put(tmp_path / "lake", people, memberships(BOTH))
    assert sent(f"cdm:{folder}") == TWO[:1]


def _drop_file(folder: Path) -> None:
    (folder / "Customer/2026/08/24/1433/Customer_1.csv").unlink()


def _cut_model(folder: Path) -> None:
    text = (folder / "model.json").read_text()
    (folder / "model.json").write_text(text[: len(text) // 2])


def _manifest(folder: Path) -> None:
    (folder / "model.json").rename(folder / "default.manifest.cdm.json")


def _wider(folder: Path) -> None:
    (folder / "Customer/2026/08/24/1433/Customer_1.csv").write_text(ANA + ',"x"\n')


def _wider_later(folder: Path) -> None:
    (folder / "Customer/2026/08/24/1433/Customer_1.csv").write_text(ANA + "\n" + BEN + ',"x"\n')


def _no_json(folder: Path) -> None:
    text = segments("1", "News") + '"77","CustomerInsights","Customer","{News}"\n'
    (folder / "SegmentMembership/2026/M_1.csv").write_text(text)


def _other_json(folder: Path) -> None:
    text = '"77","CustomerInsights","Customer","{""segments"":[""News""]}"\n'
    (folder / "SegmentMembership/2026/M_1.csv").write_text(text)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_drop_file, "model.json names Customer_1.csv for Customer, and it is not in the source's"),
        (_cut_model, "model.json, line 1: not JSON, or not written to its end"),
        (_manifest, "has a manifest.cdm.json and no model.json"),
        (_wider, "Customer_1.csv has 4 columns, and model.json gives Customer 3 attributes"),
        (_wider_later, "Customer_1.csv, line 2: 4 values under 3"),
        (_no_json, 'the segments of "77" are not JSON'),
        (_other_json, 'the segments of "77" are not JSON'),
    ],
)
def test_a_folder_that_cannot_be_read_is_refused_in_one_line(
    tmp_path: Path, spoil: Callable[[Path], None], words: str
) -> None:
    folder = put(tmp_path / "lake", customers(ANA), memberships(BOTH))
    spoil(folder)

    def read_all() -> None:
        with open_source(f"cdm:{folder}") as source:
            source.check_segments(["News"])
            prepare(source, ["News"], FieldMapping((("email", "EMail"),)))

    with pytest.raises(SourceError) as caught:
        read_all()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    folder = put(tmp_path / "lake", customers(ANA), memberships(BOTH))

    def read_meanwhile() -> None:
        with open_source(f"cdm:{folder}") as source:
            (folder / "model.json").write_text("{}")
            source.segments()

    with pytest.raises(SourceError, match=r"model\.json changed while it was read"):
        read_meanwhile()


def test_two_entities_that_differ_in_letter_case_are_refused(tmp_path: Path) -> None:
    twice = entity("customer", CUSTOMER, [("c.csv", ANA)])
    assert 'two entities "customer"' in refused(put(tmp_path / "lake", customers(ANA), twice))


@pytest.fixture
def in_memory(tmp_path: Path) -> Iterator[str]:
    """The same folder on fsspec's file system of memory, which stands in for a storage account."""
    folder = put(tmp_path / "lake", customers(ANA, BEN), memberships(BOTH))
    files = fsspec.filesystem("memory")
    for path in folder.rglob("*"):
        if path.is_file():
            files.pipe(f"/lake/Export/{path.relative_to(folder)}", path.read_bytes())
    yield "cdm:memory://lake/Export"
    files.rm("/lake", recursive=True)


def test_a_folder_of_a_storage_account_is_read_as_one_of_this_machine(in_memory: str) -> None:
    assert sent(in_memory) == TWO
