"""Connections in the store: names, exports that go or stay, live runs that are stopped, export users."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from ccexport.errors import Conflict, NotFound
from ccexport.states import RunState
from ccexport.store.connections import ConnectionStore
from ccexport.store.database.tables import Connection, Run
from ccexport.store.exports import ExportStore
from ccexport.store.moves import Held, LeaseLost
from ccexport.store.runs import RunStore
from ccexport.store.users import UserStore
from tests.kit.clocks import Clock
from tests.kit.rows import connection_row, export_row, run_row


@pytest.fixture
def store(engine: Engine, clock: Clock) -> ConnectionStore:
    return ConnectionStore(engine, clock)


@pytest.fixture
def exports(engine: Engine, clock: Clock) -> ExportStore:
    return ExportStore(engine, clock)


def _connection(store: ConnectionStore, clock: Clock, name: str) -> Connection:
    row = connection_row(name, at=clock())
    return store.add(row, agreed_by="ana", text_version="1")


def _export(exports: ExportStore, clock: Clock, name: str, connection: Connection) -> None:
    row = export_row(name, connection_id=connection.id, at=clock())
    exports.add(row, ("S",), (("email", "EMail"),))


def test_rename_to_its_own_name_in_other_case_is_fine(store: ConnectionStore, clock: Clock) -> None:
    row = _connection(store, clock, "Marketing")
    store.rename(row.id, "MARKETING")
    assert store.by_name("marketing").name == "MARKETING"


def test_rename_to_a_taken_name_is_a_conflict(store: ConnectionStore, clock: Clock) -> None:
    row = _connection(store, clock, "Marketing")
    _connection(store, clock, "Sales")
    with pytest.raises(Conflict, match="sales"):
        store.rename(row.id, "sales")


def test_rename_of_a_connection_that_is_gone_says_so(store: ConnectionStore) -> None:
    with pytest.raises(NotFound):
        store.rename(1, "Sales")


def test_export_names_are_those_of_each_connection_in_order(
    store: ConnectionStore, exports: ExportStore, clock: Clock
) -> None:
    marketing, sales = (_connection(store, clock, name) for name in ("Marketing", "Sales"))
    for name, connection in (("b", marketing), ("A", marketing), ("c", sales)):
        _export(exports, clock, name, connection)
    assert store.export_names() == {marketing.id: ["A", "b"], sales.id: ["c"]}


@pytest.mark.parametrize(("exports_too", "left"), [(False, ["mine", "other"]), (True, ["other"])])
def test_remove_detaches_exports_or_takes_them_along_and_leaves_those_of_others(
    store: ConnectionStore,
    exports: ExportStore,
    clock: Clock,
    exports_too: bool,
    left: list[str],
) -> None:
    marketing, sales = (_connection(store, clock, name) for name in ("Marketing", "Sales"))
    _export(exports, clock, "mine", marketing)
    _export(exports, clock, "other", sales)
    store.remove(marketing.id, by="ana", exports_too=exports_too)
    assert sorted(view.export.name for view in exports.views()) == left
    assert [view.connection.name for view in store.views()] == ["Sales"]


def test_remove_ends_a_run_that_nobody_holds_in_the_same_transaction(
    engine: Engine, store: ConnectionStore, exports: ExportStore, clock: Clock
) -> None:
    marketing = _connection(store, clock, "Marketing")
    _export(exports, clock, "mine", marketing)
    run = _queued(engine, clock, marketing, exports.by_name("mine").export.id)
    store.remove(marketing.id, by="ben", exports_too=True)
    runs = RunStore(engine, clock)
    after = runs.get(run.id)
    assert (after.state, after.finished_at, after.connection_id, after.export_id) == (
        RunState.CANCELED,
        clock(),
        None,
        None,
    )
    assert 'The connection "Marketing" was removed' in (after.error or "")
    events = [(event.who, event.what) for event in runs.events(run.id)]
    assert events[-2:] == [("ben", "cancel requested"), ("ben", "canceled")]


def test_remove_asks_the_worker_that_holds_a_run_to_end_it(
    engine: Engine, store: ConnectionStore, exports: ExportStore, clock: Clock
) -> None:
    marketing = _connection(store, clock, "Marketing")
    _export(exports, clock, "mine", marketing)
    run = _queued(engine, clock, marketing, exports.by_name("mine").export.id)
    runs = RunStore(engine, clock)
    assert runs.claim("w1")
    store.remove(marketing.id, by="ben")
    after = runs.check_lease(Held(run.id, "w1"))
    assert (after.connection_id, after.cancel_requested_by) == (None, "ben")
    assert runs.end_without_connection(Held(run.id, "w1")).state is RunState.CANCELED


def test_remove_ends_a_run_whose_worker_fell_silent(
    engine: Engine, store: ConnectionStore, exports: ExportStore, clock: Clock
) -> None:
    marketing = _connection(store, clock, "Marketing")
    _export(exports, clock, "mine", marketing)
    run = _queued(engine, clock, marketing, exports.by_name("mine").export.id)
    runs = RunStore(engine, clock)
    assert runs.claim("w1")
    clock.move(seconds=61)
    store.remove(marketing.id, by="ben")
    assert runs.get(run.id).state is RunState.CANCELED
    with pytest.raises(LeaseLost):
        runs.check_lease(Held(run.id, "w1"))


def test_a_run_that_is_queued_while_its_connection_goes_is_refused_with_the_reason(
    engine: Engine, store: ConnectionStore, exports: ExportStore, clock: Clock
) -> None:
    marketing = _connection(store, clock, "Marketing")
    _export(exports, clock, "mine", marketing)
    store.remove(marketing.id, by="ben")
    with pytest.raises(NotFound, match="removed meanwhile"):
        _queued(engine, clock, marketing, exports.by_name("mine").export.id)


def test_an_export_user_has_the_machine_or_is_an_administrator_among_the_people(
    engine: Engine, store: ConnectionStore, clock: Clock
) -> None:
    marketing, users = _connection(store, clock, "Marketing"), UserStore(engine, clock)
    assert store.view(marketing.id).has_export_user  # "ana" is nobody of the people
    store.set_export_user(marketing.id, "ana@example.com")
    users.add("ana@example.com", "administrator", by="ana")
    users.add("ben@example.com", "administrator", by="ana")
    assert store.view(marketing.id).has_export_user
    users.set_role("ana@example.com", "contributor")
    assert not store.view(marketing.id).has_export_user
    users.set_role("ana@example.com", "administrator")
    users.remove("ana@example.com")
    [view] = store.views()
    assert not view.has_export_user
    store.set_export_user(marketing.id, "ben@example.com")
    assert store.view(marketing.id).has_export_user


def _queued(engine: Engine, clock: Clock, connection: Connection, export_id: int) -> Run:
    run = run_row(export_id=export_id, connection_id=connection.id, export_name="mine", at=clock())
    return RunStore(engine, clock).queue(run)
