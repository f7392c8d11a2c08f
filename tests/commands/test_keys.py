"""`keys …` beside a worker that lives: rotated in mid-run, dropped in mid-run, sign-ins renewed meanwhile."""

from __future__ import annotations

import re
from pathlib import Path

from ccexport.sandbox.server import running_sandbox
from tests.commands.running import Here, assert_one_line, start_process
from tests.kit.house import House, behaviour, people, write_source
from tests.kit.waiting import wait_for_state

PATIENCE_SECONDS = 60


def test_keys_are_rotated_and_dropped_while_a_worker_sends(here: Here, tmp_path: Path) -> None:
    """Tokens live two seconds, activities take two: the pair is renewed under each of the keys."""
    with running_sandbox(behaviour(expires_in=2, processing_seconds=2)) as sandbox:
        house = House(tmp_path, sandbox)
        write_source(house.source, people(20))
        house.connect()
        house.add_export()
        environment = house.environment()
        first = house.queue()
        with start_process("worker", environment=environment) as worker:
            try:
                wait_for_state(house, first, "confirming", "succeeded")
                rotated = here("keys", "rotate", environment=environment)
                assert (rotated.code, rotated.out) == (0, "")
                assert re.search(r"^\d+ secrets? and 0 run files encrypted anew\.", rotated.err)
                wait_for_state(house, first, "succeeded")
                second = house.queue()
                wait_for_state(house, second, "confirming", "succeeded")
                dropped = here("keys", "rotate", "--drop-old", environment=environment)
                assert dropped.code == 0
                assert "2 run files encrypted anew." in dropped.err
                wait_for_state(house, second, "succeeded")
                third = house.queue()
                wait_for_state(house, third, "succeeded")
            finally:
                worker.terminate()
            _, log = worker.communicate(timeout=PATIENCE_SECONDS)
        assert "ERROR" not in log
        assert "another key" not in log
        assert len(house.requests("token")) >= 3
        assert [
            house.document(run)["batches"][0]["attempts"] for run in (first, second, third)
        ] == [1] * 3
        listed = here("keys", "list", environment=environment).out.splitlines()
        assert len(listed) == 2
        assert listed[1].split()[-2:] == ["3", "6"]
        house.close()


def test_a_single_key_of_the_setting_is_not_rotated_and_the_line_says_how(
    here: Here, house: House
) -> None:
    key = (house.settings.data_dir / "secret.key").read_text().strip()
    outcome = here("keys", "rotate", environment=house.environment(), CCEXPORT_SECRET_KEY=key)
    assert_one_line(outcome, "CCEXPORT_SECRET_KEY", "comma", "docs/deploy.md")
    assert key not in outcome.err
