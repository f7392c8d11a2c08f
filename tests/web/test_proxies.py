"""Behind a reverse proxy, over real HTTP: whose address counts, and that no header changes what the public address is.

The proxy is 127.0.0.2; a caller from another address of this machine is a stranger, whatever the headers say.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Sequence
from http.client import HTTPConnection, HTTPResponse
from http.cookies import SimpleCookie
from urllib.parse import parse_qs, urlsplit

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.web.server.server_util import AUTH_COOKIE_NAME
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value
from websockets.sync.client import connect
from websockets.typing import Origin

from ccexport.clock import utc_now
from ccexport.services.connections.sign_ins import SignIns
from ccexport.services.people.access import Person, Role
from ccexport.services.people.users import Users
from ccexport.store.audit import AuditFilter
from ccexport.store.database.people_tables import AuditEvent
from ccexport.web.attempts import MAX_FAILURES
from tests.browser.dashboard import Dashboard, house_beside_sandbox, served
from tests.kit.house import ANA, behaviour, people, write_source

TIMEOUT = 60
PATH, HOST = "/crm", "exports.example"
PROXY, STRANGER = "127.0.0.2", "127.0.0.3"
VERA, OLIVIA = "vera@example.com", "olivia@example.com"
Headers = Sequence[tuple[str, str]]
FORWARDED = [
    (PROXY, (), PROXY),
    (PROXY, ("203.0.113.9",), "203.0.113.9"),
    (PROXY, ("2001:db8::7",), "2001:db8::7"),
    (PROXY, ("6.6.6.6, 203.0.113.9",), "203.0.113.9"),  # the first is what the visitor made up
    (PROXY, ("6.6.6.6", "203.0.113.9"), "203.0.113.9"),  # the same in two lines
    (PROXY, (f"6.6.6.6, 203.0.113.9, {PROXY}",), "203.0.113.9"),  # two proxies of ours
    (PROXY, ("127.0.0.1, 203.0.113.9",), "203.0.113.9"),
    (STRANGER, ("203.0.113.9",), STRANGER),
    (STRANGER, (f"203.0.113.9, {PROXY}",), STRANGER),
    (STRANGER, ("127.0.0.1",), STRANGER),
]


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """Vera is a viewer and Olivia an administrator. Nobody is asked who they are: tests bring signed cookies."""
    folder = tmp_path_factory.mktemp("proxies")
    source = write_source(folder / "profiles", people(3))
    variables = {
        "CCEXPORT_PUBLIC_URL": f"https://{HOST}{PATH}",
        "CCEXPORT_TRUSTED_PROXIES": PROXY,
        "CCEXPORT_OIDC_ISSUER": "https://login.example",
        "CCEXPORT_OIDC_CLIENT_ID": "ccexport",
        "CCEXPORT_OIDC_CLIENT_SECRET": "correct horse",
    }
    with house_beside_sandbox(folder / "house", source, behaviour()) as house:
        Users(house.installation).add(VERA, Role.VIEWER, by=ANA)
        Users(house.installation).add(OLIVIA, Role.ADMINISTRATOR, by=ANA)
        with served(house, with_worker=False, path=PATH, variables=variables) as dashboard:
            yield dashboard


@pytest.mark.parametrize(("peer", "forwarded", "address"), FORWARDED)
def test_audit_has_the_address_that_the_trusted_proxy_saw(
    dashboard: Dashboard, peer: str, forwarded: Sequence[str], address: str
) -> None:
    headers = [("X-Forwarded-For", each) for each in forwarded]
    cookie = _signed_in(dashboard, VERA)
    answer = _get(dashboard, peer, "/oauth/start/made-up", [*headers, ("Cookie", cookie)])
    assert answer.status == 403
    begun, refused = _newest(dashboard, "person.sign_in"), _newest(dashboard, "connection.ask")
    assert (begun.who, begun.came_from) == (VERA, address)
    assert (refused.who, refused.outcome, refused.came_from) == (VERA, "refused", address)


@pytest.mark.parametrize(("peer", "forwarded", "address"), FORWARDED[:1] + FORWARDED[3:9:2])
def test_pages_know_the_same_address(
    dashboard: Dashboard, peer: str, forwarded: Sequence[str], address: str
) -> None:
    headers = [("X-Forwarded-For", each) for each in forwarded]
    _visit(dashboard, peer, "people", headers, _signed_in(dashboard, VERA))
    refused = _newest(dashboard, "see.administration")
    assert (refused.who, refused.target_name, refused.came_from) == (VERA, "People", address)


def test_stranger_is_held_back_whatever_address_they_claim_for_each_attempt(
    dashboard: Dashboard,
) -> None:
    for number in range(MAX_FAILURES):
        claim = [("X-Forwarded-For", f"203.0.113.{number}")]
        assert _get(dashboard, "127.0.0.4", "/oauth/callback?state=made-up", claim).status == 403
    claim = [("X-Forwarded-For", "203.0.113.99")]
    assert _get(dashboard, "127.0.0.4", "/oauth/callback?state=made-up", claim).status == 429


def test_one_visitor_behind_the_proxy_is_held_back_and_not_the_others(dashboard: Dashboard) -> None:
    for number in range(MAX_FAILURES):
        claim = [("X-Forwarded-For", f"198.51.100.{number}, 203.0.113.50")]
        assert _get(dashboard, PROXY, "/oauth/callback?state=made-up", claim).status == 403
    claim = [("X-Forwarded-For", "198.51.100.99, 203.0.113.50")]
    assert _get(dashboard, PROXY, "/oauth/callback?state=made-up", claim).status == 429
    other = [("X-Forwarded-For", "203.0.113.51")]
    assert _get(dashboard, PROXY, "/oauth/callback?state=made-up", other).status == 403


@pytest.mark.parametrize("scheme", ["https", "http", None])
@pytest.mark.parametrize("peer", [PROXY, STRANGER])
def test_cookies_and_redirect_addresses_follow_the_public_address_and_no_header(
    dashboard: Dashboard, peer: str, scheme: str | None
) -> None:
    said = [("X-Forwarded-Proto", scheme), ("X-Forwarded-Host", "evil.example")] if scheme else []
    owner = Person(OLIVIA, Role.ADMINISTRATOR, OLIVIA)
    ticket = SignIns(dashboard.house.installation).prepare(
        "Sales", contributors=False, agreed=True, by=owner
    )
    cookie = ("Cookie", _signed_in(dashboard, OLIVIA))
    away = _get(dashboard, peer, f"/oauth/start/{ticket}", [*said, cookie])
    assert away.status == 302
    [returns_to] = parse_qs(urlsplit(away.headers["Location"]).query)["redirect_uri"]
    assert returns_to == f"https://{HOST}{PATH}/oauth/callback"
    health = _get(dashboard, peer, "/_stcore/health", said)
    home = _get(dashboard, peer, "/home", said)
    assert home.headers["Location"] == f"{PATH}/"
    cookies = [*away.headers.get_all("Set-Cookie", []), *health.headers.get_all("Set-Cookie", [])]
    assert len(cookies) >= 2
    assert [cookie for cookie in cookies if "; secure" not in cookie.lower()] == []
    assert all("Strict-Transport-Security" in answer.headers for answer in (away, health, home))


def _get(dashboard: Dashboard, peer: str, path: str, headers: Headers) -> HTTPResponse:
    """From this address; every header goes out as a line of its own."""
    channel = HTTPConnection("127.0.0.1", dashboard.port, TIMEOUT, source_address=(peer, 0))
    channel.putrequest("GET", PATH + path, skip_host=True)
    for name, value in (("Host", HOST), ("Connection", "close"), *headers):
        channel.putheader(name, value)
    channel.endheaders()
    answer = channel.getresponse()
    answer.read()
    channel.close()
    return answer


def _visit(dashboard: Dashboard, peer: str, page: str, headers: Headers, cookie: str) -> None:
    """Open a page as a browser does, until its script has ended."""
    given = SimpleCookie(_get(dashboard, peer, "/_stcore/health", ()).headers["Set-Cookie"])
    token = given["_streamlit_xsrf"].value
    ask, message = BackMsg(), ForwardMsg()
    ask.rerun_script.page_name = page
    channel = socket.create_connection(("127.0.0.1", dashboard.port), TIMEOUT, (peer, 0))
    with connect(
        f"ws://{HOST}{PATH}/_stcore/stream",
        origin=Origin(f"https://{HOST}"),
        subprotocols=["streamlit", token],  # type: ignore[list-item]  # a NewType of str
        additional_headers=[*headers, ("Cookie", f"{cookie}; _streamlit_xsrf={token}")],
        sock=channel,
        max_size=None,
        proxy=None,
    ) as stream:
        stream.send(ask.SerializeToString())
        while message.WhichOneof("type") != "script_finished":
            content = stream.recv(TIMEOUT)
            message.ParseFromString(content if isinstance(content, bytes) else content.encode())


def _signed_in(dashboard: Dashboard, email: str) -> str:
    """The cookie of a sign-in of just now, as Streamlit makes it."""
    now = utc_now().timestamp()
    claims = {"iss": "https://login.example", "sub": email, "iat": now, "nonce": str(now)}
    claims |= {"email": email, "email_verified": True, "is_logged_in": True}
    claims |= {"origin": f"https://{HOST}"}
    secret = dashboard.house.installation.keys.newest.cookies
    signed = create_signed_value(secret, AUTH_COOKIE_NAME, json.dumps(claims))
    return f"{AUTH_COOKIE_NAME}={signed.decode()}"


def _newest(dashboard: Dashboard, action: str) -> AuditEvent:
    return dashboard.house.installation.audit.page(AuditFilter(action=action))[0]
