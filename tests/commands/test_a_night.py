"""One night by commands alone: an export fails twice, waits for a sign-in, recovers. All are told theirs, once."""

from __future__ import annotations

import json
import re
import urllib.request

import pytest

from ccexport import worker as worker_module
from tests.commands.adding import adding
from tests.commands.running import Here, Outcome, start_process
from tests.kit.house import House
from tests.kit.mail import MailServer, mail, parts_of
from tests.kit.ports import free_port
from tests.kit.receiver import Receiver, receiver
from tests.kit.waiting import wait_for_state, wait_until

__all__ = ["mail", "receiver"]  # fixtures
SIGN_IN = ("connections", "add", "Marketing", "--agree", "--callback-port")


def test_a_night_by_commands_is_told_by_mail_webhook_and_ping_without_an_address(
    here: Here,
    lone_house: House,
    mail: MailServer,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_module, "LAST_TELLING_SECONDS", 60.0)  # this machine may be slow
    environment = lone_house.environment() | {"CCEXPORT_WEBHOOK_HOSTS": "127.0.0.1"}

    def command(*words: str, code: int = 0) -> Outcome:
        outcome = here(*words, environment=environment)
        assert outcome.code == code, outcome.err
        return outcome

    command("webhooks", "add", receiver.url)
    command("notifications", "add", "Team", mail.url)
    command(*adding("Night", ping=[receiver.url.replace("/hook", "/ping/night")]))

    lone_house.tell(
        "/_sandbox/behaviour",
        faults=[{"on": "contactsCSVImport", "do": "activity_failed", "times": 2}],
    )
    for _ in range(2):
        command("exports", "run", "Night", "--wait", code=1)
    lone_house.tell("/_sandbox/revoke")
    command("exports", "run", "Night")
    with start_process("worker", environment=environment) as worker:
        wait_for_state(lone_house, 3, "waiting")
        assert command("runs", "show", "3", "--json").document["waiting_for"] == "sign_in"
        wait_until(lambda: len(mail.got) == len(receiver.got) == 2, "people are asked")
        sign_in(environment)
        wait_until(lambda: len(mail.got) == len(receiver.got) == 3, "it goes on, and is well")
        wait_until(lambda: len(receiver.paths) == 6, "its end is called")
        worker.terminate()
        _, said = worker.communicate(timeout=60)
    assert worker.returncode == 0
    assert "Traceback" not in said
    command("exports", "run", "Night", "--wait")  # nobody asked to hear of good ends
    states = [run["state"] for run in command("runs", "list", "--json").document]
    assert states == ["succeeded", "succeeded", "failed", "failed"], "the newest first"

    assert mail.subjects == [
        f'ccexport: "Night" {words}' for words in ("failed", "waits for a sign-in", "is well again")
    ]
    assert receiver.types == ["run.failed", "run.needs_person", "run.recovered"]
    start, good, bad = "/ping/night/start", "/ping/night", "/ping/night/fail"
    assert receiver.paths == [start, bad, start, bad, start, good, start, good]
    told = [json.dumps(json.loads(body)) for _, body in receiver.got]
    told += [text for message in mail.got for text in parts_of(message)]
    people = {*lone_house.members(), "owner@example.com"}
    assert len(people) > 1
    for text in told:
        assert not any(address in text for address in people)
        assert not re.search(r"person\d+@", text)
        assert "/run?run=" in text


def sign_in(environment: dict[str, str]) -> None:
    """Somebody runs the command and allows everything in a browser."""
    with start_process(*SIGN_IN, str(free_port()), environment=environment) as process:
        assert process.stderr is not None
        said = next(line for line in process.stderr if "Open this address: " in line)
        urllib.request.urlopen(said.split(": ", 1)[1].strip(), timeout=60).close()
        process.communicate(timeout=60)
    assert process.returncode == 0
