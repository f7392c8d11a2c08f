"""The audit is only ever added to: the database itself refuses everything else."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from ccexport.clock import utc_now
from ccexport.errors import CcexportError
from ccexport.store.audit import AuditFilter, AuditStore
from ccexport.store.database.engine import reading, writing
from ccexport.store.database.people_tables import AuditEvent


def event(at: datetime, name: str = "Newsletter", **changes: str) -> AuditEvent:
    values = {"who": "ana", "role": "administrator", "action": "export.run", "outcome": "done"}
    return AuditEvent(
        at=at,
        target_kind="export",
        target_name=name,
        came_from="",
        **(values | changes),
    )


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_event SET who = 'bob'", "DELETE FROM audit_event"]
)
def test_database_refuses_to_change_or_delete_a_row(engine: Engine, statement: str) -> None:
    store = AuditStore(engine)
    store.add(event(utc_now() - timedelta(days=29)))
    with pytest.raises(Exception, match="only ever added to"), writing(engine) as session:
        session.connection().execute(text(statement))
    assert [row.who for row in store.page(AuditFilter())] == ["ana"]


def test_retention_deletes_what_is_old_and_nothing_else(engine: Engine) -> None:
    store, now = AuditStore(engine), utc_now()
    for days in (800, 731, 729, 1):
        store.add(event(now - timedelta(days=days), str(days)))
    assert store.delete_older_than(timedelta(days=730)) == 2
    assert [row.target_name for row in store.page(AuditFilter())] == ["1", "729"]


def test_no_setting_makes_retention_delete_what_is_young(engine: Engine) -> None:
    store = AuditStore(engine)
    store.add(event(utc_now() - timedelta(days=10)))
    with pytest.raises((CcexportError, Exception), match="only ever added to"):
        store.delete_older_than(timedelta(days=1))
    assert store.count(AuditFilter()) == 1


def test_filters_narrow_the_rows(engine: Engine) -> None:
    store, now = AuditStore(engine), utc_now()
    store.add(event(now - timedelta(days=3), "100% Sale"))
    store.add(event(now, "Newsletter", who="bob", outcome="refused"))
    for wanted, names in (
        (AuditFilter(), ["Newsletter", "100% Sale"]),
        (AuditFilter(who="ana"), ["100% Sale"]),
        (AuditFilter(outcome="refused"), ["Newsletter"]),
        (AuditFilter(since=now - timedelta(days=1)), ["Newsletter"]),
        (AuditFilter(search="0% s"), ["100% Sale"]),
        (AuditFilter(search="%"), ["100% Sale"]),
        (AuditFilter(action="export.add"), []),
    ):
        assert [row.target_name for row in store.page(wanted)] == names
        assert store.count(wanted) == len(names)


def test_rows_without_before_and_after_hold_null(engine: Engine) -> None:
    AuditStore(engine).add(event(utc_now()))
    with reading(engine) as session:
        [row] = session.connection().execute(text("SELECT before, after FROM audit_event")).all()
    assert tuple(row) == (None, None)


def test_every_row_is_read_the_oldest_first(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccexport.store.audit.PAGE", 3)
    store, now = AuditStore(engine), utc_now()
    for number in range(7):
        store.add(event(now + timedelta(seconds=number), str(number)))
    assert [row.target_name for row in store.all_since(None)] == list("0123456")
    assert [row.target_name for row in store.all_since(now + timedelta(seconds=5))] == ["5", "6"]
