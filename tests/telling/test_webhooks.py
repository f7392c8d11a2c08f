"""What is told of an export: written with the change, delivered until it is taken, to nobody inside unless allowed."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from standardwebhooks import WebhookVerificationError

from ccexport.errors import UsageError
from ccexport.states import RunState, Told, WaitingFor
from ccexport.store.runs import RunStore, Wait
from ccexport.store.vault.keys import Keys
from ccexport.store.webhooks import CLAIM, WebhookStore
from ccexport.telling import calling
from ccexport.telling.calling import NotReached, check_url, may_reach, post
from ccexport.telling.webhooks import WAITS, Teller, new_secret, signed
from tests.kit.clocks import Clock
from tests.kit.receiver import Receiver, receiver
from tests.telling.conftest import begun

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "webhooks.md"
ALL = [each.value for each in Told]

__all__ = ["receiver"]  # a fixture


@pytest.fixture
def store(engine: Engine, keys: Keys, clock: Clock) -> WebhookStore:
    return WebhookStore(engine, keys, clock)


@pytest.fixture
def teller(store: WebhookStore, clock: Clock) -> Teller:
    return Teller(store, "https://exports.example.com", "127.0.0.0/8", clock)


def _deliver(teller: Teller) -> None:
    teller.deliver_due(time.monotonic() + 60)


def test_one_message_a_change_of_state_of_an_export(
    runs: RunStore,
    store: WebhookStore,
    teller: Teller,
    receiver: Receiver,
    export_id: int,
    clock: Clock,
) -> None:
    store.add(receiver.url, new_secret().encode(), ALL, "ana")
    for end in ("failed", "failed", "waits", "succeeded", "succeeded"):
        held = begun(runs, export_id, clock)
        if end == "waits":
            for _ in range(2):
                runs.wait(held, Wait(WaitingFor.SIGN_IN, clock(), "ana@example.com signs in."))
                clock.move(seconds=1)
                assert runs.claim("w1") is not None
                runs.resume(held)
            runs.finish(held, RunState.CANCELED)
        else:
            runs.finish(held, RunState(end), error="ana@example.com is refused")
    _deliver(teller)
    assert receiver.types == ["run.failed", "run.needs_person", "run.recovered", "run.succeeded"]
    assert b"ana" not in b"".join(body for _, body in receiver.got)
    data = json.loads(receiver.got[0][1])["data"]
    assert data["export"] == "Newsletter"
    assert data["url"] == f"https://exports.example.com/run?run={data['run']}"


def test_a_move_that_does_not_commit_tells_nothing(
    engine: Engine,
    runs: RunStore,
    store: WebhookStore,
    export_id: int,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hook = store.add("https://example.com/", b"whsec_", ALL, "ana")
    held = begun(runs, export_id, clock)

    def fail(*_: object) -> None:
        raise RuntimeError("killed")

    from sqlalchemy import event
    from sqlalchemy.orm import Session

    event.listen(Session, "before_commit", fail)
    try:
        with pytest.raises(RuntimeError, match="killed"):
            runs.finish(held, RunState.FAILED, error="no")
    finally:
        event.remove(Session, "before_commit", fail)
    assert store.deliveries(hook.id) == []
    runs.finish(held, RunState.FAILED, error="no")
    assert [each.what for each in store.deliveries(hook.id)] == ["run.failed"]


def test_a_delivery_whose_worker_was_killed_is_made_again_with_the_same_id(
    runs: RunStore,
    store: WebhookStore,
    teller: Teller,
    receiver: Receiver,
    export_id: int,
    clock: Clock,
) -> None:
    hook = store.add(receiver.url, new_secret().encode(), ALL, "ana")
    runs.finish(begun(runs, export_id, clock), RunState.FAILED, error="no")
    taken = store.claim(set())
    assert taken is not None
    _deliver(teller)
    assert receiver.got == []
    clock.move(seconds=CLAIM.total_seconds())
    _deliver(teller)
    assert [headers["webhook-id"] for headers, _ in receiver.got] == [taken.message_id]
    assert store.deliveries(hook.id)[0].delivered_at == clock()


def test_what_is_not_taken_is_tried_for_three_days_and_then_no_more(
    runs: RunStore,
    store: WebhookStore,
    teller: Teller,
    receiver: Receiver,
    export_id: int,
    clock: Clock,
) -> None:
    hook = store.add(receiver.url, new_secret().encode(), ALL, "ana")
    runs.finish(begun(runs, export_id, clock), RunState.FAILED, error="no")
    receiver.status, receiver.headers = 302, {"Location": receiver.url}  # not followed
    began = clock()
    for wait in (timedelta(0), *WAITS):
        clock.at += wait
        _deliver(teller)
        _deliver(teller)  # not before its time
    assert len(receiver.got) == 1 + len(WAITS)
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert clock() - began >= timedelta(days=3)
    assert (store.deliveries(hook.id)[0].next_at, store.deliveries(hook.id)[0].answer) == (
        None,
        "302",
    )


def test_an_address_that_is_gone_is_turned_off(
    runs: RunStore,
    store: WebhookStore,
    teller: Teller,
    receiver: Receiver,
    export_id: int,
    clock: Clock,
) -> None:
    store.add(receiver.url, new_secret().encode(), ALL, "ana")
    runs.finish(begun(runs, export_id, clock), RunState.FAILED, error="no")
    receiver.status = 410
    _deliver(teller)
    assert [each.is_on for each in store.all()] == [False]
    clock.move(days=1)
    _deliver(teller)
    assert len(receiver.got) == 1


def test_the_signature_is_that_of_the_standard() -> None:
    at = datetime.fromtimestamp(1614265330, UTC)
    headers = signed(
        [b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        at,
        b'{"test": 2432232314}',
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_for_a_day_after_a_rotation_messages_are_signed_with_both_secrets(
    store: WebhookStore,
    teller: Teller,
    runs: RunStore,
    receiver: Receiver,
    clock: Clock,
    export_id: int,
) -> None:
    old, new = new_secret(), new_secret()
    hook = store.add(receiver.url, old.encode(), ALL, "ana")
    store.rotate(hook.id, new.encode())
    for hours, secrets in ((23, [new, old]), (2, [new])):
        clock.move(hours=hours)
        runs.finish(begun(runs, export_id, clock), RunState.SUCCEEDED)
        _deliver(teller)
        headers, body = receiver.got[-1]
        at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
        expected = signed([each.encode() for each in secrets], headers["webhook-id"], at, body)
        assert headers["webhook-signature"] == expected["webhook-signature"]


def test_a_message_is_sent_again_with_its_id(
    store: WebhookStore,
    teller: Teller,
    runs: RunStore,
    receiver: Receiver,
    clock: Clock,
    export_id: int,
) -> None:
    hook = store.add(receiver.url, new_secret().encode(), ALL, "ana")
    runs.finish(begun(runs, export_id, clock), RunState.FAILED)
    _deliver(teller)
    [message] = store.deliveries(hook.id)
    assert store.send_again(hook.id, message.message_id)
    assert not store.send_again(hook.id, "msg_of_nobody")
    _deliver(teller)
    first, second = (headers["webhook-id"] for headers, _ in receiver.got)
    assert first == second == message.message_id


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1", "::1",  # noqa: S104
     "fe80::1", "fc00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"],
)  # fmt: skip
def test_private_addresses_are_refused(address: str) -> None:
    assert not may_reach("x.example", ip_address(address), "")
    assert may_reach("X.example", ip_address(address), "x.example")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "127.1"])
def test_a_private_address_gets_no_connection(receiver: Receiver, host: str) -> None:
    url = receiver.url.replace("127.0.0.1", host)
    with pytest.raises(NotReached, match="CCEXPORT_WEBHOOK_HOSTS"):
        post(url, {}, b"{}", "")
    assert receiver.got == []


def test_an_address_that_answers_never_is_left(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calling, "TIMEOUT_SECONDS", 0.2)
    receiver.let_go.clear()
    with pytest.raises(NotReached, match="no answer"):
        post(receiver.url, {}, b"{}", "127.0.0.1")


DRIPS = {  # scheme, what comes at once, what comes again and again
    "handshake": ("https", b"\x16\x03\x03\x40\x00\x02", b"\x00"),
    "headers": ("http", b"HTTP/1.1 200 OK\r\n", b"X"),
}


@contextmanager
def dripping(first: bytes, then: bytes, pause: float) -> Iterator[int]:
    """The port of an address that never comes to an end."""
    over = threading.Event()

    def answer(listener: socket.socket) -> None:
        taken, _ = listener.accept()
        with taken, suppress(OSError):  # they hang up
            taken.sendall(first)
            while not over.wait(pause):
                taken.sendall(then)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize("is_slow", [False, True], ids=["", "by a slow name"])
@pytest.mark.parametrize("drip", DRIPS)
def test_an_address_that_answers_for_ever_is_left(
    drip: str, is_slow: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheme, first, then = DRIPS[drip]
    look_up = socket.getaddrinfo

    def slowly(*args: Any, **named: Any) -> Any:  # the time is over before there is a connection
        threading.Event().wait(0.5)
        return look_up(*args, **named)

    if is_slow:
        monkeypatch.setattr(socket, "getaddrinfo", slowly)
    monkeypatch.setattr(calling, "TIMEOUT_SECONDS", 0.25)
    with dripping(first, then, 0.02) as port, pytest.raises(NotReached, match="no answer"):
        post(f"{scheme}://127.0.0.1:{port}/", {}, b"{}", "127.0.0.1")


def test_an_answer_without_an_end_is_read_no_further_than_needed() -> None:
    with dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1_000_000, 0) as port:
        assert post(f"http://127.0.0.1:{port}/", {}, b"{}", "127.0.0.1") == 200


@pytest.mark.parametrize(
    "url",
    ["", "ftp://a", "https://", "https://u:p@a", "https://a/#b", "https://a/ b", "https://a:x"],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        check_url(url)


RECEIVER = re.compile(r"```python\n(.*?)```", re.S)


def test_the_receiver_in_the_documents_takes_our_messages_and_no_others(
    store: WebhookStore,
    teller: Teller,
    runs: RunStore,
    receiver: Receiver,
    export_id: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret = new_secret()
    found = RECEIVER.search(DOCUMENT.read_text(encoding="utf-8"))
    assert found
    namespace: dict[str, Any] = {"SECRET": secret}
    exec(found[1].replace('os.environ["WEBHOOK_SECRET"]', "SECRET"), namespace)  # noqa: S102  # ours
    store.add(receiver.url, secret.encode(), ALL, "ana")
    now = datetime.now(UTC)
    teller = Teller(store, "https://exports.example.com", "127.0.0.0/8", lambda: now)
    runs.finish(begun(runs, export_id, lambda: now), RunState.FAILED)
    _deliver(teller)
    [(headers, body)] = receiver.got
    assert namespace["read"](body, headers)["type"] == "run.failed"
    with pytest.raises(WebhookVerificationError):
        namespace["read"](body.replace(b"failed", b"passed"), headers)
