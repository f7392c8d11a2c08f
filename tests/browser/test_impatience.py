"""C34 and C35: people who press twice, download ten times, and look at a page until its run has ended."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Position, Route, expect

from tests.browser.dashboard import Dashboard, house_beside_sandbox, served
from tests.browser.visitor import OpenBrowser, Visitor
from tests.kit.house import House, behaviour

SEGMENT = "Spring buyers"
SEVERAL_DRAWINGS = 7_000  # milliseconds
FIRST_ROW: Position = {"x": 16, "y": 52}  # of a table: the box that selects it
SECOND_ROW: Position = {"x": 16, "y": 87}


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory, source: Path) -> Iterator[Dashboard]:
    folder = tmp_path_factory.mktemp("impatience") / "house"
    with house_beside_sandbox(folder, source, behaviour()) as house:
        house.connect()
        for name in ("Newsletter", "Second", "Slow line"):
            house.add_export(name, segments=(SEGMENT,))
        with served(house) as dashboard:
            yield dashboard


@pytest.fixture
def house(dashboard: Dashboard) -> Iterator[House]:
    yield dashboard.house
    dashboard.house.tell("/_sandbox/behaviour", processing_seconds=0.05)


@pytest.fixture
def visitor(dashboard: Dashboard, open_browser: OpenBrowser) -> Visitor:
    return open_browser(dashboard)


def test_run_that_is_pressed_twice_is_one_run_and_the_next_attempt_names_it(
    visitor: Visitor, house: House
) -> None:
    house.tell("/_sandbox/behaviour", processing_seconds=6)
    visitor.open("exports?exports_search=Newsletter", "Exports")
    visitor.page.get_by_test_id("stDataFrame").click(position=FIRST_ROW)
    visitor.sees("1 export selected")
    visitor.button("Run").dblclick()
    expect(visitor.page.get_by_test_id("stAlert").first).to_be_visible()
    visitor.is_still()
    visitor.press("Run")
    visitor.sees("is still live")
    runs = house.installation.runs.latest()
    assert [run.export_name for run in runs] == ["Newsletter"]
    visitor.sees(f'Run {runs[0].id} of "Newsletter" is still live')


def test_ten_downloads_of_a_page_that_draws_itself_again_are_ten_whole_files(
    dashboard: Dashboard, house: House, open_browser: OpenBrowser
) -> None:
    house.tell("/_sandbox/behaviour", processing_seconds=40)
    run_id = house.queue("Second")
    tabs = [open_browser(dashboard) for _ in range(2)]
    for tab in tabs:
        tab.open(f"run?run={run_id}", f"Run {run_id}")
    sizes = []
    for _ in range(5):
        for tab in tabs:
            with tab.page.expect_download() as started:
                tab.press("Download as CSV")
            text = Path(started.value.path()).read_text(encoding="utf-8-sig")
            sizes.append(len(list(csv.DictReader(io.StringIO(text, newline="")))))
    assert not house.installation.runs.get(run_id).state.is_final
    assert sizes == [house.document(run_id)["counts"]["rejected"]] * 10
    assert sizes[0] > 0


def test_a_download_over_a_slow_line_is_whole_though_pages_are_drawn_before_it_is_fetched(
    dashboard: Dashboard, house: House, open_browser: OpenBrowser
) -> None:
    house.tell("/_sandbox/behaviour", processing_seconds=40)
    run_id = house.queue("Slow line")
    slow, other = (open_browser(dashboard) for _ in range(2))
    for tab in (slow, other):
        tab.open(f"run?run={run_id}", f"Run {run_id}")
    asked: list[Route] = []
    slow.page.route("**/media/**", lambda route: asked.append(route))
    with slow.page.expect_download() as started:
        slow.press("Download as CSV")
        slow.page.wait_for_timeout(SEVERAL_DRAWINGS)
        for route in asked:
            route.continue_()
    text = Path(started.value.path()).read_text(encoding="utf-8-sig")
    assert not house.installation.runs.get(run_id).state.is_final
    assert len(text.splitlines()) == house.document(run_id)["counts"]["rejected"] + 1
    assert asked


def test_a_page_that_is_watched_shows_the_end_and_shows_it_again_to_who_comes_back(
    visitor: Visitor, house: House
) -> None:
    house.add_export("Watched", segments=(SEGMENT,))
    house.tell("/_sandbox/behaviour", processing_seconds=2)
    run_id = house.queue("Watched")
    visitor.open(f"run?run={run_id}", f"Run {run_id}")
    for _ in range(2):
        expect(visitor.button("Run again")).to_be_visible()
        expect(visitor.page.get_by_text("Succeeded", exact=True).first).to_be_visible()
        expect(visitor.page.get_by_test_id("stException")).to_have_count(0)
        visitor.choose_page("Exports")
        visitor.page.go_back()
        visitor.sees_page(f"Run {run_id}")


def test_browsers_are_asked_not_to_translate_any_page(visitor: Visitor) -> None:
    for path, heading in (("", "Home"), ("connections", "Connections"), ("run?run=1", "Run 1")):
        visitor.open(path, heading)
        html = visitor.page.locator("html")
        expect(html).to_have_attribute("translate", "no")
        expect(html).to_have_attribute("lang", "en")


def test_a_ticked_row_is_acted_on_as_it_was_seen_though_another_came_before_it(
    dashboard: Dashboard, house: House, open_browser: OpenBrowser
) -> None:
    """C32: in the browser, where the table itself keeps what is ticked by its place."""
    house.add_export("Tick B", segments=(SEGMENT,))
    house.add_export("Tick C", segments=(SEGMENT,))
    ana, ben = open_browser(dashboard), open_browser(dashboard)
    for visitor in (ana, ben):
        visitor.open("exports?exports_search=tick", "Exports")
        expect(visitor.cells("Tick C")).to_have_count(1)
    ana.page.get_by_test_id("stDataFrame").click(position=SECOND_ROW)
    ana.sees("1 export selected")
    ben.page.get_by_test_id("stDataFrame").click(position=FIRST_ROW)
    ben.press("Duplicate")
    question = ben.dialog("Duplicate export")
    ben.fill("Name of the copy", "A tick")
    ben.press("Duplicate", within=question)
    expect(ben.cells("A tick")).to_have_count(1)
    ana.press("Remove")
    question = ana.dialog("Remove exports")
    expect(question).to_contain_text("Tick C")
    expect(question).not_to_contain_text("Tick B")
    ana.press("Remove", within=question)
    ana.sees("1 export removed.")
    assert house.installation.exports.is_taken("Tick B")
    assert house.installation.exports.is_taken("A tick")
    assert not house.installation.exports.is_taken("Tick C")


def test_fields_that_are_filled_in_quickly_keep_what_was_typed(
    visitor: Visitor, house: House
) -> None:
    visitor.open("export?export=1", "Export")
    visitor.sees("Will be sent")
    page = visitor.page
    page.get_by_role("textbox", name="Name of the export").click()
    page.keyboard.press("ControlOrMeta+A")
    page.keyboard.type("Typed at once")
    for text in ("one", "two", "three"):
        page.keyboard.press("Tab")
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("End")
        page.keyboard.type(f" {text}")
    page.keyboard.press("Tab")
    visitor.is_still()
    field = page.get_by_role("textbox", name="Name of the export")
    expect(field).to_have_value("Typed at once one two three")
    visitor.press("Save")
    visitor.sees("“Typed at once one two three” is saved")
    assert house.installation.exports.get(1).export.name == "Typed at once one two three"
