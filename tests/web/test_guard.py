"""What every request passes, and what health says."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests
from starlette.applications import Starlette

from ccexport.errors import SettingError, StoreError
from ccexport.installation import Installation
from ccexport.processes import is_this_machine
from ccexport.services.people.access import local_administrator
from ccexport.settings import Settings
from ccexport.web.guard import check_believed, check_bind_address, security_headers
from ccexport.web.routes import routes
from tests.kit.ports import free_port
from tests.web.conftest import serving

TIMEOUT = 60


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("Referrer-Policy", "same-origin"),
    ],
)
def test_every_answer_is_strict(web: str, name: str, value: str) -> None:
    for path in ("/healthz", "/oauth/start/x", "/nothing"):
        assert requests.get(web + path, timeout=TIMEOUT).headers[name] == value


def test_policy_allows_no_other_host_and_no_frame(tmp_path: Path) -> None:
    index = tmp_path / "index.html"
    index.write_text("<script>x = 1</script><script src='a.js'></script>")
    policy = security_headers(index)["Content-Security-Policy"]
    assert "http" not in policy
    assert "frame-ancestors 'none'" in policy
    assert policy.count("'sha256-") == 1


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8501", "192.168.1.7", "", "[::2]"])
def test_foreign_name_is_refused_without_sign_in(web: str, host: str) -> None:
    answer = requests.get(f"{web}/healthz", headers={"Host": host}, timeout=TIMEOUT)
    assert answer.status_code in (400, 403)
    assert "workers" not in answer.text


@pytest.mark.parametrize("host", ["localhost:8501", "127.0.0.1", "[::1]:8501"])
def test_own_names_are_answered(web: str, host: str) -> None:
    answer = requests.get(f"{web}/healthz", headers={"Host": host}, timeout=TIMEOUT)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("forwarded", "status"),
    [("203.0.113.9", 403), ("127.0.0.1, 203.0.113.9", 403), ("unknown", 403), ("127.0.0.1", 200)],
)
def test_proxy_of_this_machine_brings_nobody_else_without_sign_in(
    web: str, forwarded: str, status: int
) -> None:
    headers = {"Host": "localhost:8501", "X-Forwarded-For": forwarded}
    assert requests.get(f"{web}/healthz", headers=headers, timeout=TIMEOUT).status_code == status


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),  # noqa: S104  # the address that is refused
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.evil.example", False),
        ("", False),
    ],
)
def test_loopback_is_this_machine_alone(host: str, expected: bool) -> None:
    assert is_this_machine(host) is expected


def test_address_for_others_needs_sign_in() -> None:
    with pytest.raises(SettingError, match="nobody signs in"):
        check_bind_address(None, open_to_others=False)
    check_bind_address(None, open_to_others=True)


@pytest.mark.parametrize("believed", [None, "127.0.0.1,::1", "10.0.0.5/32"])
def test_server_that_believes_other_proxies_than_it_was_told_does_not_start(
    believed: str | None,
) -> None:
    wanted = Settings(trusted_proxies="10.0.0.5, 10.1.0.0/16").believed_proxies
    with pytest.raises(SettingError, match="ccexport serve"):
        check_believed(wanted, believed)
    check_believed(wanted, wanted)


def test_proxies_are_believed_under_the_address_that_an_ipv6_server_sees_too() -> None:
    assert Settings().believed_proxies == "none"
    assert Settings(trusted_proxies="10.1.0.0/16, ::1, ").believed_proxies.split(",") == [
        "10.1.0.0/16",
        "::1/128",
        "::ffff:10.1.0.0/112",
    ]


def test_health_tells_store_and_workers_and_no_secret(web: str, installation: Installation) -> None:
    answer = requests.get(f"{web}/healthz", timeout=TIMEOUT)
    assert answer.json() | {"version": ""} == {
        "status": "no worker",
        "store": "ok",
        "workers_alive": 0,
        "worker_last_seen_at": None,
        "exports_overdue": 0,
        "overdue_since": None,
        "version": "",
    }
    installation.workers.started("w", host="here", pid=1, version="1")
    assert requests.get(f"{web}/healthz", timeout=TIMEOUT).json()["workers_alive"] == 1


def test_health_without_a_store_is_503_and_says_nothing_of_where_it_is(
    web: str, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise StoreError("The store postgresql://db.internal/x cannot be reached.")

    monkeypatch.setattr(installation.workers, "alive", fail)
    answer = requests.get(f"{web}/healthz", timeout=TIMEOUT)
    assert (answer.status_code, answer.json()["store"]) == (503, "unreachable")
    assert "internal" not in answer.text


def test_a_dashboard_whose_store_is_gone_is_alive_and_not_ready(tmp_path: Path) -> None:
    port = free_port()
    url = f"postgresql+psycopg://ccexport:word@127.0.0.1:{port}/ccexport"  # nobody listens
    settings = Settings(_env_file=None, data_dir=tmp_path, database_url=url)
    installation = Installation(settings)
    app = Starlette(routes=routes(lambda: installation, lambda _request: local_administrator()))
    with serving(app) as address:
        alive = requests.get(f"{address}/livez", timeout=TIMEOUT)
        ready = requests.get(f"{address}/readyz", timeout=TIMEOUT)
        metrics = requests.get(f"{address}/metrics", timeout=TIMEOUT)
    installation.close()
    assert (alive.status_code, alive.json()["status"]) == (200, "alive")
    assert (ready.status_code, ready.json()["store"]) == (503, "unreachable")
    assert metrics.status_code == 503
    assert not any(str(port) in answer.text for answer in (alive, ready, metrics))


def test_home_by_its_name_leads_to_the_root(web: str) -> None:
    answer = requests.get(f"{web}/home", timeout=TIMEOUT, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (307, "/")
