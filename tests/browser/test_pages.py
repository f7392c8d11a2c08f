"""Every page by its address, the first one as the first thing on a fresh server; what axe-core says; its width."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Page, ViewportSize, expect

from tests.browser.dashboard import Dashboard, house_beside_sandbox
from tests.browser.scenery import FIELDS, LISTS, furnish
from tests.browser.screens import FULL
from tests.browser.visitor import NARROW, WIDE, OpenBrowser, Visitor
from tests.kit.house import behaviour

# axe's rule → what of Streamlit's own it complains about, which no page of ours can change, and why that may be
STREAMLITS_OWN: Mapping[str, str] = {
    # the menu's sections are <div> between <ul> and <li>: a screen reader still reads the links one by one
    "list": '[data-testid="stSidebarNavItems"]',
    "listitem": '[data-testid="stSidebarNavItems"] li',
    # inactive controls need no contrast (WCAG 1.4.3), but axe cannot tell that this label belongs to one
    "color-contrast": '.stSelectbox:has(:disabled) [data-testid="stWidgetLabel"] *',
}
GRAVE = ("serious", "critical")
TRIES = 20
VIOLATIONS = {"resultTypes": ["violations"]}  # what is in order need not be told of every element
# how wide a page is does not depend on its colours, nor do they on its width
LOOKS: Sequence[tuple[ViewportSize, Literal["light", "dark"]]] = ((WIDE, "light"), (NARROW, "dark"))


@dataclass(frozen=True)
class InUse:
    """A dashboard; runs by what they show."""

    dashboard: Dashboard
    runs: Mapping[str, int]


@pytest.fixture(scope="module")
def in_use(tmp_path_factory: pytest.TempPathFactory, source: Path) -> Iterator[InUse]:
    """An installation in use and its dashboard; without a worker, so that nothing of it moves."""
    folder = tmp_path_factory.mktemp("pages") / "house"
    quiet = behaviour(lists=LISTS, custom_fields=FIELDS)
    with house_beside_sandbox(folder, source, quiet) as house:
        runs = furnish(house)
        dashboard = Dashboard(house, with_worker=False)
        dashboard.wait_until_ready()
        yield InUse(dashboard, runs)
        dashboard.stop()


# a run's page first, of all that a fresh server can be asked for: it is in no menu and has a parameter
TITLES = sorted({screen.title for screen in FULL}, key=lambda title: (title != "Run", title))


@pytest.mark.parametrize("title", TITLES)
def test_page_opens_by_its_address_for_everybody_and_fits(
    title: str, in_use: InUse, open_browser: OpenBrowser
) -> None:
    dashboard = in_use.dashboard
    visitor = open_browser(dashboard)
    for screen in (each for each in FULL if each.title == title):
        visitor.open(screen.path(in_use.runs), screen.heading_of(in_use.runs))
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
        found += [f"{size['width']} {scheme}: {each}" for each in _findings_once_drawn(visitor)]
        grounds.add(page.evaluate(_GROUND))
        assert page.evaluate(_WIDEST) <= size["width"]
    assert found == []
    assert len(grounds) == len(LOOKS), "light and dark look alike"


def _findings_once_drawn(visitor: Visitor) -> list[str]:
    """Streamlit pales what it draws again and has not got to yet, long enough to be found on a slow machine."""
    page = visitor.page
    for _ in range(TRIES):
        page.evaluate(_NOTE_WHAT_IS_DRAWN_AGAIN)
        found = _grave_findings(page)
        if not found or not page.evaluate("() => window.wasDrawnAgain"):
            break
        visitor.is_still()
        expect(page.locator('[data-stale="true"]')).to_have_count(0)
    return found


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
_NOTE_WHAT_IS_DRAWN_AGAIN = """() => {
    const isPale = () => document.querySelector('[data-stale="true"]') !== null;
    window.wasDrawnAgain = isPale();
    new MutationObserver(() => { window.wasDrawnAgain ||= isPale(); })
        .observe(document.body, {subtree: true, attributes: true, attributeFilter: ["data-stale"]});
}"""
_WIDEST = """() => Math.max(document.documentElement.scrollWidth,
    document.querySelector('[data-testid="stMain"]').scrollWidth)"""
