"""The page Segments: full, before anything was exported, and when the source cannot be read."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from ccexport.installation import Installation
from ccexport.services.operations.refreshes import Refreshes
from ccexport.services.people.access import local_administrator
from ccexport.store.exports import ExportView
from tests.kit.house import write_source
from tests.ui.conftest import SEGMENTS, OpenPage, texts


def test_segments_shows_members_usable_share_and_exports(
    open_page: OpenPage, export: ExportView
) -> None:
    test = open_page("segments")
    assert not test.exception
    table = test.dataframe[0].value.set_index("Segment")
    assert table.loc["Spring buyers", "Members"] > 50
    assert (table["Usable email"] > 0.8).all()
    assert (table["Usable email"] < 1).any()
    assert table.loc["Spring buyers", "Exports"] == 1
    assert table.loc["Loyalty gold", "Exports"] == 0


def test_segments_shows_sizes_over_the_last_refreshes(
    open_page: OpenPage, installation: Installation
) -> None:
    by = local_administrator()
    Refreshes(installation).refresh(by=by)
    Refreshes(installation).refresh(by=by)
    table = open_page("segments").dataframe[0].value.set_index("Segment")
    row = table.loc["Spring buyers"]
    assert list(row["Size over refreshes"]) == [row["Members"]] * 2
    assert row["Change"] == 0


def test_segments_before_the_first_refresh_has_no_history(open_page: OpenPage) -> None:
    table = open_page("segments").dataframe[0].value
    assert all(len(sizes) == 0 for sizes in table["Size over refreshes"])
    assert table["Change"].isna().all()


def test_segments_looks_into_one_with_masked_profiles_and_a_link_to_its_exports(
    open_page: OpenPage, export: ExportView
) -> None:
    test = open_page("segments")
    test.selectbox(key="segments_chosen").select("Spring buyers").run()
    assert f"/export?export={export.export.id}" in texts(test)
    sample = test.dataframe[1].value
    assert len(sample) == 5
    assert "•" in " ".join(sample["EMail"])
    assert not any("@example." in address for address in sample["EMail"])


def test_segments_that_nobody_uses_leads_to_a_new_export(open_page: OpenPage) -> None:
    test = open_page("segments")
    test.selectbox(key="segments_chosen").select("Loyalty gold").run()
    assert "No export uses it yet" in texts(test)


def test_segments_names_are_shown_as_they_are(
    open_page: OpenPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["<b>bold</b>", "*stars* :smile: $x$", "ربيع", "🎉" * 100]
    folder = write_source(
        tmp_path / "names",
        [{"CustomerId": "1", "EMail": "a@example.com"}],
        [("1", name) for name in names],
    )
    monkeypatch.setenv("CCEXPORT_SOURCE_URL", f"file:{folder}")
    test = open_page("segments")
    assert not test.exception
    assert sorted(test.dataframe[0].value["Segment"]) == sorted(names)
    test.selectbox(key="segments_chosen").select(names[0]).run()
    assert not test.exception


def test_segments_opens_when_the_source_is_gone_and_says_so(
    open_page: OpenPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CCEXPORT_SOURCE_URL", f"file:{tmp_path / 'nowhere'}")
    test = open_page("segments")
    assert not test.exception
    assert "does not exist" in test.error[0].value
    assert test.title[0].value == "Segments"


def test_segments_are_read_anew_when_the_files_change(
    open_page: OpenPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "moving"
    people = [{"CustomerId": "1", "EMail": "a@example.com"}]
    write_source(folder, people)
    monkeypatch.setenv("CCEXPORT_SOURCE_URL", f"file:{folder}")
    test = open_page("segments")
    assert list(test.dataframe[0].value["Segment"]) == ["All"]
    shutil.rmtree(folder)
    write_source(folder, people, [("1", "Fewer")])
    assert list(test.run().dataframe[0].value["Segment"]) == ["Fewer"]


def test_segments_and_the_form_show_words_for_nothing_and_members_without_a_profile(
    open_page: OpenPage,
    export: ExportView,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """C22: a table makes no None of `NA`. C24 and C14: where members and profiles meet, who is missing is said."""
    words = ["NA", "NULL", "nan", "N/A"]
    profiles = [
        {"CustomerId": f"{n}", "EMail": f"a{n}@example.com", "FirstName": word, "LastName": "Null"}
        for n, word in enumerate(words)
    ]
    rows = [(key, name) for name in SEGMENTS for key in ("0", "1", "2", "3", "99")]
    folder = write_source(tmp_path / "words", profiles, rows)
    monkeypatch.setenv("CCEXPORT_SOURCE_URL", f"file:{folder}")
    form = open_page("export", export=export.export.id)
    assert not form.exception
    cards = "\n".join(str(each.proto.body) for each in form.get("html"))
    assert [word for word in words if not re.search(rf">\s*{word}\s*<", cards)] == []
    said = texts(form).replace("\\", "")
    assert "1 first name is 'NULL', sent as it is there." in said
    assert '1 member has no profile, of 5: such as "99"' in said
