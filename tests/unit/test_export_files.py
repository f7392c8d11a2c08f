"""Exports as a file and back: no loss, every difference by name, broken files by their line; edits that meet."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccexport.commands.export_files import difference_lines
from ccexport.errors import CcexportError, Conflict, MappingError, NotFound, SetupError, UsageError
from ccexport.preparation.mapping import parse_mapping
from ccexport.services.exports.export_files import (
    ExportDifference,
    ExportFiles,
    FieldDifference,
    read_entries,
    write_entries,
)
from ccexport.services.exports.exports import Exports
from ccexport.store.exports import ExportView
from tests.kit.clocks import Clock
from tests.kit.offline import (
    ANA,
    DAILY,
    LIST_ID,
    OTHER_LIST_ID,
    OfflineParts,
    connect,
    draft,
    offline_parts,
    write_segments,
)

ODD_NAMES = [
    "Ünïcode 🎉 <b>bold</b>",
    "مرحبا بالعالم",
    "off",
    "null",
    "2024",
    "1_000",
    "2024-01-01",
    "- dash",
    "a: b # c",
    "'quoted' \"twice\"",
    "{x}",
    "tab\tinside",
    "line\u2028separator\x85next",
    "x" * 200,
    "~",
    "=",
    "<<",
    "*star &and !tag %percent @at `tick",
]


@pytest.fixture
def installation(tmp_path: Path, clock: Clock) -> Iterator[OfflineParts]:
    installation = offline_parts(tmp_path, clock)
    yield installation
    installation.engine.dispose()


@pytest.fixture
def exports(installation: OfflineParts) -> Exports:
    return Exports(installation)


@pytest.fixture
def files(installation: OfflineParts) -> ExportFiles:
    return ExportFiles(installation)


def what_counts(view: ExportView) -> tuple[object, ...]:
    """All of an export that a person chose."""
    export = view.export
    return (
        export.name,
        view.connection_name,
        export.list_id,
        export.list_name,
        view.segments,
        view.mapping,
        export.mode,
        export.schedule,
        export.next_run_at,
    )


def apply(files: ExportFiles, text: str, *, dry_run: bool = False) -> list[ExportDifference]:
    return files.apply(text, "exports.yaml", by=ANA, dry_run=dry_run)


# --- round trip ----------------------------------------------------------------------------------


def test_what_was_dumped_and_removed_comes_back_without_loss(
    exports: Exports, files: ExportFiles, tmp_path: Path
) -> None:
    write_segments(tmp_path / "source", dict.fromkeys(ODD_NAMES, 2))
    for name in ODD_NAMES:
        mapping = [
            "email=EMail",
            "first_name={FirstName}: #1, {{x}}",
            f"city=={name}",
            "cf:Größe=Größe",
        ]
        exports.add(
            draft(
                name, segments=[name, "off"], mapping=parse_mapping(mapping), list_id=OTHER_LIST_ID
            ),
            by=ANA,
        )
    exports.add(draft("Plain", segments=["off"], schedule="refresh"), by=ANA)
    before = [what_counts(view) for view in exports.views()]
    text = files.dump()
    for view in exports.views():
        exports.remove(view.export.name, by=ANA)
    assert {each.change for each in apply(files, text)} == {"new"}
    assert [what_counts(view) for view in exports.views()] == before
    assert files.dump() == text


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), max_size=3, unique=True)
)
def test_every_sign_of_a_name_is_read_back_as_it_was(names: list[str]) -> None:
    document = {
        "name": "New",
        "connection": "Marketing",
        "list_id": LIST_ID,
        "segments": names,
        "mapping": {"email": "EMail"},
    }
    (read,) = read_entries(write_entries([document]), "exports.yaml")
    assert read.draft.segments == tuple(names)


def test_what_is_as_in_the_file_is_unchanged_and_asks_nobody(
    exports: Exports, files: ExportFiles, installation: OfflineParts
) -> None:
    view = exports.add(draft(), by=ANA)
    installation.asked.clear()
    (difference,) = apply(files, files.dump())
    assert difference == ExportDifference("Newsletter", "unchanged", ())
    assert exports.views()[0].export.revision == view.export.revision
    assert installation.asked == []


def test_one_export_is_dumped_by_its_name(exports: Exports, files: ExportFiles) -> None:
    exports.add(draft("One"), by=ANA)
    exports.add(draft("Two"), by=ANA)
    text = files.dump("ONE")
    assert "name: One" in text
    assert "name: Two" not in text
    with pytest.raises(NotFound):
        files.dump("Three")


def test_without_exports_the_dump_is_an_empty_list_that_can_be_applied(files: ExportFiles) -> None:
    assert "exports: []" in files.dump()
    assert apply(files, files.dump()) == []


def test_a_detached_export_is_dumped_and_stays_as_it_is(
    exports: Exports, files: ExportFiles, installation: OfflineParts
) -> None:
    exports.add(draft(), by=ANA)
    installation.connections.remove(installation.connections.by_name("Marketing").id, by="ana")
    text = files.dump()
    assert "connection: null" in text
    assert [each.change for each in apply(files, text)] == ["unchanged"]
    with pytest.raises(UsageError, match=r"line 3.*it has no connection"):
        apply(files, text.replace("- A", "- B"))
    connect(installation, "Sales")
    (difference,) = apply(files, text.replace("connection: null", "connection: Sales"))
    assert difference.fields == (FieldDifference("connection", None, "Sales"),)
    assert exports.views()[0].state == "active"


# --- differences ---------------------------------------------------------------------------------


def test_a_dry_run_shows_each_field_that_differs_and_stores_nothing(
    exports: Exports, files: ExportFiles
) -> None:
    mapping = ["email=EMail", "first_name=FirstName", "city==Bern"]
    exports.add(draft(mapping=parse_mapping(mapping)), by=ANA)
    before = what_counts(exports.views()[0])
    text = (
        files.dump()
        .replace("  - A", "  - B\n  - A")
        .replace("first_name: FirstName", 'last_name: "Dr. {FirstName}"')
        .replace("city: =Bern", "city: =Basel")
        .replace(LIST_ID, f"https://app.example/lists/{OTHER_LIST_ID.upper()}")
        .replace(DAILY, "off")
        .replace("name: Newsletter", "name: NEWSLETTER")
    )
    (difference,) = apply(files, text, dry_run=True)
    assert difference.change == "changed"
    assert {each.field: (each.before, each.after) for each in difference.fields} == {
        "name": ("Newsletter", "NEWSLETTER"),
        "list_id": (LIST_ID, OTHER_LIST_ID),
        "segments": ("A", "B\nA"),
        "mapping first_name": ("FirstName", None),
        "mapping last_name": (None, "Dr. {FirstName}"),
        "mapping city": ("=Bern", "=Basel"),
        "schedule": (DAILY, "off"),
    }
    assert what_counts(exports.views()[0]) == before
    apply(files, text)
    after = exports.views()[0]
    assert (after.export.name, after.segments, after.export.next_run_at) == (
        "NEWSLETTER",
        ("B", "A"),
        None,
    )
    assert after.export.revision == 2


def test_differences_are_said_line_by_line() -> None:
    lines = difference_lines(
        [
            ExportDifference("Old", "unchanged", ()),
            ExportDifference("New", "new", (FieldDifference("segments", None, "A\nB"),)),
            ExportDifference("Other", "changed", (FieldDifference("mapping city", "=X", None),)),
        ]
    )
    assert lines == [
        '= "Old" unchanged',
        '+ "New" new',
        "    segments: A, B",
        '~ "Other" changed',
        "    mapping city: =X -> nothing",
    ]


def test_an_export_that_the_file_does_not_name_stays(exports: Exports, files: ExportFiles) -> None:
    exports.add(draft("One"), by=ANA)
    text = files.dump("One")
    exports.add(draft("Two"), by=ANA)
    apply(files, text)
    assert [view.export.name for view in exports.views()] == ["One", "Two"]


def test_mode_and_schedule_may_be_left_out(exports: Exports, files: ExportFiles) -> None:
    apply(files, entry().replace("  schedule: off\n", ""))
    export = exports.views()[0].export
    assert (export.mode, export.schedule) == ("full", "refresh")


def test_an_account_is_asked_once_for_many_exports(
    exports: Exports, files: ExportFiles, installation: OfflineParts
) -> None:
    names = [f"Export {n}" for n in range(20)]
    apply(files, "exports:\n" + "".join(entry(name).removeprefix("exports:\n") for name in names))
    assert len(exports.views()) == 20
    assert sorted(installation.asked) == ["account", "list"]


# --- all or none ---------------------------------------------------------------------------------


def entry(name: str = "New", **changes: str) -> str:
    """A file of one export, with some of its lines changed."""
    values = {
        "connection": "Marketing",
        "list_id": LIST_ID,
        "segments": "[A]",
        "mapping": "{email: EMail}",
        "schedule": "off",
    } | changes
    lines = [f"  {key}: {value}\n" for key, value in values.items()]
    return f"exports:\n- name: {name}\n{''.join(lines)}"


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"segments": "[Z]"}, SetupError, 'no segment "Z"'),
        ({"mapping": "{email: Nothing}"}, SetupError, 'no attribute "Nothing"'),
        ({"mapping": "{email: EMail, 'cf:Color': =x}"}, SetupError, 'no custom field "Color"'),
        ({"connection": "Elsewhere"}, NotFound, 'no connection "Elsewhere"'),
        ({"list_id": LIST_ID.replace("5", "6")}, SetupError, "knows no list"),
        ({"segments": "[]"}, UsageError, "No segment was chosen"),
    ],
)
@pytest.mark.parametrize("dry_run", [True, False])
def test_what_does_not_fit_is_named_with_its_line_and_nothing_is_stored(
    exports: Exports,
    files: ExportFiles,
    changes: dict[str, str],
    error: type[CcexportError],
    words: str,
    dry_run: bool,
) -> None:
    text = entry("Sound") + entry("Broken", **changes).removeprefix("exports:\n")
    with pytest.raises(error) as caught:
        apply(files, text, dry_run=dry_run)
    assert str(caught.value).startswith('exports.yaml, line 8, "Broken": ')
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert exports.views() == []


def test_an_export_edited_between_reading_and_storing_is_a_conflict_and_none_is_stored(
    exports: Exports,
    files: ExportFiles,
    monkeypatch: pytest.MonkeyPatch,
    installation: OfflineParts,
) -> None:
    exports.add(draft("One"), by=ANA)
    text = files.dump().replace("- A", "- B") + entry("Two").removeprefix("exports:\n")
    save = installation.exports.save

    def somebody_is_faster(*changes: object) -> None:
        monkeypatch.undo()
        exports.turn_off("One", by=ANA)
        save(*changes)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(installation.exports, "save", somebody_is_faster)
    with pytest.raises(Conflict, match='Somebody changed "One" meanwhile'):
        apply(files, text)
    (view,) = exports.views()
    assert (view.segments, view.export.schedule) == (("A",), "off")


# --- broken files --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "it is empty"),
        ("# nothing\n", 1, "it is empty"),
        ("just words", 1, "not a mapping"),
        ("[1, 2]", 1, "not a mapping"),
        ("{}", 1, "no key exports:"),
        ("exports:\n  a: b\n", 2, "no list"),
        ("exports:\n- name: [\n", 3, "not YAML"),
        ("exports:\n\t- name: x\n", 2, "not YAML"),
        ("exports:\n- x\n", 2, "An export is not a mapping"),
        ("exports:\n- name: a\n\x07", 3, "a sign that YAML does not allow"),
        ("exports: &a\n- *a\n", 1, "An export is not a mapping"),
        ("exports:\n- *nobody\n", 2, "not YAML"),
        ("export: []\n", 1, "Did you mean exports:?"),
        ("exports: []\nexports: []\n", 2, "exports: is there twice"),
        ("a: b\n---\nc: d\n", 2, "not YAML"),
        ("[" * 5_000, 1, "nested too deeply"),
        (entry().replace("schedule:", "shedule:"), 7, "Did you mean schedule:?"),
        (entry(color="red"), 8, "no key color:"),
        (entry().replace(f"  list_id: {LIST_ID}\n", ""), 2, "the export has no list_id:"),
        (entry("[a]"), 2, "name: holds no text"),
        (entry(" "), 2, "name: holds no text"),
        (entry('" "'), 2, "name is blank"),
        (entry("x" * 201), 2, "201 characters"),
        (entry(connection="{a: b}"), 3, "connection: holds no text"),
        (entry(list_id="somewhere"), 2, "holds no list id"),
        (entry(segments="A"), 5, "segments: holds no list"),
        (entry(segments="[[A]]"), 5, "segments: holds no text"),
        (entry(mapping="[email]"), 6, "not a mapping"),
        (entry(mapping="{first_name: F}"), 2, "no email"),
        (entry(mapping="{email: E, email: F}"), 6, "email: is there twice"),
        (entry(mapping="{email: '{E'}"), 2, "not a template"),
        (entry(mapping="{e-mail: E}"), 2, 'no contact field "e-mail"'),
        (entry(mode="half"), 2, 'no mode "half"'),
        (entry(schedule="sometimes"), 2, "is not a schedule"),
        (entry(schedule="daily 06:30 Europe/Berln"), 2, "is not a time zone"),
        (entry("One") + entry("ONE").removeprefix("exports:\n"), 8, "is in line 2 already"),
    ],
)
def test_a_broken_file_is_refused_in_one_line_that_names_its_line(
    exports: Exports, files: ExportFiles, text: str, line: int, words: str
) -> None:
    with pytest.raises(SetupError) as caught:
        apply(files, text)
    message = str(caught.value)
    assert message.startswith(f"exports.yaml, line {line}")
    assert words in message
    assert "\n" not in message
    assert len(message) < 500
    assert exports.views() == []


@settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(st.text(alphabet="exports:-[]{}&*!|>'\"#%@ \n\tabc\x00\ud800\ufeff", max_size=60))
def test_no_text_whatever_is_a_bug(files: ExportFiles, text: str) -> None:
    try:
        assert apply(files, text, dry_run=True) == []
    except SetupError as error:
        assert "\n" not in str(error)  # noqa: PT017  # either it holds no exports, or it is refused


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read (No such file or directory)"),
        (b"exports:\n- \xff\n", "line 2: not UTF-8"),
        (b"exports:\n- name: [\n", "line 3: it is not YAML"),
    ],
)
def test_the_command_ends_with_2_and_one_line_for_a_broken_file(
    tmp_path: Path,
    content: bytes | None,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "exports.yaml"
    if content is not None:
        file.write_bytes(content)
    assert command(["exports", "apply", str(file)], tmp_path, monkeypatch) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert words in said.err
    assert said.err.count("\n") == 1


def test_dump_and_refresh_print_their_documents_alone_on_standard_output(
    installation: OfflineParts,
    exports: Exports,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    exports.add(draft(schedule="refresh"), by=ANA)
    assert command(["exports", "dump"], tmp_path, monkeypatch) == 0
    assert capsys.readouterr().out == ExportFiles(installation).dump()
    assert command(["refresh", "--json"], tmp_path, monkeypatch) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["segments"] == [{"name": "A", "members": 3}, {"name": "B", "members": 5}]
    assert [run["export"] for run in document["runs"]] == ["Newsletter"]
    options = ["--at", "06:30", "--days", "mon, friday", "--zone", "Europe/Berlin", "--json"]
    assert command(["refresh", *options], tmp_path, monkeypatch) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["weekdays"], document["times"], document["on"]) == ([0, 4], ["06:30"], True)
    assert len(document["next"]) == 5
    assert command(["refresh", "--off", "--json"], tmp_path, monkeypatch) == 0
    assert json.loads(capsys.readouterr().out)["next"] == []


@pytest.mark.parametrize(
    "options",
    [["--at", "6"], ["--at", "06:30", "--days", "mo"], ["--at", "06:30", "--off"]],
)
def test_a_refresh_asked_for_wrongly_ends_with_2_and_one_line(
    tmp_path: Path,
    options: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command(["refresh", *options], tmp_path, monkeypatch) == 2
    assert capsys.readouterr().err.count("\n") == 1


def command(arguments: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a command in this process, over the installation in `folder`; its exit code."""
    from ccexport.commands.main import main

    monkeypatch.chdir(folder)  # no .env of anybody's
    monkeypatch.setattr(sys, "argv", ["ccexport", *arguments])
    monkeypatch.setenv("CCEXPORT_DATA_DIR", str(folder / "var"))
    monkeypatch.setenv("CCEXPORT_SOURCE_URL", f"file:{folder / 'source'}")
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


# --- edits ---------------------------------------------------------------------------------------


def test_an_update_changes_everything_and_the_revision_grows(
    exports: Exports, installation: OfflineParts
) -> None:
    added = exports.add(draft(), by=ANA)
    connect(installation, "Sales")
    changed = draft(
        "Renamed",
        connection="Sales",
        list_id=OTHER_LIST_ID,
        segments=["B", "A", "B"],
        mapping=parse_mapping(["email=EMail", "city==Bern"]),
        schedule="refresh",
    )
    view = exports.update("newsletter", changed, by=ANA, revision=added.export.revision)
    assert what_counts(view) == (
        "Renamed",
        "Sales",
        OTHER_LIST_ID,
        "Customers",
        ("B", "A"),
        (("email", "EMail"), ("city", "=Bern")),
        "full",
        "refresh",
        None,
    )
    assert (view.export.id, view.export.revision) == (added.export.id, 2)
    assert view.export.created_by == added.export.created_by


def test_of_two_who_edit_at_once_the_second_is_told_and_nothing_is_overwritten(
    exports: Exports,
) -> None:
    seen = exports.add(draft(), by=ANA).export.revision
    exports.update("Newsletter", draft(segments=["B"]), by=ANA, revision=seen)
    with pytest.raises(Conflict, match=r'Somebody changed "Newsletter" meanwhile.*Open it again'):
        exports.update("Newsletter", draft(schedule="off"), by=ANA, revision=seen)
    (view,) = exports.views()
    assert (view.segments, view.export.schedule) == (("B",), DAILY)


def test_an_update_to_a_name_that_is_taken_is_refused(exports: Exports) -> None:
    exports.add(draft("One"), by=ANA)
    exports.add(draft("Two"), by=ANA)
    with pytest.raises(Conflict, match='an export "ONE" already'):
        exports.update("Two", draft("ONE"), by=ANA)
    assert exports.update("Two", draft("TWO"), by=ANA).export.name == "TWO"


def test_an_update_that_does_not_fit_changes_nothing(exports: Exports) -> None:
    before = what_counts(exports.add(draft(), by=ANA))
    with pytest.raises(MappingError):
        exports.update("Newsletter", draft(mapping=parse_mapping(["email=Gone"])), by=ANA)
    assert what_counts(exports.views()[0]) == before


def test_an_export_removed_meanwhile_is_not_brought_back(
    exports: Exports, installation: OfflineParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = exports.add(draft(), by=ANA)
    update = installation.exports.update

    def somebody_removes_it(change: object) -> None:
        exports.remove("Newsletter", by=ANA)
        update(change)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(installation.exports, "update", somebody_removes_it)
    with pytest.raises(NotFound, match='"Newsletter" has been removed meanwhile'):
        exports.update("Newsletter", draft(segments=["B"]), by=ANA, revision=seen.export.revision)
    assert exports.views() == []


def test_a_duplicate_has_everything_but_is_off(exports: Exports) -> None:
    original = exports.add(draft(segments=["B", "A"]), by=ANA)
    copy = exports.duplicate("Newsletter", " Copy ", by=ANA)
    assert what_counts(copy)[1:7] == what_counts(original)[1:7]
    assert (copy.export.name, copy.state, copy.export.next_run_at) == ("Copy", "off", None)
    with pytest.raises(Conflict):
        exports.duplicate("Newsletter", "COPY", by=ANA)


def test_turning_off_and_on_changes_the_schedule_alone(exports: Exports) -> None:
    before = exports.add(draft(), by=ANA)
    assert exports.turn_off("Newsletter", by=ANA).state == "off"
    view = exports.turn_on("Newsletter", DAILY, by=ANA)
    assert what_counts(view) == what_counts(before)
    assert view.export.revision == 3
    with pytest.raises(UsageError):
        exports.turn_on("Newsletter", "hourly", by=ANA)
