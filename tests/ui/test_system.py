"""The page System: nobody working, somebody working, all well, something broken."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ccexport.installation import Installation
from ccexport.store.database.tables import Connection
from ccexport.ui.screens.system import ago
from tests.ui.conftest import OpenPage, texts


def test_system_without_a_worker_says_how_to_start_one(open_page: OpenPage) -> None:
    test = open_page("system")
    assert not test.exception
    assert "No worker has run yet" in test.error[0].value
    assert test.code[0].value == "python -m ccexport worker"


def test_system_shows_workers_with_their_heartbeat(
    open_page: OpenPage, installation: Installation
) -> None:
    installation.workers.started("w1", host="host-7", pid=4711, version="1.2.3")
    test = open_page("system")
    assert not test.error
    (row,) = test.dataframe[0].value.to_dict("records")
    assert (row["Worker"], row["Process"], row["Version"]) == ("host-7", "4711", "1.2.3")
    assert row["Last heartbeat"].endswith("s ago")


def test_system_does_not_count_a_worker_that_stopped(
    open_page: OpenPage, installation: Installation
) -> None:
    installation.workers.started("w1", host="host-7", pid=4711, version="1.2.3")
    installation.workers.stopped("w1")
    assert "No worker since" in open_page("system").error[0].value


def test_system_shows_the_budget_of_today(open_page: OpenPage, installation: Installation) -> None:
    for _ in range(3):
        installation.budget.reserve_slot()
    test = open_page("system")
    shown = {each.label: each.value for each in test.metric}
    assert shown == {"Used": "3", "Left": "9,997", "Allowed a day": "10,000"}


def test_system_says_when_constant_contact_ends_the_day(
    open_page: OpenPage, installation: Installation
) -> None:
    installation.budget.mark_exhausted()
    test = open_page("system")
    assert "used up" in test.warning[0].value
    assert {each.label: each.value for each in test.metric}["Left"] == "0"


def test_system_checks_everything_when_asked(open_page: OpenPage, connection: Connection) -> None:
    test = open_page("system").button(key="system_check").click().run()
    shown = texts(test)
    for word in ("Store", "Source", "Disk", "Marketing"):
        assert word in shown
    assert "All is well." in shown


def test_system_check_names_what_is_broken(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CCEXPORT_SOURCE_URL", "file:/nowhere")
    test = open_page("system").button(key="system_check").click().run()
    assert any("Source" in error.value for error in test.error)
    assert "All is well." not in texts(test)


def test_system_shows_settings_without_secrets(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CCEXPORT_CC_CLIENT_SECRET", "hush-hush")
    test = open_page("system")
    everything = texts(test) + "".join(frame.value.to_string() for frame in test.dataframe)
    assert "CCEXPORT_CC_CLIENT_SECRET" in everything
    assert "hush-hush" not in everything


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0 s ago"), (12.4, "12 s ago"), (119, "119 s ago"), (180, "3 min ago")],
)
def test_system_says_how_long_ago(seconds: float, text: str) -> None:
    assert ago(timedelta(seconds=seconds)) == text
