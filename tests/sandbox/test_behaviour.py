"""The behaviour file: defaults, spellings, and what is said about mistakes."""

from pathlib import Path
from typing import Any

import pytest

from ccexport.sandbox.behaviour import load_behaviour, parse_behaviour
from ccexport.sandbox.faults import FAULT_NAMES, GROUPS
from ccexport.sandbox.faults import __doc__ as faults_doc


def test_an_empty_file_is_the_default_behaviour(tmp_path: Path) -> None:
    file = tmp_path / "behaviour.yaml"
    file.write_text("")
    behaviour = load_behaviour(file)
    assert not behaviour.auto_approve
    assert (behaviour.requests_per_second, behaviour.requests_per_day) == (4, 10_000)
    assert (behaviour.processing_seconds, behaviour.expires_in) == (0.2, 86_400)
    assert [entry.name for entry in behaviour.lists] == ["Newsletter", "Product news"]


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        ({"lists": ["A", {"name": "B", "deleted": True}]}, ["A", "B"]),
        ({"lists": 3}, ["List 0001", "List 0002", "List 0003"]),
        ({"lists": 0}, []),
    ],
)
def test_lists_are_names_or_mappings_or_a_number(keys: Any, names: list[str]) -> None:
    assert [entry.name for entry in parse_behaviour(keys).lists] == names


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("colour: red", "unknown key colour; allowed: seed, auto_approve"),
        ("lists: [{name: A, color: red}]", "unknown key lists[0].color; allowed: name, list_id"),
        ("faults: [{on: getLists, do: explode}]", "faults[0].do is 'explode'; allowed: delay, "),
        ("faults: [{on: nothing, do: delay}]", "'nothing' is not an operation; allowed: getUser"),
        ("requests_per_second: many", "requests_per_second: "),
        ("lists: 5000", "lists: 5000 lists; allowed: 0 to 1000"),
        ("- a", "is to be a mapping"),
        ("a: [", "is not YAML"),
    ],
)
def test_a_mistake_is_told_in_one_line_that_names_it(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "behaviour.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"behaviour\.yaml") as caught:
        load_behaviour(file)
    message = str(caught.value)
    assert said in message
    assert "\n" not in message


def test_a_file_that_is_not_there_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.yaml: cannot be read"):
        load_behaviour(tmp_path / "none.yaml")


def test_every_fault_is_in_the_table_of_its_module() -> None:
    assert faults_doc is not None
    assert [name for name in FAULT_NAMES if f"`{name}`" not in faults_doc] == []


def test_every_group_of_faults_holds_known_ones() -> None:
    assert set().union(*GROUPS.values()) <= set(FAULT_NAMES)
