"""The events that are told, in words, wherever somebody chooses among them."""

from __future__ import annotations

EVENT_WORDS = {
    "run.failed": "A run failed",
    "run.completed_with_errors": "A run ended, some contacts were not accepted",
    "run.needs_person": "A run waits for a person",
    "run.recovered": "A run succeeded after one of these",
    "run.succeeded": "A run succeeded",
    "refresh.failed": "A refresh failed",
    "sign_in.expires_soon": "A sign-in expires soon",
    "worker.missing": "Work is due and no worker is there",
    "export.overdue": "An export is overdue",
}
