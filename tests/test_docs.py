"""What people rely on is in the README, and what the README says is so. Names alone: the words are for people."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from ccexport import __version__
from ccexport.commands.main import app
from ccexport.settings import PREFIX, Settings
from ccexport.states import BatchState, Rejection, RunState, WaitingFor

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
SETTINGS = {f"{PREFIX}{name.upper()}": field for name, field in Settings.model_fields.items()}


def section(title: str) -> str:
    """The text below a heading, up to the next of its level or above."""
    found = re.search(
        rf"^(#+) {re.escape(title)}$\n(?P<text>.*?)(?=^#{{1,2}} |\Z)", README, re.M | re.S
    )
    assert found, f"README.md has no section {title}"
    return found["text"]


def commands() -> Iterator[str]:
    """Every command by its words, as a person types it."""

    def walk(command: Any, words: tuple[str, ...]) -> Iterator[str]:
        below = getattr(command, "commands", None)
        if below is None:
            yield " ".join(words)
            return
        for name, sub in below.items():
            yield from walk(sub, (*words, name))

    yield from walk(typer.main.get_command(app), ())


def documented_settings() -> dict[str, str]:
    """Variable → the default that the table of settings says."""
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", section("Settings"), re.M)
    assert len(rows) == len(dict(rows)), "a setting is documented twice"
    return dict(rows)


def quoted(text: str) -> set[str]:
    """What stands in backquotes."""
    return set(re.findall(r"`([^`]+)`", text))


def test_docs_every_setting_is_in_the_table_and_no_other() -> None:
    assert set(documented_settings()) == set(SETTINGS)


@pytest.mark.parametrize("variable", sorted(SETTINGS))
def test_docs_the_default_of_a_setting_is_the_one_in_the_table(variable: str) -> None:
    said, default = documented_settings()[variable].strip("`"), SETTINGS[variable].default
    if default in ("", None):
        assert said == "none" or "<data dir>" in said
    else:
        assert said == str(default)


@pytest.mark.parametrize(
    "text",
    ["README.md", "CHANGELOG.md", "SECURITY.md", "docs/deploy.md", "docs/monitoring/README.md"],
)
def test_docs_every_setting_that_is_mentioned_exists(text: str) -> None:
    mentioned = set(re.findall(rf"{PREFIX}\w+", (ROOT / text).read_text(encoding="utf-8")))
    assert mentioned <= set(SETTINGS)


@pytest.mark.parametrize("command", list(commands()))
def test_docs_every_command_is_in_the_table(command: str) -> None:
    table = quoted(section("Commands"))
    assert any(entry == command or entry.startswith(f"{command} ") for entry in table)


def test_docs_every_command_in_the_table_exists() -> None:
    known = set(commands())
    for row in re.findall(r"^\| (`.*?) \|", section("Commands"), re.M):
        for entry in quoted(row):
            words = [word for word in entry.split() if re.fullmatch(r"[a-z-]+", word)]
            assert " ".join(words[:2]) in known or words[0] in known, entry


def test_docs_every_option_in_the_table_exists() -> None:
    def options(command: Any) -> set[str]:
        own = {option for parameter in command.params for option in parameter.opts}
        return own.union(*map(options, getattr(command, "commands", {}).values()))

    mentioned = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README))
    assert mentioned <= options(typer.main.get_command(app)) | {"--help"}


@pytest.mark.parametrize("reason", list(Rejection))
def test_docs_every_reason_for_leaving_a_profile_out_is_explained(reason: Rejection) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", section("Which profiles are sent"), re.M)
    assert dict(rows).get(reason.value), reason


def test_docs_every_state_of_a_run_is_named() -> None:
    names = quoted(section("A run"))
    assert {state.value for state in RunState} <= names
    assert {reason.value for reason in WaitingFor} <= names
    allowed = {*RunState, *WaitingFor, *BatchState}
    assert {name for name in names if re.fullmatch(r"[a-z_]+", name)} <= set(map(str, allowed))


def test_docs_every_exit_code_is_explained() -> None:
    assert re.search(r"Exit codes: 0 .*?1 .*?2 .*?3 ", section("Commands"), re.S)


def test_docs_the_change_log_has_a_section_for_this_version() -> None:
    assert re.search(rf"^## \[{re.escape(__version__)}\] - \d{{4}}-\d\d-\d\d$", CHANGELOG, re.M)


def test_docs_every_file_that_the_readme_leads_to_is_there() -> None:
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_docs_every_heading_that_the_readme_leads_to_is_there() -> None:
    headings = {
        re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", README, re.M)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", README)) <= headings


@pytest.mark.parametrize("text", ["SECURITY.md", "docs/deploy.md", "docs/monitoring/README.md"])
def test_docs_every_command_and_file_that_the_operators_pages_name_exists(text: str) -> None:
    content = (ROOT / text).read_text(encoding="utf-8")
    known = set(commands())
    for words in re.findall(r"python -m ccexport ([a-z]+(?: [a-z]+)?)", content):
        assert words in known or words.split()[0] in known, words
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", content):
        assert ((ROOT / text).parent / target).exists(), target
    for name in re.findall(r"requirements[\w-]*\.(?:txt|lock)", content):
        assert (ROOT / name).exists(), name


# "they" for everybody, and "not a" instead of "is no": what people and newcomers read in code, screens and documents
TWISTED = re.compile(
    r"\b(he|his|him|himself|whoever|lest)\b|(?<![Tt]here )\b(is|are) no (?!longer\b|more\b|such\b|[^a-z])",
    re.IGNORECASE,
)


def prose() -> Iterator[tuple[str, str]]:
    """Every line of code, pages and documents, with its place."""
    files = [
        *(ROOT / "ccexport").rglob("*.py"),
        *(ROOT / "pages").glob("*.py"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / name for name in ("app.py", "README.md", "SECURITY.md", "CHANGELOG.md")),
    ]
    for file in files:
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            yield f"{file.relative_to(ROOT)}:{number}", line


def test_docs_are_in_plain_english() -> None:
    found = {place: line for place, line in prose() if TWISTED.search(line)}
    assert {place: line for place, line in found.items() if "he-IL" not in line} == {}
