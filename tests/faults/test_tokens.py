"""The sign-in survives: kills at the worst moment, lost answers, revocation; and somebody is told before it ends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ccexport.clock import utc_now
from ccexport.errors import Conflict
from ccexport.preparation.files import cut_files
from ccexport.runs import uploading
from ccexport.sandbox.account.people import PEOPLE
from ccexport.sandbox.behaviour import OWNER
from ccexport.sandbox.server import running_sandbox
from ccexport.services.operations.health import examine
from ccexport.services.runs.overview import Overview
from ccexport.store.database.tables import Run
from ccexport.store.moves import Held
from ccexport.store.runs import RunStore, Wait
from tests.crash.killed_worker import KILLED, Doom, WorkerProcess
from tests.kit.house import House, behaviour, people, write_source


@pytest.fixture
def signed_in(tmp_path: Path, database_url: str) -> Iterator[House]:
    """An export over a connection whose token has to be renewed, on each database."""
    with running_sandbox(behaviour()) as sandbox:
        house = House(tmp_path, sandbox, database_url=database_url)
        write_source(house.source, people(10))
        house.connect()
        house.add_export()
        house.expire()
        yield house
        house.close()


def test_killed_between_the_rotation_and_our_commit_the_run_waits_for_a_sign_in(
    signed_in: House, tmp_path: Path
) -> None:
    run_id = signed_in.queue()
    signed_in.close()
    doom = Doom("before", "TokenStore.write")
    killed = WorkerProcess(signed_in.environment(), tmp_path / "worker.log", doom)
    assert killed.end() == KILLED
    assert signed_in.ask("/_sandbox/tokens")["refreshed"] == 1, "the sandbox was to have rotated"
    signed_in.work()
    document = signed_in.document(run_id)
    assert (document["state"], document["waiting_for"]) == ("waiting", "sign_in")
    assert signed_in.requests("contactsCSVImport") == []
    signed_in.connect()
    signed_in.work()
    assert signed_in.document(run_id)["state"] == "succeeded"
    assert len(signed_in.members()) == 10


def test_killed_after_our_commit_nobody_has_to_sign_in(signed_in: House, tmp_path: Path) -> None:
    run_id = signed_in.queue()
    signed_in.close()
    doom = Doom("after", "TokenStore.write")
    assert WorkerProcess(signed_in.environment(), tmp_path / "w.log", doom).end() == KILLED
    signed_in.work()
    assert signed_in.document(run_id)["state"] == "succeeded"
    assert signed_in.ask("/_sandbox/tokens")["spent_refresh_tokens_used"] == 0


def test_an_ended_sign_in_is_not_asked_for_again_and_again(signed_in: House) -> None:
    signed_in.tell("/_sandbox/revoke")
    run_id = signed_in.queue()
    signed_in.work()
    asked = len(signed_in.requests("token"))
    for _ in range(3):
        signed_in.installation.runs.wake_waiting_for_sign_in(1)
        signed_in.work()
    assert signed_in.document(run_id)["waiting_for"] == "sign_in"
    assert len(signed_in.requests("token")) == asked


def test_a_sign_in_between_the_refusal_and_the_waiting_lets_the_run_go_on(
    signed_in: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed_in.tell("/_sandbox/revoke")
    run_id = signed_in.queue()
    wait = RunStore.wait

    def sign_in_just_before(self: RunStore, held: Held, why: Wait) -> Run:
        monkeypatch.setattr(RunStore, "wait", wait)
        signed_in.connect()
        return wait(self, held, why)

    monkeypatch.setattr(RunStore, "wait", sign_in_just_before)
    signed_in.work()
    assert signed_in.document(run_id)["state"] == "succeeded"
    assert not signed_in.installation.connections.by_name("Marketing").needs_sign_in


def test_a_sign_in_revoked_in_mid_run_is_waited_for_and_the_run_goes_on(
    signed_in: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccexport.preparation.contacts.cut_files", partial(cut_files, max_rows=4))
    run_id = signed_in.queue()
    original = uploading.send_batch

    def send_and_revoke(*args: Any) -> None:
        original(*args)
        signed_in.tell("/_sandbox/revoke")

    with monkeypatch.context() as patch:
        patch.setattr(uploading, "send_batch", send_and_revoke)
        signed_in.work()
    document = signed_in.document(run_id)
    assert (document["state"], document["waiting_for"]) == ("waiting", "sign_in")
    assert [batch["state"] for batch in document["batches"]][1:] == ["pending", "pending"]
    signed_in.connect()
    signed_in.work()
    assert signed_in.document(run_id)["state"] == "succeeded"
    assert len(signed_in.members()) == 10
    made = [each for each in signed_in.requests("contactsCSVImport") if each["activity_id"]]
    assert len(made) == 3


@pytest.mark.parametrize("do", ["drop_after", "cut_after"])
def test_an_answer_lost_after_the_rotation_is_asked_for_once_more_and_then_a_person(
    signed_in: House, do: str
) -> None:
    signed_in.tell("/_sandbox/behaviour", faults=[{"on": "token:refresh_token", "do": do}])
    run_id = signed_in.queue()
    signed_in.work()
    document = signed_in.document(run_id)
    assert (document["state"], document["waiting_for"]) == ("waiting", "sign_in")
    asked = signed_in.requests("token")
    taken = [
        each for each in asked if each["grant_type"] == "refresh_token" and each["status"] != 429
    ]
    assert [each["fault"] for each in taken] == [do, None]
    signed_in.connect()
    signed_in.work()
    assert signed_in.document(run_id)["state"] == "succeeded"


def test_another_account_ends_no_waiting_and_changes_nothing(
    signed_in: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed_in.tell("/_sandbox/revoke")
    run_id = signed_in.queue()
    signed_in.work()
    before = signed_in.tokens.read(1)
    with monkeypatch.context() as patch:
        patch.setitem(PEOPLE, OWNER, PEOPLE["other@example.com"])
        with pytest.raises(Conflict, match="Nothing was changed"):
            signed_in.connect()
    assert signed_in.tokens.read(1) == before
    assert signed_in.installation.connections.get(1).needs_sign_in
    signed_in.work()
    assert signed_in.document(run_id)["waiting_for"] == "sign_in"


# --- a token that nobody uses ---------------------------------------------------------------------


def later(house: House, folder: Path, days: float) -> House:
    """The same installation, so many days later; the sandbox's clock stays."""
    return House(
        folder,
        house.sandbox,
        database_url=house.settings.database_url,
        now=lambda: utc_now() + timedelta(days=days),
    )


@pytest.mark.parametrize(("days", "warned"), [(149, False), (150.5, True)])
def test_home_and_doctor_warn_from_day_150_of_a_sign_in_that_nobody_uses(
    signed_in: House, tmp_path: Path, days: float, warned: bool
) -> None:
    house = later(signed_in, tmp_path, days)
    idle = Overview(house.installation).to_do().idle
    assert [view.connection.name for view in idle] == (["Marketing"] if warned else [])
    assert Overview(house.installation).to_do().is_empty is not warned
    found = [
        each for each in examine(house.installation) if each.subject == 'sign-in of "Marketing"'
    ]
    assert [each.ok for each in found] == ([False] if warned else [])
    if warned:
        assert "not been used for 150 days" in found[0].text
        assert "180" in found[0].text
        assert Overview(house.installation).to_do().idle == (), "the look itself has renewed it"
    house.close()


def test_a_sign_in_that_has_ended_is_no_idle_one(signed_in: House, tmp_path: Path) -> None:
    signed_in.installation.connections.set_needs_sign_in(1, needed=True)
    house = later(signed_in, tmp_path, 170)
    assert Overview(house.installation).to_do().idle == ()
    assert Overview(house.installation).to_do().sign_ins
    house.close()
