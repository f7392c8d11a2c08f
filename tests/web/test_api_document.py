"""The API's description: what it says of every call, and that each answer is as it says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from starlette.applications import Starlette

from ccexport.installation import Installation
from ccexport.services.api.tokens import ApiTokens
from ccexport.services.exports.exports import Exports
from ccexport.services.people.access import local_administrator
from ccexport.states import RunState
from ccexport.store.exports import ExportView
from ccexport.store.moves import Held
from ccexport.web.api import CALLS
from ccexport.web.guard import guards
from ccexport.web.routes import routes
from ccexport.worker import Worker
from tests.web.conftest import INDEX_HTML, serving

BY = local_administrator()
EXAMPLES = 12  # of each call, half of them wrong on purpose


@pytest.fixture
def base(installation: Installation, export: ExportView) -> Iterator[str]:
    """The address of the dashboard, below a path."""
    app = Starlette(
        routes=routes(lambda: installation, lambda _request: BY, "/tools"),
        middleware=guards(
            INDEX_HTML, open_to_others=False, public_url="http://localhost:8501/tools"
        ),
    )
    with serving(app) as url:
        yield f"{url}/tools"


@pytest.fixture
def schema(base: str) -> Any:
    """The description, as a program reads it; it needs no token."""
    return schemathesis.openapi.from_url(f"{base}/api/v1/openapi.json", wait_for_schema=30)


@pytest.fixture
def bearer(installation: Installation) -> dict[str, str]:
    return {"Authorization": f"Bearer {ApiTokens(installation).add('schemathesis', by=BY)}"}


def test_description_is_openapi_3_1_and_has_every_call(base: str, schema: Any) -> None:
    document = requests.get(f"{base}/api/v1/openapi.json", timeout=60).json()
    schema.validate()
    assert document["openapi"] == "3.1.0"
    assert document["servers"] == [{"url": "/tools"}]
    found = {
        (method.upper(), operation["operationId"])
        for operations in document["paths"].values()
        for method, operation in operations.items()
    }
    assert found == {(call.method, call.name) for call in CALLS}


def test_every_answer_to_anything_is_as_the_description_says(
    schema: Any, bearer: dict[str, str]
) -> None:
    for found in schema.get_all_operations():
        operation = found.ok()

        @given(case=operation.as_strategy())
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        def check(case: Any) -> None:
            case.call_and_validate(headers=bearer)

        check()


def test_every_answer_about_what_there_is_is_as_the_description_says(
    schema: Any, bearer: dict[str, str], installation: Installation
) -> None:
    operations = {
        found.ok().definition.raw["operationId"]: found.ok()
        for found in schema.get_all_operations()
    }

    def ask(call: str, status: int, query: dict[str, str] | None = None, **path: object) -> Any:
        case = operations[call].Case(path_parameters=path, query=query or {})
        answer = case.call_and_validate(headers=bearer)
        assert (call, answer.status_code) == (call, status)
        return answer.json()

    ask("previewExport", 200, name="Newsletter")
    run = ask("startRun", 202, name="Newsletter")["run"]
    ask("startRun", 409, name="Newsletter")
    ask("runOutcome", 404, id=run)
    ask("listExports", 200)
    held = Held(run, "w1")
    installation.runs.claim(held.worker, run_id=run)
    installation.runs.move(held, RunState.PREPARING)
    ask("showRun", 200, id=run)
    installation.runs.finish(held, RunState.COMPLETED_WITH_ERRORS, error="no")
    ask("runOutcome", 422, id=run)
    ask("runOutcome", 200, {"errors": "allowed"}, id=run)
    ask("refresh", 202)
    ask("startRun", 404, name="Nothing")


def test_a_run_with_its_files_is_as_the_description_says(
    schema: Any, bearer: dict[str, str], installation: Installation
) -> None:
    run = Exports(installation).queue("Newsletter", by=BY).id
    Worker(installation).work(until_idle=True)
    [operation] = [
        found.ok()
        for found in schema.get_all_operations()
        if found.ok().definition.raw["operationId"] == "showRun"
    ]
    answer = operation.Case(path_parameters={"id": run}).call_and_validate(headers=bearer)
    assert answer.json()["state"] == "succeeded"
    assert [each["state"] for each in answer.json()["batches"]] == ["completed"]
