"""Connections in the store: names, exports that go or stay, live runs that hold them."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine

from ccexport.errors import Conflict, NotFound
from ccexport.states import RunState, Trigger
from ccexport.store.connections import ConnectionStore
from ccexport.store.exports import ExportStore
from ccexport.store.runs import RunStore
from ccexport.store.tables import Connection, Export, Run
from tests.conftest import Clock


@pytest.fixture
def store(engine: Engine, clock: Clock) -> ConnectionStore:
    return ConnectionStore(engine, clock)


@pytest.fixture
def exports(engine: Engine, clock: Clock) -> ExportStore:
    return ExportStore(engine, clock)


def _connection(store: ConnectionStore, clock: Clock, name: str) -> Connection:
    row = Connection(
        name=name,
        name_key=name.casefold(),
        account_id="a1",
        organization="Shop",
        contributors=False,
        export_user="ana",
        needs_sign_in=False,
        created_at=clock(),
    )
    return store.add(row, agreed_by="ana", text_version="1")


def _export(exports: ExportStore, clock: Clock, name: str, connection: Connection) -> None:
    row = Export(
        name=name,
        name_key=name.casefold(),
        connection_id=connection.id,
        list_id="l1",
        list_name="List",
        mode="full",
        schedule="off",
        created_by="ana",
        created_at=clock(),
        updated_at=clock(),
    )
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
    store.remove(marketing.id, exports_too=exports_too)
    assert sorted(view.export.name for view in exports.views()) == left
    assert [view.connection.name for view in store.views()] == ["Sales"]


def test_remove_is_refused_while_a_run_is_live_and_changes_nothing(
    engine: Engine, store: ConnectionStore, exports: ExportStore, clock: Clock
) -> None:
    marketing = _connection(store, clock, "Marketing")
    _export(exports, clock, "mine", marketing)
    RunStore(engine, clock).queue(
        Run(
            export_id=exports.by_name("mine").export.id,
            connection_id=marketing.id,
            export_name="mine",
            connection_name="Marketing",
            account_id="a1",
            list_id="l1",
            list_name="List",
            segments=["S"],
            mapping=[["email", "EMail"]],
            mode="full",
            trigger=Trigger.MANUAL,
            requested_by="ana",
            state=RunState.QUEUED,
            queued_at=clock(),
        )
    )
    with pytest.raises(Conflict, match="still uses"):
        store.remove(marketing.id, exports_too=True)
    assert [view.export.name for view in exports.views()] == ["mine"]
