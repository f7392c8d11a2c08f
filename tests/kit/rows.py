"""Rows of the store for tests: each is all right as it is, and a test names what matters to it."""

from __future__ import annotations

import itertools
from datetime import datetime
from typing import Any

from ccexport.states import BatchState, RunState, Trigger
from ccexport.store.database.tables import Batch, Connection, Export, Run

LIST_ID = "5f0c1e70-9d7a-4a52-8f43-0d1b6a3c2e11"
OTHER_LIST_ID = "5f0c1e70-9d7a-4a52-8f43-0d1b6a3c2e12"

_numbers = itertools.count(1)


def connection_row(name: str = "Marketing", *, at: datetime, **values: Any) -> Connection:
    """A connection that is signed in, made `at` a time."""
    usual: dict[str, Any] = {
        "account_id": "acc",
        "organization": "Org",
        "contributors": False,
        "export_user": "ana",
        "needs_sign_in": False,
        "created_at": at,
    }
    return Connection(name=name, name_key=name.casefold(), **(usual | values))


def export_row(name: str = "Newsletter", *, at: datetime, **values: Any) -> Export:
    """An export that runs when it is asked to."""
    usual: dict[str, Any] = {
        "list_id": "list",
        "list_name": "List",
        "mode": "full",
        "schedule": "off",
        "created_by": "ana",
        "created_at": at,
        "updated_at": at,
    }
    return Export(name=name, name_key=name.casefold(), **(usual | values))


def run_row(state: RunState = RunState.QUEUED, *, at: datetime, **values: Any) -> Run:
    """A run that was queued `at` a time."""
    usual: dict[str, Any] = {
        "export_name": "Newsletter",
        "connection_name": "Marketing",
        "account_id": "acc",
        "list_id": "list",
        "list_name": "List",
        "segments": ["All"],
        "mapping": [["email", "EMail"]],
        "mode": "full",
        "trigger": Trigger.MANUAL,
        "requested_by": "ana",
        "queued_at": at,
    }
    return Run(state=state, **(usual | values))


def batch_row(run_id: int, number: int, rows: int = 100) -> Batch:
    """A batch that is prepared and not sent, with a file name of its own."""
    return Batch(
        run_id=run_id,
        number=number,
        first_row=(number - 1) * rows,
        rows=rows,
        bytes=1000,
        digest="d",
        file_name=f"f{next(_numbers)}.csv",
        state=BatchState.PENDING,
    )
