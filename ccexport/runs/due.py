"""A new run's row: queued, with a copy of the export as it is now, or as it was for the run that is retried."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import datetime

from ccexport.services.people.access import Person
from ccexport.states import RunState, Trigger
from ccexport.store.database.tables import Run


@dataclass(frozen=True)
class ExportCopy:
    """What a run keeps of its export, whatever becomes of the export later. Names are the run's columns."""

    export_id: int | None
    connection_id: int | None
    export_name: str
    connection_name: str
    account_id: str
    list_id: str
    list_name: str
    segments: list[str]
    mapping: list[list[str]]
    mode: str

    @classmethod
    def of_run(cls, run: Run) -> ExportCopy:
        """The copy that an earlier run has."""
        return cls(**{column.name: getattr(run, column.name) for column in fields(cls)})


def queued_run(
    export: ExportCopy,
    trigger: Trigger,
    *,
    by: Person,
    at: datetime,
    due_at: datetime | None = None,
    retry_of: int | None = None,
) -> Run:
    """The row, not stored yet."""
    return Run(
        **asdict(export),
        trigger=trigger,
        requested_by=by.name,
        state=RunState.QUEUED,
        due_at=due_at,
        retry_of=retry_of,
        queued_at=at,
    )
