"""One server for all tests of the stand-in; each test gets a fresh account behind it.

Time is a clock the tests turn by hand, so nothing here waits.
"""

import base64
import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import uvicorn
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from ccexport.sandbox.account.connections import KnownConnection
from ccexport.sandbox.account.state import SandboxState
from ccexport.sandbox.api.app import create_app
from ccexport.sandbox.behaviour import parse_behaviour
from tests.kit.clocks import Seconds

REDIRECT = "http://localhost:8765/callback"
SCOPES = "contact_data account_read offline_access"
VERIFIER = "v" * 50
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
)


NOON = 1_767_614_400.0  # UTC, on a day in 2026


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # no look for proxies in the environment at each request
    return session


@dataclass
class Account:
    """A client of a fresh stand-in, as thin as can be."""

    url: str
    app: Starlette
    clock: Seconds
    session: requests.Session = field(default_factory=_session)
    anonymous: requests.Session = field(default_factory=_session)

    @property
    def state(self) -> SandboxState:
        found: SandboxState = self.app.state.sandbox
        return found

    @property
    def newsletter(self) -> str:
        return self.state.lists.all()[0].list_id

    def authorize(self, **changes: str | None) -> requests.Response:
        query: dict[str, str | None] = {
            "client_id": "app",
            "redirect_uri": REDIRECT,
            "response_type": "code",
            "scope": SCOPES,
            "state": "s1",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        query |= changes
        return self.session.get(
            f"{self.url}/oauth2/default/v1/authorize",
            params=query,
            allow_redirects=False,
            timeout=10,
        )

    def code(self, **changes: str | None) -> str:
        return query_of(self.authorize(**changes))["code"]

    def token(self, auth: tuple[str, str] | None = None, **form: str | None) -> requests.Response:
        self.clock.advance(1.5)
        form.setdefault("client_id", "app")
        return self.anonymous.post(
            f"{self.url}/oauth2/default/v1/token", data=form, auth=auth, timeout=10
        )

    def exchange(self, code: str, **changes: Any) -> requests.Response:
        form = {"code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER} | changes
        return self.token(grant_type="authorization_code", **form)

    def refresh(self, refresh_token: str, **more: Any) -> requests.Response:
        return self.token(grant_type="refresh_token", refresh_token=refresh_token, **more)

    def sign_in(self, **changes: str | None) -> dict[str, Any]:
        tokens: dict[str, Any] = self.exchange(self.code(**changes)).json()
        self.session.headers["Authorization"] = f"Bearer {tokens['access_token']}"
        return tokens

    def call(self, method: str, path: str, **arguments: Any) -> requests.Response:
        url = path if path.startswith("/v3") else f"/v3{path}"
        return self.session.request(
            method, self.url + url, timeout=10, allow_redirects=False, **arguments
        )

    def get(self, path: str, **query: Any) -> requests.Response:
        return self.call("GET", path, params=query)

    def post(self, path: str, body: Any) -> requests.Response:
        return self.call("POST", path, json=body)

    def upload(
        self,
        data: bytes | str,
        lists: str | None = None,
        name: str = "run1-0001.csv",
        part_type: str = "text/csv",
    ) -> requests.Response:
        content = data.encode() if isinstance(data, str) else data
        files = {
            "file": (name, content, part_type),
            "list_ids": (None, self.newsletter if lists is None else lists),
        }
        return self.call("POST", "/activities/contacts_file_import", files=files)

    def finish(self, started: requests.Response) -> dict[str, Any]:
        """The activity after its time."""
        assert started.status_code == 201, started.text
        self.clock.advance(60)
        self.state.activities.catch_up(with_big_work=True)
        found: dict[str, Any] = self.get(f"/activities/{started.json()['activity_id']}").json()
        return found

    def import_now(self, data: bytes | str, lists: str | None = None) -> dict[str, Any]:
        return self.finish(self.upload(data, lists))

    def members(self, list_id: str | None = None) -> list[dict[str, Any]]:
        answer = self.inspect("members", list=list_id or self.newsletter)
        found: list[dict[str, Any]] = answer.json()
        return found

    def emails(self, list_id: str | None = None) -> list[str]:
        return [one["email_address"] for one in self.members(list_id)]

    def contact_id(self, email: str) -> str:
        return str(
            self.get("/contacts", email=email, status="all").json()["contacts"][0]["contact_id"]
        )

    def inspect(self, what: str, **query: Any) -> requests.Response:
        return self.anonymous.get(f"{self.url}/_sandbox/{what}", params=query, timeout=10)

    def turn(self, what: str, **body: Any) -> requests.Response:
        return self.anonymous.post(f"{self.url}/_sandbox/{what}", json=body, timeout=10)

    def fault(self, on: str, do: str, **more: Any) -> None:
        answer = self.turn("behaviour", faults=[{"on": on, "do": do, **more}])
        assert answer.status_code == 200, answer.text


def query_of(answer: requests.Response) -> dict[str, str]:
    """What a redirect tells the place it leads to."""
    assert answer.status_code == 302, answer.text
    pairs = parse_qs(urlsplit(answer.headers["location"]).query)
    return {name: values[0] for name, values in pairs.items()}


class _Switchboard:
    """Hands every request to the app of the test that runs."""

    def __init__(self) -> None:
        self.app: Starlette | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None
        await self.app(scope, receive, send)


@pytest.fixture(scope="session")
def switchboard() -> Iterator[tuple[str, _Switchboard]]:
    board, ready = _Switchboard(), threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            ready.set()

    config = uvicorn.Config(
        board, port=0, http=KnownConnection, lifespan="off", log_config=None, access_log=False
    )
    server = Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert ready.wait(20)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}", board
    server.should_exit = True
    thread.join(20)


OpenAccount = Callable[..., Account]


@pytest.fixture
def open_account(switchboard: tuple[str, _Switchboard]) -> Iterator[OpenAccount]:
    """Makes the account of a test: `open_account(client_secret=…, auto_approve=False, …)`."""
    url, board = switchboard
    made: list[Account] = []

    def make(
        client_id: str | None = None, client_secret: str | None = None, **keys: Any
    ) -> Account:
        clock = Seconds(NOON)
        keys = {"auto_approve": True, "requests_per_second": 1000} | keys
        board.app = create_app(
            parse_behaviour(keys), client_id=client_id, client_secret=client_secret, clock=clock
        )
        made.append(Account(url, board.app, clock))
        return made[-1]

    yield make
    for account in made:
        account.session.close()
        account.anonymous.close()
        account.state.close()


@pytest.fixture
def account(open_account: OpenAccount) -> Account:
    """An account with a custom field `Loyalty_tier`, signed in."""
    opened = open_account(custom_fields=["Loyalty tier"])
    opened.sign_in()
    return opened
