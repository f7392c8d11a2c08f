"""Running by commands: exit codes by the end of a run, interruption, a worker that ends when idle or told to."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Callable

import pytest

from ccexport.states import Told
from tests.commands.running import Here, assert_one_line, run_process, start_process
from tests.kit.house import LIST_ID, House, check_sums, people, write_source

WAIT_JSON = ("exports", "run", "Newsletter", "--wait", "--json")


def fault(house: House, do: str, on: str = "contactsCSVImport", **more: object) -> None:
    house.tell("/_sandbox/behaviour", faults=[{"on": on, "do": do, **more}])


@pytest.mark.parametrize(
    ("do", "more", "code", "state"),
    [
        ("delay", {}, 0, "succeeded"),
        ("unavailable", {"on": "getList"}, 0, "succeeded"),
        ("reject_rows", {"lines": [3]}, 3, "completed_with_errors"),
        ("activity_failed", {}, 1, "failed"),
        ("validation_error", {}, 0, "succeeded"),
        ("validation_error", {"times": -1}, 1, "failed"),
        ("not_found", {"on": "getList"}, 1, "failed"),
    ],
)
def test_the_exit_code_tells_how_the_run_ended(
    here: Here, house: House, do: str, more: dict[str, object], code: int, state: str
) -> None:
    fault(house, do, **more)
    outcome = here(*WAIT_JSON, environment=house.environment())
    assert (outcome.code, outcome.document["state"]) == (code, state)
    check_sums(outcome.document)
    assert "Traceback" not in outcome.err
    assert "@example.com" not in outcome.err
    assert outcome.err.startswith('Run 1 of "Newsletter": ')
    last = outcome.err.splitlines()[-1]
    if code == 1:
        assert last == f'Run 1 of "Newsletter" ended as {state}: {outcome.document["error"]}'
        assert last.endswith("."), "a sentence that says what to do"
    else:
        assert "ended as" not in last


def test_a_wait_says_its_reason_on_standard_error_and_goes_on(here: Here, house: House) -> None:
    fault(house, "unavailable", times=5)
    outcome = here(*WAIT_JSON, environment=house.environment())
    assert (outcome.code, outcome.document["state"]) == (0, "succeeded")
    assert "waiting for service until 20" in outcome.err


def test_nothing_to_send_is_not_success(here: Here, house: House) -> None:
    write_source(house.source, [{**profile, "EMail": ""} for profile in people(3)])
    outcome = here(*WAIT_JSON, environment=house.environment())
    assert outcome.code in (1, 3)
    assert outcome.document["state"] != "succeeded"
    assert outcome.document["counts"]["rejected"] == 3


def test_a_run_that_is_queued_is_performed_by_a_worker_and_a_second_is_refused(
    here: Here, house: House
) -> None:
    environment = house.environment()
    queued = here("exports", "run", "Newsletter", "--json", environment=environment)
    assert (queued.code, queued.document["state"]) == (0, "queued")
    assert "worker" in queued.err
    for words in (WAIT_JSON, WAIT_JSON[:-1], WAIT_JSON[:-2]):
        assert_one_line(here(*words, environment=environment), "Run 1", '"Newsletter"')
    house.work()
    table = here("runs", "show", "1", environment=environment)
    assert (table.code, table.err) == (0, "")
    assert table.out.startswith('Run 1 of "Newsletter": succeeded\n')
    assert "in 1 file\n" in table.out
    listed = here("runs", "list", environment=environment)
    assert "succeeded" in listed.out


def test_a_run_is_canceled(here: Here, house: House) -> None:
    environment = house.environment()
    here("exports", "run", "Newsletter", environment=environment)
    assert here("runs", "cancel", "1", environment=environment).code == 0
    house.work()
    document = here("runs", "show", "1", "--json", environment=environment).document
    assert document["state"] == "canceled"
    again = here("runs", "cancel", "1", environment=environment)
    assert_one_line(again, "Run 1", "ended", "canceled")
    assert here(*WAIT_JSON, environment=environment).code == 0


def test_a_run_canceled_while_waited_for_ends_with_1(here: Here, house: House) -> None:
    fault(house, "unavailable", times=-1)
    with start_process(*WAIT_JSON, environment=house.environment()) as process:
        read_until(process, lambda line: "waiting for service" in line)
        assert here("runs", "cancel", "1", environment=house.environment()).code == 0
        out, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert '"state": "canceled"' in out
    assert err.splitlines()[-1].startswith('Run 1 of "Newsletter" ended as canceled: ')


def test_who_waits_for_a_run_does_not_wait_for_those_who_are_told(house: House) -> None:
    """A mail server that is connected, by the system, and never says a word."""
    channels = house.installation.notifications
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        url = f"mailto://127.0.0.1:{port}?mode=insecure&from=a@example.com&to=b@example.com"
        channels.add("Team", url, "E-Mail", [Told.SUCCEEDED.value], "ana")
        outcome = run_process(*WAIT_JSON, environment=house.environment())
    assert (outcome.code, outcome.document["state"]) == (0, "succeeded")
    assert "Traceback" not in outcome.err
    [team] = channels.all()
    assert not team.last_error, "nobody waited for its time-out"
    assert channels.waiting() == {team.id: 1}, "the next worker delivers it"


def test_an_interrupted_wait_leaves_the_run_to_a_worker(house: House) -> None:
    sent = len(house.requests("contactsCSVImport"))
    fault(house, "activity_slow", seconds=2)
    with start_process(*WAIT_JSON, environment=house.environment()) as process:
        read_until(process, lambda line: "confirming" in line)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (1, "")
    assert err.splitlines()[-1] == (
        "Interrupted. Run 1 stays for a worker: python -m ccexport worker"
    )
    assert "Traceback" not in err
    assert house.document(1)["state"] == "confirming"
    with start_process("worker", "--until-idle", environment=house.environment()) as worker:
        out, err = worker.communicate(timeout=60)
    assert (worker.returncode, out) == (0, "")
    assert "Traceback" not in err
    document = house.document(1)
    assert document["state"] == "succeeded"
    assert len(house.requests("contactsCSVImport")) == sent + 1
    assert len(document["batches"]) == 1
    assert document["batches"][0]["attempts"] == 1
    assert set(house.members(LIST_ID)) >= {f"person{n}@example.com" for n in range(1, 11)}


def test_a_worker_ends_when_idle_though_a_run_waits_for_a_person_and_on_sigterm(
    here: Here, lone_house: House
) -> None:
    lone_house.tell("/_sandbox/revoke")
    here("exports", "run", "Newsletter", environment=lone_house.environment())
    with start_process("worker", "--until-idle", environment=lone_house.environment()) as worker:
        worker.communicate(timeout=60)
    assert worker.returncode == 0
    document = lone_house.document(1)
    assert (document["state"], document["waiting_for"]) == ("waiting", "sign_in")
    with start_process("worker", environment=lone_house.environment()) as worker:
        read_until(worker, lambda line: "started" in line)
        worker.terminate()
        out, err = worker.communicate(timeout=30)
    assert (worker.returncode, out) == (0, "")
    assert "stopped" in err
    assert "Traceback" not in err


def read_until(process: subprocess.Popen[str], found: Callable[[str], bool]) -> None:
    """Read its standard error up to a line."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if found(line):
            return
    raise AssertionError("".join(lines))
