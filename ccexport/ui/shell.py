"""The script that the dashboard runs for every visitor: the menu, then the page.

It lies here and not beside `pages/`: Streamlit's older page discovery would find the pages as well, and the first
deep link on a fresh server would open under "Page not found". Pages come before anything that may stop the script.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import streamlit as st
from streamlit.navigation.page import Page

from ccexport.services.people.access import RANK, Person, Role
from ccexport.ui import identity
from ccexport.ui import page as page_of

ROOT = Path(__file__).resolve().parents[2]
LOOKS = Path(__file__).resolve().parent / "looks"


# a table's own download writes cells as they are, formulas of customers too: ours are marked;
# what is selected of pills and segments is written in the primary colour, too dark on dark ground;
# Streamlit's wide layout leaves 5rem at each side, which tables need
STYLE = """<style>
[data-testid="stButtonGroup"][class] [data-selected="true"][class] {color: inherit}
[data-testid="stElementToolbar"] :has(> [aria-label="Download as CSV"]) {display: none}
@media (min-width: 800px) { [data-testid="stMainBlockContainer"] {padding-inline: 2.5rem} }
</style>"""


@dataclass(frozen=True)
class Screen:
    """A page: its file and address, how the menu calls it, and whether it is in the menu at all."""

    name: str
    title: str
    icon: str
    role: Role  # the least that the page asks for: others do not see it in the menu
    listed: bool = True


MENU: dict[str, tuple[Screen, ...]] = {
    "": (Screen("home", "Home", "home", Role.VIEWER),),
    "Data": (
        Screen("segments", "Segments", "group", Role.VIEWER),
        Screen("exports", "Exports", "upload", Role.VIEWER),
        Screen("export", "Export", "edit", Role.CONTRIBUTOR, listed=False),
        Screen("runs", "Runs", "history", Role.VIEWER),
        Screen("run", "Run", "play_circle", Role.VIEWER, listed=False),
        Screen("person", "Find a person", "person_search", Role.CONTRIBUTOR),
    ),
    "Settings": (
        Screen("connections", "Connections", "link", Role.ADMINISTRATOR),
        Screen("refresh", "Refresh", "sync", Role.ADMINISTRATOR),
        Screen("people", "People", "groups", Role.ADMINISTRATOR),
        Screen("notifications", "Notifications", "notifications", Role.ADMINISTRATOR),
        Screen("webhooks", "Webhooks", "webhook", Role.ADMINISTRATOR),
        Screen("api_tokens", "API tokens", "vpn_key", Role.ADMINISTRATOR),
        Screen("audit", "Audit", "fact_check", Role.ADMINISTRATOR),
        Screen("system", "System", "monitor_heart", Role.ADMINISTRATOR),
    ),
}


def main() -> None:
    """Draw the frame and the page whose address was asked for."""
    # the icon first: a page's own icon as the tab's would be fetched from another host
    st.set_page_config(page_icon=LOOKS / "favicon.png", layout="wide", menu_items={})
    st.logo(LOOKS / "logo.svg", icon_image=LOOKS / "favicon.png", size="large")
    found = identity.look(page_of.installation)
    role = found.role if isinstance(found, Person) else None
    menu = {name: _pages_of(screens, role) for name, screens in MENU.items()}
    page = st.navigation(menu, expanded=True)  # else what comes after the twelfth page is hidden
    st.set_page_config(page_title=f"{page.title} · ccexport")
    st.html(STYLE)
    person = identity.or_stop(found, page.url_path)
    identity.foot_of_menu(page_of.installation(), person)
    page.run()


def _pages_of(screens: tuple[Screen, ...], role: Role | None) -> list[Page]:
    """All of them have their address; in the menu are those that the person may open."""
    return [
        st.Page(
            ROOT / "pages" / f"{screen.name}.py",
            title=screen.title,
            icon=f":material/{screen.icon}:",
            url_path=screen.name,
            default=screen.name == "home",
            visibility="visible" if screen.listed and _reaches(role, screen) else "hidden",
        )
        for screen in screens
        if (ROOT / "pages" / f"{screen.name}.py").exists()
    ]


def _reaches(role: Role | None, screen: Screen) -> bool:
    return role is not None and RANK[role] >= RANK[screen.role]


if __name__ == "__main__":
    main()
