"""Who may read `/metrics`: with a token those who have it, without one this machine alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests
from pydantic import SecretStr
from starlette.applications import Starlette

from ccexport.errors import SettingError, StoreError
from ccexport.installation import Installation
from ccexport.services.people.access import local_administrator
from ccexport.settings import load_settings
from ccexport.store.connections import ConnectionView
from ccexport.store.exports import ExportView
from ccexport.web.guard import guards
from ccexport.web.routes import routes
from tests.web.conftest import INDEX_HTML, serving

TOKEN = "a-token-of-monitoring"
PUBLIC_URL = "https://exports.example/tools"
HERE = {"Host": "localhost:8501"}
NAMES = ("Newsletter", "ccexport_runs")


@contextmanager
def door(installation: Installation, token: str | None, *, others: bool = True) -> Iterator[str]:
    """The routes below `/tools`; the address of the metrics."""
    given = SecretStr(token) if token else None
    settings = installation.settings.model_copy(update={"metrics_token": given})
    parts = Installation(settings)
    app = Starlette(
        routes=routes(lambda: parts, lambda _request: local_administrator(), "/tools"),
        middleware=guards(INDEX_HTML, open_to_others=others, public_url=PUBLIC_URL),
    )
    with serving(app) as url:
        yield f"{url}/tools/metrics"
    parts.close()


def get(url: str, **headers: str) -> requests.Response:
    return requests.get(url, headers=headers, timeout=60)


def test_metrics_are_read_with_the_token_under_any_name(
    installation: Installation, export: ExportView
) -> None:
    with door(installation, TOKEN) as url:
        for host in ("localhost:8501", "exports.example", "10.0.0.7:8501"):
            answer = get(url, Host=host, Authorization=f"Bearer {TOKEN}")
            assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            assert all(name in answer.text for name in NAMES)


@pytest.mark.parametrize(
    "given",
    ["", "Bearer", "Bearer ", "Bearer wrong", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, "Bearer \xe4"],
)  # fmt: skip
def test_metrics_are_not_read_with_another_token(
    installation: Installation, export: ExportView, given: str
) -> None:
    with door(installation, TOKEN) as url:
        answer = requests.get(
            url, headers={**HERE, "Authorization": given.encode("latin-1")}, timeout=60
        )
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert "CCEXPORT_METRICS_TOKEN" in answer.text
    assert TOKEN not in answer.text
    assert not any(name in answer.text for name in NAMES)


def test_metrics_take_no_token_in_the_address(
    installation: Installation, export: ExportView
) -> None:
    with door(installation, TOKEN) as url:
        assert get(f"{url}?token={TOKEN}&access_token={TOKEN}", **HERE).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (HERE, 200),
        (HERE | {"X-Forwarded-For": "127.0.0.1"}, 200),
        (HERE | {"X-Forwarded-For": "203.0.113.9"}, 403),
        (HERE | {"X-Forwarded-For": "127.0.0.1, 203.0.113.9"}, 403),
        (HERE | {"X-Real-IP": "203.0.113.9"}, 403),
        (HERE | {"Forwarded": "for=203.0.113.9"}, 403),
        (HERE | {"Via": "1.1 proxy"}, 403),
        ({"Host": "exports.example"}, 403),
        ({"Host": "rebound.example"}, 403),
        ({"Host": "10.0.0.7"}, 403),
    ],
)
def test_metrics_without_a_token_answer_this_machine_alone(
    installation: Installation, export: ExportView, headers: dict[str, str], status: int
) -> None:
    with door(installation, None) as url:
        answer = get(url, **headers)
    assert answer.status_code == status
    assert all((name in answer.text) == (status == 200) for name in NAMES)


def test_other_addresses_gain_no_name_by_ending_alike(installation: Installation) -> None:
    with door(installation, TOKEN) as url:
        for path in ("/metrics", "/x/metrics"):
            address = url.removesuffix("/tools/metrics") + path
            assert get(address, Host="rebound.example").status_code == 403


def test_a_token_opens_no_dashboard_without_sign_in(installation: Installation) -> None:
    with door(installation, TOKEN, others=False) as url:
        answer = get(url, Host="rebound.example", Authorization=f"Bearer {TOKEN}")
    assert answer.status_code == 403


def test_metrics_of_a_store_that_is_away_are_503_and_do_not_say_where_it_lies(
    installation: Installation, connection: ConnectionView, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_engine: object) -> None:
        raise StoreError("postgresql://secret.example cannot be reached")

    with door(installation, None) as url:
        monkeypatch.setattr("ccexport.services.operations.metrics.read_figures", fail)
        answer = get(url, **HERE)
    assert answer.status_code == 503
    assert "secret.example" not in answer.text


@pytest.mark.parametrize("token", ["two words", "schlüssel", "line\nbreak"])
def test_a_token_that_no_header_can_carry_is_refused_unseen(
    token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CCEXPORT_METRICS_TOKEN", token)
    with pytest.raises(SettingError, match="CCEXPORT_METRICS_TOKEN") as refused:
        load_settings()
    assert token not in str(refused.value)
    assert "without blanks" in str(refused.value)


def test_an_empty_token_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CCEXPORT_METRICS_TOKEN", "  ")
    assert load_settings().metrics_token is None
