"""C33: names that Streamlit would take for formatting are shown letter for letter, wherever a screen shows them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from ccexport.preparation.mapping import parse_mapping
from ccexport.services.connections.connections import Connections
from ccexport.services.exports.exports import ExportDraft, Exports
from tests.browser.dashboard import Dashboard, house_beside_sandbox, served
from tests.browser.visitor import OpenBrowser, Visitor
from tests.kit.house import ANA, LIST_ID, House, behaviour, write_source

EXPORT = "Spring $5 – $10 *VIP* :red[x] [pay](http://203.0.113.9)"  # as somebody typed it
LIST = "<b>Q3</b> _a_ ~~b~~"
SEGMENT, OTHER_SEGMENT = "1. May", "$a$ `b` :blue-badge[c]"
CONNECTION = "# Boss"
FIRST_NAME = ":material/delete:"
ORDER = "- :sparkles: $x$"
WORD_JOINER = "\u2060"  # keeps an address from becoming a link; it has no width


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    folder = tmp_path_factory.mktemp("formatting")
    profiles = [
        {
            "CustomerId": f"{number} $1$ *a*",
            "FirstName": FIRST_NAME,
            "EMail": f"person{number}@example.com" if number else "$5 $6 *none*",
            ORDER: f":green[{number}]",
        }
        for number in range(8)
    ]
    rows = [(each["CustomerId"], name) for each in profiles for name in (SEGMENT, OTHER_SEGMENT)]
    source = write_source(folder / "profiles", profiles, rows)
    account = behaviour(lists=[{"list_id": LIST_ID, "name": LIST}])
    with house_beside_sandbox(folder / "house", source, account) as house:
        _furnish(house)
        with served(house, with_worker=False) as dashboard:
            yield dashboard


def _furnish(house: House) -> None:
    house.connect(CONNECTION)
    mapping = parse_mapping(["email=EMail", "first_name=FirstName", f"last_name={ORDER}"])
    draft = ExportDraft(EXPORT, CONNECTION, LIST_ID, (SEGMENT, OTHER_SEGMENT), mapping)
    Exports(house.installation).add(draft, by=ANA)
    house.run(EXPORT)
    house.tell(
        "/_sandbox/behaviour",
        faults=[{"on": "contactsCSVImport", "do": "validation_error", "times": -1}],
    )
    house.run(EXPORT)
    house.tell("/_sandbox/behaviour", faults=[])
    house.queue(EXPORT)


@pytest.fixture
def visitor(dashboard: Dashboard, open_browser: OpenBrowser) -> Visitor:
    return open_browser(dashboard)


@pytest.mark.parametrize(
    ("path", "heading", "names"),
    [
        ("", "Home", [EXPORT]),
        ("exports", "Exports", [EXPORT, LIST]),
        ("runs", "Runs", [EXPORT]),
        ("run?run=1", "Run 1", [EXPORT, LIST]),
        ("run?run=2", "Run 2", [EXPORT, LIST]),
        ("run?run=3", "Run 3", [EXPORT]),
        ("export?export=1", "Export", [FIRST_NAME, ORDER, OTHER_SEGMENT]),
        ("segments", "Segments", [SEGMENT, OTHER_SEGMENT]),
        ("connections", "Connections", [CONNECTION, EXPORT]),
        ("audit", "Audit", [EXPORT, CONNECTION]),
    ],
)
def test_a_page_shows_names_letter_for_letter(
    visitor: Visitor, path: str, heading: str, names: list[str]
) -> None:
    visitor.open(path, heading)
    visitor.is_still()
    for expander in visitor.page.get_by_test_id("stExpander").all():
        expander.locator("summary").click()
        visitor.is_still()
    look(visitor, *names)


@pytest.mark.parametrize("label", ["Export", "Who", "What", "Look into a segment"])
def test_a_drop_down_offers_names_letter_for_letter(visitor: Visitor, label: str) -> None:
    path, heading, name = {
        "Export": ("runs", "Runs", EXPORT),
        "Look into a segment": ("segments", "Segments", OTHER_SEGMENT),
    }.get(label, ("audit", "Audit", ""))
    visitor.open(path, heading)
    visitor.page.get_by_role("combobox", name=label, exact=True).click()
    visitor.is_still()
    look(visitor, name)


def test_dialogs_and_what_is_said_afterwards_name_an_export_letter_for_letter(
    visitor: Visitor, dashboard: Dashboard
) -> None:
    visitor.open("exports", "Exports")
    visitor.page.get_by_test_id("stDataFrame").click(position={"x": 16, "y": 52})
    visitor.sees("1 export selected")
    visitor.press("Run")  # one is live: an error line that names it
    expect(visitor.page.get_by_test_id("stAlert").first).to_be_visible()
    look(visitor, f'Run 3 of "{EXPORT}" is still live')
    for button, title in (("Duplicate", "Duplicate export"), ("Remove", "Remove exports")):
        visitor.press(button)
        dialog = visitor.dialog(title)
        look(visitor, EXPORT)
        visitor.page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)


def test_dialogs_and_what_is_said_afterwards_name_a_connection_letter_for_letter(
    visitor: Visitor, dashboard: Dashboard
) -> None:
    visitor.open("connections", "Connections")
    for button, title in (
        ("Authenticate", "Sign in again"),
        ("Rename", "Rename connection"),
        ("Remove", "Remove connection"),
    ):
        visitor.press(button)
        dialog = visitor.dialog(title)
        look(visitor, CONNECTION)
        visitor.page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
    visitor.press("Rename")
    visitor.fill("Display name", "> $1$ _Boss_")
    visitor.press("Save", within=visitor.dialog("Rename connection"))
    visitor.sees("is called")
    look(visitor, f"“{CONNECTION}” is called “> $1$ _Boss_” now.")
    Connections(dashboard.house.installation).rename("> $1$ _Boss_", CONNECTION, by=ANA)


def look(visitor: Visitor, *names: str) -> None:
    """Each name is there as it is, and nothing was made of one."""
    visitor.is_still()
    for name in filter(None, names):
        visitor.page.wait_for_function(_SHOWS, arg=[name, WORD_JOINER])
    assert visitor.page.evaluate(_MADE_OF_IT) == []


_SHOWS = """([name, joiner]) => {
    const fields = [...document.querySelectorAll('input, textarea')].map((each) => each.value);
    const text = [document.body.textContent, ...fields].join('\\n').replaceAll(joiner, '');
    return text.includes(name);
}"""
# a formula, a link, an icon, a badge, a colour, struck or slanted letters: of which ours has none but badges of states
_MADE_OF_IT = """() => {
    const own = (each) => `${each.tagName}: ${each.outerHTML.slice(0, 300)}`;
    const within = '[data-testid="stMarkdownContainer"]';
    const made = [...document.querySelectorAll(
        '.katex, a[href^="http://203.0.113.9"], del, ' + within + ' em, ' + within + ' ol, ' + within + ' blockquote')];
    const icons = [...document.querySelectorAll('[data-testid="stIconMaterial"], .stMarkdownBadge')].filter(
        (each) => /^(delete|c)$/.test(each.textContent.trim()) && each.closest('button') === null);
    const coloured = [...document.querySelectorAll('[class*="stMarkdownColoredText"]')].filter(
        (each) => /^(x|[0-7])$/.test(each.textContent.trim()));
    return [...made, ...icons, ...coloured].map(own);
}"""
