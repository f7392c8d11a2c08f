"""Every page, opened by its address as the first thing on a fresh server; what axe-core says of it; how wide it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page, ViewportSize, expect

from tests.browser.dashboard import Dashboard, house_beside_sandbox
from tests.browser.scenery import FIELDS, LISTS, furnish
from tests.browser.screens import FULL
from tests.browser.visitor import NARROW, WIDE, OpenBrowser, Visitor
from tests.kit.house import House, behaviour

# axe's rule → what of Streamlit's own it complains about, which no page of ours can change, and why that may be
STREAMLITS_OWN: Mapping[str, str] = {
    # the menu's sections are <div> between <ul> and <li>: a screen reader still reads the links one by one
    "list": '[data-testid="stSidebarNavItems"]',
    "listitem": '[data-testid="stSidebarNavItems"] li',
    # inactive controls need no contrast (WCAG 1.4.3), but axe cannot tell that this label belongs to one
    "color-contrast": '.stSelectbox:has(:disabled) [data-testid="stWidgetLabel"] *',
}
GRAVE = ("serious", "critical")
VIOLATIONS = {"resultTypes": ["violations"]}  # what is in order need not be told of every element
# how wide a page is does not depend on its colours, nor do they on its width
LOOKS: Sequence[tuple[ViewportSize, Literal["light", "dark"]]] = ((WIDE, "light"), (NARROW, "dark"))


class Ahead:
    """Fresh dashboards over one installation; the next one starts while one is looked at."""

    def __init__(self, house: House, runs: Mapping[str, int]) -> None:
        self.runs = runs
        self._house = house
        self._next = Dashboard(house, with_worker=False)

    def take(self) -> Dashboard:
        taken, self._next = self._next, Dashboard(self._house, with_worker=False)
        taken.wait_until_ready()
        return taken

    def close(self) -> None:
        self._next.stop()


@pytest.fixture(scope="module")
def ahead(tmp_path_factory: pytest.TempPathFactory, source: Path) -> Iterator[Ahead]:
    """An installation in use; without a worker, so that nothing of it moves."""
    folder = tmp_path_factory.mktemp("pages") / "house"
    quiet = behaviour(lists=LISTS, custom_fields=FIELDS)
    with house_beside_sandbox(folder, source, quiet) as house:
        dashboards = Ahead(house, furnish(house))
        yield dashboards
        dashboards.close()


@pytest.fixture
def dashboard(ahead: Ahead) -> Iterator[Dashboard]:
    """One that nobody has visited yet."""
    fresh = ahead.take()
    yield fresh
    fresh.stop()


@pytest.mark.parametrize("title", dict.fromkeys(screen.title for screen in FULL))
def test_page_opens_by_its_address_for_everybody_and_fits(
    title: str, ahead: Ahead, dashboard: Dashboard, open_browser: OpenBrowser
) -> None:
    visitor = open_browser(dashboard)
    for screen in (each for each in FULL if each.title == title):
        visitor.open(screen.path(ahead.runs), screen.heading_of(ahead.runs))
        expect(visitor.page).to_have_title(f"{title} · ccexport")
        expect(visitor.page.get_by_text("Page not found")).to_have_count(0)
        _fits_and_can_be_used_by_everybody(visitor)
    assert [line for line in dashboard.lines if "Traceback" in line] == []


def _fits_and_can_be_used_by_everybody(visitor: Visitor) -> None:
    """At both widths, light and dark."""
    page, found, grounds = visitor.page, [], set()
    for size, scheme in LOOKS:
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        visitor.is_still()
        found += [f"{size['width']} {scheme}: {each}" for each in _grave_findings(page)]
        grounds.add(page.evaluate(_GROUND))
        assert page.evaluate(_WIDEST) <= size["width"]
    assert found == []
    assert len(grounds) == len(LOOKS), "light and dark look alike"


def _grave_findings(page: Page) -> list[str]:
    """Serious and critical ones of axe-core, but for Streamlit's own: rule, element and what is wrong."""
    found = []
    for violation in Axe().run(page, options=VIOLATIONS).response["violations"]:
        for node in violation["nodes"] if violation["impact"] in GRAVE else []:
            if not _is_streamlits(page, violation["id"], node):
                found.append(f"{violation['id']}: {node['html'][:200]}: {node['failureSummary']}")
    return found


def _is_streamlits(page: Page, rule: str, node: Mapping[str, Any]) -> bool:
    selector = STREAMLITS_OWN.get(rule)
    element = page.query_selector(node["target"][-1])
    if selector is None or element is None:
        return False
    return bool(element.evaluate("(element, selector) => element.matches(selector)", selector))


_GROUND = (
    """() => getComputedStyle(document.querySelector('[data-testid="stApp"]')).backgroundColor"""
)
_WIDEST = """() => Math.max(document.documentElement.scrollWidth,
    document.querySelector('[data-testid="stMain"]').scrollWidth)"""
