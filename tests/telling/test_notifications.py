"""What people are told: in words, once for each change, many for one reason as one, and by channels that fail."""

from __future__ import annotations

import io
import json
import logging
import time
from datetime import timedelta
from typing import Any

import pytest
from apprise.plugins.slack import NotifySlack
from requests import Response, Session
from sqlalchemy import Engine, insert
from sqlmodel import select

from ccexport.errors import UsageError
from ccexport.states import RunState, Told, WaitingFor
from ccexport.store.database.engine import writing
from ccexport.store.database.telling_tables import Notice, Telling
from ccexport.store.notifications import (
    CLAIM,
    LONGEST,
    MAX_TOGETHER,
    SETTLE,
    NotificationStore,
)
from ccexport.store.runs import RunStore, Wait
from ccexport.telling import channels as calls
from ccexport.telling.channels import check_address, send
from ccexport.telling.messages import WORDS, compose
from ccexport.telling.notifications import Notifier
from ccexport.telling.webhooks import WAITS
from tests.kit.clocks import Clock
from tests.kit.mail import MailServer, mail, parts_of
from tests.kit.ports import free_port
from tests.kit.receiver import Receiver, receiver
from tests.kit.rows import export_row
from tests.telling.conftest import begun

__all__ = ["mail", "receiver"]  # fixtures
ALL = [each.value for each in Told]
HOME = "https://exports.example.com"


@pytest.fixture
def notifier(channels: NotificationStore, clock: Clock) -> Notifier:
    return Notifier(channels, HOME, clock)


def add_exports(engine: Engine, clock: Clock, count: int) -> list[int]:
    rows = [export_row(f"Export {number}", at=clock()) for number in range(count)]
    with writing(engine) as session:
        session.add_all(rows)
        session.flush()
        return [row.id for row in rows]


def deliver(notifier: Notifier) -> None:
    notifier.deliver_due(time.monotonic() + 60)


def test_mail_says_what_happened_to_which_export_what_to_do_and_where(
    runs: RunStore,
    channels: NotificationStore,
    notifier: Notifier,
    mail: MailServer,
    export_id: int,
    clock: Clock,
) -> None:
    channels.add("Team", mail.url, "E-Mail", ALL, "ana")
    held = begun(runs, export_id, clock, "News <b>&")
    runs.wait(held, Wait(WaitingFor.SIGN_IN, clock(), "ana@example.com signs in, key cce_secret."))
    deliver(notifier)
    [message] = mail.got
    assert message["Subject"] == 'ccexport: "News <b>&" waits for a sign-in'
    assert message["To"] == "team@example.com"
    for part in parts_of(message):
        assert "waits for a sign-in" in part
        assert "select Authenticate" in part
        assert f"{HOME}/run?run={held.run_id}" in part
        assert "ana@" not in part
        assert "secret" not in part
    plain, html = parts_of(message)
    assert 'Run 1 of "News <b>&"' in plain
    assert "News &lt;b&gt;&amp;" in html


def test_twenty_exports_that_fail_for_one_reason_are_one_message(
    engine: Engine,
    runs: RunStore,
    channels: NotificationStore,
    notifier: Notifier,
    mail: MailServer,
    clock: Clock,
) -> None:
    channels.add("Team", mail.url, "E-Mail", ALL, "ana")
    helds = [begun(runs, each, clock) for each in add_exports(engine, clock, 21)]
    for held in helds[:-1]:
        runs.wait(held, Wait(WaitingFor.SIGN_IN, clock(), "."))
        deliver(notifier)
        clock.move(seconds=2)
    assert mail.got == [], "the last one is still at work"
    runs.finish(helds[-1], RunState.FAILED)
    deliver(notifier)
    assert sorted(mail.subjects) == [
        'ccexport: "Newsletter" failed',
        'ccexport: "Newsletter" waits for a sign-in',
    ]
    waits = next(each for each in mail.got if "sign-in" in each["Subject"])
    assert parts_of(waits)[1].count("<li>") == 20


def test_ten_thousand_changes_in_a_minute_are_few_messages_and_none_is_lost(
    engine: Engine,
    runs: RunStore,
    channels: NotificationStore,
    notifier: Notifier,
    mail: MailServer,
    export_id: int,
    clock: Clock,
) -> None:
    channels.add("Team", mail.url, "E-Mail", ALL, "ana")
    runs.finish(begun(runs, export_id, clock), RunState.FAILED)
    with writing(engine) as session:
        first = session.exec(select(Telling)).one()
        alike = first.model_dump(exclude={"id", "message_id"})
        more = range(first.id + 1, first.id + 10_000)
        session.execute(insert(Telling), [{**alike, "id": n, "message_id": f"m{n}"} for n in more])
        at = {"notification_id": 1, "next_at": clock()}
        session.execute(insert(Notice), [{**at, "telling_id": n} for n in more])
    deliver(notifier)
    assert channels.waiting() == {}
    assert len(mail.got) == 10_000 // MAX_TOGETHER
    assert all("480 more" in parts_of(each)[1] for each in mail.got)  # 20 are named


@pytest.mark.parametrize(
    ("apart", "after"), [(timedelta(0), SETTLE), (SETTLE - timedelta(seconds=1), LONGEST)]
)
def test_a_message_waits_for_others_of_its_kind_and_not_for_ever(
    engine: Engine,
    runs: RunStore,
    channels: NotificationStore,
    notifier: Notifier,
    mail: MailServer,
    clock: Clock,
    apart: timedelta,
    after: timedelta,
) -> None:
    channels.add("Team", mail.url, "E-Mail", ALL, "ana")
    busy, *others = [begun(runs, each, clock) for each in add_exports(engine, clock, 12)]
    began = clock()
    for held in others:
        runs.finish(held, RunState.FAILED) if apart or held is others[0] else None
        clock.at = min(clock.at + apart, began + after - timedelta(seconds=1))
        runs.renew_leases("w1", [each.run_id for each in [busy, *others]])
        deliver(notifier)
    assert mail.got == []
    clock.at = began + after
    deliver(notifier)
    assert len(mail.got) == 1


def test_a_change_is_told_to_who_asked_for_it(
    runs: RunStore,
    channels: NotificationStore,
    notifier: Notifier,
    mail: MailServer,
    export_id: int,
    clock: Clock,
) -> None:
    channels.add("Team", mail.url, "E-Mail", [Told.FAILED.value], "ana")
    for end in (RunState.FAILED, RunState.FAILED, RunState.SUCCEEDED, RunState.FAILED):
        runs.finish(begun(runs, export_id, clock), end)
    deliver(notifier)
    assert mail.subjects == ['ccexport: "Newsletter" failed']
    assert len(mail.got) == 1, "two changes, one message"


def test_a_channel_that_is_down_for_two_days_gets_its_message_with_one_id(
    runs: RunStore,
    channels: NotificationStore,
    notifier: Notifier,
    mail: MailServer,
    export_id: int,
    clock: Clock,
) -> None:
    channels.add("Team", mail.url, "E-Mail", ALL, "ana")
    runs.finish(begun(runs, export_id, clock), RunState.FAILED)
    mail.refuses = "451 ana@example.com is not here"
    for wait in WAITS[:-1]:
        deliver(notifier)
        deliver(notifier)  # not before its time
        clock.at += wait
    [channel] = channels.all()
    assert channel.last_error
    assert "ana" not in channel.last_error
    assert channels.waiting() == {channel.id: 1}
    mail.refuses = ""
    deliver(notifier)
    assert len(mail.got) == 1
    [channel] = channels.all()
    assert (channel.last_error, channel.last_at) == ("", clock())
    assert channels.waiting() == {}


def test_a_message_whose_worker_was_killed_is_the_same_one_again(
    engine: Engine,
    runs: RunStore,
    channels: NotificationStore,
    notifier: Notifier,
    mail: MailServer,
    clock: Clock,
) -> None:
    channels.add("Team", mail.url, "E-Mail", ALL, "ana")
    first, second = add_exports(engine, clock, 2)
    runs.finish(begun(runs, first, clock), RunState.FAILED)
    taken = channels.claim(())
    assert taken is not None
    runs.finish(begun(runs, second, clock), RunState.FAILED)
    deliver(notifier)
    clock.at += CLAIM
    deliver(notifier)
    texts = [parts_of(message)[0] for message in mail.got]
    assert len(texts) == 2
    assert [taken.message_id in text for text in texts] == [False, True]


def test_slack_gets_a_body_of_its_documented_shape(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NotifySlack, "webhook_url", receiver.url)
    receiver.answer = b"ok"
    url = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#alerts"
    assert send(url, _message()) == ""
    body = json.loads(receiver.got[0][1])
    assert body["channel"] == "#alerts"
    [attachment] = body["attachments"]
    assert attachment["title"] == 'ccexport: "Newsletter" failed'
    assert f"<{HOME}/run?run=7|" in attachment["text"]


def test_teams_gets_a_body_of_its_documented_shape(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, called = Session.request, list[str]()

    def here(self: Session, method: str, url: str, **named: Any) -> Response:
        called.append(url)
        return real(self, method, receiver.url, **named)

    monkeypatch.setattr(Session, "request", here)
    url = "workflows://prod-12.westeurope.logic.azure.com/643e69f83c8944078d68fba2c3b1b7e9/8K3ItzSh4rnR2Fc"
    assert send(url, _message()) == ""
    assert called[0].startswith("https://prod-12.westeurope.logic.azure.com")
    body = json.loads(receiver.got[0][1])
    assert body["type"] == "message"
    [attachment] = body["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["body"][0]["type"]) == ("AdaptiveCard", "TextBlock")
    assert f"{HOME}/run?run=7" in card["body"][1]["text"]


def _message() -> calls.Message:
    body = {"type": "run.failed", "data": {"run": 7, "export": "Newsletter"}}
    return compose(Told.FAILED, "", [body], "msg_1", HOME)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mailto://ana:s3cr3t@mail.example.com?to=bob@example.com", "E-Mail: mailto://"),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#alerts", "Slack: slack://"),
        ("json://ana:s3cr3t@example.com/s3cr3t?+Key=s3cr3t", "JSON: json://"),
    ],
)
def test_an_address_is_shown_without_its_secrets(url: str, shown: str) -> None:
    found = check_address(url)
    assert found.startswith(shown)
    for secret in ("s3cr3t@", "bob@", "TIiajkdnlazkcOXrIdevi7FQ", "Key"):
        assert secret not in found


@pytest.mark.parametrize("url", ["", "mailto://", "nobody://x", "https://example.com/x", "/etc"])
def test_what_apprise_does_not_know_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="Apprise"):
        check_address(url)


def test_what_goes_wrong_is_said_in_our_words_and_nothing_is_logged(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger().addHandler(handler)
    receiver.status = 403
    there = receiver.url.replace("http", "json") + "/s3cr3t"
    assert send(there, _message()) == "The service answers 403."
    closed = f"json://ana:s3cr3t@127.0.0.1:{free_port()}"
    assert send(closed, _message()) == "The service is not reached."
    monkeypatch.setattr(calls, "TIMEOUT_SECONDS", 0.2)
    receiver.let_go.clear()
    assert "no answer" in send(there, _message())
    logging.getLogger().removeHandler(handler)
    assert log.getvalue() == ""


def test_every_kind_that_is_told_has_its_words() -> None:
    data = {"run": 7, "export": "Newsletter", "connection": "Marketing"}
    for what in Told:
        for reason in {key[1] for key in WORDS if key[0] is what} | {"", "new reason"}:
            bodies = [{"type": what.value, "data": data}] * 3
            message = compose(what, reason, bodies, "msg_1", HOME)
            assert HOME in message.html
    many = [{"type": "run.failed", "data": {"run": n, "export": f"E{n}"}} for n in range(50)]
    message = compose(Told.FAILED, "", many, "msg_1", HOME)
    assert message.title == "ccexport: 50 exports failed"
    assert "and 30 more" in message.html
