"""The screen Notifications: from nobody to somebody who is told, tested, changed and removed."""

from __future__ import annotations

import pytest

from ccexport.installation import Installation
from ccexport.services.people.access import local_administrator
from ccexport.services.telling.notifications import Notifications
from ccexport.states import RunState
from ccexport.store.exports import ExportView
from ccexport.store.moves import Held
from tests.kit.receiver import Receiver, receiver
from tests.kit.rows import run_row
from tests.ui.conftest import OpenPage, texts

__all__ = ["receiver"]  # a fixture
BY = local_administrator()
NOBODY = "json://ana:s3cr3t@127.0.0.1:9"


@pytest.fixture
def notifications(installation: Installation) -> Notifications:
    return Notifications(installation)


def test_notifications_goes_from_nobody_to_somebody_who_is_told_and_tested(
    open_page: OpenPage, notifications: Notifications, receiver: Receiver
) -> None:
    test = open_page("notifications")
    assert "Nobody is told yet" in test.info[0].value
    test.text_input(key="notifications_name").input(" Team ")
    test.text_input(key="notifications_url").input(receiver.url.replace("http", "json"))
    test.button(key="notifications_add").click().run()
    assert "Team is added" in test.success[0].value
    [channel] = notifications.all(by=BY)
    assert "run.succeeded" not in channel.events
    test.button(key=f"notifications_test_{channel.id}").click().run()
    assert "took the message" in test.success[0].value
    assert "Last message: delivered" in texts(test)
    assert b"A test" in receiver.got[0][1]


def test_notifications_refuses_what_is_not_an_address(
    open_page: OpenPage, notifications: Notifications
) -> None:
    test = open_page("notifications")
    test.text_input(key="notifications_name").input("Team")
    test.text_input(key="notifications_url").input("s3cr3t@example.com")
    test.button(key="notifications_add").click().run()
    assert "Apprise" in test.error[0].value
    assert "s3cr3t" not in test.error[0].value
    assert notifications.all(by=BY) == []


def test_notifications_shows_what_waits_and_why_the_last_message_did_not_arrive(
    open_page: OpenPage,
    installation: Installation,
    notifications: Notifications,
    export: ExportView,
) -> None:
    notifications.add("Team", NOBODY, [], by=BY)
    [channel] = notifications.all(by=BY)
    run = installation.runs.queue(run_row(at=installation.now(), export_id=export.export.id))
    installation.runs.claim("w1", run_id=run.id)
    installation.runs.finish(Held(run.id, "w1"), RunState.FAILED, error="no")
    test = open_page("notifications")
    assert "1 message is on the way" in texts(test)
    assert "s3cr3t" not in texts(test)
    test.button(key=f"notifications_test_{channel.id}").click().run()
    assert "The service is not reached" in test.error[0].value
    assert "not delivered" in open_page("notifications").warning[0].value


def test_notifications_changes_what_is_told_and_removes_after_a_question(
    open_page: OpenPage, notifications: Notifications
) -> None:
    notifications.add("Team", NOBODY, [], by=BY)
    [channel] = notifications.all(by=BY)
    test = open_page("notifications")
    test.button(key=f"notifications_choose_{channel.id}").click().run()
    test.multiselect(key=f"notifications_chosen_{channel.id}").set_value(["run.succeeded"])
    test.button(key="notifications_save").click().run()
    assert [each.events for each in notifications.all(by=BY)] == [["run.succeeded"]]
    test.button(key=f"notifications_remove_{channel.id}").click().run()
    test.button(key="notifications_remove_confirm").click().run()
    assert notifications.all(by=BY) == []
