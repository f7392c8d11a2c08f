"""The script that the dashboard runs for every visitor: the menu, then the page.

It lies here and not beside `pages/`: Streamlit's older page discovery would find the pages as well, and the first
deep link on a fresh server would open under "Page not found". Pages come before anything that may stop the script.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import streamlit as st
from streamlit.navigation.page import Page

ROOT = Path(__file__).resolve().parents[2]
LOOKS = Path(__file__).resolve().parent / "looks"


# what is selected of pills and segments is written in the primary colour, too dark on dark ground;
# Streamlit's wide layout leaves 5rem at each side, which tables need
STYLE = """<style>
[data-testid="stButtonGroup"][class] [data-selected="true"][class] {color: inherit}
@media (min-width: 800px) { [data-testid="stMainBlockContainer"] {padding-inline: 2.5rem} }
</style>"""


@dataclass(frozen=True)
class Screen:
    """A page: its file and address, how the menu calls it, and whether it is in the menu at all."""

    name: str
    title: str
    icon: str
    listed: bool = True


MENU: dict[str, tuple[Screen, ...]] = {
    "": (Screen("home", "Home", "home"),),
    "Data": (
        Screen("segments", "Segments", "group"),
        Screen("exports", "Exports", "upload"),
        Screen("export", "Export", "edit", listed=False),
        Screen("runs", "Runs", "history"),
        Screen("run", "Run", "play_circle", listed=False),
    ),
    "Settings": (
        Screen("connections", "Connections", "link"),
        Screen("refresh", "Refresh", "sync"),
        Screen("system", "System", "monitor_heart"),
    ),
}


def main() -> None:
    """Draw the frame and the page whose address was asked for."""
    # the icon first: a page's own icon as the tab's would be fetched from another host
    st.set_page_config(page_icon=LOOKS / "favicon.png", layout="wide", menu_items={})
    st.logo(LOOKS / "logo.svg", icon_image=LOOKS / "favicon.png", size="large")
    page = st.navigation({section: _pages_of(screens) for section, screens in MENU.items()})
    st.set_page_config(page_title=f"{page.title} · ccexport")
    st.html(STYLE)
    page.run()


def _pages_of(screens: tuple[Screen, ...]) -> list[Page]:
    return [
        st.Page(
            ROOT / "pages" / f"{screen.name}.py",
            title=screen.title,
            icon=f":material/{screen.icon}:",
            url_path=screen.name,
            default=screen.name == "home",
            visibility="visible" if screen.listed else "hidden",
        )
        for screen in screens
        if (ROOT / "pages" / f"{screen.name}.py").exists()
    ]


if __name__ == "__main__":
    main()
