"""People sign in at a provider, each with a role, at a dashboard that lies below a path: what they see and may do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Position, expect

from ccexport.services.connections.connections import Connections
from ccexport.services.connections.sign_ins import SignIns
from ccexport.services.people.access import Person, Role
from ccexport.services.people.users import Users
from ccexport.store.audit import AuditFilter
from ccexport.ui.shell import MENU, Screen
from tests.browser.dashboard import Dashboard, house_beside_sandbox, served
from tests.browser.provider import address_of, running_provider
from tests.browser.visitor import OpenBrowser, Visitor
from tests.kit.house import ANA, House, behaviour

PATH = "/crm/contacts"
NEVER_SHOWN = "https://cdn.jsdelivr.net"  # the provider's pages ask for a style sheet there
SCREENS = [screen for screens in MENU.values() for screen in screens]
ROLES = {"vera": Role.VIEWER, "cleo": Role.CONTRIBUTOR, "olivia": Role.ADMINISTRATOR}
FIRST_ROW: Position = {"x": 15, "y": 52}  # of a table: its box to be ticked
IN_THE_BAR = ("Run", "Edit", "Duplicate", "Turn off", "Remove")
NOT_SHARED = re.compile('only over connections shared with them, and "Board" is not')
Enter = Callable[..., Visitor]


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with running_provider() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def dashboard(
    tmp_path_factory: pytest.TempPathFactory, source: Path, provider: str
) -> Iterator[Dashboard]:
    """One export over a connection that is shared with contributors, one over another that is not; a run of each."""
    folder = tmp_path_factory.mktemp("signing-in") / "house"
    variables = {
        "CCEXPORT_OIDC_ISSUER": provider,
        "CCEXPORT_OIDC_CLIENT_ID": "ccexport",
        "CCEXPORT_OIDC_CLIENT_SECRET": "correct horse",
        "CCEXPORT_OIDC_ROLE_CLAIM": "groups",
        "CCEXPORT_OIDC_ROLES": "ccexport-admins=administrator,readers=viewer",
        "CCEXPORT_ADMINS": address_of("adam"),
    }
    with house_beside_sandbox(folder, source, behaviour()) as house:
        house.connect("Marketing")
        Connections(house.installation).share("Marketing", contributors=True, by=ANA)
        house.add_export("Newsletter", segments=("Spring buyers",))
        house.queue("Newsletter")
        house.connect("Board")
        house.add_export("Members of the board", segments=("Spring buyers",), connection="Board")
        house.queue("Members of the board")
        Users(house.installation).add(address_of("cleo"), Role.CONTRIBUTOR, by=ANA)
        with served(house, with_worker=False, path=PATH, variables=variables) as dashboard:
            yield dashboard


@pytest.fixture
def house(dashboard: Dashboard) -> Iterator[House]:
    """The installation; Cleo is a contributor again afterwards."""
    house = dashboard.house
    yield house
    users, cleo = Users(house.installation), address_of("cleo")
    if cleo in [view.user.email for view in users.views(by=ANA)]:
        users.change(cleo, Role.CONTRIBUTOR, by=ANA)
    else:
        users.add(cleo, Role.CONTRIBUTOR, by=ANA)


@pytest.fixture
def enter(dashboard: Dashboard, provider: str, open_browser: OpenBrowser) -> Enter:
    """Open a page in a browser of one's own and sign in: `enter("cleo", "runs", "Runs")`."""

    def enter(person: str, path: str = "", heading: str | re.Pattern[str] = "Home") -> Visitor:
        visitor = open_browser(dashboard, provider, NEVER_SHOWN)
        visitor.open(path, "Sign in")
        expect(visitor.page.get_by_test_id("stSidebarNav")).to_have_count(0)
        visitor.press("Sign in")
        visitor.page.get_by_role("button", name=person, exact=True).first.click()
        visitor.sees_page(heading)
        return visitor

    return enter


@pytest.mark.parametrize("person", ROLES)
def test_each_role_sees_its_pages_and_no_other(enter: Enter, house: House, person: str) -> None:
    visitor, role = enter(person), ROLES[person]
    visitor.sees(address_of(person))
    mine = [screen for screen in SCREENS if _reaches(role, screen)]
    menu = visitor.page.get_by_test_id("stSidebarNav").get_by_role("link")
    expect(menu).to_have_text([re.compile(rf"{screen.title}$") for screen in mine if screen.listed])
    for screen in SCREENS:
        if screen in mine and screen.listed:
            visitor.choose_page(screen.title)
        else:
            query = {"run": "?run=1", "export": "?export=1"}.get(screen.name, "")
            visitor.open(f"{screen.name}{query}", re.compile(rf"^{screen.title}( 1)?$"))
        refusal = visitor.page.get_by_text("This page is for people with the role")
        expect(refusal).to_have_count(0 if screen in mine else 1)


def test_the_page_asked_for_is_the_page_after_signing_in(enter: Enter, house: House) -> None:
    visitor = enter("vera", "run?run=1", "Run 1")
    assert urlsplit(visitor.page.url)._replace(scheme="", netloc="").geturl() == f"{PATH}/run?run=1"
    expect(visitor.button("Cancel run")).to_have_count(0)


@pytest.mark.parametrize("person", ROLES)
def test_each_role_is_offered_what_it_may_do_with_each_export(
    enter: Enter, house: House, person: str
) -> None:
    visitor, role = enter(person, "exports", "Exports"), ROLES[person]
    for number, name, is_shared in ((1, "Newsletter", True), (2, "Members of the board", False)):
        may = role is Role.ADMINISTRATOR or (role is Role.CONTRIBUTOR and is_shared)
        visitor.open(f"exports?exports_search={name.replace(' ', '+')}", "Exports")
        _offers(visitor, role, IN_THE_BAR, may=may, select=True)
        visitor.open(f"run?run={number}", f"Run {number}")
        _offers(visitor, role, ("Cancel run",), may=may)
        if role is not Role.VIEWER:
            visitor.open(f"export?export={number}", "Export")
            visitor.sees("Will be sent")
            expect(visitor.button("Save")).to_have_count(1 if may else 0)
            expect(visitor.button("Run")).to_have_count(1 if may else 0)
            if not may:
                visitor.sees(NOT_SHARED)


def test_contributor_lowered_in_an_open_page_can_do_nothing_more_in_it(
    enter: Enter, house: House
) -> None:
    visitor = enter("cleo", "export?export=1", "Export")
    expect(visitor.button("Run")).to_be_enabled()
    before = house.installation.exports.by_name("Newsletter").export.revision
    Users(house.installation).change(address_of("cleo"), Role.VIEWER, by=ANA)
    visitor.press("Save")
    visitor.sees("This page is for people with the role contributor")
    assert house.installation.exports.by_name("Newsletter").export.revision == before


def test_removed_person_is_out_at_the_next_click(enter: Enter, house: House) -> None:
    visitor = enter("cleo", "exports", "Exports")
    Users(house.installation).remove(address_of("cleo"), by=ANA)
    visitor.press("Add export")
    visitor.sees_page("Sign in")
    visitor.sees("Your session has ended")
    expect(visitor.page.get_by_test_id("stSidebarNav")).to_have_count(0)


def test_live_page_of_a_removed_person_shows_nothing_more_by_itself(
    enter: Enter, house: House
) -> None:
    visitor = enter("cleo", "run?run=1", "Run 1")  # it draws itself again every two seconds
    visitor.sees("Newsletter")
    Users(house.installation).remove(address_of("cleo"), by=ANA)
    visitor.sees_page("Sign in")
    expect(visitor.page.get_by_text("Newsletter")).to_have_count(0)


def test_cookies_kept_from_before_signing_out_open_nothing(enter: Enter, house: House) -> None:
    visitor = enter("cleo")
    kept = [c for c in visitor.page.context.cookies() if c["name"].startswith("_streamlit")]
    assert kept
    visitor.press("Sign out")
    visitor.press("End session")  # the provider asks once more
    visitor.sees_page("Sign in")
    visitor.page.context.add_cookies(kept)  # type: ignore[arg-type]  # what Playwright itself gave
    visitor.open("runs", "Sign in")
    visitor.sees("Your session has ended")


@pytest.mark.parametrize(
    ("person", "words"), [("nobody", "has no access to ccexport"), ("unverified", "is verified")]
)
def test_stranger_and_unverified_address_get_no_further(
    enter: Enter, house: House, person: str, words: str
) -> None:
    visitor = enter(person, "exports", "No access")
    visitor.sees(re.compile(words))
    expect(visitor.page.get_by_text("Newsletter")).to_have_count(0)


def test_ticket_of_an_administrator_is_of_no_use_to_others(enter: Enter, house: House) -> None:
    olivia = enter("olivia")
    by = Person(address_of("olivia"), Role.ADMINISTRATOR, address_of("olivia"))
    ticket = SignIns(house.installation).prepare("Sales", contributors=False, agreed=True, by=by)
    cleo, adam = enter("cleo"), enter("adam")
    assert _status(cleo, ticket) == 403
    assert _status(adam, ticket) == 400
    assert house.installation.connections.find("Sales") is None
    refused = house.installation.audit.page(AuditFilter(outcome="refused", action="connection.ask"))
    assert refused[0].who == address_of("cleo")
    olivia.page.goto(f"{olivia.url}/oauth/start/{ticket}")  # hers alone leads on, and back
    olivia.sees_page("Connections")
    assert house.installation.connections.by_name("Sales").export_user == address_of("olivia")


def test_administrator_connects_an_account_from_the_page(enter: Enter, house: House) -> None:
    visitor = enter("adam", "connections", "Connections")
    visitor.page.get_by_text("Add a connection").click()
    visitor.fill("Display name", "Stores")
    visitor.page.get_by_text("I agree").click()
    visitor.press("Connect")
    visitor.sees("“Stores” is connected to Sandbox Traders")
    rows = house.installation.audit.page(
        AuditFilter(who=address_of("adam"), action="connection.add")
    )
    assert [(row.target_name, row.role, row.came_from) for row in rows] == [
        ("Stores", "administrator", "127.0.0.1")
    ]


def test_administrator_steps_in_as_export_user_for_one_who_was_removed(
    enter: Enter, house: House
) -> None:
    visitor, connections = enter("adam"), Connections(house.installation)
    connection, users = (
        house.installation.connections.by_name("Marketing"),
        Users(house.installation),
    )
    users.add("oskar@example.com", Role.ADMINISTRATOR, by=ANA)
    house.installation.connections.set_export_user(connection.id, "oskar@example.com")
    users.remove("oskar@example.com", by=ANA)
    enter("vera", "exports", "Exports").sees("is not an administrator any more")
    visitor.open("connections", "Connections")
    visitor.sees("oskar@example.com, by whose right")
    card = visitor.page.locator(f".st-key-connections_card_{connection.id}")
    card.get_by_role("button", name="Add yourself as export user").click()
    visitor.sees("You are the export user of")
    expect(visitor.page.get_by_text("is not an administrator any more")).to_have_count(0)
    [row] = house.installation.audit.page(AuditFilter(action="connection.export_user"))
    assert (row.who, row.after) == (address_of("adam"), {"export_user": address_of("adam")})
    connections.become_export_user("Marketing", by=ANA)


def _offers(
    visitor: Visitor, role: Role, buttons: Sequence[str], *, may: bool, select: bool = False
) -> None:
    """To viewers none of the buttons; to others all, but where they may not, disabled with the reason."""
    if select and role is not Role.VIEWER:
        visitor.page.get_by_test_id("stDataFrame").click(position=FIRST_ROW)
        visitor.sees("1 export selected")
    for name in buttons:
        button = visitor.button(name)
        if role is Role.VIEWER:
            expect(button).to_have_count(0)
        elif may:
            expect(button).to_be_enabled()
        else:
            expect(button).to_be_disabled()
            button.hover(force=True)
            expect(visitor.page.get_by_role("tooltip")).to_contain_text(NOT_SHARED)
            visitor.page.mouse.move(0, 0)
            expect(visitor.page.get_by_role("tooltip")).to_have_count(0)


def _reaches(role: Role, screen: Screen) -> bool:
    order = list(Role)
    return order.index(role) >= order.index(screen.role)


def _status(visitor: Visitor, ticket: str) -> int:
    answer = visitor.page.request.get(f"{visitor.url}/oauth/start/{ticket}", max_redirects=0)
    return answer.status
