"""The same search where people sign in and backups are made: no cookie, token or secret of theirs in any byte."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from streamlit import auth_util
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import (
    TOKENS_COOKIE_NAME,
    USER_COOKIE_NAME,
)

from ccexport.services.connections.sign_ins import SignIns
from ccexport.services.people.access import Person, Role
from tests.browser.provider import address_of, running_provider
from tests.crash.conftest import shorten_tokens
from tests.crash.watched import DOMAIN, TIMEOUT, Watched, dashboard_of, look_at, look_at_all_pages

OIDC_SECRET = "secret-of-the-dashboard-at-its-provider-4Kd"
PASSPHRASE = "a passphrase that nobody else knows 6Wn"


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with running_provider() as issuer:
        yield issuer


@pytest.fixture
def signing(watched: Watched, provider: str) -> dict[str, str]:
    """The settings by which people sign in; what of them is secret is looked for."""
    watched.secrets |= {"secret at the provider": OIDC_SECRET, "passphrase": PASSPHRASE}
    return {
        "CCEXPORT_OIDC_ISSUER": provider,
        "CCEXPORT_OIDC_CLIENT_ID": "ccexport",
        "CCEXPORT_OIDC_CLIENT_SECRET": OIDC_SECRET,
        "CCEXPORT_OIDC_ROLE_CLAIM": "groups",
        "CCEXPORT_OIDC_ROLES": "ccexport-admins=administrator",
        "CCEXPORT_BACKUP_PASSPHRASE": PASSPHRASE,
    }


def test_nothing_is_left_in_the_clear_by_people_who_sign_in_and_by_backups(
    watched: Watched, signing: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    house = watched.house
    secret_of_cookies = house.installation.keys.newest.cookies
    watched.secrets["secret of cookies"] = secret_of_cookies
    monkeypatch.setattr(auth_util, "get_signing_secret", lambda: secret_of_cookies)
    with dashboard_of(watched, "dashboard", **signing) as url:
        with requests.Session() as browser:
            _sign_in(watched, browser, url)
            assert "Connections" in look_at(url, "connections", cookies=browser.cookies)
            _connect(watched, browser, url)
            house.set_up_export()
            shorten_tokens(house, 900)
            house.queue()
            assert watched.run("worker", "--until-idle", log="worker", **signing) == 0
            assert look_at_all_pages(url, [1], browser.cookies) == []
            _return_with_made_up_secrets(watched, browser, url)
            assert watched.run("backup", "while-it-runs.backup", log="backups", **signing) == 0
            browser.get(f"{url}/auth/logout", timeout=TIMEOUT, allow_redirects=False)
        assert watched.found() == {}  # while the store is open
    assert watched.run("backup", "afterwards.backup", log="backups", **signing) == 0
    assert (
        watched.run("restore", "while-it-runs.backup", "--replace", log="backups", **signing) == 0
    )
    assert [view.connection.name for view in house.installation.connections.views()] == [
        "Marketing"
    ]
    assert watched.found() == {}
    assert watched.seen_in_lists == set()
    assert {"id token", "access token of the provider", "code of the provider"} <= set(
        watched.secrets
    )
    assert DOMAIN not in "".join(p.read_text() for p in (watched.folder / "logs").iterdir())


def _sign_in(watched: Watched, browser: requests.Session, url: str) -> None:
    """Olivia, step by step, so that everything on the way is known and looked for."""
    start = f"{url}/auth/login?provider={auth_util.encode_provider_token('default')}"
    away = browser.get(start, timeout=TIMEOUT, allow_redirects=False)
    asked = dict(parse_qsl(urlsplit(away.headers["Location"]).query))
    watched.secrets |= {f"{name} of the sign-in": asked[name] for name in ("state", "nonce")}
    watched.secrets |= {f"cookie {name}": value for name, value in browser.cookies.items()}
    with requests.Session() as at_provider:  # another host, were it not for the tests
        back = at_provider.post(
            away.headers["Location"], {"sub": "olivia"}, timeout=TIMEOUT, allow_redirects=False
        )
    returns = back.headers["Location"]
    watched.secrets["code of the provider"] = dict(parse_qsl(urlsplit(returns).query))["code"]
    answer = browser.get(returns, timeout=TIMEOUT, allow_redirects=False)
    assert answer.status_code == 302, answer.text
    browser.get(f"{url}/_stcore/health", timeout=TIMEOUT)
    watched.secrets |= {f"cookie {name}": value for name, value in browser.cookies.items()}
    _note_tokens(watched, dict(browser.cookies.items()))


def _note_tokens(watched: Watched, cookies: dict[str, str]) -> None:
    """Cookies are signed and not encrypted: what they hold is looked for by itself too."""
    secret = watched.secrets["secret of cookies"]
    for name in (USER_COOKIE_NAME, TOKENS_COOKIE_NAME):
        watched.secrets[f"what the cookie {name} holds"] = cookies[name].strip(".").split(".")[0]
    content = decode_signed_value(secret, TOKENS_COOKIE_NAME, cookies[TOKENS_COOKIE_NAME])
    tokens = json.loads(content or b"{}")
    _, claims, signature = tokens["id_token"].split(".")
    watched.secrets |= {"claims of the id token": claims, "id token": signature}
    watched.secrets["access token of the provider"] = tokens["access_token"]


def _connect(watched: Watched, browser: requests.Session, url: str) -> None:
    email = address_of("olivia")
    olivia = Person(email, Role.ADMINISTRATOR, email)
    signs = SignIns(watched.house.installation)
    ticket = signs.prepare("Marketing", contributors=False, agreed=True, by=olivia)
    watched.secrets["a ticket"] = ticket
    answer = browser.get(f"{url}/oauth/start/{ticket}", timeout=TIMEOUT)
    assert answer.ok, answer.text
    (view,) = watched.house.installation.connections.views()
    assert view.connection.export_user == email


def _return_with_made_up_secrets(watched: Watched, browser: requests.Session, url: str) -> None:
    made_up = {"code": "made-up-code-2Rj", "state": "made-up-state-8Bv"}
    watched.secrets |= {f"made-up {name} of a sign-in": value for name, value in made_up.items()}
    words = {"error": "access_denied", "error_description": f"person4@{DOMAIN}"}
    for query in (made_up, made_up | words):
        browser.get(f"{url}/oauth2callback", params=query, timeout=TIMEOUT, allow_redirects=False)
    token = "made-up-provider-5Lp"
    watched.secrets["a made-up token of a provider"] = token
    browser.get(f"{url}/auth/login?provider={token}", timeout=TIMEOUT, allow_redirects=False)
