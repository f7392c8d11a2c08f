"""What browser tests share. Without Chromium or Playwright they are skipped; where CI=true that is a failure."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ccexport.sample import write_sample
from tests.browser.dashboard import Dashboard, find_chromium, launch

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

    from tests.browser.visitor import OpenBrowser, Visitor

PROFILES = 400
SAID = 60  # lines of the dashboard that a failure shows


def _missing() -> str | None:
    """What browser tests lack on this machine, and how to get it."""
    for name in ("playwright", "axe_playwright_python"):
        if importlib.util.find_spec(name) is None:
            return f"the package {name} is missing: pip install -r requirements-dev.txt"
    return None if find_chromium() else "chromium is missing: apt-get install chromium"


MISSING = _missing()
OPENED = pytest.StashKey["list[Visitor]"]()


class _Unready(pytest.Module):
    """A module of tests that cannot even be imported here."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        if os.environ.get("CI") == "true":
            raise self.CollectError(f"CI runs every test, and {MISSING}")
        pytest.skip(f"no browser tests: {MISSING}", allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> _Unready | None:
    """Where something is missing, no module of this folder is read."""
    return _Unready.from_parent(parent, path=module_path) if MISSING else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What every browser showed when a test failed, as pictures in the test's folder."""
    report = yield
    if report.when == "call" and report.failed and isinstance(item, pytest.Function):
        opened: list[Visitor] = item.stash.get(OPENED, [])
        for number, visitor in enumerate(opened, 1):
            path = Path(str(item.funcargs["tmp_path"])) / f"failed-{number}.png"
            visitor.page.screenshot(path=path, full_page=True)
            report.sections.append(("what the browser showed", f"{visitor.page.url}: {path}"))
            report.sections.append(("its console", "\n".join(visitor.complaints)))
        if isinstance(dashboard := item.funcargs.get("dashboard"), Dashboard):
            report.sections.append(("what serve said", "".join(dashboard.lines[-SAID:])))
    return report


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sample profiles; installations get a copy."""
    folder = tmp_path_factory.mktemp("source")
    write_sample(folder, PROFILES, format="parquet")
    return folder


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The system's Chromium, started once."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def left_browsers() -> list[BrowserContext]:
    """Browsers that somebody has stood up from: a page's scripts are read in half the time from their caches."""
    return []


@pytest.fixture
def open_browser(
    chromium: Browser,
    left_browsers: list[BrowserContext],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Iterator[OpenBrowser]:
    """Open the dashboard in a browser of its own, as often as there are people.

    At the end nothing may have been asked of another host, and no console may have complained.
    """
    from tests.browser.visitor import WIDE, Visitor

    opened: list[Visitor] = []
    alone: list[Visitor] = []  # in a browser as nobody else's
    request.node.stash[OPENED] = opened

    def open_it(dashboard: Dashboard, *hosts: str, url: str | None = None) -> Visitor:
        """`url`: where it is reached instead; a certificate that nobody vouches for is put up with there."""
        puts_up = url is not None
        if left_browsers and not puts_up:
            context = left_browsers.pop()
        else:
            context = chromium.new_context(
                viewport=WIDE, locale="en-GB", ignore_https_errors=puts_up
            )
        visitor = Visitor(context, url or dashboard.url, [dashboard.house.sandbox.url, *hosts])
        opened.append(visitor)
        if puts_up:
            alone.append(visitor)
        return visitor

    yield open_it
    for visitor in opened:
        if visitor in alone:
            visitor.page.context.close()
        else:
            left_browsers.append(visitor.leave())
    assert [address for visitor in opened for address in visitor.foreign] == []
    assert [line for visitor in opened for line in visitor.complaints] == []
