"""`connections …` after the sign-in: shared, agreed to again, lent a right, and removed beside a worker that sends."""

from __future__ import annotations

from pathlib import Path

from ccexport.consent import CONSENT_TEXT, CONSENT_VERSION
from ccexport.sandbox.server import running_sandbox
from ccexport.services.people.access import Role, local_administrator
from ccexport.services.people.users import Users
from tests.commands.running import Here, assert_one_line, start_process
from tests.kit.house import ANA, House, behaviour, people, write_source
from tests.kit.waiting import wait_for_state

PATIENCE_SECONDS = 120


def test_connections_share_and_back(here: Here, house: House) -> None:
    environment = house.environment()
    assert here("connections", "share", "Marketing", environment=environment).code == 0
    assert house.installation.connections.by_name("Marketing").contributors
    back = here("connections", "share", "Marketing", "--administrators", environment=environment)
    assert back.err == 'Administrators alone may use "Marketing" from now on.\n'
    assert not house.installation.connections.by_name("Marketing").contributors


def test_connections_agree_shows_the_text_first_and_then_lets_runs_go_on(
    here: Here, house: House
) -> None:
    environment = house.environment()
    connection = house.installation.connections.by_name("Marketing")
    house.installation.connections.agree(connection.id, agreed_by="ana", text_version="0")
    run_id = house.queue()
    house.work()
    shown = here("runs", "show", str(run_id), environment=environment)
    assert "connections agree" in shown.out
    listed = here("connections", "list", environment=environment)
    assert "waits for consent" in " ".join(listed.out.split())
    asked = here("connections", "agree", "Marketing", environment=environment)
    assert_one_line(asked, CONSENT_TEXT, "--agree", code=2)
    done = here("connections", "agree", "Marketing", "--agree", environment=environment)
    assert (done.code, done.out) == (0, "")
    [document] = here("connections", "list", "--json", environment=environment).document
    assert (document["agreed_to"], document["waits_for"]) == (CONSENT_VERSION, [])
    house.work()
    assert house.document(run_id)["state"] == "succeeded"


def test_connections_export_user_steps_in_for_one_who_was_removed(here: Here, house: House) -> None:
    environment, users = house.environment(), Users(house.installation)
    for email in ("olivia@example.com", "oscar@example.com"):
        users.add(email, Role.ADMINISTRATOR, by=ANA)
    connection = house.installation.connections.by_name("Marketing")
    house.installation.connections.set_export_user(connection.id, "olivia@example.com")
    run_id = house.queue()
    removed = here("users", "remove", "olivia@example.com", environment=environment)
    assert 'The exports over "Marketing" wait' in removed.err
    waiting = here("worker", "--until-idle", environment=environment)
    assert waiting.code == 0
    assert house.document(run_id)["waiting_for"] == "approval"
    done = here("connections", "export-user", "Marketing", environment=environment)
    assert (done.code, done.out) == (0, "")
    [document] = here("connections", "list", "--json", environment=environment).document
    assert document["export_user"] == local_administrator().name
    house.work()
    assert house.document(run_id)["state"] == "succeeded"


def test_connections_remove_beside_a_worker_that_sends(here: Here, tmp_path: Path) -> None:
    """Its files stay under way for an hour: the run ends because it is stopped, and the worker goes on."""
    with running_sandbox(behaviour(processing_seconds=3_600)) as sandbox:
        house = House(tmp_path, sandbox)
        write_source(house.source, people(20))
        house.connect()
        house.add_export()
        environment = house.environment()
        run_id = house.queue()
        with start_process("worker", environment=environment) as worker:
            try:
                wait_for_state(house, run_id, "confirming")
                removed = here("connections", "remove", "Marketing", environment=environment)
                assert (removed.code, removed.out) == (0, "")
                assert "1 live run is stopped; nothing more is sent." in removed.err
                assert "only that ends the grant itself" in removed.err
                wait_for_state(house, run_id, "canceled")
                house.tell("/_sandbox/behaviour", processing_seconds=0)
                house.connect("Sales")
                house.add_export("Other", connection="Sales")
                other = house.queue("Other")
                wait_for_state(house, other, "succeeded")
            finally:
                worker.terminate()
            _, log = worker.communicate(timeout=PATIENCE_SECONDS)
        assert worker.returncode == 0
        assert "ERROR" not in log
        assert "1 file that was under way" in house.document(run_id)["error"]
        house.close()
