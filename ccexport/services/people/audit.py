"""The audit, for administrators: who did what to what, when, from where, and what it was before and after."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from ccexport.clock import iso
from ccexport.installation import Installation
from ccexport.services.people.access import Person
from ccexport.services.people.permission import DONE, REFUSED, require
from ccexport.services.people.roles import RULES, Action
from ccexport.store.audit import AuditFilter
from ccexport.store.database.people_tables import AuditEvent

OUTCOMES = (DONE, REFUSED)


class Audit:
    """Questions about the audit."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation

    def page(self, wanted: AuditFilter, number: int, size: int, *, by: Person) -> list[AuditEvent]:
        """Page `number`, from 1; the newest row is the first of page 1."""
        require(self._installation, by, Action.SEE_AUDIT, "audit")
        return self._installation.audit.page(wanted, offset=(number - 1) * size, limit=size)

    def count(self, wanted: AuditFilter, *, by: Person) -> int:
        """Rows on all pages together."""
        require(self._installation, by, Action.SEE_AUDIT, "audit")
        return self._installation.audit.count(wanted)

    def people(self, *, by: Person) -> list[str]:
        """Everybody who is in it, by name."""
        require(self._installation, by, Action.SEE_AUDIT, "audit")
        return self._installation.audit.people()

    def since_days(self, days: int | None) -> datetime | None:
        """The moment so many days ago; None for all time."""
        return self._installation.now() - timedelta(days=days) if days else None

    def documents(self, since: datetime | None, *, by: Person) -> Iterator[dict[str, Any]]:
        """Every row as `audit export` prints it, the oldest first."""
        require(self._installation, by, Action.SEE_AUDIT, "audit")
        return map(audit_document, self._installation.audit.all_since(since))


def audit_document(event: AuditEvent) -> dict[str, Any]:
    """A row, as JSON has it."""
    return {
        "id": event.id,
        "at": iso(event.at),
        "who": event.who,
        "role": event.role,
        "action": event.action,
        "outcome": event.outcome,
        "target_kind": event.target_kind,
        "target": event.target_name,
        "from": event.came_from,
        "before": event.before,
        "after": event.after,
    }


def in_words(action: str) -> str:
    """What somebody did or wanted to do, as the table of roles says it; a name that it no longer has, as it is."""
    try:
        return RULES[Action(action)].says
    except ValueError:
        return action
