"""HTTPS behind nginx, below a path: both sign-ins, and the address that the audit has, through the documented file."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from http.client import HTTPSConnection
from pathlib import Path

import pytest
from playwright.sync_api import expect

from ccexport.services.people.access import Role
from ccexport.services.people.users import Users
from ccexport.store.audit import AuditFilter
from tests.browser.dashboard import Dashboard, house_beside_sandbox, served
from tests.browser.nginx import find_nginx, running_nginx
from tests.browser.provider import address_of, running_provider
from tests.browser.visitor import OpenBrowser, Visitor
from tests.kit.house import ANA, behaviour
from tests.kit.ports import free_port

PATH = "/ccexport"
NEVER_SHOWN = "https://cdn.jsdelivr.net"  # the provider's pages ask for a style sheet there
TIMEOUT = 60
ELSEWHERE = "127.0.0.9"  # another address of this machine, for the proxy a visitor like any other


@pytest.fixture(scope="module")
def nginx_is_here() -> None:
    if find_nginx() is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(
            "nginx is missing: apt-get install nginx"
        )


@pytest.fixture(scope="module")
def provider(nginx_is_here: None) -> Iterator[str]:
    with running_provider() as issuer:
        yield issuer


@pytest.fixture(scope="module")
def dashboard(
    tmp_path_factory: pytest.TempPathFactory, source: Path, provider: str
) -> Iterator[Dashboard]:
    """One export; Adam becomes an administrator, Vera a viewer. `dashboard.public_url` leads through nginx."""
    folder, port = tmp_path_factory.mktemp("behind-a-proxy"), free_port()
    variables = {
        "CCEXPORT_PUBLIC_URL": f"https://localhost:{port}{PATH}",
        "CCEXPORT_TRUSTED_PROXIES": "127.0.0.1",
        "CCEXPORT_OIDC_ISSUER": provider,
        "CCEXPORT_OIDC_CLIENT_ID": "ccexport",
        "CCEXPORT_OIDC_CLIENT_SECRET": "correct horse",
        "CCEXPORT_ADMINS": address_of("adam"),
    }
    with house_beside_sandbox(folder / "house", source, behaviour()) as house:
        house.connect("Marketing")
        house.add_export("Newsletter", segments=("Spring buyers",))
        Users(house.installation).add(address_of("vera"), Role.VIEWER, by=ANA)
        with (
            served(house, with_worker=False, path=PATH, variables=variables) as dashboard,
            running_nginx(folder / "nginx", listens_on=port, dashboard_port=dashboard.port),
        ):
            yield dashboard


def test_person_signs_in_behind_the_proxy_and_is_where_they_wanted_to_be(
    dashboard: Dashboard, provider: str, open_browser: OpenBrowser
) -> None:
    visitor = _enter(open_browser, dashboard, provider, "vera", "exports?exports_search=news")
    assert visitor.page.url == f"{dashboard.public_url}/exports?exports_search=news"
    expect(visitor.cells("Newsletter").first).to_be_attached()
    ours = ("_streamlit", "ccexport")  # the provider's lie beside them: cookies know no ports
    cookies = [c for c in visitor.page.context.cookies() if c["name"].startswith(ours)]
    assert {c["name"] for c in cookies} >= {"_streamlit_user", "_streamlit_xsrf"}
    assert [c["name"] for c in cookies if not c["secure"]] == []
    assert [c["name"] for c in cookies if not c["httpOnly"]] == ["_streamlit_xsrf"]
    visitor.press("Sign out")
    visitor.press("End session")  # the provider asks once more
    visitor.sees_page("Sign in")
    assert visitor.page.url.startswith(dashboard.public_url)


def test_administrator_connects_an_account_behind_the_proxy(
    dashboard: Dashboard, provider: str, open_browser: OpenBrowser
) -> None:
    visitor = _enter(open_browser, dashboard, provider, "adam", "connections")
    visitor.page.get_by_text("Add a connection").click()
    visitor.fill("Display name", "Stores")
    visitor.page.get_by_text("I agree").click()
    visitor.press("Connect")
    visitor.sees("“Stores” is connected to Sandbox Traders")
    assert visitor.page.url.startswith(f"{dashboard.public_url}/connections")
    [row] = dashboard.house.installation.audit.page(AuditFilter(action="connection.add"))[:1]
    assert (row.target_name, row.who) == ("Stores", address_of("adam"))


def test_audit_has_the_visitors_address_and_not_the_one_that_they_claim(
    dashboard: Dashboard, provider: str, open_browser: OpenBrowser
) -> None:
    visitor = _enter(open_browser, dashboard, provider, "vera", "exports")
    cookies = visitor.page.context.cookies(dashboard.public_url)
    headers = {
        "Cookie": "; ".join(f"{each['name']}={each['value']}" for each in cookies),
        "X-Forwarded-For": "203.0.113.7",
    }
    host = dashboard.public_url.removeprefix("https://").removesuffix(PATH)
    trusting = ssl._create_unverified_context()  # noqa: S323  # our own, which nobody vouches for
    channel = HTTPSConnection(
        "127.0.0.1",
        int(host.partition(":")[2]),
        timeout=TIMEOUT,
        source_address=(ELSEWHERE, 0),
        context=trusting,
    )
    channel.request("GET", f"{PATH}/oauth/start/made-up", headers={"Host": host, **headers})
    assert channel.getresponse().status == 403
    channel.close()
    refused = dashboard.house.installation.audit.page(AuditFilter(outcome="refused"))[0]
    assert (refused.who, refused.came_from) == (address_of("vera"), ELSEWHERE)


def _enter(
    open_browser: OpenBrowser, dashboard: Dashboard, provider: str, person: str, path: str
) -> Visitor:
    visitor = open_browser(dashboard, provider, NEVER_SHOWN, url=dashboard.public_url)
    visitor.open(path, "Sign in")
    visitor.press("Sign in")
    visitor.page.get_by_role("button", name=person, exact=True).first.click()
    visitor.sees_page(path.partition("?")[0].capitalize())
    return visitor
