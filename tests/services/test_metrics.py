"""Metrics: what Prometheus reads is what the store holds, and nothing of a person; the rules ask for what there is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from ccexport.services.exports.exports import Exports
from ccexport.services.operations.metrics import metrics_text
from ccexport.states import RunState, WaitingFor
from ccexport.store.database.engine import writing
from ccexport.store.database.tables import Run
from tests.kit.clocks import Clock
from tests.kit.offline import ANA, OfflineParts, draft
from tests.kit.rows import run_row

DOCS = Path(__file__).resolve().parents[2] / "docs" / "monitoring"
HOSTILE = 'A "quoted" \\ name'
Values = dict[str, float]


def scraped(installation: OfflineParts) -> Values:
    """`name{labels' values}` → value, as Prometheus' own parser reads them."""
    families = text_string_to_metric_families(metrics_text(installation).decode())
    return {
        f"{sample.name}{{{','.join(sample.labels.values())}}}": sample.value
        for family in families
        for sample in family.samples
    }


def add_export(installation: OfflineParts, name: str = "Newsletter", **changes: str) -> int:
    return Exports(installation).add(draft(name, **changes), by=ANA).export.id


def add_runs(installation: OfflineParts, *runs: Run) -> None:
    with writing(installation.engine) as session:
        session.add_all(runs)


def ended(installation: OfflineParts, export_id: int, state: RunState, **counts: int) -> Run:
    now = installation.now()
    return run_row(state, at=now, export_id=export_id, finished_at=now, **counts)


def test_metrics_count_runs_and_people_by_export(installation: OfflineParts, clock: Clock) -> None:
    newsletter, other = add_export(installation), add_export(installation, HOSTILE)
    good = {"submitted_count": 90, "rejected_count": 7, "suppressed_count": 2, "removed_count": 1}
    add_runs(
        installation,
        ended(installation, newsletter, RunState.SUCCEEDED, **good),
        ended(installation, newsletter, RunState.SUCCEEDED, submitted_count=10),
        ended(installation, newsletter, RunState.FAILED, rejected_count=3),
        ended(installation, other, RunState.FAILED),
        run_row(RunState.UPLOADING, at=clock(), export_id=other, submitted_count=50),
    )
    clock.move(minutes=5)
    found = scraped(installation)
    assert found["ccexport_runs{Newsletter,succeeded}"] == 2
    assert found["ccexport_runs{Newsletter,failed}"] == 1
    assert found["ccexport_runs{Newsletter,canceled}"] == 0
    assert found[f"ccexport_runs{{{HOSTILE},uploading}}"] == 1
    assert found["ccexport_people_sent_total{Newsletter}"] == 100
    assert found["ccexport_people_left_out_total{Newsletter,rejected}"] == 10
    assert found["ccexport_people_left_out_total{Newsletter,suppressed}"] == 2
    assert found["ccexport_people_removed_total{Newsletter}"] == 1
    # a run that is live may be prepared again: its counts could fall
    assert found[f"ccexport_people_sent_total{{{HOSTILE}}}"] == 0
    assert found["ccexport_export_last_good_end_seconds{Newsletter}"] == 300
    assert f"ccexport_export_last_good_end_seconds{{{HOSTILE}}}" not in found


def test_metrics_say_what_waits_and_for_how_long(installation: OfflineParts, clock: Clock) -> None:
    first, second, third = (add_export(installation, name) for name in ("A", "B", "C"))
    wait = {"waiting_for": WaitingFor.SIGN_IN}
    add_runs(
        installation,
        run_row(RunState.QUEUED, at=clock(), export_id=first),
        run_row(RunState.WAITING, at=clock(), export_id=third, **wait),
    )
    clock.move(seconds=40)
    add_runs(installation, run_row(RunState.QUEUED, at=clock(), export_id=second))
    clock.move(seconds=2)
    found = scraped(installation)
    assert found["ccexport_oldest_queued_run_seconds{}"] == 42
    waiting = {
        reason.value: found[f"ccexport_waiting_runs{{{reason.value}}}"] for reason in WaitingFor
    }
    assert waiting == {reason.value: 0 for reason in WaitingFor} | {"sign_in": 1}
    clock.move(hours=-1)  # the clock was set back
    assert scraped(installation)["ccexport_oldest_queued_run_seconds{}"] == 0


def test_metrics_know_workers_what_is_overdue_and_the_days_requests(
    installation: OfflineParts, clock: Clock
) -> None:
    add_export(installation, schedule="daily 11:00 UTC")
    installation.workers.started("one", host="h", pid=1, version="1")
    installation.budget.reserve_slot()
    found = scraped(installation)
    assert found["ccexport_workers_alive{}"] == 1
    assert found["ccexport_exports_overdue{}"] == 0
    assert found["ccexport_requests_used_today{}"] == 1
    assert found["ccexport_requests_left_today{}"] == 9_999
    clock.move(hours=2)
    found = scraped(installation)
    assert (found["ccexport_workers_alive{}"], found["ccexport_exports_overdue{}"]) == (0, 1)


def test_metrics_of_an_empty_store_have_no_export_and_no_run(installation: OfflineParts) -> None:
    found = scraped(installation)
    assert found["ccexport_oldest_queued_run_seconds{}"] == 0
    assert not [name for name in found if name.startswith(("ccexport_runs", "ccexport_people"))]


def test_metrics_of_an_export_that_is_removed_are_gone(installation: OfflineParts) -> None:
    export_id = add_export(installation)
    add_runs(installation, ended(installation, export_id, RunState.SUCCEEDED, submitted_count=5))
    Exports(installation).remove("Newsletter", by=ANA)
    assert "Newsletter" not in metrics_text(installation).decode()


def names_asked_for() -> set[str]:
    rules = yaml.safe_load((DOCS / "alerts.yaml").read_text(encoding="utf-8"))
    expressions = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    return set(re.findall(r"ccexport_\w+", " ".join(expressions)))


def test_rules_and_documents_name_the_metrics_that_there_are(installation: OfflineParts) -> None:
    export_id = add_export(installation)
    add_runs(installation, ended(installation, export_id, RunState.SUCCEEDED))
    there = {name.partition("{")[0] for name in scraped(installation)}
    table = (DOCS / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`(ccexport_\w+)", table)) == there
    assert names_asked_for()
    assert names_asked_for() <= there


def test_the_dashboard_of_grafana_asks_for_every_metric_and_for_no_other(
    installation: OfflineParts,
) -> None:
    export_id = add_export(installation)
    add_runs(installation, ended(installation, export_id, RunState.SUCCEEDED))
    there = {name.partition("{")[0] for name in scraped(installation)}
    board = json.loads((DOCS / "grafana.json").read_text(encoding="utf-8"))
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    assert set(re.findall(r"ccexport_\w+", " ".join(asked))) == there
    states = set(re.findall(r'state=~"([^"]+)"', " ".join(asked)))
    assert {name for each in states for name in each.split("|")} <= set(RunState)
    reasons = set(re.findall(r'reason=~"([^"]+)"', " ".join(asked)))
    assert {name for each in reasons for name in each.split("|")} <= set(WaitingFor)
    places = {(cell["x"], cell["y"]) for cell in (panel["gridPos"] for panel in board["panels"])}
    assert len(places) == len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


@pytest.mark.skipif(shutil.which("promtool") is None, reason="Debian's package prometheus has it")
def test_rules_are_read_by_prometheus() -> None:
    command = ["promtool", "check", "rules", str(DOCS / "alerts.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
