"""A worker killed around the outbox: what changed is told once it was committed, and repeats have the same id."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime

import pytest

from ccexport.clock import Now
from ccexport.states import Told
from ccexport.store.notifications import CLAIM as LETTER_CLAIM
from ccexport.store.notifications import NotificationStore
from ccexport.store.webhooks import CLAIM, WebhookStore
from ccexport.telling.notifications import Notifier
from ccexport.telling.webhooks import Teller, new_secret
from tests.crash.conftest import CrashHouse
from tests.crash.killed_worker import KILLED, Doom
from tests.kit.receiver import Receiver, receiver

__all__ = ["receiver"]  # a fixture
PATIENCE_SECONDS = 30
# where the worker is killed → how often the message comes; twice where it was sent and not yet recorded
DOOMS = {
    Doom("before", "RunStore.finish succeeded"): 1,
    Doom("after", "RunStore.finish succeeded"): 1,
    Doom("before", "WebhookStore.claim"): 1,
    Doom("after", "WebhookStore.claim"): 1,
    Doom("before", "WebhookStore.record"): 2,
    Doom("after", "WebhookStore.record"): 1,
}


def webhooks(crash: CrashHouse, now: Now) -> WebhookStore:
    installation = crash.house.installation
    return WebhookStore(installation.engine, installation.keys, now)


@pytest.mark.parametrize(("doom", "times"), DOOMS.items(), ids=str)
def test_what_a_killed_worker_had_to_tell_is_told_with_one_id(
    crash_house: Callable[..., CrashHouse], receiver: Receiver, doom: Doom, times: int
) -> None:
    crash = crash_house()
    crash.variables["CCEXPORT_WEBHOOK_HOSTS"] = "127.0.0.1"
    every = [each.value for each in Told]
    hook = webhooks(crash, crash.house.now).add(receiver.url, new_secret().encode(), every, "ana")
    run_id = crash.house.queue()
    assert crash.work_in_process(doom) == KILLED, crash.said()
    crash.check(run_id, crash.finish(run_id))

    def later() -> datetime:
        return crash.house.now() + 2 * CLAIM  # the killed worker's claim has lapsed

    store = webhooks(crash, later)
    Teller(store, "https://exports.example.com", "127.0.0.1", later).deliver_due(
        crash.house.installation.elapsed() + PATIENCE_SECONDS
    )
    [told] = store.deliveries(hook.id)
    assert (told.what, told.next_at) == ("run.succeeded", None)
    assert told.delivered_at is not None
    assert [headers["webhook-id"] for headers, _ in receiver.got] == [told.message_id] * times


# the same for people; a message that was sent and not yet recorded comes twice
LETTER_DOOMS = {
    Doom("before", "RunStore.finish succeeded"): 1,
    Doom("after", "RunStore.finish succeeded"): 1,
    Doom("before", "NotificationStore.claim"): 1,
    Doom("after", "NotificationStore.claim"): 1,
    Doom("before", "NotificationStore.record"): 2,
    Doom("after", "NotificationStore.record"): 1,
}


@pytest.mark.parametrize(("doom", "times"), LETTER_DOOMS.items(), ids=str)
def test_people_are_told_what_a_killed_worker_had_to_tell_with_one_id(
    crash_house: Callable[..., CrashHouse], receiver: Receiver, doom: Doom, times: int
) -> None:
    crash = crash_house()
    installation = crash.house.installation
    address = receiver.url.replace("http", "json")
    installation.notifications.add("Team", address, "JSON", [Told.SUCCEEDED.value], "ana")
    run_id = crash.house.queue()
    assert crash.work_in_process(doom) == KILLED, crash.said()
    crash.check(run_id, crash.finish(run_id))

    def later() -> datetime:
        return crash.house.now() + 2 * LETTER_CLAIM  # the killed worker's claim has lapsed

    store = NotificationStore(installation.engine, installation.keys, later)
    Notifier(store, "https://exports.example.com", later).deliver_due(
        installation.elapsed() + PATIENCE_SECONDS
    )
    assert store.waiting() == {}
    bodies = [json.loads(body)["message"] for _, body in receiver.got]
    ids = [re.findall(r"msg_[0-9a-f]{32}", body) for body in bodies]
    assert len(bodies) == times
    assert len({tuple(each) for each in ids}) == 1
