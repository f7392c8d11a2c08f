"""The first day of a newcomer: from an empty store to the file of those left out, with the mouse and by keyboard."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Download, Locator, expect

from ccexport.states import RunState
from tests.browser.dashboard import Dashboard, house_beside_sandbox, served
from tests.browser.visitor import OpenBrowser, Visitor
from tests.kit.house import House, behaviour, check_sums

SEGMENT = "Newsletter subscribers"
MOST_TABS = 150


@pytest.fixture
def dashboard(tmp_path: Path, source: Path) -> Iterator[Dashboard]:
    """An empty store, and a stand-in whose sign-in page is for people."""
    quiet = behaviour(auto_approve=False, processing_seconds=0.5)
    with (
        house_beside_sandbox(tmp_path / "house", source, quiet) as house,
        served(house) as dashboard,
    ):
        yield dashboard


def test_newcomer_connects_sees_saves_runs_and_downloads(
    dashboard: Dashboard, open_browser: OpenBrowser
) -> None:
    visitor, house = open_browser(dashboard), dashboard.house
    page = visitor.page
    visitor.open("", "Home")
    page.get_by_role("main").get_by_role("link", name="Connections").click()
    visitor.sees_page("Connections")
    visitor.fill("Display name", "Marketing")
    expect(visitor.button("Connect")).to_be_disabled()
    page.get_by_text("I agree", exact=True).click()
    visitor.press("Connect")
    visitor.press("Allow")
    visitor.sees("“Marketing” is connected to Sandbox Traders.")

    visitor.choose_page("Home")
    page.get_by_role("main").get_by_role("link", name="New export").click()
    visitor.sees_page("Export")
    visitor.pick("List", "Spring", re.compile("Spring buyers"))
    visitor.pick("Segments", "Newsl", re.compile(SEGMENT))
    _sees_preview(visitor, house)
    visitor.fill("Name of the export", "Newsletter")
    visitor.press("Save")
    visitor.sees("Nothing was sent")
    assert house.installation.runs.latest() == []
    assert house.requests("contactsCSVImport") == []

    visitor.press("Run")
    visitor.sees_page("Run 1")
    _sees_it_end(visitor)
    page.get_by_text("See who").click()
    visitor.sees("Customer id or address")
    with page.expect_download() as download:
        visitor.press("Download as CSV")
    _check_rejected(download.value, house)


def _sees_preview(visitor: Visitor, house: House) -> None:
    """The preview says what a run will do: read, sent, left out."""
    preview = visitor.page.get_by_test_id("stMetric")
    expect(preview).to_have_count(3)
    read, sent, left_out = (
        int(each.replace(",", "").split()[-1]) for each in preview.all_inner_texts()
    )
    assert read == _members(house)
    assert read == sent + left_out
    assert left_out > 0


def _members(house: House) -> int:
    with house.installation.open_source() as source:
        return {each.name: each.members for each in source.segments()}[SEGMENT]


def _sees_it_end(visitor: Visitor) -> None:
    """Without reloading: the same document is there afterwards."""
    visitor.page.evaluate("window.sameDocument = true")
    expect(visitor.button("Run again")).to_be_visible()
    visitor.sees("Where each profile went")
    assert visitor.page.evaluate("window.sameDocument")


def _check_rejected(download: Download, house: House) -> None:
    """Every profile that was left out, with its reason, and nobody else."""
    document = house.document(1)
    check_sums(document)
    assert document["state"] == RunState.SUCCEEDED
    text = download.path().read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == ["customer_id", "email", "reason", "sent_instead"]
    assert {row["reason"] for row in rows} == set(document["rejections"])
    assert len({row["customer_id"] for row in rows}) == document["counts"]["rejected"]


def test_newcomer_does_the_same_by_keyboard_alone(
    dashboard: Dashboard, open_browser: OpenBrowser
) -> None:
    visitor, house = open_browser(dashboard), dashboard.house
    page, keys = visitor.page, visitor.page.keyboard
    visitor.open("", "Home")
    _enter(visitor, page.get_by_role("main").get_by_role("link", name="Connections"))
    visitor.sees_page("Connections")
    _type(visitor, page.get_by_role("textbox", name="Display name"), "Marketing")
    _tab_to(visitor, page.get_by_role("checkbox", name="I agree"))
    keys.press("Space")
    expect(visitor.button("Connect")).to_be_enabled()
    _enter(visitor, visitor.button("Connect"))
    _enter(visitor, visitor.button("Allow"))
    visitor.sees("“Marketing” is connected to Sandbox Traders.")

    _enter(visitor, page.get_by_role("link", name="Exports", exact=True))
    visitor.sees_page("Exports")
    _enter(visitor, visitor.button("Add export"))
    visitor.sees_page("Export")
    _choose(visitor, "List", "Spring", "Spring buyers")
    _choose(visitor, "Segments", "Newsl", SEGMENT)
    _sees_preview(visitor, house)
    _type(visitor, page.get_by_role("textbox", name="Name of the export"), "Newsletter")
    expect(visitor.button("Save")).to_be_enabled()
    _enter(visitor, visitor.button("Save"))
    visitor.sees("Nothing was sent")
    _enter(visitor, visitor.button("Run"))
    visitor.sees_page("Run 1")
    _sees_it_end(visitor)
    with page.expect_download() as download:
        _enter(visitor, visitor.button("Download as CSV"))
    _check_rejected(download.value, house)


def _tab_to(visitor: Visitor, wanted: Locator) -> None:
    """Press Tab until the element has the focus, as far as twice around the page."""
    expect(wanted).to_be_visible()
    visitor.waits()
    for _ in range(MOST_TABS):
        visitor.page.keyboard.press("Tab")
        if wanted.evaluate("(element) => element.contains(document.activeElement)"):
            return
    raise AssertionError(f"Tab does not reach {wanted}")


def _enter(visitor: Visitor, wanted: Locator) -> None:
    _tab_to(visitor, wanted)
    visitor.page.keyboard.press("Enter")


def _type(visitor: Visitor, field: Locator, text: str) -> None:
    _tab_to(visitor, field)
    visitor.page.keyboard.type(text)
    visitor.page.keyboard.press("Tab")
    visitor.waits()


def _choose(visitor: Visitor, label: str, typed: str, option: str) -> None:
    """What is typed narrows the choice; the arrow goes to the first, Enter takes it."""
    keys = visitor.page.keyboard
    _tab_to(visitor, visitor.page.get_by_role("combobox", name=label))
    keys.type(typed)
    expect(visitor.page.get_by_role("option", name=re.compile(option)).first).to_be_visible()
    keys.press("ArrowDown")
    keys.press("Enter")
    keys.press("Escape")
    visitor.waits()
