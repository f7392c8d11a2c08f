"""The examples of `docs/orchestrators.md`, as they stand there, against the real server and a worker."""

from __future__ import annotations

import configparser
import hashlib
import hmac
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import requests
from starlette.applications import Starlette

from ccexport.installation import Installation
from ccexport.services.api.tokens import ApiTokens
from ccexport.services.people.access import local_administrator
from ccexport.store.exports import ExportView
from ccexport.web.guard import guards
from ccexport.web.routes import routes
from ccexport.worker import Worker
from tests.web.conftest import INDEX_HTML, serving

BY = local_administrator()
DOCUMENT = (Path(__file__).parents[2] / "docs" / "orchestrators.md").read_text(encoding="utf-8")


def example(heading: str, language: str) -> str:
    """The first block of a language below a heading."""
    part = DOCUMENT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = re.search(rf"```{language}\n(.*?)```", part, re.DOTALL)
    assert found, heading
    return found[1]


@pytest.fixture
def dashboard(installation: Installation, export: ExportView) -> Iterator[str]:
    """The dashboard's address, and a worker beside it."""
    app = Starlette(
        routes=routes(lambda: installation, lambda _request: BY),
        middleware=guards(INDEX_HTML, open_to_others=False, public_url="http://localhost:8501"),
    )
    worker = Worker(installation)
    thread = threading.Thread(target=worker.work, daemon=True)
    with serving(app) as url:
        thread.start()
        yield url
        worker.stop.set()
        thread.join(30)


@pytest.fixture
def environment_of(dashboard: str, installation: Installation) -> dict[str, str]:
    """What the examples find in their environment."""
    return {
        "CCEXPORT_PUBLIC_URL": dashboard,
        "API_TOKEN": ApiTokens(installation).add("orchestrator", by=BY),
        "DBT_WEBHOOK_SECRET": "s3cret of dbt",
        "POLL_SECONDS": "0.1",
    }


@pytest.fixture
def ended(installation: Installation) -> Callable[[], list[tuple[str, str]]]:
    """How every run ended, and who had asked for it."""
    return lambda: [
        (run.state.value, run.requested_by)
        for run in installation.runs.latest()
        if run.state.is_final
    ]


def test_curl_starts_a_run_and_waits_for_its_end(
    environment_of: dict[str, str], ended: Callable[[], Any]
) -> None:
    script = example("curl", "bash")
    for _ in range(2):  # the second time the key gives the same run
        done = subprocess.run(
            ["bash", "-c", script],
            env={"PATH": "/usr/bin:/bin", **environment_of},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
    assert ended() == [("succeeded", "orchestrator")]


class _Recorded:
    """In the place of Airflow's operators, which are not installed here: keeps what the example gives them."""

    made: list[_Recorded]

    def __init__(self, **given: Any) -> None:
        self.given = given
        self.output = "{{ run }}"  # as a reference to an earlier result stands in a text
        self.made.append(self)

    def __rshift__(self, other: _Recorded) -> _Recorded:
        return other


def test_airflow_starts_waits_by_404_and_checks(
    environment_of: dict[str, str], ended: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[_Recorded] = []
    kind = type("Operator", (_Recorded,), {"made": made})
    for name, content in {
        "airflow.providers.http.operators.http": {"HttpOperator": kind},
        "airflow.providers.http.sensors.http": {"HttpSensor": kind},
        "airflow.sdk": {"dag": lambda **_given: lambda function: function},
    }.items():
        _pretend(monkeypatch, name, content)
    exec(compile(example("Airflow 3", "python"), "dag.py", "exec"), {})  # noqa: S102  # our document
    start, end, check = made
    run = ""

    def ask(task: _Recorded) -> requests.Response:
        """As the provider's hook does: base, slash, endpoint; headers of the connection and of the task."""
        given = task.given
        headers = {
            "Authorization": f"Bearer {environment_of['API_TOKEN']}",
            **{name: value.replace("{{ run_id }}", "r1") for name, value in given.get("headers", {}).items()},
        }  # fmt: skip
        address = (
            f"{environment_of['CCEXPORT_PUBLIC_URL']}/{given['endpoint'].replace('{{ run }}', run)}"
        )
        return requests.request(given.get("method", "GET"), address, headers=headers, timeout=60)

    first, again = ask(start), ask(start)
    run = str(start.given["response_filter"](first))
    assert run == str(start.given["response_filter"](again))
    while (status := ask(end).status_code) == 404:
        pass
    assert (status, ask(check).status_code) == (200, 200)
    assert end.given["deferrable"] is True
    assert "response_check" not in end.given
    assert ended() == [("succeeded", "orchestrator")]


def test_dagster_starts_a_run_and_tells_its_counts(
    environment_of: dict[str, str],
    ended: Callable[[], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment_of.items():
        monkeypatch.setenv(name, value)

    class Context:
        run_id = "r1"
        told: dict[str, int]

        def add_output_metadata(self, counts: dict[str, int]) -> None:
            self.told = counts

    content = {
        "asset": lambda function: function,
        "AssetExecutionContext": Context,
        "Failure": RuntimeError,
    }
    _pretend(monkeypatch, "dagster", content)
    found: dict[str, Any] = {}
    exec(compile(example("Dagster", "python"), "assets.py", "exec"), found)  # noqa: S102  # our document
    context = Context()
    found["newsletter"](context)
    assert context.told["submitted"] == context.told["prepared"] > 0
    assert ended() == [("succeeded", "orchestrator")]


@pytest.mark.parametrize(
    ("event", "status", "secret", "answer", "starts"),
    [
        ("job.run.completed", "Success", "s3cret of dbt", 202, True),
        ("job.run.completed", "Errored", "s3cret of dbt", 204, False),
        ("job.run.started", "Running", "s3cret of dbt", 204, False),
        ("job.run.completed", "Success", "another", 401, False),
    ],
)
def test_dbt_platform_starts_a_run_after_a_job_that_succeeded(
    environment_of: dict[str, str],
    installation: Installation,
    monkeypatch: pytest.MonkeyPatch,
    *,
    event: str,
    status: str,
    secret: str,
    answer: int,
    starts: bool,
) -> None:
    for name, value in environment_of.items():
        monkeypatch.setenv(name, value)
    found: dict[str, Any] = {}
    exec(compile(example("dbt", "python"), "hook.py", "exec"), found)  # noqa: S102  # our document
    body = json.dumps({"eventType": event, "data": {"runStatus": status, "runId": "218726483"}})
    signed = hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()
    with serving(found["app"]) as url:
        for _ in range(2):  # dbt platform tells again what it is not sure of
            told = requests.post(
                f"{url}/dbt", data=body, headers={"Authorization": signed}, timeout=60
            )
            assert told.status_code == answer
    assert len(installation.runs.latest()) == starts


def test_commands_of_cron_systemd_and_dbt_are_commands_of_ours() -> None:
    from ccexport.commands.main import COMMANDS

    found = re.findall(r"-m ccexport ([a-z-]+) ?([a-z-]*)(.*)", DOCUMENT)
    assert len(found) >= 5
    assert {command for command, _, _ in found} <= set(COMMANDS)
    runs = [rest.strip() for _, verb, rest in found if verb == "run"]
    assert runs
    assert all(rest.startswith("Newsletter --wait") for rest in runs)
    units = configparser.ConfigParser(strict=False, interpolation=None)
    units.optionxform = str  # type: ignore[assignment,method-assign]  # names of systemd are of both cases
    units.read_string(example("cron and systemd timers", "ini"))
    assert units["Service"]["Type"] == "oneshot"
    assert units["Timer"]["OnCalendar"] == "Mon..Fri 06:30 Europe/Berlin"


def _pretend(monkeypatch: pytest.MonkeyPatch, name: str, content: dict[str, Any]) -> None:
    """A module of this content, and those above it."""
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        above = ".".join(parts[:end])
        if above not in sys.modules:
            monkeypatch.setitem(sys.modules, above, ModuleType(above))
    for key, value in content.items():
        monkeypatch.setattr(sys.modules[name], key, value, raising=False)
