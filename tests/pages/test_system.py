"""The page System."""

from __future__ import annotations

from tests.pages.conftest import OpenPage


def test_system_opens_on_an_empty_store(open_page: OpenPage) -> None:
    test = open_page("system")
    assert not test.exception
    assert test.title[0].value == "System"
