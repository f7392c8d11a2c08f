"""Every screen: its address, its heading and the title of its tab."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Screen:
    """`address` may name a run of the scenery, as in `run?run={live}`."""

    name: str
    address: str
    heading: str
    title: str

    def path(self, runs: Mapping[str, int]) -> str:
        return self.address.format_map({key: str(value) for key, value in runs.items()})

    def heading_of(self, runs: Mapping[str, int]) -> str:
        return self.heading.format_map({key: str(value) for key, value in runs.items()})


FULL = (
    Screen("home", "", "Home", "Home"),
    Screen("segments", "segments", "Segments", "Segments"),
    Screen("exports", "exports", "Exports", "Exports"),
    Screen("export", "export?export=1", "Export", "Export"),
    Screen("export-new", "export", "Export", "Export"),
    Screen("runs", "runs", "Runs", "Runs"),
    Screen("run-errors", "run?run={errors}", "Run {errors}", "Run"),
    Screen("run-live", "run?run={live}", "Run {live}", "Run"),
    Screen("run-waiting", "run?run={waiting_sign_in}", "Run {waiting_sign_in}", "Run"),
    Screen("person", "person", "Find a person", "Find a person"),
    Screen("connections", "connections", "Connections", "Connections"),
    Screen("refresh", "refresh", "Refresh", "Refresh"),
    Screen("people", "people", "People", "People"),
    Screen("notifications", "notifications", "Notifications", "Notifications"),
    Screen("webhooks", "webhooks", "Webhooks", "Webhooks"),
    Screen("api-tokens", "api_tokens", "API tokens", "API tokens"),
    Screen("audit", "audit", "Audit", "Audit"),
    Screen("system", "system", "System", "System"),
)
MORE = (
    Screen("run-kept-away", "run?run={kept_away}", "Run {kept_away}", "Run"),
    Screen("run-held", "run?run={held}", "Run {held}", "Run"),
    Screen("run-failed", "run?run={failed}", "Run {failed}", "Run"),
)  # pages seen above, otherwise
EMPTY = (
    *(each for each in FULL if "{" not in each.address and each.name != "export"),
    Screen("run", "run", "Run", "Run"),
)
