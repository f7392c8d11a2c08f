"""The routes ask who it is: each role at each route, and what becomes of a ticket in other hands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from starlette.applications import Starlette
from starlette.requests import Request

from ccexport.installation import Installation
from ccexport.sandbox.visitor import sign_in_at_once
from ccexport.services.connections.sign_ins import SignIns
from ccexport.services.people.access import Person, Role
from ccexport.services.people.roles import RULES, Action
from ccexport.services.people.users import SessionEnded, Users
from ccexport.store.audit import AuditFilter
from ccexport.web.guard import guards
from ccexport.web.routes import routes
from tests.kit.house import ANA
from tests.web.conftest import INDEX_HTML, serving

PATH = "/crm"


@dataclass
class Door:
    """The routes below a path, and who stands before them; None: one who is not signed in."""

    url: str = ""
    person: Person | None = None
    session: requests.Session = field(default_factory=requests.Session)

    def get(self, path: str) -> requests.Response:
        return self.session.get(self.url + PATH + path, allow_redirects=False, timeout=60)


@pytest.fixture
def door(installation: Installation) -> Iterator[Door]:
    door = Door()

    def who(_request: Request) -> Person:
        if door.person is None:
            raise SessionEnded("Sign in to see this page.")
        return door.person

    app = Starlette(
        routes=routes(lambda: installation, who, PATH),
        middleware=guards(
            INDEX_HTML, open_to_others=True, public_url=installation.settings.public_url
        ),
    )
    with serving(app) as door.url, door.session:
        yield door


def somebody(installation: Installation, role: Role, name: str = "") -> Person:
    """One who may sign in with the role."""
    email = f"{name or role.value}@example.com"
    Users(installation).add(email, role, by=ANA)
    return Person(email, role, email, "10.0.0.9")


def ticket_of(installation: Installation, by: Person) -> str:
    return SignIns(installation).prepare("Sales", contributors=False, agreed=True, by=by)


@pytest.mark.parametrize("role", [None, *Role])
def test_every_route_answers_each_role_as_the_table_says(
    door: Door, installation: Installation, role: Role | None
) -> None:
    owner = somebody(installation, Role.ADMINISTRATOR, "owner")
    door.person = somebody(installation, role) if role else None
    may = role in RULES[Action.ASK_FOR_CONNECTION].roles
    assert door.get("/healthz").status_code == 200  # for those who watch: words and numbers
    assert door.get("/home").headers["location"] == f"{PATH}/"  # the page asks for itself
    own = door.person if may and door.person else owner
    assert door.get(f"/oauth/start/{ticket_of(installation, own)}").status_code == (
        302 if may else 403
    )
    returned = door.get("/oauth/callback?state=made-up&code=made-up").status_code
    assert returned == (400 if may else 403)
    assert installation.connections.views() == []


def test_ticket_is_of_use_only_to_the_administrator_who_made_it(
    door: Door, installation: Installation
) -> None:
    owner = somebody(installation, Role.ADMINISTRATOR, "owner")
    door.person = somebody(installation, Role.ADMINISTRATOR, "other")
    ticket = ticket_of(installation, owner)
    assert door.get(f"/oauth/start/{ticket}").status_code == 400
    door.person = owner
    answer = door.get(f"/oauth/start/{ticket}")
    assert answer.status_code == 302
    assert f"Path={PATH}/oauth" in answer.headers["set-cookie"]


def test_administrator_lowered_while_away_brings_nothing_back(
    door: Door, installation: Installation
) -> None:
    somebody(installation, Role.ADMINISTRATOR, "second")
    door.person = somebody(installation, Role.ADMINISTRATOR, "owner")
    callback = return_address(door, ticket_of(installation, door.person))
    installation.users.set_role(door.person.name, Role.CONTRIBUTOR.value)
    assert door.get(callback).status_code == 403
    assert installation.connections.views() == []
    [row] = installation.audit.page(AuditFilter(outcome="refused"))
    assert (row.who, row.action, row.came_from) == (door.person.name, "connection.ask", "10.0.0.9")


def test_return_in_the_browser_of_another_administrator_stores_nothing(
    door: Door, installation: Installation
) -> None:
    door.person = somebody(installation, Role.ADMINISTRATOR, "owner")
    callback = return_address(door, ticket_of(installation, door.person))
    door.person = somebody(installation, Role.ADMINISTRATOR, "other")
    assert door.get(callback).status_code == 400  # the cookie is there, the person is another
    assert installation.connections.views() == []


def test_connection_belongs_to_the_administrator_who_signed_in(
    door: Door, installation: Installation
) -> None:
    door.person = somebody(installation, Role.ADMINISTRATOR, "owner")
    answer = door.get(return_address(door, ticket_of(installation, door.person)))
    assert answer.headers["location"] == f"{PATH}/connections?connected=Sales"
    [view] = installation.connections.views()
    assert (view.agreed_by, view.connection.export_user) == (door.person.name, door.person.name)
    rows = installation.audit.page(AuditFilter(who=door.person.name))
    assert [row.action for row in rows] == ["connection.add", "connection.ask"]


def return_address(door: Door, ticket: str) -> str:
    """Go off with a ticket and agree at Constant Contact; the address that leads back, not yet opened."""
    start = door.get(f"/oauth/start/{ticket}")
    params = {**sign_in_at_once(start.headers["location"])}
    given = parse_qs(urlsplit(start.headers["location"]).query)
    assert params["state"] == given["state"][0]
    return f"/oauth/callback?state={params['state']}&code={params['code']}"


def test_person_of_before_has_no_more_than_the_role_of_now(installation: Installation) -> None:
    person = somebody(installation, Role.VIEWER)
    assert replace(person, role=Role.ADMINISTRATOR).role is Role.ADMINISTRATOR
    with pytest.raises(Exception, match="Only administrators"):
        ticket_of(installation, replace(person, role=Role.ADMINISTRATOR))
