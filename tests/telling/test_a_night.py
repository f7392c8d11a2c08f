"""One night: an export fails twice, waits for a sign-in, recovers. Mail, webhook and ping get what is theirs."""

from __future__ import annotations

import json
import time

from sqlalchemy import Engine
from sqlmodel import update

from ccexport.states import RunState, Told, WaitingFor
from ccexport.store.database.engine import writing
from ccexport.store.database.tables import Export
from ccexport.store.moves import Held
from ccexport.store.notifications import NotificationStore
from ccexport.store.pings import PingStore
from ccexport.store.runs import RunStore, Wait
from ccexport.store.vault.keys import Keys
from ccexport.store.webhooks import WebhookStore
from ccexport.telling.notifications import Notifier
from ccexport.telling.pings import Pinger
from ccexport.telling.webhooks import Teller, new_secret
from tests.kit.clocks import Clock
from tests.kit.mail import MailServer, mail, parts_of
from tests.kit.receiver import Receiver, receiver
from tests.kit.rows import run_row

__all__ = ["mail", "receiver"]  # fixtures
HOME = "https://exports.example.com"
USUAL = [each.value for each in Told if each is not Told.SUCCEEDED]
REFUSED = "ana@example.com is refused, access_token=s3cr3t"


def test_a_night_is_told_by_mail_webhook_and_ping_once_a_change_and_without_an_address(
    engine: Engine,
    keys: Keys,
    runs: RunStore,
    channels: NotificationStore,
    mail: MailServer,
    receiver: Receiver,
    export_id: int,
    clock: Clock,
) -> None:
    hooks = WebhookStore(engine, keys, clock)
    hooks.add(receiver.url, new_secret().encode(), USUAL, "ana")
    channels.add("Team", mail.url, "E-Mail", USUAL, "ana")
    sealed = keys.encrypt(receiver.url.replace("/hook", "/ping/night").encode())
    with writing(engine) as session:
        which = Export.id == export_id
        session.exec(update(Export).where(which).values(ping=sealed))  # type: ignore[arg-type]

    def deliver() -> None:
        give_up_at = time.monotonic() + 60
        Teller(hooks, HOME, "127.0.0.1", clock).deliver_due(give_up_at)
        Notifier(channels, HOME, clock).deliver_due(give_up_at)
        Pinger(PingStore(engine, keys), "127.0.0.1").deliver_due(give_up_at, time.monotonic)

    def begin() -> Held:
        clock.move(hours=2)
        run = runs.queue(run_row(at=clock(), export_id=export_id))
        assert runs.claim("w1", run_id=run.id) is not None
        runs.move(Held(run.id, "w1"), RunState.PREPARING, started_at=clock())
        deliver()
        return Held(run.id, "w1")

    for _ in range(2):
        runs.finish(begin(), RunState.FAILED, error=REFUSED)
        deliver()
    held = begin()
    runs.wait(held, Wait(WaitingFor.SIGN_IN, clock(), REFUSED))
    deliver()
    assert runs.claim("w1", run_id=held.run_id) is not None
    runs.resume(held)
    runs.finish(held, RunState.SUCCEEDED)
    deliver()
    runs.finish(begin(), RunState.SUCCEEDED)  # nobody asked to hear of good ends
    deliver()

    assert mail.subjects == [
        f'ccexport: "Newsletter" {words}'
        for words in ("failed", "waits for a sign-in", "is well again")
    ]
    assert receiver.types == ["run.failed", "run.needs_person", "run.recovered"]
    start, good, bad = "/ping/night/start", "/ping/night", "/ping/night/fail"
    assert receiver.paths == [start, bad, start, bad, start, good, start, good]
    told = [json.dumps(json.loads(body)) for _, body in receiver.got]
    told += [text for message in mail.got for text in parts_of(message)]
    for text in told:
        assert "ana@" not in text
        assert "s3cr3t" not in text
        assert f"{HOME}/run?run=" in text
