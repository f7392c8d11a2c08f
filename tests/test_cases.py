"""Inputs that went wrong elsewhere have numbers, C1 to C39: each is named by a test that holds its right outcome."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
FILES = {1, 2, 4, 6, 7, 8, 9, 10}
ADDRESSES, KEYS_AND_VALUES = {11, 12, 13}, {14, 15, 17, 18, 19, 21, 22, 24, 25}
SIGNING_IN, SCREENS, CLOCK_AND_STORE = {26, 27, 29}, {32, 33, 34, 35, 37}, {38, 39}
CASES = FILES | ADDRESSES | KEYS_AND_VALUES | SIGNING_IN | SCREENS | CLOCK_AND_STORE


def _said(path: Path) -> Iterator[str]:
    """What a module of tests says of itself: its docstring, and the docstrings and ids of its tests."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef):
            yield ast.get_docstring(node) or ""
        if isinstance(node, ast.keyword) and node.arg in ("ids", "id"):
            yield from (
                str(each.value) for each in ast.walk(node) if isinstance(each, ast.Constant)
            )


def test_every_case_is_named_by_a_test() -> None:
    said = "\n".join(
        text for path in HERE.rglob("test_*.py") if path != Path(__file__) for text in _said(path)
    )
    named = {int(number) for number in re.findall(r"\bC(\d+)\b", said)}
    assert named == CASES
