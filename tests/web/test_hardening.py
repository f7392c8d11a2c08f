"""The dashboard as `serve` starts it, behind an https address, looked at over real HTTP and real websockets."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import closing
from http.cookies import SimpleCookie
from pathlib import Path

import pytest
import requests
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.browser.dashboard import Dashboard, house_beside_sandbox, served
from tests.kit.house import behaviour, people, write_source

TIMEOUT = 60
PUBLIC_URL = "https://exports.example"
STRICT = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000",
}
PATHS = {
    "/": 200,
    "/connections": 200,
    "/no-such-page": 200,  # the page's script says that
    "/healthz": 200,
    "/livez": 200,
    "/readyz": 200,
    "/metrics": 200,
    "/home": 307,
    "/_stcore/health": 200,
    "/_stcore/host-config": 200,
    "/_stcore/stream": 200,  # without a handshake it is an address like any other
    "/static/no-such-file.js": 200,  # the page, whatever is asked for
    "/media/no-such-file.csv": 404,
    "/component/none/index.html": 404,
    "/oauth/start/made-up": 400,
    "/oauth/callback": 400,
    "/oauth/nothing": 200,
    "//evil.example/": 400,
    "/%2e%2e/%2e%2e/etc/passwd": 400,
}


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    folder = tmp_path_factory.mktemp("hardening")
    source = write_source(folder / "profiles", people(3))
    public = {"CCEXPORT_PUBLIC_URL": PUBLIC_URL}
    with (
        house_beside_sandbox(folder / "house", source, behaviour()) as house,
        served(house, with_worker=False, variables=public) as dashboard,
    ):
        yield dashboard


@pytest.mark.parametrize(("path", "status"), PATHS.items())
def test_every_answer_carries_the_strict_headers(
    dashboard: Dashboard, path: str, status: int
) -> None:
    answer = _get(dashboard, path)
    assert answer.status_code == status
    _check_strict(answer.headers)


def test_a_static_file_carries_the_strict_headers(dashboard: Dashboard) -> None:
    script = re.search(r'src="(?:\./|/)?(static/js/[^"]+\.js)"', _get(dashboard, "/").text)
    assert script is not None
    answer = _get(dashboard, f"/{script[1]}")
    assert answer.status_code == 200
    assert "javascript" in answer.headers["Content-Type"]
    _check_strict(answer.headers)


def test_a_refusal_of_a_foreign_name_carries_the_strict_headers(dashboard: Dashboard) -> None:
    answer = _get(dashboard, "/", headers={"Host": "evil.example"})
    assert answer.status_code == 403
    _check_strict(answer.headers)


def test_the_policy_lets_pages_run_their_own_scripts_alone(dashboard: Dashboard) -> None:
    policy = dict(
        part.strip().partition(" ")[::2]
        for part in _get(dashboard, "/").headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["object-src"] == "'none'"
    assert "'unsafe-inline'" not in policy["script-src"]
    assert policy["base-uri"] == policy["form-action"] == "'self'"
    assert not any("http" in value or "*" in value for value in policy.values())


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "MADEUP"])
@pytest.mark.parametrize("path", ["/", "/_stcore/upload_file/session/file", "/oauth/callback"])
def test_nothing_is_uploaded_or_changed_by_plain_requests(
    dashboard: Dashboard, method: str, path: str
) -> None:
    answer = requests.request(
        method, dashboard.url + path, data=b"x" * 100_000, timeout=TIMEOUT, allow_redirects=False
    )
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"
    _check_strict(answer.headers)


def test_an_upload_to_a_live_session_is_refused_with_the_right_token_too(
    dashboard: Dashboard,
) -> None:
    with requests.Session() as browser:
        browser.get(f"{dashboard.url}/_stcore/health", timeout=TIMEOUT)
        token = browser.cookies["_streamlit_xsrf"]
        answer = browser.put(
            f"{dashboard.url}/_stcore/upload_file/session/file",
            files={"file": b"x"},
            headers={"X-Xsrftoken": token},
            timeout=TIMEOUT,
        )
    assert answer.status_code == 405


def test_a_body_that_never_ends_is_not_waited_for(dashboard: Dashboard) -> None:
    with closing(socket.create_connection(("localhost", dashboard.port), TIMEOUT)) as channel:
        channel.sendall(
            b"PUT /_stcore/upload_file/s/f HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Length: 100000000000\r\n\r\nfirst bytes"
        )
        assert channel.recv(4096).startswith(b"HTTP/1.1 405 ")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1"])
@pytest.mark.parametrize("path", ["/_stcore/health", "/_stcore/host-config", "/healthz", "/"])
def test_no_other_site_may_read_an_answer(dashboard: Dashboard, path: str, origin: str) -> None:
    answer = _get(dashboard, path, headers={"Origin": origin})
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_cookies_stay_behind_https_and_with_this_site(dashboard: Dashboard) -> None:
    """The one that scripts read is Streamlit's token against forged requests: it has to be sent twice."""
    answer = _get(dashboard, "/_stcore/health")
    cookie = _cookies(answer)["_streamlit_xsrf"]
    assert cookie["secure"]
    assert cookie["samesite"].lower() == "lax"
    assert not cookie["httponly"]


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://localhost",  # another server of this machine
        "http://localhost:3000",
        "http://127.0.0.1:{port}",
        "http://localhost:{port}.evil.example",
        "http://localhost:{port}@evil.example",
        "https://exports.example",  # nobody signs in: the public address is not answered either
        "file://localhost:{port}",
        "null",
        "",
    ],
)
def test_a_page_of_another_site_cannot_open_the_dashboards_channel(
    dashboard: Dashboard, origin: str
) -> None:
    with (
        pytest.raises(InvalidStatus) as refused,
        _connect(dashboard, Origin(origin.format(port=dashboard.port))),
    ):
        pass
    assert refused.value.response.status_code == 403
    _check_strict(refused.value.response.headers)
    assert not [line for line in dashboard.lines if "Traceback" in line]


def test_the_dashboards_own_page_opens_its_channel(dashboard: Dashboard) -> None:
    with _connect(dashboard, Origin(f"http://localhost:{dashboard.port}")) as channel:
        assert channel.subprotocol == "streamlit"
        assert channel.response is not None
        _check_strict(channel.response.headers)


def test_a_program_that_names_no_origin_opens_the_channel(dashboard: Dashboard) -> None:
    with _connect(dashboard, None) as channel:
        assert channel.subprotocol == "streamlit"


def test_a_channel_that_does_not_exist_is_refused_strictly(dashboard: Dashboard) -> None:
    with pytest.raises(InvalidStatus) as refused, _connect(dashboard, None, path="/made-up"):
        pass
    assert refused.value.response.status_code == 403
    _check_strict(refused.value.response.headers)


def test_a_message_that_is_none_ends_the_channel_and_nothing_else(dashboard: Dashboard) -> None:
    with _connect(dashboard, None) as channel:
        channel.send(b"\xff\xfe no message of the protocol")
        with pytest.raises(ConnectionClosedError, match="1002"):
            list(channel)
    assert _get(dashboard, "/healthz").status_code == 200


def test_the_config_in_the_repository_keeps_both_protections_on() -> None:
    config = (Path(__file__).resolve().parents[2] / ".streamlit" / "config.toml").read_text()
    assert "enableCORS = true" in config
    assert "enableXsrfProtection = true" in config


def _get(
    dashboard: Dashboard, path: str, headers: dict[str, str] | None = None
) -> requests.Response:
    """The path goes out as it is written."""
    request = requests.Request("GET", dashboard.url, headers=headers).prepare()
    request.url = dashboard.url + path
    with requests.Session() as session:
        return session.send(request, timeout=TIMEOUT, allow_redirects=False)


def _connect(
    dashboard: Dashboard, origin: Origin | None, path: str = "/_stcore/stream"
) -> ClientConnection:
    return connect(
        f"ws://localhost:{dashboard.port}{path}",
        origin=origin,
        subprotocols=["streamlit"],  # type: ignore[list-item]  # a NewType of str
        max_size=None,
        proxy=None,
    )


def _check_strict(headers: object) -> None:
    assert hasattr(headers, "__getitem__")
    assert {name: headers[name] for name in STRICT} == STRICT
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def _cookies(answer: requests.Response) -> SimpleCookie:
    found = SimpleCookie()
    for line in answer.raw.headers.getlist("Set-Cookie"):
        found.load(line)
    return found
