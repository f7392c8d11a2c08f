"""`/metrics`: Prometheus' text, out of the store at the time of asking, so that any process answers for all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ccexport import __version__
from ccexport.clock import Now
from ccexport.installation import Installation
from ccexport.services.operations.attendance import Attendance, attendance
from ccexport.states import RunState
from ccexport.store.budget import DayBudget
from ccexport.store.figures import Figures, read_figures

# the text that every scraper reads, whatever it says that it takes
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def metrics_text(installation: Installation) -> bytes:
    """All of it. Raises `StoreError`."""
    registry = CollectorRegistry()
    registry.register(_Read(installation))
    return generate_latest(registry)


class _Read(Collector):
    """What was read once; the library asks for it when it is registered and when it writes."""

    def __init__(self, installation: Installation) -> None:
        self._metrics = (
            _version(),
            *_runs(read_figures(installation.engine), installation.now),
            *_workers(attendance(installation)),
            *_budget(installation.budget.today()),
        )

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics


def _version() -> Metric:
    metric = GaugeMetricFamily("ccexport_info", "The version that answers.", labels=["version"])
    metric.add_metric([__version__], 1)
    return metric


def _runs(figures: Figures, now: Now) -> Iterator[Metric]:
    yield _by_state(figures)
    yield from _people(figures)
    good = GaugeMetricFamily(
        "ccexport_export_last_good_end_seconds",
        "Seconds since a run of the export last succeeded; absent until one has.",
        labels=["export"],
    )
    for export, at in sorted(figures.last_good.items()):
        good.add_metric([export], _seconds_since(at, now))
    yield good
    waiting = GaugeMetricFamily(
        "ccexport_waiting_runs", "Runs that wait, by what they wait for.", labels=["reason"]
    )
    for reason, count in figures.waiting.items():
        waiting.add_metric([reason.value], count)
    yield waiting
    oldest = figures.oldest_queued_at
    yield GaugeMetricFamily(
        "ccexport_oldest_queued_run_seconds",
        "Age of the run that has been queued for longest; 0 where none is.",
        value=_seconds_since(oldest, now) if oldest else 0,
    )


def _by_state(figures: Figures) -> Metric:
    """0 as well: a series that begins with its first failure would show no rise."""
    runs = GaugeMetricFamily("ccexport_runs", "Runs in each state.", labels=["export", "state"])
    found = {(each.export, each.state): each.runs for each in figures.runs}
    for export in (each.export for each in figures.moved):
        for state in RunState:
            runs.add_metric([export, state.value], found.get((export, state), 0))
    return runs


def _seconds_since(at: datetime, now: Now) -> float:
    """Not below 0 where the clock was set back."""
    return max(0.0, (now() - at).total_seconds())


def _people(figures: Figures) -> Iterator[Metric]:
    sent = CounterMetricFamily(
        "ccexport_people_sent", "People sent by runs that ended.", labels=["export"]
    )
    left_out = CounterMetricFamily(
        "ccexport_people_left_out",
        "People left out by runs that ended: rejected, or suppressed since they left the list.",
        labels=["export", "kind"],
    )
    removed = CounterMetricFamily(
        "ccexport_people_removed",
        "People taken off the list by runs that ended.",
        labels=["export"],
    )
    for each in figures.moved:
        sent.add_metric([each.export], each.sent)
        left_out.add_metric([each.export, "rejected"], each.rejected)
        left_out.add_metric([each.export, "suppressed"], each.suppressed)
        removed.add_metric([each.export], each.removed)
    yield from (sent, left_out, removed)


def _workers(found: Attendance) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "ccexport_workers_alive", "Workers with a fresh heartbeat.", value=found.alive
    )
    yield GaugeMetricFamily(
        "ccexport_exports_overdue",
        "Exports whose time has passed without a run.",
        value=len(found.overdue_exports),
    )


def _budget(today: DayBudget) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "ccexport_requests_used_today",
        "Requests to Constant Contact on the present UTC day.",
        value=today.used,
    )
    yield GaugeMetricFamily(
        "ccexport_requests_left_today",
        "Requests to Constant Contact that the present UTC day has left.",
        value=today.left,
    )
