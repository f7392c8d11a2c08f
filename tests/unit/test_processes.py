"""A worker that died on this machine is told from one that may only be silent."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ccexport.processes import is_dead, new_worker_name

NAME = "from ccexport.processes import new_worker_name; print(new_worker_name())"


def test_the_present_process_is_not_dead() -> None:
    assert not is_dead(new_worker_name())


def test_an_ended_process_of_this_machine_is_dead() -> None:
    ended = subprocess.run([sys.executable, "-c", NAME], capture_output=True, text=True, check=True)
    assert is_dead(ended.stdout.strip())


@pytest.mark.parametrize(
    "name", ["", "w1", "host/another0/1/abc", "host/unknown/999999999/abc", "a/b/c/d", "a/b/c/d/e"]
)
def test_a_worker_of_elsewhere_is_never_held_to_be_dead(name: str) -> None:
    assert not is_dead(name)
