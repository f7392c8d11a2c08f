"""Who signs in becomes who, with which role; sessions end; the last administrator stays. On both databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ccexport.clock import utc_now
from ccexport.errors import CcexportError, Conflict, NotAllowed, SettingError, UsageError
from ccexport.installation import Installation
from ccexport.services.people.access import Person, Role
from ccexport.services.people.users import SessionEnded, Users, verified_address
from ccexport.settings import Settings
from ccexport.store.audit import AuditFilter
from tests.kit.clocks import Clock
from tests.kit.house import ANA

GROUPS = {
    "oidc_role_claim": "groups",
    "oidc_roles": "Staff=viewer, Analysts=contributor, it=ops=administrator",
}


class House:
    """Its people, by the settings of a test."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.clock = Clock(utc_now())
        self._folder, self._url = folder, database_url
        self._opened: list[Installation] = []

    def users(self, **settings: object) -> Users:
        made = Settings(_env_file=None, data_dir=self._folder, database_url=self._url, **settings)
        self._opened.append(Installation(made, self.clock))
        return Users(self._opened[-1])

    @property
    def installation(self) -> Installation:
        return self._opened[-1]

    def claims(self, name: str = "ana", **more: object) -> dict[str, Any]:
        issued = self.clock.at.timestamp()
        unique = {"iss": "https://login", "sub": name, "iat": issued, "nonce": f"{name}{issued}"}
        email = f"{name}@example.com"
        return unique | {"email": email, "email_verified": True, "name": name.title(), **more}

    def close(self) -> None:
        for installation in self._opened:
            installation.close()


@pytest.fixture
def here(tmp_path: Path, database_url: str) -> Iterator[House]:
    installation = House(tmp_path / "var", database_url)
    yield installation
    installation.close()


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({}, "did not say your email address"),
        ({"email": 7, "email_verified": True}, "did not say your email address"),
        ({"email": "ana", "email_verified": True}, "did not say your email address"),
        ({"email": "ana@example.com"}, "is verified"),
        ({"email": "ana@example.com", "email_verified": False}, "is verified"),
        ({"email": "ana@example.com", "email_verified": "false"}, "is verified"),
        ({"email": "ana@example.com", "email_verified": 1.5}, "is verified"),
    ],
)
def test_only_an_address_that_the_provider_calls_verified_counts(
    claims: Mapping[str, Any], words: str
) -> None:
    with pytest.raises(NotAllowed, match=words):
        verified_address(claims)


def test_first_administrators_are_named_by_the_setting_and_may_be_lowered_later(
    here: House,
) -> None:
    users = here.users(admins="Ana@Example.com, bob@example.com")
    assert users.enter(here.claims("ana"), "").role is Role.ADMINISTRATOR
    users.add("cleo@example.com", Role.ADMINISTRATOR, by=ANA)
    users.change("ana@example.com", Role.VIEWER, by=ANA)
    assert users.enter(here.claims("ana"), "").role is Role.VIEWER
    users.remove("ana@example.com", by=ANA)
    here.clock.move(seconds=1)
    with pytest.raises(NotAllowed):
        users.enter(here.claims("ana"), "")


def test_stranger_has_no_access_and_is_seen_among_the_people(here: House) -> None:
    users = here.users()
    with pytest.raises(NotAllowed, match="has no access"):
        users.enter(here.claims("ana"), "10.0.0.1")
    [view] = users.views(by=ANA)
    assert (view.user.email, view.role) == ("ana@example.com", None)
    [row] = here.installation.audit.page(AuditFilter())
    assert (row.action, row.outcome, row.came_from) == ("person.sign_in", "refused", "10.0.0.1")
    users.change("ana@example.com", Role.VIEWER, by=ANA)
    assert users.enter(here.claims("ana"), "").role is Role.VIEWER


def test_setting_may_let_everybody_of_the_provider_look(here: House) -> None:
    assert here.users(oidc_default_role="viewer").enter(here.claims(), "").role is Role.VIEWER


@pytest.mark.parametrize(
    ("held", "role"),
    [
        (["Staff"], Role.VIEWER),
        (["Staff", "Analysts"], Role.CONTRIBUTOR),
        (["other", "it=ops", "Staff"], Role.ADMINISTRATOR),
        ("Analysts", Role.CONTRIBUTOR),
        (["analysts"], None),  # another group than Analysts
        ([], None),
        (None, None),
        ({"Staff": True}, None),
    ],
)
def test_highest_role_of_the_claim_counts(here: House, held: object, role: Role | None) -> None:
    users = here.users(**GROUPS)
    if role is None:
        with pytest.raises(NotAllowed):
            users.enter(here.claims(groups=held), "")
    else:
        assert users.enter(here.claims(groups=held), "").role is role


def test_claim_within_a_claim_is_found(here: House) -> None:
    users = here.users(oidc_role_claim="realm_access.roles", oidc_roles="a=contributor")
    claims = here.claims(realm_access={"roles": ["a"]})
    assert users.enter(claims, "").role is Role.CONTRIBUTOR


def test_role_of_the_claim_wins_over_the_given_one_until_the_claim_is_gone(
    here: House,
) -> None:
    users = here.users(**GROUPS)
    users.add("ana@example.com", Role.CONTRIBUTOR, by=ANA)
    assert users.enter(here.claims(groups=["Staff"]), "").role is Role.VIEWER
    with pytest.raises(UsageError, match="comes from the sign-in provider"):
        users.change("ana@example.com", Role.ADMINISTRATOR, by=ANA)
    here.clock.move(seconds=1)
    assert users.enter(here.claims(groups=[]), "").role is Role.CONTRIBUTOR
    users.remove("ana@example.com", by=ANA)
    here.clock.move(seconds=1)
    with pytest.raises(NotAllowed):  # whatever the provider says
        users.enter(here.claims(groups=["it=ops"]), "")


def test_session_ends_when_nobody_uses_it_and_pages_that_draw_themselves_are_no_use(
    here: House,
) -> None:
    users = here.users(session_minutes=60, oidc_default_role="viewer")
    claims = here.claims()
    users.enter(claims, "")
    for _ in range(3):
        here.clock.move(minutes=50)
        users.enter(claims, "")
    for _ in range(3):
        here.clock.move(minutes=20)
        users.enter(claims, "", is_active=False)
    here.clock.move(minutes=1)
    with pytest.raises(SessionEnded):
        users.enter(claims, "")
    with pytest.raises(SessionEnded):
        users.enter(claims, "", is_active=False)
    assert users.enter(here.claims(), "").role is Role.VIEWER  # signed in again


def test_old_cookie_that_never_was_a_session_begins_none(here: House) -> None:
    users = here.users(session_minutes=60, oidc_default_role="viewer")
    claims = here.claims()
    here.clock.move(minutes=61)
    for given in (claims, claims | {"iat": None}, claims | {"iat": "soon"}):
        with pytest.raises(SessionEnded):
            users.enter(given, "")
    assert here.installation.users.all() == []


def test_signing_out_ends_one_browser_and_not_the_other(here: House) -> None:
    users = here.users(oidc_default_role="viewer")
    first = here.claims()
    by = users.enter(first, "")
    here.clock.move(seconds=1)
    second = here.claims()
    users.enter(second, "")
    users.leave(first, by=by)
    with pytest.raises(SessionEnded):
        users.enter(first, "")
    assert users.enter(second, "").role is Role.VIEWER
    actions = [row.action for row in here.installation.audit.page(AuditFilter())]
    assert actions == ["person.sign_out", "person.sign_in", "person.sign_in"]


def test_removed_person_has_no_session_left_and_may_be_added_again(here: House) -> None:
    users = here.users()
    users.add("ana@example.com", Role.CONTRIBUTOR, by=ANA)
    claims = here.claims()
    users.enter(claims, "")
    users.remove("ana@example.com", by=ANA)
    with pytest.raises(SessionEnded):
        users.enter(claims, "")
    assert users.views(by=ANA) == []
    users.add("ANA@example.com", Role.VIEWER, by=ANA)
    here.clock.move(seconds=1)
    assert users.enter(here.claims(), "").role is Role.VIEWER


def test_last_administrator_can_be_neither_removed_nor_lowered(here: House) -> None:
    users = here.users(**GROUPS)
    users.add("ana@example.com", Role.ADMINISTRATOR, by=ANA)
    users.add("bob@example.com", Role.CONTRIBUTOR, by=ANA)
    by = Person("ana@example.com", Role.ADMINISTRATOR, "ana@example.com")
    before = here.installation.audit.count(AuditFilter())
    with pytest.raises(Conflict, match="last administrator"):
        users.remove("ana@example.com", by=by)
    with pytest.raises(Conflict, match="last administrator"):
        users.change("ana@example.com", Role.VIEWER, by=by)
    assert here.installation.audit.count(AuditFilter()) == before  # no row for what did not happen
    users.enter(here.claims("olivia", groups=["it=ops"]), "")  # an administrator by the provider
    users.change("ana@example.com", Role.VIEWER, by=by)
    with pytest.raises(NotAllowed):
        users.remove("olivia@example.com", by=by)


def test_two_administrators_who_remove_each_other_leave_one(here: House) -> None:
    users = here.users()
    emails = ["ana@example.com", "bob@example.com"]
    for email in emails:
        users.add(email, Role.ADMINISTRATOR, by=ANA)
    errors: list[CcexportError] = []
    barrier = threading.Barrier(2)

    def remove(own: str, other: str) -> None:
        barrier.wait()
        try:
            users.remove(other, by=Person(own, Role.ADMINISTRATOR, own))
        except CcexportError as error:
            errors.append(error)

    threads = [
        threading.Thread(target=remove, args=pair) for pair in (emails, list(reversed(emails)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [view.role for view in users.views(by=ANA)] == [Role.ADMINISTRATOR]
    assert len(errors) == 1


def test_first_pages_of_a_sign_in_that_open_at_once_are_one_session(here: House) -> None:
    users = here.users(oidc_default_role="viewer")
    claims, found = here.claims(), []
    barrier = threading.Barrier(4)

    def enter() -> None:
        barrier.wait()
        found.append(users.enter(claims, "").role)

    threads = [threading.Thread(target=enter) for _ in range(4)]
    _ = here.installation.engine
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [Role.VIEWER] * 4
    assert here.installation.audit.count(AuditFilter()) == 1


@pytest.mark.parametrize(
    "email", ["", "ana", "ana@example", "a b@example.com", "a" * 250 + "@e.com"]
)
def test_what_is_no_address_is_not_added(here: House, email: str) -> None:
    users = here.users()
    with pytest.raises(UsageError, match="not an email address"):
        users.add(email, Role.VIEWER, by=ANA)
    assert users.views(by=ANA) == []


@pytest.mark.parametrize("missing", ["oidc_issuer", "oidc_client_id", "oidc_client_secret"])
def test_signing_in_that_is_set_up_by_half_names_what_is_missing(missing: str) -> None:
    whole = {
        "oidc_issuer": "https://login.example.com",
        "oidc_client_id": "ccexport",
        "oidc_client_secret": "correct horse",
    }
    assert Settings(_env_file=None, **whole).people_sign_in
    assert not Settings(_env_file=None).people_sign_in
    with pytest.raises(SettingError, match=f"^CCEXPORT_{missing.upper()} must be set too"):
        _ = Settings(_env_file=None, **(whole | {missing: ""})).people_sign_in
