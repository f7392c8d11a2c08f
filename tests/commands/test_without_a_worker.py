"""What a dashboard does that was started with `serve --no-worker`, where the worker it counts on is not there."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest

from ccexport.clock import utc_now
from ccexport.commands import serving
from ccexport.errors import StoreError
from ccexport.installation import Installation
from ccexport.states import Told
from ccexport.telling.webhooks import new_secret
from tests.kit.house import House
from tests.kit.mail import MailServer, mail
from tests.kit.receiver import Receiver, receiver
from tests.kit.waiting import wait_until

__all__ = ["mail", "receiver"]  # fixtures
LATER = timedelta(minutes=10)
SETTLED = timedelta(minutes=2)  # a message waits while more of its kind may come


class Ahead:
    """A clock that is ahead, and may be moved."""

    by = LATER

    def __call__(self) -> datetime:
        return utc_now() + self.by


@pytest.fixture
def clock() -> Ahead:
    return Ahead()


@pytest.fixture
def dashboards(
    house: House, clock: Ahead, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Installation]:
    """The installation as the dashboard has it, ten minutes after a run was queued; it looks all the time."""
    house.queue()
    settings = house.settings.model_copy(update={"webhook_hosts": "127.0.0.1"})
    monkeypatch.setattr(serving, "_WATCH_SECONDS", 0.01)
    installation = Installation(settings, clock)
    yield installation
    installation.close()


@contextmanager
def looked_after(installation: Installation) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=serving.look_after, args=(installation, stop))
    thread.start()
    yield
    stop.set()
    thread.join()


def test_a_dashboard_tells_by_itself_that_its_worker_is_missing(
    dashboards: Installation,
    clock: Ahead,
    receiver: Receiver,
    mail: MailServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    on = [Told.WORKER_MISSING.value]
    hook = dashboards.webhooks.add(receiver.url, new_secret().encode(), on, "ana")
    dashboards.notifications.add("Team", mail.url, "E-Mail", on, "ana")
    troubles = [StoreError("The disk is full."), ValueError("a bug of ours")]
    look = dashboards.watch.look

    def look_with_trouble() -> None:
        if troubles:
            raise troubles.pop(0)
        look()

    monkeypatch.setattr(dashboards.watch, "look", look_with_trouble)
    with looked_after(dashboards):
        wait_until(lambda: bool(receiver.got), "the webhook is told")
        clock.by += SETTLED
        wait_until(lambda: bool(mail.got), "people are told")
    assert "The disk is full." in caplog.text
    assert "could not be looked after" in caplog.text
    assert receiver.types == [Told.WORKER_MISSING.value], "once"
    assert mail.subjects == ["ccexport: No worker is there"]
    [told] = dashboards.webhooks.deliveries(hook.id)
    [(headers, body)] = receiver.got
    assert headers["webhook-id"] == told.message_id
    assert "@" not in json.dumps(json.loads(body))


def test_a_dashboard_leaves_the_telling_to_a_worker_that_is_there(
    dashboards: Installation, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = [Told.WORKER_MISSING.value]
    hook = dashboards.webhooks.add(receiver.url, new_secret().encode(), on, "ana")
    dashboards.watch.look()
    assert len(dashboards.webhooks.deliveries(hook.id)) == 1, "there is something to tell"
    dashboards.workers.started("w1", host="h", pid=1, version="1")
    looks: list[int] = []
    look = dashboards.watch.look

    def counted() -> None:
        look()
        looks.append(1)

    monkeypatch.setattr(dashboards.watch, "look", counted)
    with looked_after(dashboards):
        wait_until(lambda: len(looks) > 2, "it has looked")
    assert receiver.got == []
