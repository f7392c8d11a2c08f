"""A connection is removed while its runs live: nothing more is sent, what is under way stays as it is."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ccexport.errors import ServiceTrouble
from ccexport.preparation.files import cut_files
from ccexport.sandbox.server import RunningSandbox, running_sandbox
from ccexport.services.connections.connections import Connections
from ccexport.store.audit import AuditFilter
from ccexport.store.tokens import TokenStore
from ccexport.worker import Worker
from tests.kit.house import ANA, House, behaviour, furnished, people

PATIENCE_SECONDS = 120


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    """Files stay under way: a run can end only because it is stopped."""
    with running_sandbox(behaviour(processing_seconds=3_600)) as running:
        yield running


@pytest.fixture
def house(
    tmp_path: Path, database_url: str, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> Iterator[House]:
    """An export in four files, on each database."""
    monkeypatch.setattr("ccexport.preparation.contacts.cut_files", partial(cut_files, max_rows=3))
    with furnished(tmp_path, sandbox, people(10), database_url=database_url) as house:
        yield house


def remove(house: House, **how: bool) -> None:
    """As from a page: with rooms of its own."""
    Connections(house.installation).remove("Marketing", by=ANA, **how)


def work_until(house: House, point: str, do: Callable[[], object]) -> None:
    """A worker until nothing is left; the first time that it comes to a point, something happens elsewhere."""
    left = [do]

    def reached(name: str) -> None:
        if name == point and left:
            left.pop()()

    worker = Worker(house.installation)
    worker.tools = dataclasses.replace(worker.tools, reached=reached)
    thread = threading.Thread(target=worker.work, kwargs={"until_idle": True})
    thread.start()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive(), "the worker does not end"
    assert not left, f"it never came to {point}"


def states(document: dict[str, Any]) -> list[str]:
    return [batch["state"] for batch in document["batches"]]


@pytest.mark.parametrize(
    ("point", "sent", "left"),
    [
        ("preparing", 0, []),
        ("files written", 0, ["canceled"] * 4),
        ("batches stored", 0, ["canceled"] * 4),
        ("intent committed", 0, ["canceled"] * 4),
        ("posted", 1, ["submitted", "canceled", "canceled", "canceled"]),
        ("outcome committed", 1, ["submitted", "canceled", "canceled", "canceled"]),
    ],
)
def test_removal_while_a_worker_works_stops_the_run_at_a_safe_point(
    house: House, point: str, sent: int, left: list[str]
) -> None:
    run_id = house.queue()
    requests_then: list[int] = []

    def removed() -> None:
        remove(house)
        requests_then.append(len(house.requests()))

    work_until(house, point, removed)
    document = house.document(run_id)
    assert document["state"] == "canceled"
    assert document["error"].startswith('The connection "Marketing" was removed')
    assert ("1 file that was under way" in document["error"]) == bool(set(left) - {"canceled"})
    assert states(document) == left
    assert document["counts"]["submitted"] == 3 * sent
    assert len(house.requests("contactsCSVImport")) == sent
    assert len(house.requests()) == requests_then[0], "something was sent after the removal"


def test_removal_destroys_the_tokens_and_detaches_the_exports(house: House) -> None:
    run_id = house.queue()
    connection_id = house.installation.connections.by_name("Marketing").id
    remove(house)
    assert (
        TokenStore(house.installation.engine, house.installation.keys).read(connection_id) is None
    )
    assert [view.state for view in house.installation.exports.views()] == ["detached"]
    assert house.document(run_id)["state"] == "canceled", "nobody held it: it ends at once"
    house.work()
    assert house.requests("contactsCSVImport") == []


def test_removal_takes_exports_along_where_that_was_asked(house: House) -> None:
    run_id = house.queue()
    remove(house, exports_too=True)
    assert house.installation.exports.views() == []
    assert house.document(run_id)["state"] == "canceled"
    assert house.document(run_id)["export"] == "Newsletter"


def test_removal_ends_a_run_that_waits_with_its_files_under_way(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = house.queue()

    def trouble(*_: object) -> None:
        raise ServiceTrouble("Constant Contact is down.", retry_after_seconds=3_600)

    with monkeypatch.context() as patch:
        patch.setattr("ccexport.runs.uploading.follow_batches", trouble)
        worker = Worker(house.installation)
        thread = threading.Thread(target=worker.work)
        thread.start()
        for _ in range(PATIENCE_SECONDS * 20):
            if house.document(run_id)["state"] == "waiting":
                break
            threading.Event().wait(0.05)
        worker.stop.set()
        thread.join(PATIENCE_SECONDS)
    assert house.document(run_id)["state"] == "waiting"
    remove(house)
    document = house.document(run_id)
    assert (document["state"], document["waiting_for"]) == ("canceled", None)
    assert "files that were under way" in document["error"] or "1 file" in document["error"]
    assert set(states(document)) <= {"submitted", "canceled"}


def test_removal_leaves_the_runs_of_other_connections_alone(house: House) -> None:
    house.tell("/_sandbox/behaviour", processing_seconds=0)
    house.connect("Sales")
    house.add_export("Other", connection="Sales")
    doomed, other = house.queue(), house.queue("Other")
    work_until(house, "batches stored", lambda: remove(house))
    assert house.document(doomed)["state"] == "canceled"
    assert house.document(other)["state"] == "succeeded"


def test_removal_has_one_row_in_the_audit_that_says_what_went_with_it(house: House) -> None:
    run_id = house.queue()
    remove(house)
    [row] = house.installation.audit.page(AuditFilter(action="connection.remove"))
    assert row.before is not None
    assert (row.who, row.outcome) == ("ana", "done")
    assert (row.before["exports"], row.before["runs_stopped"]) == (1, [run_id])


def test_a_connection_of_the_same_name_has_nothing_of_the_removed_one(house: House) -> None:
    run_id = house.queue()
    work_until(house, "outcome committed", lambda: remove(house))
    house.connect()
    house.work()
    assert house.document(run_id)["state"] == "canceled"
    assert [view.state for view in house.installation.exports.views()] == ["detached"]
    assert len(house.requests("contactsCSVImport")) == 1
