"""Lists and custom fields of an account: asked, remembered, made; and what happens when nobody answers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from ccexport.errors import (
    CcexportError,
    Conflict,
    RetryableError,
    SetupError,
    UsageError,
)
from ccexport.sandbox.server import running_sandbox
from ccexport.services.connections.lists import Lists
from ccexport.store.connections import ConnectionStore
from ccexport.store.lists import KnownList, ListCacheStore
from tests.kit.clocks import Clock
from tests.kit.house import ANA, LIST_ID, OTHER_LIST_ID, House, behaviour
from tests.kit.rows import connection_row

NO_LIST = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    fields = [{"label": "Tier", "type": "single_select"}, {"label": "Born", "type": "date"}]
    with running_sandbox(behaviour(custom_fields=fields)) as sandbox:
        made = House(tmp_path, sandbox)
        made.connect()
        yield made
        made.close()


def the_connection(house: House) -> int:
    return house.installation.connections.by_name("Marketing").id


def test_lists_are_unknown_until_somebody_asks_and_then_known_as_of_that_time(house: House) -> None:
    lists = Lists(house.installation, ANA)
    assert lists.known(the_connection(house)) is None
    found = lists.refresh(the_connection(house))
    assert [each.name for each in found.lists] == ["Customers", "Spring buyers"]
    assert lists.known(the_connection(house)) == found


def test_lists_of_every_page_are_known(tmp_path: Path) -> None:
    with running_sandbox(behaviour(lists=1_000)) as sandbox:
        house = House(tmp_path, sandbox)
        house.connect()
        found = Lists(house.installation, ANA).refresh(the_connection(house))
        assert [each.name for each in found.lists] == [f"List {n:04d}" for n in range(1, 1_001)]
        house.close()


@pytest.mark.parametrize(
    "fault", ["server_error", "access_denied", "drop_before", "quota_exceeded"]
)
def test_lists_stay_known_when_asking_again_fails(house: House, fault: str) -> None:
    lists = Lists(house.installation, ANA)
    before = lists.refresh(the_connection(house))
    house.tell("/_sandbox/behaviour", faults=[{"on": "getLists", "do": fault, "times": -1}])
    with pytest.raises(CcexportError):
        lists.refresh(the_connection(house))
    assert lists.known(the_connection(house)) == before


def test_lists_give_up_where_a_person_would(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ccexport.services.connections.lists.PATIENCE_SECONDS", -1.0)
    with pytest.raises(RetryableError, match="too long"):
        Lists(house.installation, ANA).refresh(the_connection(house))


def test_a_question_that_is_given_up_costs_nothing_of_the_day(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = house.installation.budget.today().used
    monkeypatch.setattr("ccexport.services.connections.lists.PATIENCE_SECONDS", -1.0)
    with pytest.raises(RetryableError, match="too long"):
        Lists(house.installation, ANA).refresh(the_connection(house))
    assert house.installation.budget.today().used == used


def test_runs_hear_that_a_page_was_told_it_asks_too_much(house: House) -> None:
    house.tell("/_sandbox/behaviour", faults=[{"on": "getLists", "do": "throttled", "times": -1}])
    with pytest.raises(RetryableError):
        Lists(house.installation, ANA).refresh(the_connection(house))
    assert house.installation.throttling.lasts() > timedelta(0)


def test_a_list_made_here_is_known_at_once(house: House) -> None:
    lists = Lists(house.installation, ANA)
    lists.refresh(the_connection(house))
    made = lists.create(the_connection(house), "  Ärzte & <b>friends</b> ")
    assert made.name == "Ärzte & <b>friends</b>"
    known = lists.known(the_connection(house))
    assert known is not None
    assert made in known.lists
    assert lists.find(the_connection(house), made.list_id).name == made.name


def test_a_list_whose_answer_was_lost_is_found_and_not_made_twice(house: House) -> None:
    lost = {"on": "POST /v3/contact_lists", "do": "drop_after"}
    house.tell("/_sandbox/behaviour", faults=[lost])
    made = Lists(house.installation, ANA).create(the_connection(house), "Once")
    assert made.name == "Once"


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("  ", UsageError, "blank"),
        ("x" * 256, UsageError, "256 characters"),
        ("spring buyers", Conflict, "already"),
    ],
)
def test_a_list_is_not_made_of_a_bad_name(
    house: House, name: str, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        Lists(house.installation, ANA).create(the_connection(house), name)


@pytest.mark.parametrize(
    "text", [LIST_ID, LIST_ID.upper(), f"https://app.constantcontact.com/lists/{LIST_ID}/people"]
)
def test_a_list_is_found_by_its_id_or_address(house: House, text: str) -> None:
    assert Lists(house.installation, ANA).find(the_connection(house), text).name == "Spring buyers"


@pytest.mark.parametrize(
    ("text", "error"),
    [("spring", UsageError), (f"{LIST_ID} {OTHER_LIST_ID}", UsageError), (NO_LIST, SetupError)],
)
def test_a_list_that_is_none_is_said_to_be(house: House, text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        Lists(house.installation, ANA).find(the_connection(house), text)


def test_custom_fields_come_with_their_types(house: House) -> None:
    found = Lists(house.installation, ANA).custom_fields(the_connection(house))
    assert [(field.label, field.type) for field in found] == [
        ("Born", "date"),
        ("Tier", "single_select"),
    ]


def test_kept_lists_are_replaced_and_go_with_their_connection(engine: Engine, clock: Clock) -> None:
    connections, store = ConnectionStore(engine, clock), ListCacheStore(engine, clock)
    connection = connections.add(
        connection_row(at=clock()),
        agreed_by="ana",
        text_version="1",
    )
    assert store.read(connection.id) is None
    store.write(connection.id, [KnownList("1", "One", 5)])
    clock.move(minutes=5)
    store.write(connection.id, [KnownList("2", "Two")])
    assert store.read(connection.id) == (clock(), [KnownList("2", "Two", None)])
    store.write(connection.id, [])
    assert store.read(connection.id) == (clock(), [])
    connections.remove(connection.id, by="ana")
    assert store.read(connection.id) is None
