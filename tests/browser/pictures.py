"""Pictures of every screen, full and empty, wide and narrow: `python -m tests.browser.pictures DIR`.

Needs Playwright and the system's Chromium. The files are named SCREEN-full-1280-light.png and so on; dark ones are
made of a few screens. `--only NAME` makes those of one screen.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from ccexport.sample import write_sample
from tests.browser.dashboard import Dashboard, house_beside_sandbox, launch, served
from tests.browser.scenery import FIELDS, LISTS, furnish
from tests.browser.screens import EMPTY, FULL, MORE, Screen
from tests.browser.visitor import NARROW, WIDE, Visitor
from tests.kit.house import behaviour

PROFILES = 5_000
DARK = ("home", "export", "run-errors")


def main(arguments: Sequence[str] | None = None) -> int:
    """Make them all; prints each file's name."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--only", metavar="NAME", help="of one screen alone")
    chosen = parser.parse_args(arguments)
    chosen.folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        for kind, screens in (("full", (*FULL, *MORE)), ("empty", EMPTY)):
            wanted = [each for each in screens if chosen.only in (None, each.name)]
            with _dashboard(kind) as (dashboard, runs):
                for path in _pictures(browser, dashboard, wanted, runs, chosen.folder, kind):
                    sys.stdout.write(f"{path}\n")
        browser.close()
    return 0


@contextmanager
def _dashboard(kind: str) -> Iterator[tuple[Dashboard, Mapping[str, int]]]:
    """Without a worker that would take the runs of the scenery along."""
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "profiles"
        source.mkdir()
        write_sample(source, PROFILES, format="parquet")
        quiet = behaviour(lists=LISTS, custom_fields=FIELDS)
        with house_beside_sandbox(Path(name) / "house", source, quiet) as house:
            runs = furnish(house) if kind == "full" else {}
            with served(house, with_worker=False) as dashboard:
                yield dashboard, runs


def _pictures(
    browser: Browser,
    dashboard: Dashboard,
    screens: Sequence[Screen],
    runs: Mapping[str, int],
    folder: Path,
    kind: str,
) -> Iterator[Path]:
    for size in (WIDE, NARROW):
        context = browser.new_context(viewport=size, locale="en-GB")
        visitor = Visitor(context, dashboard.url, [])
        for screen in screens:
            visitor.open(screen.path(runs), screen.heading_of(runs))
            for scheme in ("light", "dark") if screen.name in DARK else ("light",):
                visitor.page.emulate_media(color_scheme=scheme)
                visitor.is_still()
                path = folder / f"{screen.name}-{kind}-{size['width']}-{scheme}.png"
                visitor.grow_to_content(size)
                visitor.page.screenshot(path=path)
                visitor.page.set_viewport_size(size)
                yield path
            visitor.page.emulate_media(color_scheme="light")
        context.close()


if __name__ == "__main__":
    sys.exit(main())
