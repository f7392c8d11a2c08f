"""The API over HTTP: who is let in, what each token may do, and what each call answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
import requests
from starlette.applications import Starlette
from starlette.testclient import TestClient

from ccexport.errors import StoreError
from ccexport.installation import Installation
from ccexport.preparation.mapping import parse_mapping
from ccexport.services.api.tokens import ApiTokens, new_token
from ccexport.services.exports.exports import ExportDraft, Exports
from ccexport.services.people.access import local_administrator
from ccexport.services.runs.runs import Runs
from ccexport.states import RunState
from ccexport.store.audit import AuditFilter
from ccexport.store.exports import ExportView
from ccexport.store.moves import Held
from ccexport.web.api import WRONG_TOKENS
from ccexport.web.guard import guards
from ccexport.web.routes import routes
from tests.kit.rows import LIST_ID, export_row
from tests.ui.conftest import MAPPING, SEGMENTS
from tests.web.conftest import INDEX_HTML, serving

BY = local_administrator()
EXPORTS = "/api/v1/exports"


class Program:
    """One that calls with a token, below `/tools`."""

    def __init__(self, url: str, token: str) -> None:
        self.url, self.token = url, token

    def __call__(self, method: str, path: str, **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"} | more.pop("headers", {})
        return requests.request(method, self.url + path, headers=headers, timeout=60, **more)


@pytest.fixture
def door(installation: Installation, export: ExportView) -> Iterator[str]:
    """The routes below `/tools`, as behind a proxy."""
    public = "http://localhost:8501/tools"
    app = Starlette(
        routes=routes(lambda: installation, lambda _request: BY, "/tools"),
        middleware=guards(INDEX_HTML, open_to_others=False, public_url=public),
    )
    with serving(app) as url:
        yield f"{url}/tools"


@pytest.fixture
def airflow(door: str, installation: Installation) -> Program:
    """One with a token for everything."""
    return Program(door, ApiTokens(installation).add("airflow", by=BY))


@pytest.fixture
def other(installation: Installation, export: ExportView) -> ExportView:
    """A second export, to the same list."""
    mapping = parse_mapping(MAPPING)
    draft = ExportDraft("Other / one", "Marketing", LIST_ID, SEGMENTS, mapping)
    return Exports(installation).add(draft, by=BY)


def end(installation: Installation, run_id: int, state: RunState, error: str | None = None) -> None:
    """As a worker ends a run."""
    held = Held(run_id, "w1")
    assert installation.runs.claim(held.worker, run_id=run_id)
    installation.runs.move(held, RunState.PREPARING)
    installation.runs.finish(held, state, error=error)


# --- who is let in ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer ", "Bearer cce_", "Basic YTpi", "{token}", "Bearer {token}x", "Bearer \xe4"],
)  # fmt: skip
def test_api_lets_in_nobody_without_a_right_token(airflow: Program, given: str) -> None:
    sent = given.format(token=airflow.token).encode("latin-1")
    answer = requests.get(airflow.url + EXPORTS, headers={"Authorization": sent}, timeout=60)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert list(answer.json()) == ["error"]
    assert "\n" not in answer.json()["error"]
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("query", ["token={0}", "access_token={0}", "api_key=x", "any={0}"])
def test_api_refuses_a_token_in_an_address_beside_a_right_one_too(
    airflow: Program, query: str
) -> None:
    address = f"{EXPORTS}?{query.format(airflow.token)}"
    for answer in (airflow("GET", address), requests.get(airflow.url + address, timeout=60)):
        assert answer.status_code == 401
        assert "A token in an address is refused" in answer.json()["error"]
        assert airflow.token not in answer.text


def test_api_takes_no_revoked_and_no_expired_token(
    airflow: Program, installation: Installation
) -> None:
    tokens = ApiTokens(installation)
    assert airflow("GET", EXPORTS).status_code == 200
    tokens.revoke("airflow", by=BY)
    assert airflow("GET", EXPORTS).status_code == 401
    old = Installation(installation.settings, lambda: installation.now().replace(year=2020))
    token = ApiTokens(old).add("old", days=1, by=BY)
    answer = Program(airflow.url, token)("GET", EXPORTS)
    assert (answer.status_code, "has expired" in answer.json()["error"]) == (401, True)
    old.close()


def test_api_stands_a_thousand_wrong_tokens_and_lets_the_right_one_in(
    installation: Installation,
) -> None:
    right = ApiTokens(installation).add("airflow", by=BY)
    app = Starlette(routes=routes(lambda: installation, lambda _request: BY))
    # without a network between, so that a thousand take a second
    with TestClient(app, client=("10.1.2.3", 5000)) as client:

        def ask(token: str) -> Any:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            return client.get(EXPORTS, headers=headers)

        # with a right checksum, and with none
        found = [ask(new_token() if n % 2 else "cce_x").status_code for n in range(1_000)]
        assert found == [401] * WRONG_TOKENS + [429] * (1_000 - WRONG_TOKENS)
        assert 0 < int(ask("cce_x").headers["Retry-After"]) <= 60
        assert ask("").status_code == 401
        assert ask(right).status_code == 200


def test_api_needs_no_cookie_and_takes_none(door: str, browser: requests.Session) -> None:
    browser.get(f"{door}/healthz", timeout=60)
    browser.cookies.set("_streamlit_user", "x")
    assert browser.post(f"{door}{EXPORTS}/Newsletter/runs", timeout=60).status_code == 401


def test_api_answers_no_page_of_another_site(airflow: Program) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer = requests.options(f"{airflow.url}{EXPORTS}", headers=asked, timeout=60)
    assert answer.status_code == 405
    assert not any(name.lower().startswith("access-control") for name in answer.headers)
    rebound = airflow("GET", EXPORTS, headers={"Host": "rebound.example"})
    assert rebound.status_code == 403


def test_api_alone_takes_more_than_reading(door: str) -> None:
    for path in ("/", "/api", "/api/v2/refresh", "/x/api/v1/refresh", "/healthz"):
        assert requests.post(door + path, timeout=60).status_code == 405
    assert (
        requests.post(door.removesuffix("/tools") + "/api/v1/refresh", timeout=60).status_code
        == 405
    )


# --- what each token may do -------------------------------------------------------------------------


class Cell(NamedTuple):
    """A call, and what it answers to each kind of token."""

    method: str
    path: str
    all: int
    all_read_only: int
    some: int
    some_read_only: int
    another: int  # a token for another export


MATRIX = (
    Cell("POST", "/exports/Newsletter/runs", 409, 403, 409, 403, 403),
    Cell("POST", "/exports/Nothing/runs", 404, 404, 404, 404, 404),
    Cell("GET", "/runs/{run}", 200, 200, 200, 200, 403),
    Cell("GET", "/runs/999999", 404, 404, 404, 404, 404),
    Cell("GET", "/runs/{run}/outcome", 404, 404, 404, 404, 403),
    Cell("GET", "/exports", 200, 200, 200, 200, 200),
    Cell("GET", "/exports/Newsletter/preview", 200, 200, 200, 200, 403),
    Cell("GET", "/exports/Nothing/preview", 404, 404, 404, 404, 404),
    Cell("POST", "/refresh", 202, 403, 403, 403, 403),
)


def test_api_scope_and_role_cell_by_cell(
    door: str, installation: Installation, other: ExportView
) -> None:
    tokens = ApiTokens(installation)
    kinds = {
        "all": tokens.add("all", by=BY),
        "all_read_only": tokens.add("all-read", read_only=True, by=BY),
        "some": tokens.add("some", exports=["Newsletter"], by=BY),
        "some_read_only": tokens.add("some-read", exports=["Newsletter"], read_only=True, by=BY),
        "another": tokens.add("another", exports=[other.export.name], by=BY),
    }
    run = Exports(installation).queue("Newsletter", by=BY).id
    found, wanted = {}, {}
    for cell in MATRIX:
        for kind, token in kinds.items():
            before = installation.audit.count(AuditFilter())
            answer = Program(door, token)(cell.method, "/api/v1" + cell.path.format(run=run))
            found[cell.path, kind] = answer.status_code
            wanted[cell.path, kind] = getattr(cell, kind)
            rows = installation.audit.count(AuditFilter()) - before
            assert rows == (answer.status_code in (202, 403)), (cell, kind)
            assert answer.status_code < 400 or answer.json()["error"]
    assert found == wanted
    whose = {row.who for row in installation.audit.page(AuditFilter(outcome="refused"))}
    assert whose == {"all-read", "some", "some-read", "another"}


def test_api_lists_the_exports_in_reach_alone(
    door: str, installation: Installation, other: ExportView
) -> None:
    tokens = ApiTokens(installation)
    some = Program(door, tokens.add("some", exports=["Newsletter"], by=BY))
    every = Program(door, tokens.add("every", by=BY))
    assert [each["name"] for each in some("GET", EXPORTS).json()] == ["Newsletter"]
    assert [each["name"] for each in every("GET", EXPORTS).json()] == ["Newsletter", "Other / one"]
    installation.exports.remove(other.export.id)
    another = Exports(installation).queue("Newsletter", by=BY).id
    assert some("GET", f"/api/v1/runs/{another}").status_code == 200


def test_api_shows_runs_of_a_removed_export_to_a_token_for_all_alone(
    door: str, installation: Installation, other: ExportView, airflow: Program
) -> None:
    run = Exports(installation).queue(other.export.name, by=BY).id
    end(installation, run, RunState.SUCCEEDED)
    some = Program(door, ApiTokens(installation).add("some", exports=[other.export.name], by=BY))
    assert some("GET", f"/api/v1/runs/{run}").status_code == 200
    installation.exports.remove(other.export.id)
    assert some("GET", f"/api/v1/runs/{run}").status_code == 403
    assert airflow("GET", f"/api/v1/runs/{run}").status_code == 200


# --- the calls --------------------------------------------------------------------------------------


def test_api_starts_a_run_under_the_tokens_name(
    airflow: Program, installation: Installation
) -> None:
    answer = airflow("POST", f"{EXPORTS}/newsletter/runs")
    run = answer.json()["run"]
    assert (answer.status_code, answer.json()["url"]) == (202, f"/api/v1/runs/{run}")
    assert airflow("GET", answer.json()["url"]).json() == Runs(installation).document(run)
    [row] = installation.audit.page(AuditFilter(who="airflow"))
    assert (row.action, row.role, row.target_name, row.came_from) == (
        *("export.run", "API token", "Newsletter", "127.0.0.1"),
    )
    assert installation.runs.get(run).requested_by == "airflow"
    again = airflow("POST", f"{EXPORTS}/Newsletter/runs")
    assert (again.status_code, again.json()["run"]) == (409, run)
    assert f"Run {run} of" in again.json()["error"]


def test_api_starts_a_run_that_sends_everybody(
    airflow: Program, installation: Installation, other: ExportView
) -> None:
    answer = airflow("POST", f"{EXPORTS}/Other%20%2F%20one/runs", json={"full": True})
    assert installation.runs.get(answer.json()["run"]).resync is True


def test_api_says_that_a_detached_export_of_any_name_cannot_run(
    airflow: Program, installation: Installation
) -> None:
    name = "Families \N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL}?#"
    row = export_row(name, at=installation.now())
    installation.exports.add(row, ["All"], [("email", "EMail")])
    answer = airflow("POST", f"{EXPORTS}/{quote(name, safe='')}/runs")
    assert (answer.status_code, "is detached" in answer.json()["error"]) == (422, True)


def test_api_gives_the_same_run_to_the_same_key_for_a_day(
    door: str, installation: Installation, other: ExportView
) -> None:
    moment = installation.now()
    parts = Installation(installation.settings, lambda: moment)
    app = Starlette(routes=routes(lambda: parts, lambda _request: BY))
    with serving(app) as url:
        first = Program(url, ApiTokens(parts).add("airflow", by=BY))
        second = Program(url, ApiTokens(parts).add("dbt", by=BY))

        def start(who: Program, key: str, name: str = "Newsletter", **more: Any) -> Any:
            path = f"{EXPORTS}/{name}/runs"
            answer = who("POST", path, headers={"Idempotency-Key": key}, **more)
            return answer.status_code, answer.json().get("run")

        status, run = start(first, "night-1")
        assert status == 202
        assert start(first, "night-1") == (202, run)
        assert start(first, "night-2") == (409, run)
        assert start(second, "night-1") == (409, run)
        end(parts, run, RunState.SUCCEEDED)
        assert start(first, "night-1") == (202, run)
        assert start(first, "night-1", json={"full": True}) == (422, None)
        assert start(first, "night-1", "Other%20%2F%20one") == (422, None)
        assert [start(first, key)[0] for key in ("", "x" * 256)] == [400, 400]
        rows = parts.audit.count(AuditFilter(action="export.run"))
        assert rows == 1
        moment = moment.replace(year=moment.year + 1)
        status, later = start(first, "night-1")
        assert (status, later != run) == (202, True)
    parts.close()


@pytest.mark.parametrize(
    ("state", "plain", "allowed"),
    [
        (RunState.SUCCEEDED, 200, 200),
        (RunState.COMPLETED_WITH_ERRORS, 422, 200),
        (RunState.FAILED, 422, 422),
        (RunState.CANCELED, 422, 422),
        (RunState.SKIPPED, 422, 422),
    ],
)
def test_api_outcome_is_404_while_live_then_200_or_422(
    airflow: Program, installation: Installation, state: RunState, plain: int, allowed: int
) -> None:
    run = airflow("POST", f"{EXPORTS}/Newsletter/runs").json()["run"]
    path = f"/api/v1/runs/{run}/outcome"
    live = airflow("GET", path)
    assert (live.status_code, live.json()["state"]) == (404, "queued")
    assert airflow("GET", f"{path}?end=any").status_code == 404
    end(installation, run, state, error="ana@example.com is in\ntwo lines")
    answers = airflow("GET", path), airflow("GET", f"{path}?errors=allowed")
    assert [each.status_code for each in answers] == [plain, allowed]
    assert airflow("GET", f"{path}?end=any").json() == {"run": run, "state": state.value}
    for answer in answers:
        assert answer.json()["state"] == state.value
        said = answer.json().get("error", "")
        assert "ana@" not in said
        assert "\n" not in said
    assert airflow("GET", f"{path}?errors=many").status_code == 400


def test_api_preview_holds_counts_and_nothing_of_a_profile(airflow: Program) -> None:
    answer = airflow("GET", f"{EXPORTS}/Newsletter/preview")
    found = answer.json()
    assert found["counts"]["read"] == found["counts"]["rejected"] + found["counts"]["prepared"] > 0
    assert not {"samples", "example_of_each_side"} & set(found)
    assert "@" not in answer.text


def test_api_refresh_queues_what_is_due_on_it(airflow: Program, installation: Installation) -> None:
    answer = airflow("POST", "/api/v1/refresh")
    [run] = answer.json()["runs"]
    assert (answer.status_code, installation.runs.get(run).trigger.value) == (202, "refresh")
    [row] = installation.audit.page(AuditFilter(who="airflow"))
    assert row.action == "refresh.ask"
    assert airflow("POST", "/api/v1/refresh").json() == {"runs": []}


def test_api_says_when_the_source_cannot_be_read(
    airflow: Program, installation: Installation
) -> None:
    gone = installation.settings.model_copy(update={"source_url": "file:/nowhere"})
    parts = Installation(gone)
    app = Starlette(routes=routes(lambda: parts, lambda _request: BY))
    with serving(app) as url:
        program = Program(url, airflow.token)
        for method, path in (("POST", "/api/v1/refresh"), ("GET", f"{EXPORTS}/Newsletter/preview")):
            answer = program(method, path)
            assert (answer.status_code, list(answer.json())) == (422, ["error"])
    parts.close()


@pytest.mark.parametrize(
    "body", ["[]", "{", '{"full": 1}', '{"full": true, "more": 1}', '"x"', "\xff", "[" * 9_000]
)
def test_api_refuses_a_body_that_is_not_what_it_takes(airflow: Program, body: str) -> None:
    answer = airflow("POST", f"{EXPORTS}/Newsletter/runs", data=body.encode("latin-1"))
    assert answer.status_code == 400
    assert answer.json()["error"].startswith('The body is not JSON as {"full": true}')


def test_api_reads_no_more_of_a_body_than_it_needs(airflow: Program) -> None:
    answer = airflow("POST", f"{EXPORTS}/Newsletter/runs", data=b" " * 10_001)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/runs/0", 404),
        ("GET", "/api/v1/runs/x", 404),
        ("GET", "/api/v1/runs/99999999999999999999999", 404),
        ("GET", "/api/v1/nothing", 404),
        ("POST", "/api/v1/nothing", 404),
        ("DELETE", "/api/v1/exports", 405),
        ("GET", "/api/v1/refresh", 405),
        ("POST", "/api/v1/exports/a%00b/runs", 404),
        ("GET", "/api/v1/exports?page=2", 400),
        ("HEAD", "/api/v1/exports", 200),
    ],
)
def test_api_answers_what_it_does_not_know_in_json(
    airflow: Program, method: str, path: str, status: int
) -> None:
    answer = airflow(method, path)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/json"
    assert "Allow" in answer.headers or status != 405


def test_api_of_a_store_that_is_away_does_not_say_where_it_lies(
    airflow: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise StoreError("postgresql://secret.example cannot be reached")

    monkeypatch.setattr("ccexport.store.api_tokens.ApiTokenStore.by_digest", fail)
    answer = airflow("GET", EXPORTS)
    assert answer.status_code == 503
    assert "secret.example" not in answer.text
