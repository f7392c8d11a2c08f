"""Each page asks for its role itself: signed out, without access, and with each role, whatever the menu hides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from ccexport.clock import utc_now
from ccexport.installation import Installation
from ccexport.preparation.mapping import parse_mapping
from ccexport.services.exports.exports import ExportDraft, Exports
from ccexport.services.people.access import RANK, Role, local_administrator
from ccexport.services.people.users import Users
from ccexport.states import BatchState, RunState, WaitingFor
from ccexport.store.audit import AuditFilter
from ccexport.store.database.tables import Run
from ccexport.store.exports import ExportView
from ccexport.ui import identity
from ccexport.ui.shell import MENU, Screen
from tests.ui.conftest import LIST_ID, MAPPING, SEGMENTS, OpenPage, connect, texts
from tests.ui.stored_runs import add_batch, add_run

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
def sign_in(new_house_sign_in: SignIn, installation: Installation, export: ExportView) -> SignIn:
    """The same, where an export has a run."""
    Exports(installation).queue("Newsletter", by=BY)
    return new_house_sign_in


@pytest.fixture
def new_house_sign_in(
    people_sign_in: None, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> SignIn:
    """Be this person from now on: `sign_in(Role.VIEWER)`; None: one who is not signed in."""
    monkeypatch.setattr(identity, "came_from", lambda: "10.0.0.9")

    def be(role: Role | None, **more: object) -> None:
        claims: dict[str, Any] = {}
        if role is not None:
            email = f"{role.value}@example.com"
            if installation.users.find(email) is None:
                Users(installation).add(email, role, by=BY)
            claims = {"iss": "i", "sub": email, "nonce": "n", "iat": utc_now().timestamp()}
            claims |= {"email": email, "email_verified": True, **more}
        monkeypatch.setattr(identity, "claims_of_session", lambda: claims)

    return be


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.name)
def test_roles_page_opens_for_its_role_and_above_and_shows_others_nothing(
    open_page: OpenPage, installation: Installation, sign_in: SignIn, screen: Screen
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
            [row, *_] = installation.audit.page(AuditFilter(outcome="refused"))
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


@pytest.mark.parametrize("is_shared", [False, True])
@pytest.mark.parametrize("role", Role)
def test_roles_buttons_of_an_export_go_by_whether_its_connection_is_shared(
    open_page: OpenPage, installation: Installation, sign_in: SignIn, role: Role, is_shared: bool
) -> None:
    installation.connections.share(
        installation.connections.by_name("Marketing").id, contributors=is_shared
    )
    ended = add_ended_run(installation)
    sign_in(role)
    exports = open_page("exports")
    exports.session_state["exports_table_ticked"] = [1]
    found = buttons_of(exports.run()) | buttons_of(open_page("run", run=1))
    found |= buttons_of(open_page("run", run=ended.id)) | buttons_of(open_page("home"))
    if role is Role.VIEWER:
        assert found == {}
        return
    acts = {f"exports_{each}" for each in ("run", "edit", "duplicate", "off", "remove")}
    acts |= {"run_cancel", "run_again", "run_retry", f"home_again_{ended.id}"}
    theirs = {"home_pause"} if role is Role.ADMINISTRATOR else set()
    assert acts | {"exports_on", "exports_add"} | theirs == set(found)
    if role is Role.ADMINISTRATOR or is_shared:
        assert not [key for key in acts if found[key].disabled]
        assert not [key for key in acts if "shared with them" in found[key].help]
    else:
        assert not [key for key in acts if not found[key].disabled]
        assert not [key for key in acts if '"Marketing" is not' not in tip_of(found[key])]
    assert found["exports_add"].disabled == (role is Role.CONTRIBUTOR and not is_shared)


def test_roles_bar_of_exports_is_off_when_one_of_the_selected_is_not_shared(
    open_page: OpenPage, installation: Installation, sign_in: SignIn
) -> None:
    connect(installation, "*Board*")
    draft = ExportDraft("Other", "*Board*", LIST_ID, SEGMENTS, parse_mapping(MAPPING))
    other = Exports(installation).add(draft, by=BY)
    installation.connections.share(
        installation.connections.by_name("Marketing").id, contributors=True
    )
    sign_in(Role.CONTRIBUTOR)
    test = open_page("exports")
    test.session_state["exports_table_ticked"] = [1]
    assert not test.run().button(key="exports_run").disabled
    test.session_state["exports_table_ticked"] = [1, other.export.id]
    run = test.run().button(key="exports_run")
    assert (run.disabled, run.label) == (True, "Run 2")
    assert "\\*Board\\*" in run.help


def test_roles_contributor_sees_an_export_that_is_not_shared_without_a_form(
    open_page: OpenPage, installation: Installation, sign_in: SignIn
) -> None:
    sign_in(Role.CONTRIBUTOR)
    test = open_page("export", export=1)
    assert not test.exception
    shown = texts(test).replace("\\", "")
    assert '"Marketing" is not' in shown
    assert "**List:** Spring newsletter" in shown
    assert {each.label for each in test.metric} >= {"Read", "Will be sent"}
    assert len(test.text_input) == len(test.multiselect) == len(test.selectbox) == 0
    assert not buttons_of(test)
    installation.connections.share(
        installation.connections.by_name("Marketing").id, contributors=True
    )
    shared = buttons_of(test.run())
    assert (shared["export_save"].disabled, shared["export_run"].disabled) == (False, False)


def test_roles_contributor_with_no_connection_is_told_whom_to_ask(
    open_page: OpenPage, sign_in: SignIn
) -> None:
    sign_in(Role.CONTRIBUTOR)
    test = open_page("export")
    assert "Ask an administrator to share one" in texts(test)
    assert "/connections" not in texts(test)


@pytest.mark.parametrize("role", Role)
def test_roles_what_needs_an_administrator_leads_only_administrators_there(
    open_page: OpenPage, installation: Installation, sign_in: SignIn, role: Role
) -> None:
    connection = installation.connections.by_name("Marketing")
    installation.connections.set_needs_sign_in(connection.id, needed=True)
    waits = {"resume_state": RunState.UPLOADING, "waiting_for": WaitingFor.SIGN_IN}
    run = add_run(installation, RunState.WAITING, connection_id=connection.id, **waits)
    sign_in(role)
    for shown in (texts(open_page("home")), texts(open_page("run", run=run.id))):
        assert ("[Sign in again](/connections)" in shown) == (role is Role.ADMINISTRATOR)
        assert ("for administrators" in shown) == (role is not Role.ADMINISTRATOR)


def test_roles_viewer_reads_which_exports_use_a_segment_and_is_led_to_none(
    open_page: OpenPage, sign_in: SignIn
) -> None:
    for role in Role:
        sign_in(role)
        used = texts(open_page("segments", segments_chosen="Spring buyers"))
        free = texts(open_page("segments", segments_chosen="Loyalty gold"))
        assert "Newsletter" in used
        assert ("/export?export=1" in used) == (role is not Role.VIEWER)
        assert ("[Add export](/export)" in free) == (role is not Role.VIEWER)


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
    open_page: OpenPage, installation: Installation, sign_in: SignIn
) -> None:
    sign_in(Role.CONTRIBUTOR)
    installation.connections.share(
        installation.connections.by_name("Marketing").id, contributors=True
    )
    test = open_page("run", run=1)
    test.button(key="run_cancel").click().run()
    installation.users.set_role("contributor@example.com", Role.VIEWER.value)
    test.button(key="run_cancel_yes").click().run()
    assert installation.runs.get(1).cancel_requested_by is None
    assert [str(button.key) for button in test.button if button.key == "run_cancel"] == []


def test_roles_preview_is_masked_for_contributors_unless_the_setting_allows(
    open_page: OpenPage, installation: Installation, sign_in: SignIn
) -> None:
    installation.connections.share(
        installation.connections.by_name("Marketing").id, contributors=True
    )
    sign_in(Role.CONTRIBUTOR)
    masked = open_page("export", export=1)
    assert "Values are masked" in texts(masked)
    cards = cards_of(masked)
    assert "••" in cards
    sign_in(Role.ADMINISTRATOR)
    open_cards = cards_of(open_page("export", export=1))
    assert "••" not in open_cards
    assert "@" in open_cards


def add_ended_run(installation: Installation) -> Run:
    """A run of "Newsletter" that failed, of which a part can be retried."""
    export = installation.exports.by_name("Newsletter").export
    run = add_run(
        installation,
        RunState.FAILED,
        export_id=export.id,
        connection_id=export.connection_id,
        submitted_count=10,
        failed_count=10,
        queued_at=utc_now(),
        finished_at=utc_now(),
    )
    add_batch(installation, run, 1, BatchState.FAILED, failed_rows=10)
    return run


def buttons_of(test: AppTest) -> dict[str, Any]:
    """What somebody could press, by its key; but not the way out, nor what only looks."""
    assert not test.exception
    acts = ("exports_", "run_", "home_", "export_save", "export_run", "export_create")
    return {str(each.key): each for each in test.button if str(each.key).startswith(acts)}


def tip_of(button: Any) -> str:
    """As a person reads it."""
    return str(button.help).replace("\\", "")


def cards_of(test: AppTest) -> str:
    """The single profiles, as HTML."""
    return "".join(str(each.value) for each in test.get("html") if "cc-card" in str(each.value))


def assert_shows_nothing(test: AppTest) -> None:
    """No table, no name, no button but the one to sign in."""
    assert len(test.dataframe) == len(test.metric) == len(test.selectbox) == 0
    assert {str(button.key) for button in test.button} <= {"sign_in", "sign_out"}
    assert not [word for word in DATA if word in texts(test).replace("\\", "")]
