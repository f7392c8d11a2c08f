"""The page that a message leads to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ccexport.states import Told

_PAGES = {
    Told.REFRESH_FAILED.value: "refresh",
    Told.SIGN_IN_EXPIRES.value: "connections",
    Told.WORKER_MISSING.value: "system",
    Told.OVERDUE.value: "exports",
}


def link_of(body: Mapping[str, Any], public_url: str) -> str:
    """The run's page, else the one where something can be done about it, else the dashboard."""
    run = body["data"].get("run")
    if run is not None:
        return f"{public_url}/run?run={run}"
    page = _PAGES.get(body["type"])
    return f"{public_url}/{page}" if page else public_url
