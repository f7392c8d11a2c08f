"""Each page asks for its role itself: signed out, without access, and with each role, whatever the menu hides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from ccexport.assembly import Parts
from ccexport.clock import utc_now
from ccexport.services.access import RANK, Role, local_administrator
from ccexport.services.exports import Exports
from ccexport.services.users import Users
from ccexport.store.audit import AuditFilter
from ccexport.store.exports import ExportView
from ccexport.ui import identity
from ccexport.ui.shell import MENU, Screen
from tests.pages.conftest import OpenPage, texts

BY = local_administrator()
SCREENS = [screen for screens in MENU.values() for screen in screens]
QUERIES: Mapping[str, dict[str, int]] = {"run": {"run": 1}, "export": {"export": 1}}
DATA = ("Newsletter", "Marketing", "Spring", "python -m ccexport", "Store", "@example.com")
SignIn = Callable[..., None]


@pytest.fixture
def people_sign_in(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenID Connect is set up."""
    monkeypatch.setenv("CCEXPORT_OIDC_ISSUER", "https://login.example.com")
    monkeypatch.setenv("CCEXPORT_OIDC_CLIENT_ID", "ccexport")
    monkeypatch.setenv("CCEXPORT_OIDC_CLIENT_SECRET", "correct horse")


@pytest.fixture
def sign_in(new_house_sign_in: SignIn, parts: Parts, export: ExportView) -> SignIn:
    """The same, where an export has a run."""
    Exports(parts).queue("Newsletter", by=BY)
    return new_house_sign_in


@pytest.fixture
def new_house_sign_in(
    people_sign_in: None, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> SignIn:
    """Be this person from now on: `sign_in(Role.VIEWER)`; None: one who is not signed in."""
    monkeypatch.setattr(identity, "came_from", lambda: "10.0.0.9")

    def be(role: Role | None, **more: object) -> None:
        claims: dict[str, Any] = {}
        if role is not None:
            email = f"{role.value}@example.com"
            if parts.users.find(email) is None:
                Users(parts).add(email, role, by=BY)
            claims = {"iss": "i", "sub": email, "nonce": "n", "iat": utc_now().timestamp()}
            claims |= {"email": email, "email_verified": True, **more}
        monkeypatch.setattr(identity, "claims_of_session", lambda: claims)

    return be


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.name)
def test_roles_page_opens_for_its_role_and_above_and_shows_others_nothing(
    open_page: OpenPage, parts: Parts, sign_in: SignIn, screen: Screen
) -> None:
    query = QUERIES.get(screen.name, {})
    sign_in(None)
    signed_out = open_page(screen.name, **query)
    assert [each.value for each in signed_out.title] == ["Sign in"]
    assert_shows_nothing(signed_out)
    for role in Role:
        sign_in(role)
        test = open_page(screen.name, **query)
        assert not test.exception
        refused = "This page is for people with the role" in texts(test)
        assert refused == (RANK[role] < RANK[screen.role]), role
        if refused:
            assert_shows_nothing(test)
            [row, *_] = parts.audit.page(AuditFilter(outcome="refused"))
            assert (row.who, row.target_kind) == (f"{role.value}@example.com", "page")


def test_roles_page_shows_nothing_to_one_without_access(
    open_page: OpenPage, sign_in: SignIn
) -> None:
    sign_in(Role.VIEWER, email="stranger@example.com")
    test = open_page("exports")
    assert [each.value for each in test.title] == ["No access"]
    assert "stranger" in texts(test)
    assert len(test.dataframe) == 0


def test_roles_viewer_has_no_button_that_changes_anything(
    open_page: OpenPage, sign_in: SignIn
) -> None:
    sign_in(Role.VIEWER)
    for name, query in (("exports", {}), ("run", {"run": 1}), ("runs", {}), ("home", {})):
        keys = {str(button.key) for button in open_page(name, **query).button}
        assert not {key for key in keys if key.startswith(("exports_", "run_", "home_again"))}


@pytest.mark.parametrize(
    ("role", "leads_to"),
    [
        (Role.VIEWER, set()),
        (Role.CONTRIBUTOR, {"/export", "/exports"}),
        (Role.ADMINISTRATOR, {"/connections", "/export", "/exports"}),
    ],
)
def test_roles_first_steps_lead_where_the_person_may_go(
    open_page: OpenPage, new_house_sign_in: SignIn, role: Role, leads_to: set[str]
) -> None:
    new_house_sign_in(role)
    shown = texts(open_page("home"))
    assert "Three steps" in shown
    assert {a for a in ("/connections", "/export", "/exports") if f"]({a})" in shown} == leads_to
    assert ("for administrators" in shown) == (role is not Role.ADMINISTRATOR)


def test_roles_role_taken_while_the_page_is_open_counts_at_the_next_click(
    open_page: OpenPage, parts: Parts, sign_in: SignIn
) -> None:
    sign_in(Role.CONTRIBUTOR)
    parts.connections.share(parts.connections.by_name("Marketing").id, contributors=True)
    test = open_page("run", run=1)
    test.button(key="run_cancel").click().run()
    parts.users.set_role("contributor@example.com", Role.VIEWER.value)
    test.button(key="run_cancel_yes").click().run()
    assert parts.runs.get(1).cancel_requested_by is None
    assert [str(button.key) for button in test.button if button.key == "run_cancel"] == []


def test_roles_preview_is_masked_for_contributors_unless_the_setting_allows(
    open_page: OpenPage, parts: Parts, sign_in: SignIn
) -> None:
    parts.connections.share(parts.connections.by_name("Marketing").id, contributors=True)
    sign_in(Role.CONTRIBUTOR)
    masked = open_page("export", export=1)
    assert "Values are masked" in texts(masked)
    cards = cards_of(masked)
    assert "••" in cards
    sign_in(Role.ADMINISTRATOR)
    open_cards = cards_of(open_page("export", export=1))
    assert "••" not in open_cards
    assert "@" in open_cards


def cards_of(test: AppTest) -> str:
    """The single profiles, as HTML."""
    return "".join(str(each.value) for each in test.get("html") if "cc-card" in str(each.value))


def assert_shows_nothing(test: AppTest) -> None:
    """No table, no name, no button but the one to sign in."""
    assert len(test.dataframe) == len(test.metric) == len(test.selectbox) == 0
    assert {str(button.key) for button in test.button} <= {"sign_in", "sign_out"}
    assert not [word for word in DATA if word in texts(test).replace("\\", "")]
